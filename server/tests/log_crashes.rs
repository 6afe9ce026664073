//! What a crash at any moment leaves of the transparency log.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "common/probe.rs"]
mod probe;
#[path = "common/public_log.rs"]
mod public_log;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use common::{Gateway, Setup, http::Connection};
use probe::Probe;
use public_log::{PublicLog, answer, key_of};
use sha2::{Digest as _, Sha256};
use tiresias_evidence::{Checkpoint, NoteVerifier, Receipt};

/// What clients saw before the gateway was gone.
#[derive(Default)]
struct Seen {
    receipts: Mutex<Vec<String>>,
    checkpoints: Mutex<Vec<String>>,
    answers: AtomicUsize,
    crashed: AtomicBool,
}

impl Seen {
    /// Asks until the connection breaks, and crashes the gateway so long after the given answer.
    fn ask(&self, gateway: &Gateway, request: &[u8], answer_number: usize, later: Duration) {
        let Ok(mut connection) = Connection::open(gateway.address, gateway.client_config()) else { return };
        while connection.write(request).is_ok() {
            let Ok(reply) = connection.reply() else { return };
            let receipt = answer(&reply).0["parameters"]["receipt"].as_str().unwrap().to_owned();
            self.receipts.lock().unwrap().push(receipt);
            let answers = self.answers.fetch_add(1, Ordering::SeqCst) + 1;
            if answers >= answer_number && !self.crashed.swap(true, Ordering::SeqCst) {
                thread::sleep(later);
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

/// Everything that was ever given out.
#[derive(Default)]
struct Given {
    receipts: Vec<Receipt>,
    checkpoints: Vec<Checkpoint>,
}

impl Given {
    /// A crash took nothing of this back, and the log that is there continues each checkpoint, those of receipts too.
    fn outlived(&self, log: &PublicLog, key: &NoteVerifier) {
        self.receipts.iter().for_each(|receipt| log.has(receipt, key));
        self.checkpoints.iter().for_each(|checkpoint| log.continues(checkpoint));
    }
}

/// Crashes a gateway under load again and again: at some answer, some time after it, and now and then once more while it starts.
/// The moments follow from the round's number, as far as they are ours. Says what it came to.
fn crash(crashes: u64) -> String {
    let probe = Probe::start(Setup::model("flooded").with_data());
    let request = probe.kept_alive();
    let mut gateway = probe.gateway;
    let key = key_of(&gateway);
    let public = gateway.path("data/log/public");
    let (mut all, mut slowest, mut early) = (Given::default(), Duration::ZERO, 0);
    for round in 0..crashes {
        let dice: [u8; 32] = Sha256::digest(round.to_le_bytes()).into();
        let answer_number = 1 + usize::from(dice[0] % 61);
        let later = Duration::from_micros(u64::from(dice[1] % 4) * u64::from(dice[2]) * 25);
        let seen = Seen::default();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| seen.ask(&gateway, &request, answer_number, later));
            }
            scope.spawn(|| seen.watch(&gateway));
        });
        gateway.wait();
        let setup = gateway.stopped();
        for die in &dice[3..3 + usize::from(dice[3] % 4).saturating_sub(1)] {
            setup.crash_early(Duration::from_millis(u64::from(*die) / 2));
            early += 1;
        }
        let started = Instant::now();
        gateway = setup.start();
        slowest = slowest.max(started.elapsed());
        let log = PublicLog::read(&public, &key);
        let receipts = seen.receipts.into_inner().unwrap();
        assert!(receipts.len() >= answer_number, "round {round}: the load came to an end of its own");
        let given = Given {
            receipts: receipts.iter().map(|text| Receipt::parse(text).unwrap()).collect(),
            checkpoints: (seen.checkpoints.into_inner().unwrap().iter())
                .map(|note| Checkpoint::open(note, &key).unwrap())
                .collect(),
        };
        given.outlived(&log, &key);
        all.receipts.extend(given.receipts);
        all.checkpoints.extend(given.checkpoints);
    }
    // What one restart kept, no later one lost.
    let log = PublicLog::read(&public, &key);
    all.outlived(&log, &key);
    let mut indices: Vec<u64> = all.receipts.iter().map(|receipt| receipt.index).collect();
    indices.sort_unstable();
    indices.dedup();
    assert_eq!(indices.len(), all.receipts.len(), "no two answers have one leaf");
    let (receipts, checkpoints, leaves) = (indices.len(), all.checkpoints.len(), log.entries.len());
    format!(
        "{crashes} crashes under load, {early} more while starting: {receipts} receipts and {checkpoints} checkpoints were \
         given out, and a log of {leaves} leaves has them all; the slowest start took {slowest:?}"
    )
}

#[test]
fn no_crash_takes_a_receipt_back_or_forks_the_log() {
    eprintln!("{}", crash(12));
}

/// `cargo test -p tiresias-server --test log_crashes -- --ignored --nocapture`, some 10 minutes.
#[test]
#[ignore = "long"]
fn a_thousand_crashes_take_no_receipt_back_and_fork_nothing() {
    eprintln!("{}", crash(1000));
}
