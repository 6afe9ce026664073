//! A real `tiresias witness` process on a loopback port, and raw requests to it.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;
use tiresias_evidence::{Checkpoint, NoteVerifier, note::Note};

use crate::common::HANG;

pub(crate) const NAME: &str = "witness.example/w1";

/// `tiresias witness` with these arguments.
fn command(arguments: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiresias"));
    command.arg("witness").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Runs `tiresias witness` to its end.
pub(crate) fn ended(arguments: &[&str]) -> Output {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    command(&arguments).stderr(Stdio::piped()).output().unwrap()
}

/// The stable code of a command that failed.
pub(crate) fn refusal(arguments: &[&str]) -> (Option<i32>, String) {
    let output = ended(arguments);
    assert!(output.stdout.is_empty(), "{output:?}");
    let words = String::from_utf8(output.stderr).unwrap();
    let code = words.split_once("error[").and_then(|(_, rest)| rest.split_once(']'));
    (output.status.code(), code.map(|(code, _)| code.to_owned()).unwrap_or(words))
}

/// An answer of HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A witness that listens. It is killed when this is dropped.
pub(crate) struct WitnessProcess {
    child: Child,
    pub(crate) url: String,
    pub(crate) key: NoteVerifier,
    data: PathBuf,
    arguments: Vec<String>,
}

impl Drop for WitnessProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl WitnessProcess {
    /// Starts one for a log of this key, in a directory, on a free port.
    pub(crate) fn start(data: &Path, log_key: &NoteVerifier, more: &[&str]) -> Self {
        let (data_name, log_key) = (data.to_str().unwrap(), log_key.to_string());
        let arguments = ["--name", NAME, "--data", data_name, "--log-key", &log_key];
        let arguments: Vec<String> =
            arguments.iter().chain(more).map(|&argument| argument.to_owned()).collect();
        Self::listen(data.to_owned(), arguments, "127.0.0.1:0")
    }

    fn listen(data: PathBuf, arguments: Vec<String>, address: &str) -> Self {
        let mut child = command(&arguments).args(["--listen", address]).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let ready: Value = serde_json::from_str(&ready).unwrap();
        let url = ready["listening"].as_str().unwrap().to_owned();
        let key = NoteVerifier::parse(ready["key"].as_str().unwrap()).unwrap();
        Self { child, url, key, data, arguments }
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a crash would, and starts it again on the same port.
    pub(crate) fn crash_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.start_again();
    }

    /// Starts it again on the same port, once it has ended.
    pub(crate) fn start_again(&mut self) {
        let address = self.address().to_owned();
        *self = Self::listen(self.data.clone(), self.arguments.clone(), &address);
    }

    /// Asks it to stop, and waits for its end.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }

    pub(crate) fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }

    /// The setting of a gateway that names this witness.
    pub(crate) fn setting(&self) -> String {
        setting(&self.url, &self.key)
    }

    /// The checkpoint on its disk.
    pub(crate) fn record(&self) -> Option<Checkpoint> {
        let files = fs::read_dir(&self.data).unwrap().map(|entry| entry.unwrap().path());
        let mut records =
            files.filter(|path| path.extension().is_some_and(|extension| extension == "checkpoint"));
        let note = fs::read_to_string(records.next()?).unwrap();
        let note = Note::parse(&note).unwrap();
        note.verify(&self.key).unwrap();
        Some(Checkpoint::parse(note.text()).unwrap())
    }

    /// Sends these bytes over plain HTTP and reads one answer. It may come before all is read, so that writing fails.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<Reply> {
        let mut socket = TcpStream::connect(self.address())?;
        socket.set_read_timeout(Some(HANG))?;
        let _ = socket.write_all(bytes);
        let mut text = Vec::new();
        // What was not read of the request may reset the connection behind the answer.
        let _ = socket.read_to_end(&mut text);
        let text = String::from_utf8(text).map_err(io::Error::other)?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        Ok(Reply { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
    }

    pub(crate) fn post(&self, body: &[u8]) -> Reply {
        self.send(&crate::common::http::request("POST", "/add-checkpoint", &[], body)).unwrap()
    }
}

/// The setting of a gateway that names one witness.
pub(crate) fn setting(url: &str, key: &NoteVerifier) -> String {
    format!("witnesses = [{{ url = \"{url}\", key = \"{key}\" }}]\nwitness_every = 1\n")
}
