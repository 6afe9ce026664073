//! The transparency log of a real gateway: what its receipts say, what a crash at any moment leaves, and what a full disk does.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "common/probe.rs"]
mod probe;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{
    Gateway, Setup, gateway_command,
    http::{Connection, Reply, head},
};
use probe::{HEADER_LENGTH, INFER, Probe, binary};
use serde_json::{Value, json};
use tiresias_evidence::{
    Checkpoint, Event, Hash, NoteVerifier, Receipt, commitment,
    merkle::{Frontier, empty_root, leaf_hash, verify_inclusion},
    tile,
};

/// The JSON part of an inference response, and the elements of its binary part.
fn answer(reply: &Reply) -> (Value, Vec<Vec<u8>>) {
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let length = reply.header(HEADER_LENGTH).unwrap().parse().unwrap();
    let elements = tiresias_client::oip::read_response(&reply.body, length, "scores").unwrap().elements;
    (serde_json::from_slice(&reply.body[..length]).unwrap(), elements)
}

fn receipt(form: &Value) -> Receipt {
    Receipt::parse(form["parameters"]["receipt"].as_str().unwrap()).unwrap()
}

fn key_of(gateway: &Gateway) -> NoteVerifier {
    NoteVerifier::parse(gateway.log_key.as_ref().unwrap()).unwrap()
}

#[test]
fn an_answer_brings_a_receipt_that_commits_to_its_bytes_and_the_log_has_it() {
    let probe = Probe::start(Setup::model("flooded").with_data());
    let gateway = &probe.gateway;
    let key = key_of(gateway);
    let sent = probe.elements(3);
    let (form, elements) = answer(&gateway.send(&probe.infer_many(3)).unwrap());
    let receipt = receipt(&form);
    let seen = receipt.verify(&key).unwrap();
    let leaf = &receipt.leaf;
    assert_eq!(leaf.event, Event::Answer);
    let hash = |elements: &[Vec<u8>]| {
        let digests: Vec<Hash> =
            elements.iter().map(|element| commitment::digest(element).unwrap()).collect();
        Some(commitment::elements(&digests))
    };
    assert_eq!((leaf.request, leaf.response), (hash(&sent), hash(&elements)));
    assert_eq!(leaf.config, Some(*probe.model.config().as_bytes()));
    assert!(leaf.model.is_some() && leaf.randomness.is_some() && leaf.key.is_none());
    let program = fs::read(common::program()).unwrap();
    assert_eq!(leaf.build, *tiresias_keys::Digest::of(&program).as_bytes());
    assert_eq!(leaf.time % 600, 0);

    // The same elements as JSON have another response, and the same request and model.
    let texts: Vec<String> = sent.iter().map(|element| STANDARD.encode(element)).collect();
    let plain = json!({"inputs": [{"name": "features", "datatype": "BYTES", "shape": [3], "data": texts}]});
    let reply =
        gateway.send(&common::http::request("POST", INFER, &[], plain.to_string().as_bytes())).unwrap();
    let again = self::receipt(&reply.json());
    again.verify(&key).unwrap();
    assert_eq!((again.leaf.request, again.leaf.model), (leaf.request, leaf.model));
    assert_ne!((again.leaf.response, again.leaf.randomness), (leaf.response, leaf.randomness));
    assert_ne!(again.salt, receipt.salt);

    // The model's loading, the probe's first request, and these two.
    assert_eq!((receipt.index, again.index, seen.size), (2, 3, 3));
    let reply = gateway.get("/checkpoint");
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(reply.header("cache-control"), Some("no-cache"));
    Checkpoint::open(std::str::from_utf8(&reply.body).unwrap(), &key).unwrap();
    let data = gateway.path("data");
    let shown = gateway_command(&["log", "key", "--data", data.to_str().unwrap()]);
    assert_eq!(shown.trim_end(), key.to_string());

    for absent in ["/tile/0/001", "/tile/9/000", "/tile/entries/000", "/tile/0/../../key", "/tile/x"] {
        let reply = gateway.get(absent);
        assert_eq!((reply.status, &reply.json()["code"]), (404, &json!("unknown_tile")), "{absent}");
    }
    let metrics = gateway.get_metrics("/metrics");
    assert!(metrics.contains("tiresias_log_leaves_total 4\n"), "{metrics}");
    assert!(
        metrics.contains("tiresias_log_size 4\n")
            && metrics.contains("tiresias_log_commit_failure_total 0\n")
    );
    let log = gateway.log();
    for hash in [leaf.request, leaf.response, leaf.randomness, Some(receipt.leaf.entry(&receipt.salt))] {
        assert!(!log.contains(&hex::encode(hash.unwrap())));
    }
    probe.finish();
}

#[test]
fn the_log_is_served_as_it_lies_in_its_directory() {
    let mut probe = Probe::start(Setup::model("flooded").with_data());
    let receipts: Vec<Receipt> =
        (0..5).map(|_| receipt(&answer(&probe.gateway.send(&probe.infer_many(1)).unwrap()).0)).collect();
    let key = key_of(&probe.gateway);
    probe.gateway.terminate();
    assert!(probe.gateway.wait().success());
    let gateway = probe.gateway.restarted();
    assert_eq!(key_of(&gateway), key);
    // A loading at each start, the probe's request, and five: the last of them is published soon after the start.
    let started = Instant::now();
    let note = loop {
        let note = gateway.get("/checkpoint").body;
        let checkpoint = Checkpoint::open(std::str::from_utf8(&note).unwrap(), &key).unwrap();
        if checkpoint.size == 8 {
            break note;
        }
        assert!(checkpoint.size == 7 && started.elapsed() < common::HANG, "{}", checkpoint.size);
    };
    let public = gateway.path("data/log/public");
    assert_eq!(fs::read(public.join("checkpoint")).unwrap(), note);
    for path in ["tile/0/000.p/8", "tile/entries/000.p/8", "tile/0/000.p/3"] {
        let reply = gateway.get(&format!("/{path}"));
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
        assert!(reply.header("cache-control").unwrap().contains("immutable"));
    }
    let log = PublicLog::read(&public, &key);
    for receipt in &receipts {
        log.has(receipt, &key);
    }
    // What an outsider sees of an answer is a hash, and not even the leaf's.
    for receipt in receipts {
        let bare = tiresias_keys::Digest::of(receipt.leaf.to_text().as_bytes());
        assert!(!log.entries.contains(bare.as_bytes()));
    }
}

#[test]
fn without_a_directory_there_are_no_receipts_and_the_gateway_says_so() {
    for setup in
        [Setup::model("flooded"), Setup::model("flooded").with_data().settings("[log]\nenabled = false\n")]
    {
        let probe = Probe::start(setup);
        let (form, _) = answer(&probe.gateway.send(&probe.infer_many(1)).unwrap());
        assert_eq!(form["parameters"]["receipt"], Value::Null);
        assert_eq!(probe.gateway.log_key, None);
        probe.gateway.wait_for_log("answers carry no receipts");
        assert_eq!(probe.gateway.get("/checkpoint").status, 404);
        assert!(!probe.gateway.path("data/log").exists());
    }
    for (settings, words) in [
        ("[log]\nenabled = true\n", "name a data directory"),
        ("[log]\norigin = \"gateway.example/log\"\n", "name a data directory"),
        ("data = \"data\"\n[log]\norigin = \"a b\"\n", "without spaces"),
    ] {
        let (code, said) = Setup::model("flooded").settings(settings).refusal();
        assert!(code == Some(1) && said.contains(words), "{said}");
    }
}

#[test]
fn a_log_has_the_name_that_it_was_given_first() {
    let name = |name: &str| format!("[log]\norigin = \"{name}\"\n");
    let mut gateway = Setup::model("flooded").with_data().settings(&name("gateway.example/receipts")).start();
    assert_eq!(key_of(&gateway).name(), "gateway.example/receipts");
    gateway.kill();
    gateway.change_settings(&name("other.example/receipts"));
    let (code, said) = gateway.stopped().refusal();
    assert!(code == Some(1) && said.contains("error[log_origin]"), "{said}");
}

/// A log as its public files show it.
struct PublicLog {
    entries: Vec<Hash>,
    /// The root at each size.
    roots: Vec<Hash>,
}

impl PublicLog {
    fn read(directory: &Path, key: &NoteVerifier) -> Self {
        let note = fs::read_to_string(directory.join("checkpoint")).unwrap();
        let checkpoint = Checkpoint::open(&note, key).unwrap();
        let mut log = Self { entries: Vec::new(), roots: vec![empty_root()] };
        let mut tree = Frontier::default();
        for index in 0..checkpoint.size.div_ceil(256) {
            let width = (checkpoint.size - 256 * index).min(256);
            let bundle = fs::read(directory.join(tile::entries_path(index, width))).unwrap();
            for entry in tile::unbundle(&bundle).unwrap() {
                tree.append(leaf_hash(entry));
                log.entries.push(entry.try_into().unwrap());
                log.roots.push(tree.root());
            }
        }
        assert_eq!((tree.size(), tree.root()), (checkpoint.size, checkpoint.root));
        log
    }

    /// The log has the receipt's leaf, and its checkpoint is of this log's beginning: so all that pass here are consistent.
    fn has(&self, receipt: &Receipt, key: &NoteVerifier) {
        let entry = receipt.leaf.entry(&receipt.salt);
        assert_eq!(self.entries.get(receipt.index as usize), Some(&entry), "leaf {}", receipt.index);
        let seen = receipt.verify(key).unwrap();
        self.continues(&seen);
        verify_inclusion(receipt.index, seen.size, &leaf_hash(&entry), &seen.root, &receipt.proof).unwrap();
    }

    fn continues(&self, seen: &Checkpoint) {
        assert_eq!(self.roots.get(seen.size as usize), Some(&seen.root), "a fork at {}", seen.size);
    }
}

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

#[test]
fn an_answer_is_computed_again_byte_for_byte_and_nothing_else_passes_for_it() {
    let probe = Probe::start(Setup::model("flooded").with_data().import("matmul_only.onnx", "other", &[]));
    let gateway = &probe.gateway;
    let file = |name: &str, bytes: &[u8]| {
        let path = gateway.path(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let body = |request: &[u8]| {
        let at = request.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        request[at + 4..].to_vec()
    };
    let replay = |request: &str, response: &str, more: &[&str]| {
        let (data, repo) = (gateway.path("data"), gateway.path("models"));
        let mut command = Command::new(common::program());
        command.arg("replay").arg("--data").arg(data).arg("--repo").arg(repo);
        command.args(["--request", request, "--response", response, "--json"]).args(more);
        let output = command.output().unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        let code = words.split_once("error[").map(|(_, rest)| rest.split_once(']').unwrap().0.to_owned());
        match code {
            None => Ok(serde_json::from_slice::<Value>(&output.stdout).unwrap()),
            Some(code) => Err(code),
        }
    };
    let sent = probe.infer_many(3);
    let (reply, again) = (gateway.send(&sent).unwrap(), gateway.send(&sent).unwrap());
    let request = file("request", &body(&sent));
    let (response, second) = (file("response", &reply.body), file("second", &again.body));
    let done = replay(&request, &response, &[]).unwrap();
    assert_eq!((&done["identical"], &done["same_build"]), (&json!(true), &json!(true)));
    assert_eq!((&done["name"], &done["elements"], &done["index"]), (&json!("m"), &json!(3), &json!(3)));

    let refused = |code: &str| Err(code.to_owned());
    let text = |reply: &Reply| answer(reply).0["parameters"]["receipt"].as_str().unwrap().to_owned();
    let own = file("own", text(&reply).as_bytes());
    assert_eq!(replay(&request, &response, &["--receipt", &own]).unwrap(), done);
    assert_eq!(replay(&request, &second, &["--receipt", &own]), refused("commitment_mismatch"));
    let other = file("other-request", &body(&probe.infer_many(2)));
    assert_eq!(replay(&other, &response, &[]), refused("commitment_mismatch"));
    let mut changed = reply.body.clone();
    let at = changed.len() - 100;
    changed[at] ^= 1;
    assert_eq!(replay(&request, &file("changed", &changed), &[]), refused("commitment_mismatch"));
    let forged = file("forged", text(&reply).replacen("index 3", "index 2", 1).as_bytes());
    assert_eq!(replay(&request, &response, &["--receipt", &forged]), refused("not_included"));

    // The gateway's own word for another model: weights that are not those that were loaded.
    let model = gateway.path("models/m/1/model.bin");
    let weights = fs::read(&model).unwrap();
    let mut other_weights = weights.clone();
    let last = other_weights.len() - 1;
    other_weights[last] ^= 2;
    fs::write(&model, &other_weights).unwrap();
    assert_eq!(replay(&request, &response, &[]), refused("commitment_mismatch"));
    fs::write(&model, &weights).unwrap();
    fs::remove_dir_all(gateway.path("data/log/seeds")).unwrap();
    assert_eq!(replay(&request, &response, &[]), refused("no_seed"));
    fs::remove_dir_all(gateway.path("models/m")).unwrap();
    assert_eq!(replay(&request, &response, &[]), refused("no_model"));
}
