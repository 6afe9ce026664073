//! A browser without a window. Tests of several crates include this file.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::programs::program;

/// No page takes so long.
const HANG: Duration = Duration::from_secs(120);

/// The browser, and a folder for what it is shown.
pub(crate) struct Browser {
    program: PathBuf,
    directory: tempfile::TempDir,
}

impl Browser {
    /// Finds one. The reason where there is none.
    pub(crate) fn find() -> Result<Self, String> {
        let program = program(&["chromium", "chromium-browser", "google-chrome"], "--version")?;
        Ok(Self { program, directory: tempfile::tempdir().unwrap() })
    }

    /// A file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Opens a file and gives what it prints.
    pub(crate) fn open(&self, page: &Path, more: &[&str]) -> String {
        let profile = tempfile::tempdir_in(self.directory.path()).unwrap();
        let out = self.path("out");
        let mut browser = Command::new(&self.program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--disable-dev-shm-usage", "--allow-file-access-from-files"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(more)
            .arg(format!("file://{}", page.display()))
            .stdout(Stdio::from(fs::File::create(&out).unwrap()))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        let status = loop {
            match browser.try_wait().unwrap() {
                Some(status) => break status,
                None if started.elapsed() > HANG => {
                    browser.kill().unwrap();
                    break browser.wait().unwrap();
                }
                None => thread::sleep(Duration::from_millis(20)),
            }
        };
        assert!(status.success(), "the browser ended with {status}");
        fs::read_to_string(out).unwrap()
    }

    /// Opens a file whose script leaves a list in Base64 in an element `answer`, and gives that list.
    pub(crate) fn answers(&self, page: &Path, more: &[&str]) -> Vec<Value> {
        let dom = self.open(page, &[&["--dump-dom"], more].concat());
        let answer = dom.split_once("id=\"answer\">").unwrap().1.split_once('<').unwrap().0;
        serde_json::from_slice(&STANDARD.decode(answer).unwrap()).unwrap()
    }
}
