//! The commands, one module each.

#[cfg(target_os = "linux")]
pub mod audit;
pub mod backbone;
pub mod canaries;
pub mod cohort;
pub mod decrypt;
pub mod demo;
pub mod encrypt;
pub mod enroll;
pub mod fairness;
pub mod harmonize;
pub mod infer;
pub mod joint;
pub mod learn;
mod record;
pub mod review;
pub mod segment;
pub mod synth;
pub mod verify;
pub mod witness;

/// What an audit looks at is shown by the kernel of Linux alone.
#[cfg(not(target_os = "linux"))]
pub mod audit {
    use std::process::ExitCode;

    use crate::{Error, cli::AuditArgs};

    /// Refuses.
    pub async fn run(_: &AuditArgs) -> Result<ExitCode, Error> {
        Err(Error::Usage("audit: it reads what the kernel of Linux shows of a process; run it on Linux"))
    }
}

/// The command line as a shell takes it.
fn command_line() -> String {
    let is_plain = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_=.,/:+@%".contains(c))
    };
    let quoted = |argument: std::ffi::OsString| match argument.to_string_lossy() {
        text if is_plain(&text) => text.into_owned(),
        text => format!("'{}'", text.replace('\'', "'\\''")),
    };
    let arguments = std::env::args_os().skip(1).map(quoted);
    ["tiresias".to_owned()].into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
}
