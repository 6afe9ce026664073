//! Whether a transparency log is kept, and its name.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{
    Error,
    witnesses::{self, FileWitness, WitnessPolicy},
};

/// What the configuration says of the transparency log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPolicy {
    /// Whether there is one, in the data directory.
    pub enabled: bool,
    /// Its name; by default one that it makes up.
    pub origin: Option<String>,
    /// Days for which the seeds of responses are kept, so that they can be replayed.
    pub retention_days: u64,
    /// Who cosigns its checkpoints.
    pub witnesses: Option<WitnessPolicy>,
}

/// `[log]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileLog {
    enabled: Option<bool>,
    origin: Option<String>,
    retention_days: Option<u64>,
    witnesses: Vec<FileWitness>,
    witness_every: Option<u64>,
    witness_quorum: Option<usize>,
    witness_ca: Option<PathBuf>,
}

impl FileLog {
    /// Takes paths as relative to a directory.
    pub(super) fn resolve(&mut self, base: &Path) {
        self.witness_ca = self.witness_ca.take().map(|path| base.join(path));
    }

    /// A log that is asked for, or named, needs a directory; one that is not mentioned is kept where there is one.
    pub(super) fn check(self, has_data: bool) -> Result<LogPolicy, Error> {
        let is_asked_for = self.enabled == Some(true) || self.origin.is_some() || !self.witnesses.is_empty();
        if !has_data && is_asked_for {
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
        let retention_days = self.retention_days.unwrap_or(30);
        if retention_days > 3650 {
            return Err(Error::Rule("log: retention_days 0 to 3650"));
        }
        let enabled = self.enabled.unwrap_or(true);
        if !enabled && !self.witnesses.is_empty() {
            return Err(Error::Rule("log: witnesses need a log, which enabled = false switches off"));
        }
        let witnesses =
            witnesses::check(self.witnesses, self.witness_every, self.witness_quorum, self.witness_ca)?;
        Ok(LogPolicy { enabled, origin: self.origin, retention_days, witnesses })
    }
}
