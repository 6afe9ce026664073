//! What a crash at any moment leaves of the transparency log, and what a full disk does.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "common/probe.rs"]
mod probe;
#[path = "common/public_log.rs"]
mod public_log;

use std::{
    collections::BTreeMap,
    fs,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use common::{
    Gateway, Setup,
    http::{Connection, head},
};
use probe::{HEADER_LENGTH, INFER, Probe, binary};
use public_log::{PublicLog, answer, key_of, receipt};
use serde_json::json;
use tiresias_evidence::{Checkpoint, Receipt};

/// A request that leaves the connection open.
fn kept_alive(probe: &Probe) -> Vec<u8> {
    let binary = binary(&[&probe.element]);
    let form = probe.form(1, binary.len()).to_string();
    let (length, header_length) = ((form.len() + binary.len()).to_string(), form.len().to_string());
    let headers = [("host", "localhost"), ("content-length", &*length), (HEADER_LENGTH, &*header_length)];
    [head("POST", INFER, &headers).as_slice(), form.as_bytes(), &binary].concat()
}

/// What clients saw before the gateway was gone.
#[derive(Default)]
struct Seen {
    receipts: Mutex<Vec<String>>,
    checkpoints: Mutex<Vec<String>>,
    answers: AtomicUsize,
}

impl Seen {
    /// Asks until the connection breaks, and crashes the gateway at the `crash_at`th answer.
    fn ask(&self, gateway: &Gateway, request: &[u8], crash_at: usize, crashed: &AtomicBool) {
        let Ok(mut connection) = Connection::open(gateway.address, gateway.client_config()) else { return };
        while connection.write(request).is_ok() {
            let Ok(reply) = connection.reply() else { return };
            let receipt = answer(&reply).0["parameters"]["receipt"].as_str().unwrap().to_owned();
            self.receipts.lock().unwrap().push(receipt);
            let answers = self.answers.fetch_add(1, Ordering::SeqCst) + 1;
            if answers >= crash_at && !crashed.swap(true, Ordering::SeqCst) {
                gateway.crash();
            }
        }
    }

    fn watch(&self, gateway: &Gateway) {
        let Ok(mut connection) = Connection::open(gateway.address, gateway.client_config()) else { return };
        while let Ok(reply) = connection.get("/checkpoint") {
            self.checkpoints.lock().unwrap().push(String::from_utf8(reply.body).unwrap());
        }
    }
}

/// Crashes a gateway under load again and again: 15 times, or as many as `TIRESIAS_CRASHES` says.
#[test]
fn no_crash_takes_a_receipt_back_or_forks_the_log() {
    let crashes = std::env::var("TIRESIAS_CRASHES").map_or(15, |count| count.parse().unwrap());
    let probe = Probe::start(Setup::model("flooded").with_data());
    let request = kept_alive(&probe);
    let key = key_of(&probe.gateway);
    let public = probe.gateway.path("data/log/public");
    let mut gateway = probe.gateway;
    let (mut all, mut checkpoints) = (Vec::new(), BTreeMap::new());
    for round in 0..crashes {
        let (seen, crashed) = (Seen::default(), AtomicBool::new(false));
        let crash_at = 1 + (round * 7919) % 61;
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| seen.ask(&gateway, &request, crash_at, &crashed));
            }
            scope.spawn(|| seen.watch(&gateway));
        });
        gateway.wait();
        gateway = gateway.restarted();
        let log = PublicLog::read(&public, &key);
        let receipts = seen.receipts.into_inner().unwrap();
        assert!(receipts.len() >= crash_at, "the load came to an end of its own");
        for text in receipts {
            let receipt = Receipt::parse(&text).unwrap();
            log.has(&receipt, &key);
            all.push(receipt);
        }
        for note in seen.checkpoints.into_inner().unwrap() {
            let checkpoint = Checkpoint::open(&note, &key).unwrap();
            log.continues(&checkpoint);
            checkpoints.insert(checkpoint.size, checkpoint);
        }
    }
    // What one restart kept, no later one lost.
    let log = PublicLog::read(&public, &key);
    all.iter().for_each(|receipt| log.has(receipt, &key));
    checkpoints.values().for_each(|checkpoint| log.continues(checkpoint));
    let mut indices: Vec<u64> = all.iter().map(|receipt| receipt.index).collect();
    indices.sort_unstable();
    indices.dedup();
    assert_eq!(indices.len(), all.len(), "no two answers have one leaf");
}

/// A limit on the size of files, with its signal ignored, is a disk that is full in the middle of a record.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_refuses_answers_until_it_has_room_again() {
    const LIMIT: u64 = 17 * 512;
    // The journal has the loading and the probe's request too; seeds take more, and there is none of the loading.
    fill("[log]\nretention_days = 0\n", "data/log/journal", 36, LIMIT / 36 - 2);
    fill("", "data/log/seeds", 68, LIMIT / 68 - 1);
}

/// Asks until the disk is full, gives it room and asks on. `answers` fit, and of `path` whole records of so many bytes are left.
#[cfg(target_os = "linux")]
fn fill(settings: &str, path: &str, record: u64, answers: u64) {
    let setup = Setup::model("flooded").with_data().settings(settings);
    let probe = Probe::start(setup.after("trap '' XFSZ; ulimit -S -f 17"));
    let gateway = &probe.gateway;
    let key = key_of(gateway);
    let request = kept_alive(&probe);
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
    for reply in [refused, send()] {
        let form = reply.json();
        assert_eq!((reply.status, &form["code"]), (503, &json!("log_unavailable")));
        assert_eq!((&form["retryable"], reply.header("retry-after")), (&json!(true), Some("5")));
    }
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
