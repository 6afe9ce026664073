//! The clinic of an audit: this very program, run as `tiresias infer` in a process of its own, so that its memory is a place where
//! features and keys are known to be.

use std::{path::Path, process::Stdio};

use tokio::process::{Child, Command};

use super::relay::Relay;
use crate::{Error, files};

/// A run of `infer`.
pub(super) struct Clinic {
    child: Child,
    process: u32,
}

impl Clinic {
    /// Sends the patients through the relay, in one request. Receipts are kept in `receipts`.
    pub(super) fn start(
        relay: &Relay,
        model: &str,
        table: &Path,
        patients: u16,
        receipts: &Path,
        gone_wrong: &Path,
    ) -> Result<Self, Error> {
        let failed =
            |error: std::io::Error| Error::Audit(format!("the clinic's process did not start: {error}"));
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        for name in ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"] {
            command.env_remove(name);
        }
        let said = std::fs::File::create(gone_wrong).map_err(files::at(gone_wrong))?;
        command.args(["infer", "--gateway", &relay.url, "--model", model, "--json", "--timeout", "3600"]);
        command.args(["--batch", &patients.to_string()]);
        command.arg("--ca").arg(&relay.authority).arg("--features").arg(table);
        command.arg("--receipts").arg(receipts);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).kill_on_drop(true);
        let child = command.spawn().map_err(failed)?;
        let process = child.id().ok_or_else(|| Error::Audit("the clinic's process has ended".to_owned()))?;
        Ok(Self { child, process })
    }

    pub(super) fn process(&self) -> u32 {
        self.process
    }

    /// Waits for its end, which must be a good one.
    pub(super) async fn ended(&mut self, gone_wrong: &Path) -> Result<(), Error> {
        let status = self.child.wait().await;
        let status =
            status.map_err(|error| Error::Audit(format!("the clinic's process was lost: {error}")))?;
        if status.success() {
            return Ok(());
        }
        let said = std::fs::read_to_string(gone_wrong).unwrap_or_default();
        let last = said.lines().last().unwrap_or("it said nothing").to_owned();
        Err(Error::Audit(format!("the canary patients were not answered: {last}")))
    }
}
