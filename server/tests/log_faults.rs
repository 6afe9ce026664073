//! A disk that is full or fails under the transparency log: nothing is acknowledged that is not on it, and when it works again,
//! so does the gateway.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "common/probe.rs"]
mod probe;
#[path = "common/public_log.rs"]
mod public_log;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use common::{Gateway, HANG, Setup, http::Reply};
use probe::Probe;
use public_log::{PublicLog, answer, key_of, receipt};
use serde_json::json;
use tiresias_evidence::Receipt;

/// The log's files fail as the words in a file say.
struct Fault(PathBuf);

impl Fault {
    /// Of a gateway that is about to be started: compiles `fault/disk.c` into its directory.
    fn prepare(setup: Setup) -> (Self, Setup) {
        let (library, fault) = (setup.path("disk.so"), setup.path("fault"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fault/disk.c");
        let mut compile = Command::new("gcc");
        compile.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(source);
        assert!(compile.status().unwrap().success());
        let (library, path) = (library.display(), fault.display());
        let setup = setup.after(format!("export LD_PRELOAD={library} TIRESIAS_FAULT={path}"));
        (Self(fault), setup)
    }

    fn begin(&self, words: &str) {
        // Put there at once, so that no call sees half of it.
        let new = self.0.with_extension("new");
        fs::write(&new, words).unwrap();
        fs::rename(new, &self.0).unwrap();
    }

    fn end(&self) {
        fs::remove_file(&self.0).unwrap();
    }
}

fn is_refused(reply: &Reply) {
    let form = reply.json();
    assert_eq!((reply.status, &form["code"]), (503, &json!("log_unavailable")));
    assert_eq!((&form["retryable"], reply.header("retry-after")), (&json!(true), Some("5")));
}

/// Asks so many times over each of four connections.
fn ask(gateway: &Gateway, request: &[u8], times: usize) -> Vec<Reply> {
    let replies = Mutex::new(Vec::new());
    let ask = || {
        let mut connection = gateway.connect();
        for _ in 0..times {
            connection.write(request).unwrap();
            replies.lock().unwrap().push(connection.reply().unwrap());
        }
    };
    thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(ask))));
    replies.into_inner().unwrap()
}

fn receipts(replies: &[Reply]) -> impl Iterator<Item = Receipt> {
    replies.iter().map(|reply| receipt(&answer(reply).0))
}

fn failures(gateway: &Gateway) -> u64 {
    let metrics = gateway.get_metrics("/metrics");
    let (_, rest) = metrics.split_once("\ntiresias_log_commit_failure_total ").unwrap();
    rest.lines().next().unwrap().parse().unwrap()
}

/// What fails; the last one keeps no seeds, which answers alone have.
const FAULTS: [&str; 6] = [
    "journal-sync",
    "journal-sync journal-cut",
    "journal-torn",
    "journal-torn journal-cut",
    "journal-sync journal-torn",
    "seeds-torn",
];

#[test]
fn a_failing_disk_refuses_answers_and_what_happened_meanwhile_is_logged_when_it_works_again() {
    let (fault, setup) = Fault::prepare(Setup::model("flooded").with_data());
    let mut probe = Probe::start(setup);
    let (request, key) = (probe.kept_alive(), key_of(&probe.gateway));
    let gateway = &mut probe.gateway;
    let mut all = Vec::new();
    for (round, words) in FAULTS.iter().enumerate() {
        all.extend(receipts(&ask(gateway, &request, 3)));
        let before = failures(gateway);
        fault.begin(words);
        ask(gateway, &request, 4).iter().for_each(is_refused);
        // A model is loaded, whether it can be logged or not.
        gateway.import("matmul_only.onnx", &format!("other{round}"), &[]);
        gateway.reload(round as u32 + 2);
        is_refused(&gateway.send(&request).unwrap());
        assert!(failures(gateway) > before, "{words}");
        fault.end();
        all.extend(receipts(&ask(gateway, &request, 3)));
    }
    gateway.terminate();
    assert!(gateway.wait().success());
    let log = PublicLog::read(&gateway.path("data/log/public"), &key);
    // The first model's loading and the probe's request; of what was refused, nothing.
    assert_eq!(log.entries.len(), all.len() + 2 + FAULTS.len());
    all.iter().for_each(|receipt| log.has(receipt, &key));
    let said = gateway.log();
    assert!(!said.contains("panicked"), "{said}");
    // Once for each time that it failed, whatever the load; the last time the model's leaf, without a seed, may come between.
    for words in ["could not be written: requests are refused", "can be written again"] {
        let times = said.matches(words).count();
        assert!((FAULTS.len()..=FAULTS.len() + 1).contains(&times), "{words}: {times}: {said}");
    }
}

#[test]
fn a_gateway_that_ends_while_its_disk_fails_loses_no_receipt() {
    let (fault, setup) = Fault::prepare(Setup::model("flooded").with_data());
    let probe = Probe::start(setup);
    let (request, mut gateway) = (probe.kept_alive(), probe.gateway);
    let key = key_of(&gateway);
    let mut all: Vec<Receipt> = Vec::new();
    for words in FAULTS {
        all.extend(receipts(&ask(&gateway, &request, 3)));
        fault.begin(words);
        ask(&gateway, &request, 2).iter().for_each(is_refused);
        gateway.kill();
        if words.starts_with("journal-sync") {
            let setup = gateway.stopped();
            let (code, said) = setup.refused();
            assert!(code == Some(1) && said.contains("error[io]"), "{words}: {said}");
            fault.end();
            gateway = setup.start();
        } else {
            fault.end();
            gateway = gateway.restarted();
        }
        let log = PublicLog::read(&gateway.path("data/log/public"), &key);
        all.iter().for_each(|receipt| log.has(receipt, &key));
    }
    all.extend(receipts(&ask(&gateway, &request, 3)));
    gateway.terminate();
    assert!(gateway.wait().success());
    let log = PublicLog::read(&gateway.path("data/log/public"), &key);
    all.iter().for_each(|receipt| log.has(receipt, &key));
}

/// What `/health` says, and whether it is 200.
fn health(gateway: &Gateway) -> (bool, serde_json::Value) {
    let text = gateway.get_metrics("/health");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.starts_with("HTTP/1.1 200"), serde_json::from_str(body).unwrap())
}

#[test]
fn a_gateway_that_can_log_nothing_is_not_ready_and_finds_out_by_itself_when_it_can() {
    let (fault, setup) = Fault::prepare(Setup::model("flooded").with_data());
    let probe = Probe::start(setup);
    let (request, gateway) = (probe.kept_alive(), &probe.gateway);
    let ready = |word: &str| (word == "ok", json!({"ready": word == "ok", "log": word}));
    assert_eq!(health(gateway), ready("ok"));
    for words in ["journal-sync", "journal-torn journal-cut"] {
        fault.begin(words);
        ask(gateway, &request, 1).iter().for_each(is_refused);
        assert_eq!(health(gateway), ready("unavailable"), "{words}");
        assert_eq!(gateway.get("/v2/health/ready").status, 503);
        assert_eq!(gateway.get("/v2/health/live").status, 200);
        assert!(gateway.get_metrics("/metrics").contains("\ntiresias_ready 0\n"));
        fault.end();
        // No request comes meanwhile.
        let end = Instant::now() + HANG;
        while health(gateway) != ready("ok") {
            assert!(Instant::now() < end, "{words}: it stays unavailable");
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(gateway.send(&request).unwrap().status, 200);
    }
    assert!(gateway.get_metrics("/metrics").contains("\ntiresias_ready 1\n"));
}

#[test]
fn public_files_that_cannot_be_written_follow_later() {
    let (fault, setup) = Fault::prepare(Setup::model("flooded").with_data());
    let mut probe = Probe::start(setup);
    let (request, key) = (probe.kept_alive(), key_of(&probe.gateway));
    let gateway = &mut probe.gateway;
    let public = gateway.path("data/log/public");
    let mut all: Vec<Receipt> = receipts(&ask(gateway, &request, 3)).collect();
    fault.begin("public-torn");
    all.extend(receipts(&ask(gateway, &request, 80)));
    gateway.wait_for_log("public files could not be written");
    assert!(PublicLog::read(&public, &key).entries.len() < all.len(), "as it was, and whole");
    fault.end();
    all.extend(receipts(&ask(gateway, &request, 3)));
    gateway.terminate();
    assert!(gateway.wait().success());
    let log = PublicLog::read(&public, &key);
    all.iter().for_each(|receipt| log.has(receipt, &key));
    let said = gateway.log().matches("public files could not be written").count();
    assert_eq!((log.entries.len(), said), (all.len() + 2, 1));
}

/// A limit on the size of files, with its signal ignored, is a disk that is full in the middle of a record.
#[test]
fn a_full_disk_refuses_answers_until_it_has_room_again() {
    const LIMIT: u64 = 17 * 512;
    // The journal has the loading and the probe's request too; seeds take more, and there is none of the loading.
    fill("[log]\nretention_days = 0\n", "data/log/journal", 36, LIMIT / 36 - 2);
    fill("", "data/log/seeds", 68, LIMIT / 68 - 1);
}

/// Asks until the disk is full, gives it room and asks on. `answers` fit, and of `path` whole records of so many bytes are left.
fn fill(settings: &str, path: &str, record: u64, answers: u64) {
    let setup = Setup::model("flooded").with_data().settings(settings);
    let probe = Probe::start(setup.after("trap '' XFSZ; ulimit -S -f 17"));
    let gateway = &probe.gateway;
    let key = key_of(gateway);
    let request = probe.kept_alive();
    let mut connection = gateway.connect();
    let mut send = || {
        connection.write(&request).unwrap();
        connection.reply().unwrap()
    };
    let mut receipts = Vec::new();
    let refused = loop {
        let reply = send();
        if reply.status != 200 {
            break reply;
        }
        receipts.push(receipt(&answer(&reply).0));
    };
    [refused, send()].iter().for_each(is_refused);
    assert_eq!(receipts.len() as u64, answers);
    let path = gateway.path(path);
    let file = if path.is_dir() { fs::read_dir(path).unwrap().next().unwrap().unwrap().path() } else { path };
    assert_eq!(fs::metadata(&file).unwrap().len() % record, 0, "no part of a record is left");

    let process = gateway.process().to_string();
    let raised = Command::new("prlimit").args(["--pid", &process, "--fsize=unlimited"]).status().unwrap();
    assert!(raised.success());
    for _ in 0..100 {
        receipts.push(receipt(&answer(&send()).0));
    }
    let metrics = gateway.get_metrics("/metrics");
    assert!(metrics.contains("tiresias_log_commit_failure_total 2\n"), "{metrics}");
    let mut gateway = probe.gateway;
    gateway.terminate();
    assert!(gateway.wait().success());
    let log = PublicLog::read(&gateway.path("data/log/public"), &key);
    assert_eq!(log.entries.len(), receipts.len() + 2, "what was refused is not in it");
    receipts.iter().for_each(|receipt| log.has(receipt, &key));
}
