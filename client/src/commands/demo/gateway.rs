//! A real gateway process for the demo and the audit: `tiresias-gateway`, found beside this program, on PATH, or by option.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::{Error, cli::PolicyArg};

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The program and a directory for its repository and certificates.
pub(in crate::commands) struct GatewayProcess {
    program: PathBuf,
    directory: PathBuf,
}

/// A gateway that listens; it is killed when this is dropped.
pub(in crate::commands) struct RunningGateway {
    child: Child,
    url: String,
    log_key: Option<String>,
    directory: PathBuf,
}

/// A line of `evaluate --json`.
#[derive(Deserialize)]
pub(in crate::commands) struct ClearAnswer {
    pub(in crate::commands) label: String,
    /// None where the policy is label.
    #[serde(default)]
    pub(in crate::commands) scores_q: Vec<i64>,
}

impl GatewayProcess {
    /// Finds the program.
    pub(in crate::commands) fn prepare(directory: &Path, program: Option<&Path>) -> Result<Self, Error> {
        let program = match program {
            Some(program) => program.to_owned(),
            None => find_program().ok_or_else(|| {
                Error::GatewayProcess(
                    "tiresias-gateway is neither beside this program nor on PATH: build the whole workspace, or \
                     pass --gateway-bin"
                        .into(),
                )
            })?,
        };
        Ok(Self { program, directory: directory.to_owned() })
    }

    /// Imports a head, calibrated on the rows of a .csv text.
    pub(in crate::commands) async fn import(
        &self,
        name: &str,
        head: &[u8],
        calibration: &str,
        policy: PolicyArg,
    ) -> Result<(), Error> {
        let policy = match policy {
            PolicyArg::Scores => "scores",
            PolicyArg::Label => "label",
        };
        let head = self.write("head.onnx", head)?;
        let calibration = self.write("calibration.csv", calibration.as_bytes())?;
        let repository = self.directory.join("models");
        self.run(&[
            OsStr::new("import"),
            head.as_os_str(),
            OsStr::new("--calibration"),
            calibration.as_os_str(),
            OsStr::new("--policy"),
            OsStr::new(policy),
            OsStr::new("--name"),
            OsStr::new(name),
            OsStr::new("--repo"),
            repository.as_os_str(),
        ])
        .await?;
        Ok(())
    }

    /// What the clear twin says, which the model owner can compute and the demo compares with.
    pub(in crate::commands) async fn clear_answers(
        &self,
        name: &str,
        features: &str,
    ) -> Result<Vec<ClearAnswer>, Error> {
        let features = self.write("features.csv", features.as_bytes())?;
        let repository = self.directory.join("models");
        let output = self
            .run(&[
                OsStr::new("evaluate"),
                OsStr::new("--repo"),
                repository.as_os_str(),
                OsStr::new("--name"),
                OsStr::new(name),
                OsStr::new("--features"),
                features.as_os_str(),
                OsStr::new("--json"),
            ])
            .await?;
        let answers: Result<Vec<_>, _> = output.lines().map(serde_json::from_str).collect();
        answers.map_err(|_| Error::GatewayProcess("evaluate --json printed something else".into()))
    }

    /// Starts serving on a free loopback port with certificates made on the spot.
    pub(in crate::commands) async fn serve(self) -> Result<RunningGateway, Error> {
        self.serve_as(|program| Command::new(program)).await
    }

    /// The same with a command that runs the program, as a tracer does, and is the program's process afterwards.
    pub(in crate::commands) async fn serve_as(
        self,
        command: impl FnOnce(&Path) -> Command,
    ) -> Result<RunningGateway, Error> {
        #[derive(Deserialize)]
        struct Ready {
            listening: String,
            log: Option<String>,
        }
        let log = self.directory.join("gateway.log");
        let io = |source| Error::Io { path: log.clone(), source };
        let mut child = command(&self.program)
            .arg("serve")
            .arg("--repo")
            .arg(self.directory.join("models"))
            .args(["--listen", "127.0.0.1:0", "--tls-self-signed"])
            .arg(self.directory.join("tls"))
            // Uploaded keys then go with the demo's directory, however the process ends.
            .arg("--data")
            .arg(self.directory.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).map_err(io)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Error::GatewayProcess(error.to_string()))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let mut stdout = BufReader::new(stdout);
            let read = tokio::time::timeout(START_TIMEOUT, stdout.read_line(&mut line)).await;
            read.map_err(|_| Error::GatewayProcess("it was not ready within 30 seconds".into()))?
                .map_err(io)?;
        }
        let ready: Ready = serde_json::from_str(&line).map_err(|_| {
            let log = fs::read_to_string(&log).unwrap_or_default();
            Error::GatewayProcess(format!("it did not start: {}", log.trim()))
        })?;
        Ok(RunningGateway { child, url: ready.listening, log_key: ready.log, directory: self.directory })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, Error> {
        let path = self.directory.join(name);
        fs::write(&path, bytes).map_err(|source| Error::Io { path: path.clone(), source })?;
        Ok(path)
    }

    async fn run(&self, arguments: &[&OsStr]) -> Result<String, Error> {
        let output = Command::new(&self.program)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|error| Error::GatewayProcess(error.to_string()))?;
        if !output.status.success() {
            return Err(Error::GatewayProcess(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl RunningGateway {
    pub(in crate::commands) fn url(&self) -> &str {
        &self.url
    }

    /// What verifies its transparency log.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "the audit alone asks for it"))]
    pub(in crate::commands) fn log_key(&self) -> Option<&str> {
        self.log_key.as_deref()
    }

    /// Its process's number, as long as it runs.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "the audit alone asks for it"))]
    pub(in crate::commands) fn process(&self) -> Option<u32> {
        self.child.id()
    }

    pub(in crate::commands) fn certificate(&self, name: &str) -> PathBuf {
        self.directory.join("tls").join(name)
    }

    /// Ends the process.
    pub(in crate::commands) async fn stop(mut self) -> Result<(), Error> {
        self.end().await
    }

    /// The same, and its files stay.
    pub(in crate::commands) async fn end(&mut self) -> Result<(), Error> {
        self.child.kill().await.map_err(|error| Error::GatewayProcess(error.to_string()))
    }
}

fn find_program() -> Option<PathBuf> {
    let name = format!("tiresias-gateway{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok()?.parent()?.join(&name);
    if beside.is_file() {
        return Some(beside);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(&name)).find(|program| program.is_file())
}
