//! What the operator asks for.

use std::{fmt, str::FromStr};

/// `--device`: where bootstraps are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// `auto`: the first GPU, or this processor where there is none.
    Auto,
    /// `cpu`: this processor, in this process.
    Cpu,
    /// `cuda:N`: this GPU and no other.
    Cuda(usize),
    /// `cpu-worker`: this processor, in a worker process: what a device's worker is tested with.
    CpuWorker,
}

impl FromStr for DeviceChoice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "a device is auto, cpu or cuda:N, with N from 0";
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cpu-worker" => Ok(Self::CpuWorker),
            _ => {
                let number = text.strip_prefix("cuda:").ok_or(RULE)?;
                let is_plain = number.bytes().all(|byte| byte.is_ascii_digit()) && number.len() <= 3;
                if is_plain { number.parse().map(Self::Cuda).map_err(|_| RULE) } else { Err(RULE) }
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::CpuWorker => f.write_str("cpu-worker"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written_and_nothing_else_is() {
        for text in ["auto", "cpu", "cpu-worker", "cuda:0", "cuda:15"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        for text in ["", "gpu", "cuda", "cuda:", "cuda:-1", "cuda:+1", "cuda:1000", "CPU", "cuda:0 "] {
            assert!(text.parse::<DeviceChoice>().is_err(), "{text}");
        }
    }
}
