//! Whether a transparency log is kept, and its name.

use serde::Deserialize;

use super::Error;

/// What the configuration says of the transparency log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPolicy {
    /// Whether there is one, in the data directory.
    pub enabled: bool,
    /// Its name; by default one that it makes up.
    pub origin: Option<String>,
    /// Days for which the seeds of responses are kept, so that they can be replayed.
    pub retention_days: u64,
}

/// `[log]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileLog {
    enabled: Option<bool>,
    origin: Option<String>,
    retention_days: u64,
}

impl Default for FileLog {
    fn default() -> Self {
        Self { enabled: None, origin: None, retention_days: 30 }
    }
}

impl FileLog {
    /// A log that is asked for, or named, needs a directory; one that is not mentioned is kept where there is one.
    pub(super) fn check(self, has_data: bool) -> Result<LogPolicy, Error> {
        if !has_data && (self.enabled == Some(true) || self.origin.is_some()) {
            return Err(Error::Rule(
                "a transparency log must outlive the process: name a data directory, --data or `data`",
            ));
        }
        let is_name = |origin: &String| {
            (1..=255).contains(&origin.len())
                && !origin.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
        };
        if !self.origin.as_ref().is_none_or(is_name) {
            return Err(Error::Rule(
                "log: origin is a name without spaces and plus signs, such as gateway.example/receipts",
            ));
        }
        if self.retention_days > 3650 {
            return Err(Error::Rule("log: retention_days 0 to 3650"));
        }
        let enabled = self.enabled.unwrap_or(true);
        Ok(LogPolicy { enabled, origin: self.origin, retention_days: self.retention_days })
    }
}
