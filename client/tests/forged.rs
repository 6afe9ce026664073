//! Gateways that cheat with receipts and with their logs, each caught by the client that asks them.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Instant,
};

use common::{
    Ended, and,
    forger::Forger,
    relay::{Act, Backend, Requests, raw},
    through, with_features,
};
use gateway::{Gateway, Setup, http::Reply};
use serde_json::Value;
use tempfile::TempDir;
use tiresias_evidence::{Event, Hash, Leaf, LogKey, Receipt};

/// An honest gateway behind a cheat, and a clinic that trusts the cheat's log key.
struct Stage {
    gateway: Gateway,
    forger: Arc<Forger>,
    /// Three rows.
    features: PathBuf,
    _directory: TempDir,
}

/// An infer run's outcome: the verdict's code of each row, or `None`.
type Codes = Vec<Option<String>>;

impl Stage {
    fn new() -> Self {
        let gateway = Setup::model("flooded").with_data().start();
        let directory = tempfile::tempdir().unwrap();
        let features = directory.path().join("three.csv");
        let rows = fs::read_to_string(gateway::fixture("features.csv")).unwrap();
        fs::write(&features, rows.lines().take(4).map(|row| format!("{row}\n")).collect::<String>()).unwrap();
        let forger = Arc::new(Forger::new("forged.example/log"));
        forger.fill(0, 5);
        Self { gateway, forger, features, _directory: directory }
    }

    /// Three requests of one row each, whose receipts `forge` makes.
    fn infer_at(&self, url: &str, folder: &str, more: &[&str]) -> Ended {
        let folder = self.gateway.path(folder).display().to_string();
        let key = self.forger.verifier();
        let options = ["--json", "--batch", "1", "--log-key", &key, "--receipts", &folder];
        let arguments = and(&through(&self.gateway.command("infer"), url), &options);
        with_features(&and(&arguments, more), &self.features)
    }

    fn infer(
        &self,
        folder: &str,
        forge: impl Fn(&Forger, usize, Receipt) -> Option<String> + Send + Sync + 'static,
    ) -> Codes {
        let relay = self.forger.relay(&self.gateway, forge);
        codes(&self.infer_at(&relay.url, folder, &[]))
    }

    /// The same with leaves that `change` makes of the honest ones.
    fn infer_leaves(&self, change: impl Fn(usize, Leaf) -> Leaf + Send + Sync + 'static) -> Codes {
        let forge = move |forger: &Forger, count: usize, honest: Receipt| {
            Some(forger.receipt(change(count, honest.leaf)).to_text())
        };
        // A folder of its own.
        let folder = format!("kept-{}", self.forger.size());
        self.infer(&folder, forge)
    }
}

/// Every row is answered, whatever its receipt is worth; the exit code says whether one is INVALID.
fn codes(ended: &Ended) -> Codes {
    let lines: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "{ended:?}");
    assert!(lines.iter().all(|line| line["label"].is_string()));
    let code = |line: &Value| line["receipt"]["code"].as_str().map(str::to_owned);
    let codes: Codes = lines.iter().map(code).collect();
    if codes.iter().any(Option::is_some) {
        ended.failed_after_output("bad_receipt");
    } else {
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    codes
}

/// What the rows' receipts are INVALID for.
fn invalid(codes: [&str; 3]) -> Codes {
    codes.map(|code| (!code.is_empty()).then(|| code.to_owned())).to_vec()
}

#[test]
fn leaves_of_something_else_are_refused() {
    let stage = Stage::new();
    assert_eq!(stage.infer_leaves(|_, leaf| leaf), invalid(["", "", ""]));
    let other: Option<Hash> = Some([9; 32]);
    type Change = fn(Leaf) -> Leaf;
    let changes: [(Change, &str); 9] = [
        (|leaf| Leaf { event: Event::KeyUploaded, ..leaf }, "other_event"),
        (|leaf| Leaf { request: Some([9; 32]), ..leaf }, "other_request"),
        (|leaf| Leaf { response: Some([9; 32]), ..leaf }, "other_response"),
        (|leaf| Leaf { config: Some([9; 32]), ..leaf }, "other_config"),
        (|leaf| Leaf { key: Some([9; 32]), ..leaf }, "other_key"),
        (|leaf| Leaf { time: leaf.time - 7200, ..leaf }, "wrong_time"),
        (|leaf| Leaf { time: leaf.time + 7200, ..leaf }, "wrong_time"),
        (|leaf| Leaf { randomness: None, ..leaf }, "malformed"),
        (|leaf| Leaf { model: None, ..leaf }, "malformed"),
    ];
    for (change, code) in changes {
        let codes = stage.infer_leaves(move |count, leaf| if count == 1 { change(leaf) } else { leaf });
        assert_eq!(codes, invalid(["", code, ""]));
    }
    // Randomness that was used before: in the run, and in an earlier one whose receipts were kept.
    let repeated = move |leaf: Leaf| Leaf { randomness: other, ..leaf };
    let codes = stage.infer_leaves(move |count, leaf| if count == 1 { leaf } else { repeated(leaf) });
    assert_eq!(codes, invalid(["", "", "repeated_randomness"]));
    for expected in [invalid(["", "", ""]), invalid(["repeated_randomness", "", ""])] {
        let codes = stage.infer("twice", |forger, count, honest| {
            let leaf =
                if count == 0 { Leaf { randomness: Some([8; 32]), ..honest.leaf } } else { honest.leaf };
            Some(forger.receipt(leaf).to_text())
        });
        assert_eq!(codes, expected);
    }
}

#[test]
fn receipts_that_are_tampered_with_missing_or_of_other_answers_are_refused() {
    let stage = Stage::new();
    let good = |forger: &Forger, honest: Receipt| forger.receipt(honest.leaf).to_text();
    let codes = stage.infer("missing", move |forger, count, honest| {
        let receipt = good(forger, honest);
        (count != 2).then_some(receipt)
    });
    assert_eq!(codes, invalid(["", "", "no_receipt"]));
    // The receipt of the answer before.
    let last = Mutex::new(String::new());
    let codes = stage.infer("replayed", move |forger, count, honest| {
        let receipt = good(forger, honest);
        let before = std::mem::replace(&mut *last.lock().unwrap(), receipt.clone());
        Some(if count == 1 { before } else { receipt })
    });
    assert_eq!(codes, invalid(["", "other_request", ""]));
    // Bytes that were changed under way.
    let codes = stage.infer("tampered", move |forger, count, honest| {
        let receipt = forger.receipt(honest.leaf);
        Some(match count {
            0 => Receipt { index: receipt.index - 1, ..receipt }.to_text(),
            1 => {
                let text = receipt.to_text();
                let at = text.rfind("= ").or(text.trim_end().rfind(' ')).unwrap() + 20;
                let flipped = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
                format!("{}{flipped}{}", &text[..at], &text[at + 1..])
            }
            _ => receipt.to_text().replace("tlog-proof@v1", "tlog-proof@v2"),
        })
    });
    assert_eq!(codes, invalid(["not_included", "bad_signature", "malformed"]));
    // The gateway's own receipts, where the clinic trusts the key of another log.
    let codes = stage.infer("own", |_, _, honest| Some(honest.to_text()));
    assert_eq!(codes, invalid(["bad_signature", "bad_signature", "bad_signature"]));
    // Everything is kept, what is INVALID too.
    let kept = fs::read_dir(stage.gateway.path("tampered")).unwrap().count();
    assert_eq!(kept, 9, "three requests, responses and receipts; none of them led to a checkpoint");
}

#[test]
fn logs_that_lose_leaves_or_fork_are_refused() {
    let stage = Stage::new();
    let receipt = |forger: &Forger, honest: Receipt| Some(forger.receipt(honest.leaf).to_text());
    // The last leaf is gone when the log is looked at: it ends before.
    let codes = stage.infer("lost", move |forger, count, honest| {
        let text = receipt(forger, honest);
        if count == 2 {
            forger.forget(forger.size() - 1);
        }
        text
    });
    assert_eq!(codes, invalid(["", "", "rewound"]));
    // Others have taken the places of two of the three.
    let codes = stage.infer("replaced", move |forger, count, honest| {
        let text = receipt(forger, honest);
        if count == 2 {
            forger.forget(forger.size() - 2);
            forger.fill(1000, 300);
        }
        text
    });
    assert_eq!(codes, invalid(["", "forked", "forked"]));
    // A leaf among those that were seen before the request was sent.
    let codes = stage.infer("older", move |forger, count, honest| {
        if count == 1 {
            forger.forget(forger.size() - 3);
        }
        receipt(forger, honest)
    });
    assert_eq!(codes[1..], invalid(["", "replayed", "replayed"])[1..]);

    // Between two runs.
    assert_eq!(stage.infer("runs", move |forger, _, honest| receipt(forger, honest)), invalid(["", "", ""]));
    assert_eq!(stage.infer("runs", move |forger, _, honest| receipt(forger, honest)), invalid(["", "", ""]));
    let size = stage.forger.size();
    stage.forger.forget(size - 2);
    stage.forger.fill(2000, 10);
    let codes = stage.infer("runs", move |forger, _, honest| receipt(forger, honest));
    assert_eq!(codes, invalid(["forked", "forked", "forked"]));
    let ending = |ending: &str| {
        let entries = fs::read_dir(stage.gateway.path("runs")).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().path().extension() == Some(ending.as_ref())).count()
    };
    assert_eq!((ending("checkpoint"), ending("fork")), (1, 1));
    // It stays a fork, however long the log grows.
    stage.forger.fill(3000, 500);
    let codes = stage.infer("runs", move |forger, _, honest| receipt(forger, honest));
    assert_eq!(codes, invalid(["forked", "forked", "forked"]));
}

#[test]
fn a_witness_is_believed_for_what_it_has_signed_alone() {
    let witness = || LogKey::from_seed("w.example", &[3; 32]).unwrap();
    let verifier = witness().cosignature_verifier().to_string();
    let mut stage = Stage::new();
    stage.forger = Arc::new(Forger::new("forged.example/log").witnessed_by(witness()));
    let relay =
        stage.forger.relay(&stage.gateway, |forger, _, honest| Some(forger.receipt(honest.leaf).to_text()));
    let ended = stage.infer_at(&relay.url, "witnessed", &["--witness", &verifier]);
    assert_eq!(codes(&ended), invalid(["", "", ""]));
    assert_eq!(ended.out.matches(r#""verdict":"VERIFIED""#).count(), 3);
    // A signature of another key under the witness's name.
    let mut other = Stage::new();
    let impostor = LogKey::from_seed("w.example", &[4; 32]).unwrap();
    other.forger = Arc::new(Forger::new("forged.example/log").witnessed_by(impostor));
    let relay =
        other.forger.relay(&other.gateway, |forger, _, honest| Some(forger.receipt(honest.leaf).to_text()));
    let ended = other.infer_at(&relay.url, "impostor", &["--witness", &verifier]);
    assert_eq!(codes(&ended), invalid(["", "", ""]));
    assert_eq!(ended.out.matches(r#""verdict":"UNWITNESSED""#).count(), 3);
}

#[test]
fn what_a_log_shows_is_limited_in_size_and_time() {
    let stage = Stage::new();
    let announced = |length: usize, body: Vec<u8>| {
        raw(&Reply { status: 200, headers: vec![("content-length".into(), length.to_string())], body })
    };
    // Of a checkpoint and of tiles: longer than any, never ending, no note, no such file.
    let long = announced(1 << 20, vec![b'x'; 1 << 20]);
    let endless = announced(1 << 10, vec![b'x'; 10]);
    let garbage = announced(4, b"note".to_vec());
    let absent =
        raw(&Reply { status: 404, headers: vec![("content-length".into(), "0".into())], body: vec![] });
    for (path, reply, code) in [
        ("GET /checkpoint", &long, "log_unread"),
        ("GET /checkpoint", &endless, "log_unread"),
        ("GET /checkpoint", &garbage, "malformed"),
        ("GET /checkpoint", &absent, "incomplete_log"),
        ("GET /tile/", &long, "log_unread"),
        ("GET /tile/", &endless, "log_unread"),
        ("GET /tile/", &garbage, "damaged_log"),
        ("GET /tile/", &absent, "incomplete_log"),
    ] {
        let (backend, forger, reply) =
            (Backend::of(&stage.gateway), Arc::clone(&stage.forger), reply.clone());
        let relay = Requests::start(&stage.gateway, move |seen, _| {
            if seen.target.starts_with(path) {
                return Act::Reply(reply.clone());
            }
            if let Some(reply) = forger.reply(&seen.target) {
                return Act::Reply(reply);
            }
            let mut reply = backend.answer(&seen.whole());
            if seen.target.ends_with("/infer") {
                common::forger::change_receipt(&mut reply, |honest| {
                    Some(forger.receipt(honest.leaf).to_text())
                });
            }
            Act::Reply(raw(&reply))
        });
        let started = Instant::now();
        let folder = format!("limits-{}", stage.forger.size());
        let ended = stage.infer_at(&relay.url, &folder, &["--timeout", "2", "--retries", "0"]);
        assert!(started.elapsed() < gateway::HANG, "it gave up by itself");
        // The newest receipt's own checkpoint is what the log shows, so it needs no tile.
        let last = if path == "GET /tile/" { "" } else { code };
        assert_eq!(codes(&ended), invalid([code, code, last]), "{path}");
    }
}
