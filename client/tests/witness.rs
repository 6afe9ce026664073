//! `tiresias witness` as a log and an attacker see it, over its socket; and as its operator does.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../../server/tests/common/mod.rs"]
mod common;
#[path = "common/witness_process.rs"]
mod witness_process;

use std::{fs, io::Write as _, net::TcpStream, thread};

use common::http::{head, request};
use tiresias_evidence::{
    Checkpoint, Hash, LogKey, NoteVerifier,
    merkle::{Frontier, leaf_hash},
    witness::{Submission, read_cosignature},
};
use witness_process::{NAME, WitnessProcess, ended, refusal};

const ORIGIN: &str = "gateway.example/log";

fn log_key() -> LogKey {
    LogKey::from_seed(ORIGIN, &[1; 32]).unwrap()
}

fn note_key() -> NoteVerifier {
    log_key().verifier()
}

/// The tree of so many leaves, which are of one history or of another, and the proof that it continues the tree of one leaf
/// less: for that step a few hashes do.
fn checkpoint(size: u64, history: u8) -> Checkpoint {
    let mut tree = Frontier::default();
    (0..size).for_each(|index| drop(tree.append(leaf(index, history))));
    Checkpoint { origin: ORIGIN.into(), size, root: tree.root() }
}

fn leaf(index: u64, history: u8) -> Hash {
    leaf_hash(&[&index.to_be_bytes()[..], &[history]].concat())
}

/// From one leaf to two, the proof is the second leaf; from nothing to anything, there is none.
fn submission(old: u64, size: u64, history: u8) -> String {
    let proof = match (old, size) {
        (1, 2) => vec![leaf(1, history)],
        (0, _) => vec![],
        (same, size) if same == size => vec![],
        other => unreachable!("{other:?}"),
    };
    let note = log_key().sign(&checkpoint(size, history).text());
    Submission::new(old, proof, note).unwrap().to_text()
}

#[test]
fn the_protocol_is_spoken_as_specified() {
    let directory = tempfile::tempdir().unwrap();
    let mut witness = WitnessProcess::start(directory.path(), &note_key(), &[]);
    assert_eq!(witness.key.name(), NAME);
    let is_cosigned = |witness: &WitnessProcess, body: &str, size| {
        let reply = witness.post(body.as_bytes());
        assert_eq!(reply.status, 200, "{reply:?}");
        let line = read_cosignature(reply.body.as_bytes(), &checkpoint(size, 0).text(), &witness.key);
        assert_eq!(line.as_ref(), Ok(&reply.body));
        assert_eq!(witness.record(), Some(checkpoint(size, 0)), "on the disk before the answer");
    };
    is_cosigned(&witness, &submission(0, 1, 0), 1);
    is_cosigned(&witness, &submission(1, 1, 0), 1);
    let is_conflict = |witness: &WitnessProcess, body: &str, size: u64| {
        let reply = witness.post(body.as_bytes());
        assert_eq!((reply.status, reply.body), (409, format!("{size}\n")));
        assert!(reply.head.contains("content-type: text/x.tlog.size\r\n"), "{}", reply.head);
    };
    is_conflict(&witness, &submission(0, 2, 0), 1);
    is_conflict(&witness, &submission(2, 2, 0), 1);
    let unknown = LogKey::from_seed("other.example/log", &[1; 32]).unwrap();
    let other_log = Checkpoint { origin: "other.example/log".into(), ..checkpoint(1, 0) };
    let other_log = Submission::new(0, vec![], unknown.sign(&other_log.text())).unwrap().to_text();
    let forger = LogKey::from_seed(ORIGIN, &[2; 32]).unwrap();
    let forged = Submission::new(1, vec![], forger.sign(&checkpoint(1, 0).text())).unwrap().to_text();
    for (body, status) in [
        (other_log, 404),
        (forged, 403),
        (submission(1, 2, 0).replacen("\n2\n", "\n3\n", 1), 403),
        (submission(1, 1, 9), 422),
        (submission(1, 2, 9), 422),
        (submission(1, 2, 0).replacen("old 1", "old 01", 1), 400),
        (submission(1, 2, 0).replacen("old 1", "old 3", 1), 400),
        (submission(1, 2, 0).replacen("old 1\n", "old 1\n\n", 1), 400),
        (String::new(), 400),
    ] {
        let reply = witness.post(body.as_bytes());
        assert_eq!(reply.status, status, "{body}{reply:?}");
    }
    assert_eq!(witness.record(), Some(checkpoint(1, 0)));
    witness.crash_and_restart();
    is_conflict(&witness, &submission(0, 2, 0), 1);
    is_cosigned(&witness, &submission(1, 2, 0), 2);
    is_conflict(&witness, &submission(1, 2, 0), 2);
    is_conflict(&witness, &submission(0, 1, 0), 2);
    assert_eq!(witness.terminate(), Some(0));
}

#[test]
fn hostile_requests_are_refused_and_harm_no_one() {
    let directory = tempfile::tempdir().unwrap();
    let witness = WitnessProcess::start(directory.path(), &note_key(), &[]);
    let good = submission(0, 1, 0);
    assert_eq!(witness.post(good.as_bytes()).status, 200);
    let post = |headers: &[(&str, &str)], body: &[u8]| {
        let bytes = [head("POST", "/add-checkpoint", headers).as_slice(), body].concat();
        witness.send(&bytes).map(|reply| reply.status)
    };
    let large = vec![b'a'; 1 << 20];
    let close = ("connection", "close");
    for (what, status, expected) in [
        ("too long", witness.post(&large).status, 413),
        ("a length that is none", post(&[close, ("content-length", "x")], b"").unwrap_or(400), 400),
        (
            "chunks without end",
            {
                let chunk = [b"ffff\r\n".as_slice(), &large[..0xffff], b"\r\n"].concat();
                post(&[close, ("transfer-encoding", "chunked")], &chunk.repeat(3)).unwrap()
            },
            413,
        ),
        ("no text", witness.post(&[0xff; 300]).status, 400),
        ("zeros", witness.post(&[0; 300]).status, 400),
        ("another path", witness.send(&request("POST", "/", &[], good.as_bytes())).unwrap().status, 404),
        ("another method", witness.send(&request("GET", "/add-checkpoint", &[], b"")).unwrap().status, 405),
        ("the state", witness.send(&request("GET", "/../key", &[], b"")).unwrap().status, 404),
        ("health", witness.send(&request("GET", "/health", &[], b"")).unwrap().status, 200),
    ] {
        assert_eq!(status, expected, "{what}");
        assert_eq!(witness.post(submission(1, 1, 0).as_bytes()).status, 200, "after {what}");
    }
    // A body that breaks off, and connections that say nothing: others are answered meanwhile.
    let mut silent: Vec<TcpStream> =
        (0..50).map(|_| TcpStream::connect(witness.address()).unwrap()).collect();
    for (number, socket) in silent.iter_mut().enumerate() {
        let half = request("POST", "/add-checkpoint", &[], good.as_bytes());
        socket.write_all(&half[..number * half.len() / 50]).unwrap();
    }
    assert_eq!(witness.post(submission(1, 1, 0).as_bytes()).status, 200);
    drop(silent);
    // Every byte of a good submission changed: it is refused, or is a checkpoint of the log all the same.
    let good = submission(1, 1, 0);
    for at in 0..good.len() {
        let mut changed = good.clone().into_bytes();
        changed[at] ^= 1;
        let reply = witness.post(&changed);
        assert!(matches!(reply.status, 400 | 403 | 404 | 409), "byte {at}: {reply:?}");
    }
    assert_eq!(witness.record(), Some(checkpoint(1, 0)));
}

/// Crashes a witness while several histories are pressed on it; whatever it ever cosigned is one history.
#[test]
fn no_crash_makes_it_cosign_two_histories() {
    for round in 0..24_u64 {
        let directory = tempfile::tempdir().unwrap();
        let mut witness = WitnessProcess::start(directory.path(), &note_key(), &[]);
        let process = witness.process().to_string();
        let cosigned: Vec<(u64, u8)> = thread::scope(|scope| {
            let press = |history: u8| {
                let witness = &witness;
                scope.spawn(move || {
                    let mut cosigned = Vec::new();
                    for body in [submission(0, 1, history), submission(1, 2, history)] {
                        let bytes = request("POST", "/add-checkpoint", &[], body.as_bytes());
                        let size = if body.starts_with("old 0") { 1 } else { 2 };
                        if witness.send(&bytes).is_ok_and(|reply| reply.status == 200) {
                            cosigned.push((size, history));
                        }
                    }
                    cosigned
                })
            };
            let pressing: Vec<_> = (0..4).map(press).collect();
            // At another moment in each round, from before the first answer to behind the last one.
            thread::sleep(std::time::Duration::from_micros(250 * round));
            let killed = std::process::Command::new("kill").args(["-KILL", &process]).status().unwrap();
            assert!(killed.success());
            pressing.into_iter().flat_map(|pressing| pressing.join().unwrap()).collect()
        });
        witness.crash_and_restart();
        let kept = witness.record();
        let mut all = cosigned.clone();
        // What is on the disk may have been cosigned for someone who did not hear it.
        for history in 0..4 {
            if let Some(kept) = &kept
                && *kept == checkpoint(kept.size, history)
            {
                all.push((kept.size, history));
            }
        }
        assert!(all.iter().all(|(_, history)| *history == all[0].1), "round {round}: {all:?}");
        let largest = cosigned.iter().map(|(size, _)| *size).max().unwrap_or(0);
        assert!(kept.as_ref().map_or(0, |kept| kept.size) >= largest, "round {round}: {all:?}");
        let size = kept.map_or(0, |kept| kept.size);
        for history in 0..4 {
            let fresh = submission(0, 1, history);
            if size > 0 {
                assert_eq!(witness.post(fresh.as_bytes()).body, format!("{size}\n"));
            }
        }
    }
}

#[test]
fn its_operator_is_told_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (data, log) = (path("data"), note_key().to_string());
    let shown = |arguments: &[&str]| {
        let output = ended(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // The key can be handed out before the first start.
    let key = shown(&["--show-key", "--data", &data, "--name", NAME]);
    assert_eq!(shown(&["--show-key", "--data", &data]), key);
    let witness_key = key.trim_end();
    for (arguments, expected) in [
        (vec!["--data", &data], (Some(2), None)),
        (vec!["--data", &data, "--listen", "127.0.0.1:0", "--log-key", "x"], (Some(2), None)),
        (vec!["--data", &data, "--listen", "127.0.0.1:0", "--log-key", witness_key], (Some(2), None)),
        (
            vec!["--data", &data, "--listen", "127.0.0.1:0", "--log-key", &log, "--tls-cert", "c"],
            (Some(2), None),
        ),
        (vec!["--data", &data, "--listen", "127.0.0.1:0"], (Some(2), Some("usage"))),
        (vec!["--data", &data, "--listen", "127.0.0.1:0", "--log-keys", &data], (Some(1), Some("io"))),
        (
            vec!["--data", &data, "--name", "w2", "--listen", "127.0.0.1:0", "--log-key", &log],
            (Some(1), Some("bad_witness_key")),
        ),
        (
            vec!["--data", &path("new"), "--listen", "127.0.0.1:0", "--log-key", &log],
            (Some(1), Some("bad_witness_key")),
        ),
        (vec!["--data", &data, "--listen", "192.0.2.1:1", "--log-key", &log], (Some(1), Some("io"))),
    ] {
        let (code, word) = refusal(&arguments);
        assert_eq!((code, expected.1.unwrap_or(&word)), (expected.0, word.as_str()), "{arguments:?}");
    }
    let keys = path("keys");
    fs::write(&keys, format!("{log}\n\n")).unwrap();
    let witness = WitnessProcess::start(&directory.path().join("data"), &note_key(), &["--log-keys", &keys]);
    assert_eq!(witness.key.to_string(), witness_key);
    assert_eq!(shown(&["--show-key", "--data", &data]), key, "while it runs");
    let start = ["--data", &data, "--listen", "127.0.0.1:0", "--log-key", &log];
    assert_eq!(refusal(&start), (Some(1), "witness_in_use".to_owned()));
    assert_eq!(witness.post(submission(0, 1, 0).as_bytes()).status, 200);
    drop(witness);
    let files = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
    let record =
        files.into_iter().find(|path| path.extension().is_some_and(|is| is == "checkpoint")).unwrap();
    fs::write(&record, "").unwrap();
    assert_eq!(refusal(&start), (Some(1), "witness_damaged".to_owned()));
}
