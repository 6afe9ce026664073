//! The clinic's program, run to its end against a real gateway.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    ffi::OsStr,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

use crate::gateway::Gateway;

pub(crate) mod browser;
pub(crate) mod forger;
pub(crate) mod frames;
pub(crate) mod programs;
pub(crate) mod python;
pub(crate) mod relay;
#[cfg(target_os = "linux")]
pub(crate) mod stand_in;

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Standard output of a command that did what it was asked.
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// The JSON lines of such a command.
    pub(crate) fn json(self) -> Vec<Value> {
        self.done().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A command that failed with this code, on one line of standard error and without an answer.
    pub(crate) fn failed(&self, code: &str) {
        let line = self.err.lines().last().unwrap_or_default();
        assert!(line.starts_with(&format!("tiresias: error[{code}]: ")), "{code}: {self:?}");
        assert_eq!((self.code, self.out.as_str()), (Some(1), ""), "{code}: {self:?}");
    }

    /// A command that failed with this code after it had printed what it found.
    pub(crate) fn failed_after_output(&self, code: &str) {
        let line = self.err.lines().last().unwrap_or_default();
        assert!(line.starts_with(&format!("tiresias: error[{code}]: ")), "{code}: {self:?}");
        assert!(self.code == Some(1) && !self.out.is_empty(), "{code}: {self:?}");
    }

    /// A command line that was not understood.
    pub(crate) fn wrong_usage(&self) {
        assert_eq!((self.code, self.out.as_str()), (Some(2), ""), "{self:?}");
        assert!(!self.err.is_empty() && !self.err.contains("panicked"));
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// `tiresias` with these arguments, without proxies of the machine that the tests run on.
pub(crate) fn command<A: AsRef<OsStr>>(arguments: &[A]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiresias"));
    for name in ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    command.args(arguments);
    command
}

/// Runs `tiresias` with these arguments.
pub(crate) fn tiresias<A: AsRef<OsStr>>(arguments: &[A]) -> Ended {
    command(arguments).output().unwrap().into()
}

/// Starts `tiresias` with these arguments.
pub(crate) fn start<A: AsRef<OsStr>>(arguments: &[A]) -> Child {
    let mut command = command(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Sends a signal such as INT to a process.
#[cfg(unix)]
pub(crate) fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// These arguments and some more.
pub(crate) fn and(arguments: &[String], more: &[&str]) -> Vec<String> {
    arguments.iter().cloned().chain(more.iter().map(|&argument| argument.to_owned())).collect()
}

/// These arguments with another gateway.
pub(crate) fn through(arguments: &[String], url: &str) -> Vec<String> {
    let mut changed = arguments.to_vec();
    let at = arguments.iter().position(|argument| argument == "--gateway").unwrap();
    url.clone_into(&mut changed[at + 1]);
    changed
}

/// Runs `tiresias` with these arguments and a feature file.
pub(crate) fn with_features(arguments: &[String], features: &Path) -> Ended {
    let features = features.to_str().unwrap();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--features", features]).collect();
    tiresias(&arguments)
}

impl Gateway {
    /// A command for model `m` of this gateway, with the client certificate that the gateway made.
    pub(crate) fn command(&self, command: &str) -> Vec<String> {
        let options = self.options();
        let path = |path: Option<std::path::PathBuf>| path.unwrap().to_str().unwrap().to_owned();
        let mut arguments = vec![command.to_owned()];
        for (name, value) in [
            ("--gateway", options.gateway),
            ("--ca", path(options.ca)),
            ("--cert", path(options.cert)),
            ("--key", path(options.key)),
            ("--model", "m".into()),
        ] {
            arguments.extend([name.to_owned(), value]);
        }
        arguments
    }
}
