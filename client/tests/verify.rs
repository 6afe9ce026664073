//! `tiresias verify`: receipts, checkpoints and whole logs, as a compliance team checks them.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use common::{Ended, and, forger::Forger, tiresias, with_features};
use gateway::{Gateway, Setup, fixture};
use serde_json::Value;
use tiresias_evidence::{Event, Leaf, LogKey, note::Note};

/// A gateway that has answered three requests, whose receipts are in `kept`.
struct Case {
    gateway: Gateway,
    folder: PathBuf,
    key: String,
}

impl Case {
    fn new() -> Self {
        let gateway = Setup::model("flooded").with_data().start();
        let (folder, key) = (gateway.path("kept"), gateway.log_key.clone().unwrap());
        let case = Self { gateway, folder, key };
        case.infer();
        case
    }

    fn infer(&self) {
        let more = ["--json", "--batch", "8", "--log-key", &self.key, "--receipts", text(&self.folder)];
        let ended = with_features(&and(&self.gateway.command("infer"), &more), &fixture("features.npy"));
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }

    /// The files of kept receipts, requests or responses, in order of their names.
    fn files(&self, ending: &str) -> Vec<String> {
        let mut files: Vec<String> = (fs::read_dir(&self.folder).unwrap())
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|found| found == ending))
            .map(|path| text(&path).to_owned())
            .collect();
        files.sort();
        files
    }

    fn public(&self) -> String {
        text(&self.gateway.path("data/log/public")).to_owned()
    }

    /// The public files as they are now, elsewhere.
    fn copy(&self, name: &str) -> PathBuf {
        let path = self.gateway.path(name);
        copy(&self.gateway.path("data/log/public"), &path);
        path
    }

    fn verify(&self, more: &[&str]) -> Ended {
        tiresias(&[&["verify", "--json", "--log-key", &self.key], more].concat())
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let copy = Command::new("cp").args(["-a", &format!("{}/.", text(from)), text(to)]).status().unwrap();
    assert!(copy.success());
}

/// Verdict and code of each line, and the exit code that is theirs.
fn verdicts(ended: &Ended) -> Vec<String> {
    let lines: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let word = |line: &Value, name: &str| line[name].as_str().map(str::to_owned);
    let verdicts: Vec<String> = (lines.iter())
        .map(|line| word(line, "code").unwrap_or_else(|| word(line, "verdict").unwrap()))
        .collect();
    let is_any = |verdict: &str| lines.iter().any(|line| line["verdict"] == verdict);
    let code = if is_any("INVALID") { 1 } else { 3 * i32::from(is_any("UNWITNESSED")) };
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert_eq!(ended.err.is_empty(), code != 1, "{ended:?}");
    assert!(lines.iter().all(|line| !word(line, "reason").unwrap().is_empty()));
    verdicts
}

#[test]
fn receipts_are_verified_offline_and_against_the_log() {
    let case = Case::new();
    let (receipts, requests, responses) =
        (case.files("receipt"), case.files("request"), case.files("response"));
    let folder = text(&case.folder);
    let all = ["UNWITNESSED"; 3];
    assert_eq!(verdicts(&case.verify(&[folder])), all);
    assert_eq!(verdicts(&case.verify(&[&receipts[0], &receipts[1], folder])), all, "each counts once");
    let ended = case.verify(&[&receipts[0], "--request", &requests[0], "--response", &responses[0]]);
    assert_eq!(verdicts(&ended), ["UNWITNESSED"]);
    let line: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&line["receipt"], &line["leaf"]["event"]), (&Value::from(&*receipts[0]), &"answer".into()));
    assert_eq!(line["request"], Path::new(&receipts[0]).file_stem().unwrap().to_str().unwrap());
    for name in ["model", "config", "build"] {
        assert_eq!(line["leaf"][name].as_str().unwrap().len(), 64);
    }
    // Another request, another response, no body at all.
    let with = |request: &str, response: &str| {
        verdicts(&case.verify(&[&receipts[0], "--request", request, "--response", response]))
    };
    assert_eq!(with(&requests[1], &responses[0]), ["other_request"]);
    assert_eq!(with(&requests[0], &responses[1]), ["other_response"]);
    assert_eq!(with(&receipts[0], &responses[0]), ["malformed_body"]);

    // The log of the directory and of the gateway, now and after it has grown.
    let url = case.gateway.url.clone();
    let tls: Vec<String> = ["ca.pem", "client.pem", "client-key.pem"]
        .map(|name| case.gateway.certificate(name).display().to_string())
        .to_vec();
    let at_url = ["--log", &url, "--ca", &tls[0], "--cert", &tls[1], "--key", &tls[2]];
    for _ in 0..2 {
        assert_eq!(
            verdicts(&case.verify(&[folder, "--log", &case.public()])),
            vec!["UNWITNESSED"; case.files("receipt").len()]
        );
        let ended = case.verify(&[&[folder], &at_url[..]].concat());
        assert_eq!(verdicts(&ended), vec!["UNWITNESSED"; case.files("receipt").len()]);
        case.infer();
    }
    assert_eq!(verdicts(&case.verify(&at_url)), ["UNWITNESSED"], "the whole log, over the network");

    // A witness has cosigned what the log shows: that covers all receipts before it.
    let witness = LogKey::from_seed("w.example", &[5; 32]).unwrap();
    let verifier = witness.cosignature_verifier().to_string();
    let copy = case.copy("cosigned");
    let note = fs::read_to_string(copy.join("checkpoint")).unwrap();
    let cosigned = note.clone() + &witness.cosign(Note::parse(&note).unwrap().text(), 1_763_923_000);
    fs::write(copy.join("checkpoint"), cosigned).unwrap();
    let ended = case.verify(&[&receipts[0], "--log", text(&copy), "--witness", &verifier]);
    assert_eq!((verdicts(&ended), ended.code), (vec!["VERIFIED".to_owned()], Some(0)));
    assert_eq!(verdicts(&case.verify(&[&receipts[0], "--witness", &verifier])), ["UNWITNESSED"]);
    assert_eq!(verdicts(&case.verify(&["--log", text(&copy), "--witness", &verifier])), ["VERIFIED"]);
}

#[test]
fn what_is_wrong_in_a_folder_is_found() {
    let case = Case::new();
    let folder = case.gateway.path("changed");
    let refreshed = || {
        let _ = fs::remove_dir_all(&folder);
        copy(&case.folder, &folder);
        let name =
            |ending: &str, at: usize| folder.join(Path::new(&case.files(ending)[at]).file_name().unwrap());
        (name("receipt", 0), name("receipt", 1), name("response", 0), name("request", 0))
    };
    let codes = || {
        let mut codes = verdicts(&case.verify(&[text(&folder)]));
        codes.retain(|code| code != "UNWITNESSED");
        codes
    };
    refreshed();
    assert_eq!(codes(), [""; 0]);
    let (receipt, ..) = refreshed();
    fs::remove_file(receipt).unwrap();
    assert_eq!(codes(), ["no_receipt"]);
    let (receipt, other, ..) = refreshed();
    fs::copy(other, receipt).unwrap();
    assert_eq!(codes(), ["other_request"]);
    let (receipt, _, response, request) = refreshed();
    // Without its bodies, a copy of another's is only a leaf that was given twice.
    fs::remove_file(response).unwrap();
    fs::remove_file(request).unwrap();
    fs::copy(folder.join(Path::new(&case.files("receipt")[1]).file_name().unwrap()), receipt).unwrap();
    assert_eq!(codes(), ["repeated_leaf"]);
    let (_, _, response, _) = refreshed();
    let mut bytes = fs::read(&response).unwrap();
    let at = bytes.len() - 500;
    bytes[at] ^= 1;
    fs::write(&response, bytes).unwrap();
    assert_eq!(codes(), ["malformed_body"]);
    for (bytes, code) in
        [(b"".to_vec(), "malformed"), (vec![0xff; 100], "malformed"), (vec![b'x'; 1 << 20], "malformed")]
    {
        let (receipt, ..) = refreshed();
        fs::write(receipt, bytes).unwrap();
        assert_eq!(codes(), [code]);
    }
    // Another log's key.
    let other = LogKey::from_seed("other.example", &[1; 32]).unwrap().verifier().to_string();
    let ended = tiresias(&["verify", text(&case.folder), "--json", "--log-key", &other]);
    assert_eq!(verdicts(&ended), ["bad_signature"; 3]);
    // In words, with a line for all.
    refreshed();
    let said = tiresias(&["verify", text(&folder), "--log-key", &case.key]);
    assert_eq!(said.code, Some(3));
    assert_eq!(said.out.lines().count(), 4, "{said:?}");
    assert!(said.out.ends_with("3 receipts: 0 VERIFIED, 3 UNWITNESSED, 0 INVALID\n"), "{said:?}");
    assert!(said.out.contains(", answer, 20") && said.out.contains(" UTC: no witness was named"), "{said:?}");
}

#[test]
fn a_forger_that_repeats_itself_or_rewrites_its_log_is_found_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let forger = Arc::new(Forger::new("forged.example/log"));
    let leaf = |number: u8| Leaf {
        event: Event::Answer,
        request: Some([number; 32]),
        response: Some([2; 32]),
        model: Some([3; 32]),
        config: Some([4; 32]),
        key: None,
        build: [5; 32],
        randomness: Some([number; 32]),
        approval: None,
        time: 1_763_923_200,
    };
    let write = |name: &str, leaf: Leaf| {
        fs::write(path(name), forger.receipt(leaf).to_text()).unwrap();
        text(&path(name)).to_owned()
    };
    forger.fill(0, 300);
    let (first, second) = (write("first", leaf(1)), write("second", leaf(2)));
    let repeated = write("repeated", Leaf { randomness: Some([1; 32]), ..leaf(3) });
    let (key, log) = (forger.verifier(), path("log"));
    let verify = |receipts: &[&str], more: &[&str]| {
        verdicts(&tiresias(&[&["verify", "--json", "--log-key", &key], receipts, more].concat()))
    };
    let all = [first.as_str(), &second, &repeated];
    assert_eq!(verify(&all, &[]), ["UNWITNESSED", "UNWITNESSED", "repeated_randomness"]);
    forger.write(&log);
    let log = ["--log", text(&log)];
    assert_eq!(verify(&all[..2], &log), ["UNWITNESSED"; 2]);
    // The log without the second leaf, and others in its place.
    forger.forget(301);
    fs::remove_dir_all(path("log")).unwrap();
    forger.write(&path("log"));
    assert_eq!(verify(&all[..2], &log), ["UNWITNESSED", "rewound"]);
    forger.fill(1000, 500);
    fs::remove_dir_all(path("log")).unwrap();
    forger.write(&path("log"));
    assert_eq!(verify(&all[..2], &log), ["UNWITNESSED", "forked"]);
    assert_eq!(verify(&[], &log), ["UNWITNESSED"], "the log as such is whole");
    // A log of another name.
    let other = Forger::new("other.example/log");
    other.fill(0, 3);
    other.write(&path("other"));
    let keys = ["--log", text(&path("other")), "--log-key", &other.verifier()].map(str::to_owned);
    assert_eq!(verify(&all[..1], &keys.each_ref().map(String::as_str)), ["other_log"]);
}

#[test]
fn checkpoints_are_compared_by_the_tiles_of_the_log() {
    let case = Case::new();
    let (old, new) = (case.gateway.path("old"), case.gateway.path("new"));
    fs::copy(case.gateway.path("data/log/public/checkpoint"), &old).unwrap();
    case.infer();
    fs::copy(case.gateway.path("data/log/public/checkpoint"), &new).unwrap();
    let (old, new, log) = (text(&old), text(&new), case.public());
    for more in [vec!["--old", old, "--new", new], vec!["--old", old], vec!["--old", new, "--new", new]] {
        let ended = case.verify(&[more, vec!["--log", &log]].concat());
        assert_eq!(verdicts(&ended), ["UNWITNESSED"]);
    }
    let ended = case.verify(&["--old", old, "--new", new, "--log", &log]);
    let line: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&line["old_size"], &line["size"]), (&4.into(), &7.into()));
    let ended = case.verify(&["--old", new, "--new", old, "--log", &log]);
    assert_eq!(verdicts(&ended), ["forked"]);
    // Without a key, trees are compared and signatures are not.
    let unsigned = |more: &[&str]| tiresias(&[&["verify", "--json", "--log", &log], more].concat());
    let ended = unsigned(&["--old", old, "--new", new]);
    assert_eq!(verdicts(&ended), ["UNWITNESSED"]);
    assert!(ended.out.contains("no log key was named"));
    // A checkpoint of another tree that the same key has signed cannot be made here: an unsigned one is compared.
    let text_of = fs::read_to_string(new).unwrap();
    let forged = case.gateway.path("forged");
    let root = text_of.lines().nth(2).unwrap();
    let flipped = if root.starts_with('A') { "B" } else { "A" };
    fs::write(&forged, text_of.replacen(root, &format!("{flipped}{}", &root[1..]), 1)).unwrap();
    assert_eq!(verdicts(&unsigned(&["--old", old, "--new", text(&forged)])), ["forked"]);
    assert_eq!(
        verdicts(&case.verify(&["--old", old, "--new", text(&forged), "--log", &log])),
        ["bad_signature"]
    );
    assert_eq!(verdicts(&case.verify(&["--old", text(&forged), "--log", &log])), ["bad_signature"]);
    fs::write(&forged, [0xff; 10]).unwrap();
    assert_eq!(verdicts(&case.verify(&["--old", text(&forged), "--log", &log])), ["malformed"]);
}

#[test]
fn command_lines_that_say_too_little_or_too_much_are_refused() {
    let key = LogKey::from_seed("log.example", &[1; 32]).unwrap().verifier().to_string();
    let directory = tempfile::tempdir().unwrap();
    let empty = text(directory.path());
    for arguments in [
        vec!["verify"],
        vec!["verify", "--log-key", &key],
        vec!["verify", "receipt"],
        vec!["verify", "--log", empty],
        vec!["verify", "--old", "a", "--new", "b", "--log-key", &key],
        vec!["verify", "--new", "b", "--log", empty, "--log-key", &key],
        vec!["verify", "receipt", "--old", "a", "--log", empty, "--log-key", &key],
        vec!["verify", "--request", "a", "--log", empty, "--log-key", &key],
        vec!["verify", "a", "b", "--request", "c", "--log-key", &key],
        vec!["verify", empty, "--request", "c", "--log-key", &key],
        vec!["verify", empty, "--log-key", &key],
    ] {
        tiresias(&arguments).wrong_usage();
    }
    tiresias(&["verify", "receipt", "--log-key", "no key"]).failed("bad_verifier_key");
    tiresias(&["verify", "no-such-receipt", "--log-key", &key]).failed("io");
    tiresias(&["verify", "--log", "http://gateway.example", "--log-key", &key]).failed("bad_url");
    let ended = tiresias(&["verify", "--json", "--log", empty, "--log-key", &key]);
    assert_eq!(verdicts(&ended), ["incomplete_log"]);
}
