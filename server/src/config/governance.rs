//! `[governance]`: who approves models, and how many of them must have signed a version before it is served.

use serde::Deserialize;
use tiresias_evidence::NoteVerifier;

use super::Error;
use crate::governance::Governance;

/// `[governance]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileGovernance {
    approvers: Vec<String>,
    required: usize,
}

impl FileGovernance {
    pub(super) fn check(self) -> Result<Governance, Error> {
        let approvers: Result<Vec<NoteVerifier>, _> =
            self.approvers.iter().map(|key| NoteVerifier::parse(key)).collect();
        let approvers = approvers.map_err(|_| {
            Error::Rule("governance: an approver is a key as `tiresias-gateway approve` prints it")
        })?;
        Governance::new(approvers, self.required).map_err(Error::Rule)
    }
}
