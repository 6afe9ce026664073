//! Whole logs, and logs whose keys change.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{fs, path::Path};

use common::{Ended, and, forger::Forger, tiresias, with_features};
use gateway::{Setup, fixture, gateway_command};
use serde_json::Value;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The one verdict of a run of `verify`, or the code of what is INVALID.
fn verdict(ended: &Ended) -> String {
    let line: Value = serde_json::from_str(&ended.out).unwrap();
    line["code"].as_str().or(line["verdict"].as_str()).unwrap().to_owned()
}

#[test]
fn a_whole_log_is_computed_again() {
    let directory = tempfile::tempdir().unwrap();
    let forger = Forger::new("forged.example/log");
    forger.fill(0, 66_000);
    let log = directory.path().join("log");
    forger.write(&log);
    let key = forger.verifier();
    let verify = || verdict(&tiresias(&["verify", "--json", "--log", text(&log), "--log-key", &key]));
    assert_eq!(verify(), "UNWITNESSED");
    let said = tiresias(&["verify", "--log", text(&log), "--log-key", &key]);
    assert!(said.out.contains("66000 leaves, all computed again"), "{said:?}");
    // One bit of any kind of file, and files that are gone.
    for (path, code) in [
        ("tile/entries/017", "damaged_log"),
        ("tile/entries/257.p/208", "damaged_log"),
        ("tile/0/017", "damaged_log"),
        ("tile/0/257.p/208", "damaged_log"),
        ("tile/1/000", "damaged_log"),
        ("tile/1/001.p/1", "damaged_log"),
        ("tile/2/000.p/1", "damaged_log"),
        ("checkpoint", "bad_signature"),
    ] {
        let path = log.join(path);
        let good = fs::read(&path).unwrap();
        let mut flipped = good.clone();
        let at = good.iter().position(|&byte| byte == b'6').filter(|_| path.ends_with("checkpoint"));
        flipped[at.unwrap_or(good.len() / 2)] ^= 1;
        fs::write(&path, &flipped).unwrap();
        assert_eq!(verify(), code, "{}", path.display());
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        let cut = if path.ends_with("checkpoint") { "malformed" } else { "damaged_log" };
        assert_eq!(verify(), cut, "{}", path.display());
        fs::remove_file(&path).unwrap();
        assert_eq!(verify(), "incomplete_log", "{}", path.display());
        fs::write(&path, good).unwrap();
    }
    assert_eq!(verify(), "UNWITNESSED");
}

/// `cargo test -p tiresias-client --test logs -- --ignored --nocapture million`, 4 seconds, most of them to make the log.
#[test]
#[ignore = "a log of 10^6 leaves"]
fn a_million_leaves_are_computed_again() {
    let directory = tempfile::tempdir().unwrap();
    let forger = Forger::new("forged.example/log");
    forger.fill(0, 1_000_000);
    forger.write(directory.path());
    let started = std::time::Instant::now();
    let ended =
        tiresias(&["verify", "--json", "--log", text(directory.path()), "--log-key", &forger.verifier()]);
    assert_eq!((verdict(&ended).as_str(), ended.code), ("UNWITNESSED", Some(3)));
    use std::io::Write as _;
    writeln!(std::io::stderr(), "10^6 leaves verified in {:?}", started.elapsed()).unwrap();
}

#[test]
fn a_log_keeps_its_receipts_while_its_key_changes() {
    let gateway = Setup::model("flooded").with_data().start();
    let folder = text(&gateway.path("kept")).to_owned();
    let infer = |gateway: &gateway::Gateway, keys: &[&str]| {
        let named = keys.iter().flat_map(|key| ["--log-key", key]);
        let options: Vec<&str> = ["--json", "--receipts", &folder].into_iter().chain(named).collect();
        let ended = with_features(&and(&gateway.command("infer"), &options), &fixture("features.npy"));
        let line: Value = serde_json::from_str(ended.out.lines().next().unwrap()).unwrap();
        let receipt = &line["receipt"];
        (ended.code, receipt["code"].as_str().or(receipt["verdict"].as_str()).unwrap().to_owned())
    };
    let good = (Some(0), "UNWITNESSED".to_owned());
    let old = gateway.log_key.clone().unwrap();
    assert_eq!(infer(&gateway, &[&old]), good);
    let data = gateway.path("data");
    let rotate = |more: &[&str]| -> Value {
        let arguments = [&["log", "rotate", "--data", text(&data)], more].concat();
        serde_json::from_str(&gateway_command(&arguments)).unwrap()
    };
    gateway.terminate();
    let setup = gateway.stopped();
    let rotated = rotate(&[]);
    let new = rotated["keys"][0].as_str().unwrap().to_owned();
    assert_eq!(rotated["keys"][1], *old);

    // The old key has signed a leaf that names the new one.
    let receipt = setup.path("rotation");
    fs::write(&receipt, rotated["receipt"].as_str().unwrap()).unwrap();
    let ended = tiresias(&["verify", text(&receipt), "--json", "--log-key", &old]);
    assert_eq!((verdict(&ended).as_str(), ended.code), ("UNWITNESSED", Some(3)));
    let line: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(line["leaf"]["event"], "log-key");
    assert_eq!(line["leaf"]["key"], tiresias_keys::Digest::of(new.as_bytes()).to_string());
    assert_eq!(verdict(&tiresias(&["verify", text(&receipt), "--json", "--log-key", &new])), "bad_signature");

    // Both sign: either is enough. Then only the new one does, and what the old one has signed stays good.
    let gateway = setup.start();
    for keys in [vec![&*old], vec![&*new], vec![&*old, &*new]] {
        assert_eq!(infer(&gateway, &keys), good);
    }
    gateway.terminate();
    let setup = gateway.stopped();
    rotate(&["--finish"]);
    let gateway = setup.start();
    assert_eq!(infer(&gateway, &[&old]), (Some(1), "bad_signature".to_owned()));
    assert_eq!(infer(&gateway, &[&new]), good, "the log goes on from the checkpoint that both have signed");
    let log = text(&data.join("log/public")).to_owned();
    let verify = |keys: &[&str]| {
        let named = keys.iter().flat_map(|key| ["--log-key", key]);
        let options = ["verify", &folder, "--json", "--log", &log];
        tiresias(&options.into_iter().chain(named).collect::<Vec<_>>()).code
    };
    assert_eq!((verify(&[&old, &new]), verify(&[&new])), (Some(3), Some(1)), "by both keys, all of them");
}
