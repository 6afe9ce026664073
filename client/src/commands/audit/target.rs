//! The gateway that is audited: one that runs already, or one that is started for the audit with the demo's model.

use std::{
    path::{Path, PathBuf},
    process::Command as Plain,
};

use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    Error,
    cli::{AuditArgs, GatewayArgs, PolicyArg},
    commands::demo::{
        data::{self, WDBC},
        gateway::{GatewayProcess, RunningGateway},
    },
};

/// A gateway, and what the audit may look at.
pub(super) struct Target {
    pub(super) gateway: GatewayArgs,
    pub(super) model: String,
    /// Its first process, where it runs on this machine and was named.
    pub(super) process: Option<u32>,
    /// What it writes.
    pub(super) files: Vec<PathBuf>,
    pub(super) log_keys: Vec<String>,
    /// Where its system calls are written, where they are traced.
    pub(super) trace: Option<PathBuf>,
    /// Why they are not.
    pub(super) untraced: &'static str,
    started: Option<Started>,
}

struct Started {
    gateway: RunningGateway,
    /// All its files, which go with the audit.
    _directory: TempDir,
}

impl Target {
    /// The running gateway that was named, or one that is started now. `folder` is the audit's own.
    pub(super) async fn open(args: &AuditArgs, folder: &Path) -> Result<Self, Error> {
        let Some(url) = &args.running.gateway else { return Self::start(args, folder).await };
        let running = &args.running;
        Ok(Self {
            gateway: GatewayArgs {
                gateway: url.clone(),
                ca: running.ca.clone(),
                cert: running.cert.clone(),
                key: running.key.clone(),
            },
            model: running.model.clone().ok_or(Error::Usage("--model: name one that the gateway serves"))?,
            process: running.pid,
            files: running.gateway_files.clone(),
            log_keys: args.trust.log_key.clone(),
            trace: None,
            untraced: "the gateway runs already: only one that the audit starts is traced from its first call on",
            started: None,
        })
    }

    async fn start(args: &AuditArgs, folder: &Path) -> Result<Self, Error> {
        let (untraced, strace) = match (args.no_strace, find_strace()) {
            (true, _) => ("--no-strace was given", None),
            (false, None) => ("strace is not installed here", None),
            (false, strace) => ("", strace),
        };
        let directory = tempfile::Builder::new().prefix("tiresias-audit-").tempdir();
        let directory = directory.map_err(|source| Error::Io { path: std::env::temp_dir(), source })?;
        let process = GatewayProcess::prepare(directory.path(), args.gateway_bin.as_deref())?;
        let (training, _) = WDBC.load()?;
        process.import(WDBC.name, WDBC.head, &data::to_csv(&training), PolicyArg::Scores).await?;
        let trace = strace.as_ref().map(|_| folder.join("syscalls.txt"));
        let gateway = match (strace, &trace) {
            (Some(strace), Some(trace)) => {
                process.serve_as(|program| traced(&strace, trace, program)).await?
            }
            _ => process.serve().await?,
        };
        let certificate = |name| Some(gateway.certificate(name));
        Ok(Self {
            gateway: GatewayArgs {
                gateway: gateway.url().to_owned(),
                ca: certificate("ca.pem"),
                cert: certificate("client.pem"),
                key: certificate("client-key.pem"),
            },
            model: WDBC.name.to_owned(),
            process: gateway.process(),
            files: vec![directory.path().to_owned()],
            log_keys: gateway.log_key().map(str::to_owned).into_iter().collect(),
            trace,
            untraced,
            started: Some(Started { gateway, _directory: directory }),
        })
    }

    /// Whether the audit has started it.
    pub(super) fn is_own(&self) -> bool {
        self.started.is_some()
    }

    /// Ends a gateway that was started for the audit. Its files stay until the target is dropped.
    pub(super) async fn stop(&mut self) -> Result<(), Error> {
        match &mut self.started {
            Some(started) => started.gateway.end().await,
            None => Ok(()),
        }
    }
}

/// All calls with their files, and no byte of what is read and written. The tracer is a process of its own, so that the one that
/// is started is the gateway's.
fn traced(strace: &Path, trace: &Path, program: &Path) -> Command {
    let mut command = Command::new(strace);
    command.args(["-D", "-f", "-y", "-q", "-s", "0", "-o"]).arg(trace).arg("--").arg(program);
    command
}

/// A strace that works here: tracing may be forbidden.
fn find_strace() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut programs = std::env::split_paths(&path).map(|directory| directory.join("strace"));
    let strace = programs.find(|program| program.is_file())?;
    let tried =
        Plain::new(&strace).args(["-D", "-f", "-q", "-o", "/dev/null", "--", "true"]).output().ok()?;
    tried.status.success().then_some(strace)
}
