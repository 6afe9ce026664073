//! A browser that is led by hand: the DevTools protocol over a pair of pipes, so that a test clicks and types as people do.
//! Tests of several programs include this file.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::programs::{program, run};

/// No answer takes so long.
const HANG: Duration = Duration::from_secs(120);

/// A browser with one page.
pub(crate) struct Devtools {
    browser: Child,
    commands: File,
    answers: Receiver<Value>,
    session: Option<String>,
    asked: u64,
    _directory: tempfile::TempDir,
}

impl Drop for Devtools {
    fn drop(&mut self) {
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}

impl Devtools {
    /// Starts one with an empty page. The reason where there is none.
    pub(crate) fn start() -> Result<Self, String> {
        let chromium = program(&["chromium", "chromium-browser", "google-chrome"], "--version")?;
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let (commands, answers) = (path("commands"), path("answers"));
        run("mkfifo".as_ref(), &[&commands, &answers])?;
        // Opened both ways, so that neither side waits for the other.
        let open = |path: &str| OpenOptions::new().read(true).write(true).open(path).unwrap();
        let (to, from) = (open(&commands), open(&answers));
        let browser = Command::new("sh")
            .args([
                "-c",
                "in=$1 out=$2; shift 2; exec \"$@\" 3<\"$in\" 4>\"$out\"",
                "sh",
                &commands,
                &answers,
            ])
            .arg(chromium)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--disable-dev-shm-usage", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", path("profile")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for message in BufReader::new(from).split(0).map_while(Result::ok) {
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    break;
                }
            }
        });
        let mut devtools =
            Self { browser, commands: to, answers: receiver, session: None, asked: 0, _directory: directory };
        let target =
            devtools.ask("Target.createTarget", &json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = devtools.ask("Target.attachToTarget", &json!({ "targetId": target, "flatten": true }));
        devtools.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        devtools.ask("Page.enable", &json!({}));
        Ok(devtools)
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.commands.write_all(&[message.to_string().as_bytes(), &[0]].concat()).unwrap();
        loop {
            let answer = self.answers.recv_timeout(HANG).unwrap();
            if answer["id"] == self.asked {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// Does what leads to another page, and waits until that is loaded.
    pub(crate) fn follow(&mut self, act: impl FnOnce(&mut Self)) {
        while self.answers.try_recv().is_ok() {}
        // Gone with the page that it is written on.
        self.evaluate("window.old = true");
        act(self);
        for _ in 0..600 {
            if self.evaluate("!window.old && document.readyState == 'complete'") == true {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        unreachable!("no other page was loaded");
    }

    /// Opens an address, as if it were typed.
    pub(crate) fn open(&mut self, url: &str) {
        self.follow(|devtools| {
            devtools.ask("Page.navigate", &json!({ "url": url }));
        });
    }

    /// What an expression is on the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true });
        self.ask("Runtime.evaluate", &asked)["result"]["value"].clone()
    }

    /// What is to be read on the page.
    pub(crate) fn text(&mut self) -> String {
        self.evaluate("document.body.innerText").as_str().unwrap().to_owned()
    }

    /// Types into a field, in place of what is there.
    pub(crate) fn type_into(&mut self, selector: &str, text: &str) {
        self.evaluate(&format!("document.querySelector({selector:?}).select()"));
        self.ask("Input.insertText", &json!({ "text": text }));
    }

    /// Clicks with the mouse in the middle of what is there.
    pub(crate) fn click(&mut self, selector: &str) {
        let find = format!(
            "(() => {{ const found = document.querySelector({selector:?}); found.scrollIntoView({{block: 'center'}}); \
             const box = found.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let at = self.evaluate(&find);
        for kind in ["mousePressed", "mouseReleased"] {
            let mouse = json!({ "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1 });
            self.ask("Input.dispatchMouseEvent", &mouse);
        }
    }

    /// The screen becomes so wide and high.
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.ask("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Writes a picture of the whole page.
    pub(crate) fn picture(&mut self, path: &str) {
        let shot = self.ask("Page.captureScreenshot", &json!({ "captureBeyondViewport": true }));
        fs::write(path, STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()).unwrap();
    }
}
