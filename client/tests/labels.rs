//! Models that answer labels, between real processes: enrolment, inference, the two halves on files.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;
#[path = "common/records.rs"]
mod records;

use std::{fs, path::PathBuf};

use common::{Ended, and, tiresias};
use gateway::{
    Gateway, Setup, fixture,
    http::{head, request},
};
use records::Sealed;
use serde_json::Value;
use tiresias_client::oip;

const SET: &str = "N918_N2048_Q50_G2";

/// A gateway with a model `m` of labels, and a clinic's key file that it knows of.
struct Clinic {
    gateway: Gateway,
    key_file: String,
    id: String,
    /// Some rows of the fixture features: bootstraps take their time.
    features: PathBuf,
}

impl Clinic {
    fn start(flags: &[&str]) -> Self {
        let setup =
            Setup::empty().import("gemm.onnx", "m", &[&["--policy", "label", "--bits", "4"], flags].concat());
        let gateway = setup.with_data().start();
        let key_file = gateway.path("clinic.key").to_str().unwrap().to_owned();
        let features = gateway.path("some.csv");
        let text = fs::read_to_string(fixture("features.csv")).unwrap();
        fs::write(&features, text.lines().take(7).map(|line| format!("{line}\n")).collect::<String>())
            .unwrap();
        let mut clinic = Self { gateway, key_file, id: String::new(), features };
        clinic.id = clinic.enroll();
        clinic
    }

    /// Returns the id of the evaluation key.
    fn enroll(&self) -> String {
        let create = ["--json", "--unencrypted-key-file", "--key-file", &self.key_file];
        let enrolled = tiresias(&and(&self.gateway.command("enroll"), &create)).json().remove(0);
        assert_eq!(enrolled["parameters"], SET);
        enrolled["key_id"].as_str().unwrap().to_owned()
    }

    fn infer(&self, more: &[&str]) -> Ended {
        let features = ["--json", "--timeout", "600", "--features", self.features.to_str().unwrap()];
        tiresias(&and(&and(&self.gateway.command("infer"), &features), more))
    }

    fn expected(&self) -> Vec<Value> {
        self.gateway.evaluate("m", &self.features)
    }
}

#[test]
fn labels_are_those_of_the_clear_twin_and_nothing_else_is_said() {
    let clinic = Clinic::start(&[]);
    let found = clinic.infer(&["--key-file", &clinic.key_file]).json();
    assert_eq!(found, clinic.expected());
    let classes: Vec<_> = found.iter().map(|row| row["label"].as_str().unwrap()).collect();
    assert!(classes.iter().any(|class| *class != classes[0]), "the fixture has rows of several classes");
    assert_eq!(found[0].as_object().unwrap().len(), 3, "index, label and, of the features alone, drift");

    // Without a key, or with one of other parameters, the clinic is told what to do.
    let refused = clinic.infer(&[]);
    assert!(refused.err.contains("tiresias enroll") && refused.err.contains(SET), "{refused:?}");
    refused.failed("not_enrolled");

    // Deleted or expired at the gateway: the same key is sent again, once.
    let path = format!("/v2/keys/{}", clinic.id);
    let reply = clinic.gateway.send(&request("DELETE", &path, &[], b"")).unwrap();
    assert_eq!(reply.status, 200, "with the receipt of its removal");
    let again = clinic.infer(&["--key-file", &clinic.key_file, "--batch", "3"]);
    assert!(again.err.contains("warning[upload_key]"), "{again:?}");
    assert_eq!(again.json(), clinic.expected());
    let key = clinic.gateway.send(&request("GET", &path, &[], b"")).unwrap();
    assert_eq!(key.json()["id"].as_str(), Some(clinic.id.as_str()));
}

#[test]
fn findings_and_reviews_are_lists() {
    let directory = tempfile::tempdir().unwrap();
    let thresholds = directory.path().join("thresholds");
    fs::write(&thresholds, "0.5\n-0.5\n0.25\n").unwrap();
    let thresholds = ["--thresholds", thresholds.to_str().unwrap()];
    let clinic = Clinic::start(&[&["--decision", "thresholds", "--stages", "1"], &thresholds[..]].concat());
    let sealed = Sealed::make(&clinic.gateway.path(""));
    let found = clinic.infer(&["--key-file", &clinic.key_file, "--record", &sealed.record]).json();
    let expected = clinic.expected();
    let mut reviews = 0;
    for (found, expected) in found.iter().zip(&expected) {
        let list = |value: &Value| -> Vec<String> {
            value.as_array().map_or(Vec::new(), |list| {
                list.iter().map(|label| label.as_str().unwrap().to_owned()).collect()
            })
        };
        let (label, review, clear) =
            (list(&found["label"]), list(&found["review"]), list(&expected["label"]));
        reviews += review.len();
        // What is not `review` is the clear twin's.
        assert!(label.iter().all(|class| clear.contains(class)), "{found} {expected}");
        assert!(
            clear.iter().all(|class| label.contains(class) || review.contains(class)),
            "{found} {expected}"
        );
    }
    assert!(reviews > 0, "one stage leaves a zone");
    what_is_left_open_is_decided(&sealed, &found);
}

/// The record lists the rows of which a finding is left open, and takes all findings of a row from a human.
fn what_is_left_open_is_decided(sealed: &Sealed, found: &[Value]) {
    let open: Vec<usize> = (0..found.len()).filter(|&row| found[row].get("review").is_some()).collect();
    let listed = sealed.review(&["list", "--json"]).json();
    assert_eq!(listed.iter().map(|case| case["row"].as_u64().unwrap() as usize).collect::<Vec<_>>(), open);
    assert!(
        listed.iter().all(|case| case["prediction"] == "review" && case["reasons"] == "too close to tell")
    );
    let case = listed[0]["case"].to_string();
    let decide =
        |choice: &[&str]| sealed.review(&[choice, &[&case, "--by", "AB", "--reason", "seen"]].concat());
    decide(&["accept"]).failed("nothing_to_accept");
    let shown = sealed.review(&["show", &case]).done();
    let labels = shown.lines().find_map(|line| line.strip_prefix("Labels of the model: ")).unwrap();
    let labels: Vec<&str> = labels.split(", ").collect();
    decide(&["override", "--to", labels[2], "--to", labels[0]]).done();
    let decided = sealed.review(&["show", "--json", &case]).json().remove(0);
    assert_eq!(decided["decided"], format!("{}, {}", labels[0], labels[2]));
    assert_eq!(decided["prediction"], "review");
}

#[test]
fn the_two_halves_work_on_files_with_any_client_between() {
    let clinic = Clinic::start(&[]);
    let directory = clinic.gateway.path("halves");
    let directory = directory.to_str().unwrap();
    let features = clinic.features.clone();
    let key = ["--key-file", &clinic.key_file];
    let encrypt = and(
        &clinic.gateway.command("encrypt"),
        &["--out", directory, "--features", features.to_str().unwrap()],
    );
    tiresias(&encrypt).failed("not_enrolled");
    tiresias(&and(&encrypt, &key)).done();

    let header_length = fs::read_to_string(format!("{directory}/header-length")).unwrap();
    let body = fs::read(format!("{directory}/body.bin")).unwrap();
    let headers = [(oip::HEADER_LENGTH, header_length.as_str())];
    let infer = |body: &[u8]| {
        clinic.gateway.send(&request("POST", "/v2/models/m/versions/1/infer", &headers, body)).unwrap()
    };
    let reply = infer(&body);
    assert_eq!(reply.status, 200);
    let response = format!("{directory}/response.bin");
    fs::write(&response, &reply.body).unwrap();
    let decrypt = ["decrypt", "--json", "--dir", directory, "--response", &response];
    tiresias(&decrypt).failed("not_enrolled");
    assert_eq!(tiresias(&[decrypt.as_slice(), &key].concat()).json(), clinic.expected());

    // A request that names no key, or not its own, is refused and the next one served.
    let id = clinic.id.as_str();
    let text = String::from_utf8_lossy(&body[..header_length.parse::<usize>().unwrap()]).into_owned();
    let with = |replaced: &str| {
        let mut changed = body.clone();
        let at = text.find(id).unwrap();
        changed[at..at + 64].copy_from_slice(replaced.as_bytes());
        changed
    };
    for (key, status, code) in
        [("0".repeat(64), 404, "key_unknown"), ("x".repeat(64), 422, "malformed_request")]
    {
        let reply = infer(&with(&key));
        assert_eq!((reply.status, reply.json()["code"].as_str()), (status, Some(code)));
    }
    assert_eq!(infer(&body).status, 200);
    let metadata =
        clinic.gateway.send(&head("GET", "/v2/models/m", &[("host", "localhost"), ("connection", "close")]));
    let metadata = metadata.unwrap().json();
    assert_eq!(metadata["outputs"][0]["name"], "label");
    assert_eq!(metadata["parameters"]["evaluation_key_parameters"], SET);
}
