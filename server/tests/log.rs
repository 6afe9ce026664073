//! The transparency log of a real gateway: what its receipts say, how it is read, and that an answer can be computed again.

mod common;
#[path = "common/probe.rs"]
mod probe;
#[path = "common/public_log.rs"]
mod public_log;

use std::{fs, process::Command, time::Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{Setup, gateway_command, http::Reply};
use probe::{INFER, Probe};
use public_log::{PublicLog, answer, key_of, receipt};
use serde_json::{Value, json};
use tiresias_evidence::{Checkpoint, Event, Hash, Receipt, commitment};

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
    let again = public_log::receipt(&reply.json());
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
