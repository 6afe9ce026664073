//! A real gateway process: heads come in through `import`, and `serve` listens with TLS on a free loopback port. The
//! tests of the clinic's program include this file too.
//!
//! A test knows that the gateway is ready by its ready line, and waits for log lines, never for time to pass.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tiresias_client::cli::GatewayArgs;

pub(crate) mod http;

/// Nothing here takes so long; a test that waits longer has lost its gateway.
pub(crate) const HANG: Duration = Duration::from_secs(120);

/// A file of `server/tests/fixtures`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/tests/fixtures").join(name)
}

/// The rows of the fixture features, as the clinic reads them.
pub(crate) fn rows() -> Vec<Vec<f64>> {
    let features = tiresias_client::output::read_features(&fixture("features.npy")).unwrap();
    features.iter().map(<[f64]>::to_vec).collect()
}

/// The gateway's program: Cargo names it for the gateway's own tests; others find it beside their own program.
pub(crate) fn program() -> PathBuf {
    if let Some(program) = option_env!("CARGO_BIN_EXE_tiresias-gateway") {
        return program.into();
    }
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    let program = profile.join(format!("tiresias-gateway{}", std::env::consts::EXE_SUFFIX));
    static BUILD: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILD.lock();
    if !program.is_file() {
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "-p", "tiresias-server", "--bin", "tiresias-gateway", "--target-dir"]);
        build.arg(profile.parent().unwrap());
        if profile.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the gateway could not be built");
    }
    program
}

/// Runs a gateway command to its end and returns its standard output.
pub(crate) fn gateway_command(arguments: &[&str]) -> String {
    let output = Command::new(program()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a gateway is about to be started with: a directory with its repository, certificates and settings.
pub(crate) struct Setup {
    directory: TempDir,
    settings: String,
    flags: Vec<String>,
    self_signed: bool,
    shell: Option<String>,
}

impl Setup {
    /// An empty repository and certificates made on first use.
    pub(crate) fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("models")).unwrap();
        Self { directory, settings: String::new(), flags: Vec::new(), self_signed: true, shell: None }
    }

    /// One model `m` with 8 features and 3 classes.
    pub(crate) fn model(privacy: &str) -> Self {
        Self::empty().import("gemm.onnx", "m", &["--privacy", privacy])
    }

    /// Imports a fixture, calibrated on the fixture features.
    pub(crate) fn import(self, head: &str, name: &str, flags: &[&str]) -> Self {
        self.add(head, name, flags);
        self
    }

    fn add(&self, head: &str, name: &str, flags: &[&str]) {
        let (head, calibration) = (fixture(head), fixture("features.npy"));
        let repo = self.path("models");
        let arguments = [
            "import",
            head.to_str().unwrap(),
            "--calibration",
            calibration.to_str().unwrap(),
            "--name",
            name,
            "--repo",
            repo.to_str().unwrap(),
        ];
        gateway_command(&[&arguments, flags].concat());
    }

    /// The content of the configuration file.
    pub(crate) fn settings(mut self, settings: &str) -> Self {
        settings.clone_into(&mut self.settings);
        self
    }

    /// More flags for `serve`.
    pub(crate) fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    /// A data directory beside the rest: what is uploaded goes with the test, however the process ends.
    pub(crate) fn with_data(self) -> Self {
        let data = self.path("data");
        self.flags(&["--data", data.to_str().unwrap()])
    }

    /// The flags or settings name the certificates.
    pub(crate) fn own_certificates(mut self) -> Self {
        self.self_signed = false;
        self
    }

    /// What a shell does first in the gateway's process.
    pub(crate) fn after(mut self, shell: impl Into<String>) -> Self {
        self.shell = Some(shell.into());
        self
    }

    /// A path in the gateway's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The same files and flags in another directory, as a backup of the gateway has them.
    pub(crate) fn copied(&self) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (self.directory.path().to_str().unwrap(), directory.path().to_str().unwrap());
        let copy = Command::new("cp").args(["-a", &format!("{from}/."), to]).status().unwrap();
        assert!(copy.success());
        let settings = self.settings.replace(from, to);
        let flags = self.flags.iter().map(|flag| flag.replace(from, to)).collect();
        let (self_signed, shell) = (self.self_signed, self.shell.clone());
        Self { directory, settings, flags, self_signed, shell }
    }

    /// Starts the gateway, which must print its ready line.
    pub(crate) fn start(self) -> Gateway {
        let (child, ready, log) = self.spawn();
        if ready.is_empty() {
            unreachable!("it did not start: {}", log.end());
        }
        let ready: Value = serde_json::from_str(&ready).unwrap();
        let url = ready["listening"].as_str().unwrap().to_owned();
        let address = url.strip_prefix("https://").unwrap().parse().unwrap();
        let metrics = ready["metrics"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
        let log_key = ready["log"].as_str().map(str::to_owned);
        Gateway { child, url, address, metrics, log_key, log, setup: Some(self) }
    }

    /// Starts a gateway that must refuse, and returns its exit code and last words.
    pub(crate) fn refusal(self) -> (Option<i32>, String) {
        self.refused()
    }

    /// The same, and it may be started again.
    pub(crate) fn refused(&self) -> (Option<i32>, String) {
        let (mut child, ready, log) = self.spawn();
        if !ready.is_empty() {
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        assert_eq!(ready, "", "it started");
        (status.code(), log.end())
    }

    /// Starts it and ends it as a crash would, so long afterwards: most likely before it is ready.
    pub(crate) fn crash_early(&self, after: Duration) {
        let mut child = self.launch();
        thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn spawn(&self) -> (Child, String, Log) {
        let mut child = self.launch();
        let log = Log::of(child.stderr.take().unwrap());
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        (child, ready, log)
    }

    fn launch(&self) -> Child {
        let settings = self.path("gateway.toml");
        fs::write(&settings, &self.settings).unwrap();
        let mut serve = match &self.shell {
            None => Command::new(program()),
            Some(shell) => {
                let mut command = Command::new("sh");
                command.args(["-c", &format!("{shell}; exec \"$@\""), "sh"]).arg(program());
                command
            }
        };
        serve.arg("serve").arg("--config").arg(settings).arg("--repo").arg(self.path("models"));
        serve.args(["--metrics", "127.0.0.1:0"]);
        if !self.flags.iter().any(|flag| flag == "--listen") {
            serve.args(["--listen", "127.0.0.1:0"]);
        }
        if self.self_signed {
            serve.arg("--tls-self-signed").arg(self.path("tls"));
        }
        serve.args(&self.flags).env_remove("RUST_LOG").env_remove("TIRESIAS_LOG");
        serve.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        serve.spawn().unwrap()
    }
}

/// A gateway that listens. It is killed when this is dropped.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
    pub(crate) metrics: SocketAddr,
    /// What verifies its transparency log, where it keeps one.
    pub(crate) log_key: Option<String>,
    log: Log,
    /// Only a gateway that is being restarted has none.
    setup: Option<Setup>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gateway {
    /// One of the files that `--tls-self-signed` made.
    pub(crate) fn certificate(&self, name: &str) -> PathBuf {
        self.path("tls").join(name)
    }

    /// A path in the gateway's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.setup.as_ref().unwrap().path(name)
    }

    /// How the clinic's library reaches this gateway.
    pub(crate) fn options(&self) -> GatewayArgs {
        GatewayArgs {
            gateway: self.url.clone(),
            ca: Some(self.certificate("ca.pem")),
            cert: Some(self.certificate("client.pem")),
            key: Some(self.certificate("client-key.pem")),
        }
    }

    /// The clear twin's integers for the fixture features.
    pub(crate) fn clear_scores(&self, name: &str) -> Vec<Vec<i64>> {
        let lines = self.evaluate(name, &fixture("features.npy"));
        lines.iter().map(|line| serde_json::from_value(line["scores_q"].clone()).unwrap()).collect()
    }

    /// What `evaluate --json` prints, line by line.
    pub(crate) fn evaluate(&self, name: &str, features: &Path) -> Vec<Value> {
        let repo = self.path("models");
        let (repo, features) = (repo.to_str().unwrap(), features.to_str().unwrap());
        let arguments = ["evaluate", "--repo", repo, "--name", name, "--features", features, "--json"];
        gateway_command(&arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Everything it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.shared.0.lock().unwrap().clone()
    }

    /// Waits until the log contains `text`.
    pub(crate) fn wait_for_log(&self, text: &str) {
        let (lines, changed) = &*self.log.shared;
        let lines = lines.lock().unwrap();
        let (lines, waited) = changed.wait_timeout_while(lines, HANG, |lines| !lines.contains(text)).unwrap();
        assert!(!waited.timed_out(), "the log never said {text:?}:\n{lines}");
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Asks it to read everything again.
    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    /// Reads everything again and waits for the end of it, which is the `generation`th state since the start.
    pub(crate) fn reload(&self, generation: u32) {
        self.hang_up();
        self.wait_for_log(&format!(" generation={generation}\n"));
    }

    /// The process's number.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.crash();
        self.wait();
    }

    /// The same, seen from a thread of many.
    pub(crate) fn crash(&self) {
        self.signal("-KILL");
    }

    /// What it was started with, once it has ended.
    pub(crate) fn stopped(mut self) -> Setup {
        self.wait();
        self.setup.take().unwrap()
    }

    fn signal(&self, signal: &str) {
        let kill = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }

    /// Starts another process with the same files and flags, once this one has ended.
    pub(crate) fn restarted(self) -> Self {
        self.stopped().start()
    }

    /// Starts another process beside this one, which must refuse; returns its exit code and last words.
    pub(crate) fn second(&self) -> (Option<i32>, String) {
        self.setup.as_ref().unwrap().refused()
    }

    /// Writes the configuration file anew, for the next reload or start.
    pub(crate) fn change_settings(&mut self, settings: &str) {
        let setup = self.setup.as_mut().unwrap();
        settings.clone_into(&mut setup.settings);
        fs::write(setup.path("gateway.toml"), settings).unwrap();
    }

    /// Imports a fixture as a new version.
    pub(crate) fn import(&self, head: &str, name: &str, flags: &[&str]) {
        self.setup.as_ref().unwrap().add(head, name, flags);
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

/// Standard error of a process, read on a thread of its own so that the process never waits for us.
struct Log {
    shared: Arc<(Mutex<String>, Condvar)>,
    reader: thread::JoinHandle<()>,
}

impl Log {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let (text, mut stream) = (Arc::clone(&shared), BufReader::new(stream));
        let reader = thread::spawn(move || {
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                text.0.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                text.1.notify_all();
                line.clear();
            }
        });
        Self { shared, reader }
    }

    /// The whole text of a process that has ended.
    fn end(self) -> String {
        self.reader.join().unwrap();
        self.shared.0.lock().unwrap().clone()
    }
}
