//! Receipts of answers, checked and kept by `infer`, `decrypt` and `enroll` before honest gateways, and before ones that were
//! wound back or forked.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use common::{
    Ended, and,
    forger::change_receipt,
    relay::{Act, Backend, Requests, raw},
    through, tiresias, with_features,
};
use gateway::{Gateway, Setup, fixture, gateway_command, http::request};
use serde_json::Value;
use tiresias_client::oip;
use tiresias_evidence::{LogKey, note::Note};

fn start() -> Gateway {
    Setup::model("flooded").with_data().start()
}

/// `infer` with the gateway's log key and a folder for receipts.
fn arguments(gateway: &Gateway, folder: &Path) -> Vec<String> {
    let key = gateway.log_key.as_deref().unwrap();
    let more = ["--json", "--batch", "8", "--log-key", key, "--receipts", folder.to_str().unwrap()];
    and(&gateway.command("infer"), &more)
}

fn infer(gateway: &Gateway, folder: &Path) -> Ended {
    with_features(&arguments(gateway, folder), &fixture("features.npy"))
}

fn lines(ended: &Ended) -> Vec<Value> {
    ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The verdicts of a run, and the codes of those that are INVALID.
fn verdicts(ended: &Ended) -> Vec<(String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let lines = lines(ended);
    lines
        .iter()
        .map(|line| (text(&line["receipt"]["verdict"]).unwrap(), text(&line["receipt"]["code"])))
        .collect()
}

fn all_are(ended: &Ended, verdict: &str, code: Option<&str>) {
    let verdicts = verdicts(ended);
    assert!(!verdicts.is_empty(), "{ended:?}");
    for found in verdicts {
        assert_eq!(found, (verdict.to_owned(), code.map(str::to_owned)), "{ended:?}");
    }
}

fn names(folder: &Path, ending: &str) -> Vec<String> {
    let mut names: Vec<String> = (fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn answers_come_with_receipts_that_are_checked_and_kept() {
    let gateway = start();
    let folder = gateway.path("kept");
    let ended = infer(&gateway, &folder);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    all_are(&ended, "UNWITNESSED", None);
    let mut found = lines(&ended);
    let name = gateway.log_key.as_ref().unwrap().split('+').next().unwrap().to_owned();
    for (row, line) in found.iter_mut().enumerate() {
        let receipt = line.as_object_mut().unwrap().remove("receipt").unwrap();
        // The model's loading is leaf 0; eight rows share a request.
        assert_eq!((&receipt["log"], &receipt["index"]), (&Value::from(&*name), &Value::from(1 + row / 8)));
        assert!(receipt["reason"].as_str().unwrap().contains("no witness was named"));
        let request = receipt["request"].as_str().unwrap();
        for ending in ["request", "response", "receipt"] {
            let kept = fs::metadata(folder.join(format!("{request}.{ending}"))).unwrap();
            assert_eq!(kept.mode() & 0o777, 0o600);
        }
    }
    assert_eq!(found, gateway.evaluate("m", &fixture("features.npy")), "the diagnoses are what they were");
    assert_eq!((names(&folder, "receipt").len(), names(&folder, "checkpoint").len()), (3, 1));

    // The same files are what an auditor computes the answers again from.
    for name in names(&folder, "request") {
        let file = |ending: &str| folder.join(format!("{name}.{ending}")).display().to_string();
        let paths = [gateway.path("data"), gateway.path("models")].map(|path| path.display().to_string());
        let (request, response, receipt) = (file("request"), file("response"), file("receipt"));
        let replayed = gateway_command(&[
            "replay",
            "--data",
            &paths[0],
            "--repo",
            &paths[1],
            "--request",
            &request,
            "--response",
            &response,
            "--receipt",
            &receipt,
            "--json",
        ]);
        assert!(replayed.contains(r#""identical":true"#));
    }

    // Another run continues the log, and so does one after a restart.
    all_are(&infer(&gateway, &folder), "UNWITNESSED", None);
    gateway.terminate();
    let gateway = gateway.restarted();
    let ended = infer(&gateway, &folder);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    all_are(&ended, "UNWITNESSED", None);
    assert_eq!(names(&folder, "receipt").len(), 9);

    // A table says it too; without a log key, receipts are kept and not judged.
    let table: Vec<String> =
        arguments(&gateway, &folder).into_iter().filter(|option| option != "--json").collect();
    let text = with_features(&table, &fixture("features.npy")).done();
    assert!(text.contains(" receipt") && text.contains("UNWITNESSED: no witness was named"), "{text}");
    let unjudged = gateway.path("unjudged");
    let more = ["--json", "--receipts", unjudged.to_str().unwrap()];
    let found = with_features(&and(&gateway.command("infer"), &more), &fixture("features.npy")).json();
    assert!(found.iter().all(|line| line["receipt"] == Value::Null));
    assert_eq!((names(&unjudged, "receipt").len(), names(&unjudged, "checkpoint").len()), (2, 0));
}

#[test]
fn results_files_have_the_verdicts_too() {
    let gateway = start();
    let (folder, out) = (gateway.path("kept"), gateway.path("out.jsonl"));
    let mut arguments: Vec<String> =
        arguments(&gateway, &folder).into_iter().filter(|option| option != "--json").collect();
    arguments.extend(["--out".into(), out.display().to_string()]);
    with_features(&arguments, &fixture("features.npy")).done();
    let text = fs::read_to_string(&out).unwrap();
    assert_eq!(text.matches(r#""verdict":"UNWITNESSED""#).count(), 20);
    // INVALID ones are results as well: the file is finished, and the exit code says that something is wrong.
    fs::remove_file(&out).unwrap();
    let other = LogKey::from_seed("other.example", &[1; 32]).unwrap().verifier().to_string();
    let at = arguments.iter().position(|option| option == "--log-key").unwrap();
    arguments[at + 1] = other;
    let ended = with_features(&arguments, &fixture("features.npy"));
    ended.failed_after_output("bad_receipt");
    let text = fs::read_to_string(&out).unwrap();
    assert_eq!(text.matches(r#""verdict":"INVALID""#).count(), 20);
    assert_eq!(text.matches(r#""code":"bad_signature""#).count(), 20);
}

#[test]
fn a_quorum_of_witnesses_makes_it_verified() {
    let gateway = start();
    let witnesses = [1, 2].map(|seed| LogKey::from_seed(&format!("w{seed}.example"), &[seed; 32]).unwrap());
    let [one, two] = witnesses.each_ref().map(|key| key.cosignature_verifier().to_string());
    let backend = Backend::of(&gateway);
    // The first of the two has cosigned what the log shows.
    let relay = Requests::start(&gateway, move |seen, _| {
        if seen.target != "GET /checkpoint" {
            return Act::Forward(backend.clone());
        }
        let mut reply = backend.answer(&seen.whole());
        let note = String::from_utf8(reply.body).unwrap();
        let text = Note::parse(&note).unwrap().text().to_owned();
        reply.body = (note + &witnesses[0].cosign(&text, 1_763_923_000)).into_bytes();
        let length = reply.body.len().to_string();
        for (_, value) in reply.headers.iter_mut().filter(|(name, _)| name == "content-length") {
            value.clone_from(&length);
        }
        Act::Reply(raw(&reply))
    });
    let folder = gateway.path("kept");
    let infer = |more: &[&str]| {
        let arguments = and(&through(&arguments(&gateway, &folder), &relay.url), more);
        with_features(&arguments, &fixture("features.npy"))
    };
    for (more, verdict) in [
        (vec!["--witness", &one], "VERIFIED"),
        (vec!["--witness", &one, "--witness", &two, "--quorum", "1"], "VERIFIED"),
        (vec!["--witness", &one, "--witness", &two], "UNWITNESSED"),
        (vec!["--witness", &two], "UNWITNESSED"),
    ] {
        let ended = infer(&more);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        all_are(&ended, verdict, None);
    }
    infer(&["--witness", &one, "--quorum", "2"]).failed_usage("--quorum");
    infer(&["--quorum", "1"]).wrong_usage();
}

#[test]
fn a_log_that_was_wound_back_or_has_forked_is_noticed() {
    // A backup of the gateway, which both go on from: the same key, and two logs.
    let first = start();
    let folder = first.path("kept");
    assert_eq!(infer(&first, &folder).code, Some(0));
    first.terminate();
    let setup = first.stopped();
    let (copy, older) = (setup.copied(), setup.copied());
    let (first, second) = (setup.start(), copy.start());
    assert_eq!(first.log_key, second.log_key);
    let ended = infer(&first, &folder);
    assert_eq!(ended.code, Some(0), "{ended:?}");

    // The other one has fewer leaves than were seen: what it logs now was, by its numbers, in the log before.
    let ended = infer(&second, &folder);
    ended.failed_after_output("bad_receipt");
    all_are(&ended, "INVALID", Some("replayed"));
    // Without the folder, nobody remembers.
    assert_eq!(infer(&second, &second.path("elsewhere")).code, Some(0));
    // With as many leaves as were seen, and more, it is caught by its tiles.
    let ended = infer(&second, &folder);
    ended.failed_after_output("bad_receipt");
    all_are(&ended, "INVALID", Some("forked"));
    assert_eq!(names(&folder, "fork").len(), 1, "the two checkpoints prove it");
    // The first is still the log that was kept.
    let ended = infer(&first, &folder);
    assert_eq!(ended.code, Some(0), "{ended:?}");

    // Who looks at the folder and at the other log sees it as well.
    let log = second.path("data/log/public").display().to_string();
    let (key, kept) = (second.log_key.clone().unwrap(), folder.to_str().unwrap());
    let ended = tiresias(&["verify", kept, "--log-key", &key, "--log", &log, "--json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let found = lines(&ended);
    let kept = found.iter().find(|line| line["receipt"].as_str().unwrap().ends_with(".checkpoint")).unwrap();
    assert_eq!((&kept["verdict"], &kept["code"]), (&"INVALID".into(), &"forked".into()));

    // One that never goes on is wound back too.
    let older = older.start();
    let ended = infer(&older, &folder);
    ended.failed_after_output("bad_receipt");
    all_are(&ended, "INVALID", Some("replayed"));
}

/// Encrypts the fixture features into a directory, and has them answered.
fn encrypted(gateway: &Gateway, name: &str) -> (String, gateway::http::Reply) {
    let directory = gateway.path(name).display().to_string();
    let arguments = and(&gateway.command("encrypt"), &["--out", &directory]);
    with_features(&arguments, &fixture("features.npy")).done();
    let read = |name: &str| fs::read(Path::new(&directory).join(name)).unwrap();
    let length = String::from_utf8(read("header-length")).unwrap();
    let headers = [(oip::HEADER_LENGTH, length.as_str())];
    let reply = gateway.send(&request("POST", "/v2/models/m/infer", &headers, &read("body.bin"))).unwrap();
    assert_eq!(reply.status, 200);
    (directory, reply)
}

#[test]
fn decrypt_checks_the_receipt_in_the_response() {
    let gateway = start();
    let (key, folder) = (gateway.log_key.clone().unwrap(), gateway.path("kept"));
    let decrypt = |directory: &str, body: &[u8], more: &[&str]| {
        let response = format!("{directory}/answer");
        fs::write(&response, body).unwrap();
        let arguments = ["decrypt", "--json", "--dir", directory, "--response", &response, "--log-key", &key];
        tiresias(&[&arguments, more].concat())
    };
    let (directory, reply) = encrypted(&gateway, "good");
    let more = ["--receipts", folder.to_str().unwrap()];
    let ended = decrypt(&directory, &reply.body, &more);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    all_are(&ended, "UNWITNESSED", None);
    let [name] = names(&folder, "response").try_into().unwrap();
    assert_eq!(fs::read(folder.join(format!("{name}.response"))).unwrap(), reply.body);
    let sent = fs::read(format!("{directory}/body.bin")).unwrap();
    assert_eq!(fs::read(folder.join(format!("{name}.request"))).unwrap(), sent);

    // A response that was damaged under way, and then as it was: the first one proves nothing against the second.
    let (directory, reply) = encrypted(&gateway, "damaged");
    let mut damaged = reply.body.clone();
    let at = damaged.len() - 500;
    damaged[at] ^= 1;
    decrypt(&directory, &damaged, &more).failed("damaged");
    let ended = decrypt(&directory, &reply.body, &more);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    all_are(&ended, "UNWITNESSED", None);
    assert_eq!(names(&folder, "response").len(), 3);

    // The receipt of another answer, or none: the diagnoses are shown with it, and the keys are gone.
    let (directory, mut reply) = encrypted(&gateway, "swapped");
    let (_, other) = encrypted(&gateway, "other");
    let json = oip::find_header_length(&other.body).unwrap();
    let form: Value = serde_json::from_slice(&other.body[..json]).unwrap();
    let foreign = form["parameters"]["receipt"].as_str().unwrap().to_owned();
    change_receipt(&mut reply, |_| Some(foreign));
    let ended = decrypt(&directory, &reply.body, &more);
    ended.failed_after_output("bad_receipt");
    all_are(&ended, "INVALID", Some("other_request"));
    assert!(!Path::new(&directory).join("state").exists());
    let (directory, mut reply) = encrypted(&gateway, "bare");
    change_receipt(&mut reply, |_| None);
    let ended = decrypt(&directory, &reply.body, &[]);
    ended.failed_after_output("bad_receipt");
    all_are(&ended, "INVALID", Some("no_receipt"));

    // Bare elements bring no receipt.
    let (directory, _) = encrypted(&gateway, "elements");
    let tensor = format!("{directory}/tensor-0.bin");
    let ended = tiresias(&["decrypt", "--dir", &directory, "--tensor", &tensor, "--log-key", &key]);
    ended.failed_usage("--response");
}

#[test]
fn enrolment_and_removal_have_receipts_too() {
    let gateway = Setup::empty().import("gemm.onnx", "m", &["--policy", "label", "--bits", "4"]);
    let gateway = gateway.with_data().start();
    let key = gateway.log_key.clone().unwrap();
    let (key_file, folder) = (gateway.path("clinic.key"), gateway.path("kept"));
    let (key_file, folder) = (key_file.to_str().unwrap(), folder.to_str().unwrap());
    let more = ["--json", "--log-key", &key, "--receipts", folder];
    let options = and(&gateway.command("enroll"), &["--key-file", key_file]);
    let enroll = |more: &[&str]| tiresias(&and(&and(&options, &["--unencrypted-key-file"]), more));
    let remove = |url: &str, more: &[&str]| {
        let mut without_model = through(&options, url);
        let at = without_model.iter().position(|option| option == "--model").unwrap();
        without_model.drain(at..at + 2);
        tiresias(&and(&and(&without_model, &["--remove"]), more))
    };
    let uploaded = enroll(&more).json().remove(0);
    assert_eq!(
        (&uploaded["status"], &uploaded["receipt"]["verdict"]),
        (&"uploaded".into(), &"UNWITNESSED".into())
    );
    // What the gateway has already is not logged again.
    let present = enroll(&more).json().remove(0);
    assert_eq!((&present["status"], &present["receipt"]), (&"present".into(), &Value::Null));
    let removed = remove(&gateway.url, &more).json().remove(0);
    assert_eq!(
        (&removed["status"], &removed["receipt"]["verdict"]),
        (&"removed".into(), &"UNWITNESSED".into())
    );
    assert_eq!(removed["receipt"]["index"], uploaded["receipt"]["index"].as_u64().unwrap() + 1);
    let verified = tiresias(&["verify", folder, "--log-key", &key, "--json"]);
    assert_eq!(verified.code, Some(3), "{verified:?}");
    let events: Vec<Value> = lines(&verified).iter().map(|line| line["leaf"]["event"].clone()).collect();
    assert_eq!(events, ["key-uploaded", "key-removed"]);

    // A gateway that gives the upload's receipt for the removal.
    assert_eq!(enroll(&more).code, Some(0));
    let backend = Backend::of(&gateway);
    let upload = names(Path::new(folder), "receipt");
    let kept = format!("{folder}/{}.receipt", upload[0]);
    let old = fs::read_to_string(kept).unwrap();
    let relay = Requests::start(&gateway, move |seen, _| {
        if !seen.target.starts_with("DELETE") {
            return Act::Forward(backend.clone());
        }
        let mut reply = backend.answer(&seen.whole());
        let mut form = reply.json();
        form["receipt"] = old.clone().into();
        reply.body = form.to_string().into_bytes();
        let length = reply.body.len().to_string();
        for (_, value) in reply.headers.iter_mut().filter(|(name, _)| name == "content-length") {
            value.clone_from(&length);
        }
        Act::Reply(raw(&reply))
    });
    let ended = remove(&relay.url, &more);
    ended.failed_after_output("bad_receipt");
    assert_eq!(lines(&ended)[0]["receipt"]["verdict"], "INVALID");
}

impl Ended {
    /// A command line whose options do not go together: the message names this one.
    fn failed_usage(&self, option: &str) {
        assert!(self.err.starts_with("tiresias: error[usage]: ") && self.err.contains(option), "{self:?}");
        assert_eq!((self.code, self.out.as_str()), (Some(2), ""), "{self:?}");
    }
}
