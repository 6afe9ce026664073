//! `tiresias demo` and `tiresias infer` against a real gateway process: answers, tables, warnings and errors.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{collections::BTreeSet, fs, path::Path};

use common::{tiresias, with_features};
use gateway::{Setup, fixture, program};
use serde_json::Value;

/// An option of a command, changed.
fn with(arguments: &[String], option: &str, value: &str) -> Vec<String> {
    let mut changed = arguments.to_vec();
    let at = arguments.iter().position(|argument| argument == option).unwrap();
    value.clone_into(&mut changed[at + 1]);
    changed
}

fn keys(line: &Value) -> BTreeSet<&str> {
    line.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_demo_reports_every_patient_and_a_summary() {
    program();
    let lines = tiresias(&["demo", "--json", "--patients", "20"]).json();
    assert_eq!(lines.len(), 21);
    let (summary, patients) = lines.split_last().unwrap();
    let expected = [
        "patients",
        "correct",
        "accuracy",
        "clear_agreement",
        "request_bytes",
        "response_bytes",
        "encrypt_us",
        "evaluate_us",
        "decrypt_us",
        "roundtrip_us",
    ];
    assert_eq!(keys(summary), BTreeSet::from(expected));
    assert_eq!((&summary["patients"], &summary["clear_agreement"]), (&20.into(), &1.0.into()));
    let correct = patients.iter().filter(|patient| patient["truth"] == patient["label"]).count();
    assert_eq!(summary["correct"], correct);
    assert_eq!(summary["accuracy"].as_f64().unwrap(), correct as f64 / 20.0);
    assert!(correct >= 15, "the head is a good one: {correct} of 20");
    for name in ["request_bytes", "response_bytes"] {
        assert!(summary[name].as_u64().unwrap() > 1000, "{name}");
    }
    for name in ["encrypt_us", "evaluate_us", "decrypt_us", "roundtrip_us"] {
        assert!(summary[name].as_f64().unwrap() > 0.0, "{name}");
    }
    for (index, patient) in patients.iter().enumerate() {
        let expected = ["patient", "truth", "index", "label", "scores_q", "scores", "margin", "drift"];
        assert_eq!(keys(patient), BTreeSet::from(expected));
        assert_eq!(patient["index"], index);
        assert!(["benign", "malignant"].contains(&patient["label"].as_str().unwrap()));
        assert!(patient["scores_q"].as_array().unwrap().iter().all(Value::is_i64));
    }
}

#[test]
fn the_demo_answers_labels_too() {
    program();
    let lines = tiresias(&["demo", "--json", "--policy", "label", "--patients", "5"]).json();
    let (summary, patients) = lines.split_last().unwrap();
    assert_eq!((&summary["patients"], &summary["clear_agreement"]), (&5.into(), &1.0.into()));
    for patient in patients {
        assert_eq!(keys(patient), BTreeSet::from(["patient", "truth", "index", "label", "drift"]));
    }
}

#[test]
fn the_demo_runs_hidden_layers() {
    program();
    let lines = tiresias(&["demo", "--json", "--head", "mlp", "--patients", "6"]).json();
    let (summary, patients) = lines.split_last().unwrap();
    assert_eq!(patients.len(), 6);
    assert!(patients.iter().all(|line| line["scores_q"].as_array().unwrap().len() == 2));
    assert!(summary["correct"].as_u64().unwrap() >= 5, "{summary}");
    // An activation that is off by a level may turn a close decision.
    assert!(summary["clear_agreement"].as_f64().unwrap() > 0.8, "{summary}");
}

#[test]
fn the_demo_can_be_quiet() {
    program();
    let quiet = tiresias(&["demo", "--quiet", "--patients", "3"]);
    assert!(!quiet.err.contains("error"), "{quiet:?}");
    let text = quiet.done();
    assert!(text.starts_with("3 held-out patients in "), "{text}");
    assert!(text.contains("agreement with the clear twin, to the last integer: 100.00 %"), "{text}");
    assert!(!text.contains("truth"), "no table of patients: {text}");
    let loud = tiresias(&["demo", "--patients", "3"]).done();
    assert!(loud.contains("truth") && loud.contains("3 held-out patients in "), "{loud}");
    assert_eq!(tiresias(&["demo", "--quiet", "--json", "--patients", "3"]).json().len(), 1);
    tiresias(&["demo", "--patients", "0"]).wrong_usage();
    tiresias(&["demo", "--gateway-bin", "/nonexistent/gateway"]).failed("gateway_process");
}

#[test]
fn infer_prints_what_evaluate_prints() {
    for privacy in ["flooded", "open-weights"] {
        let gateway = Setup::model(privacy).start();
        for name in ["features.npy", "features.csv"] {
            let features = fixture(name);
            let mut arguments = gateway.command("infer");
            arguments.push("--json".into());
            let found = with_features(&arguments, &features);
            assert_eq!(found.err, "", "calibrated on these very rows, none is clipped");
            assert_eq!(found.json(), gateway.evaluate("m", &features), "{privacy} {name}");
        }
    }
}

#[test]
fn infer_prints_a_table_for_people() {
    let gateway = Setup::model("flooded").start();
    let found = with_features(&gateway.command("infer"), &fixture("features.csv"));
    let text = found.done();
    let header: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(header, ["│", "row", "diagnosis", "score", "margin", "│"], "{text}");
    for line in gateway.evaluate("m", &fixture("features.csv")) {
        let (index, label) = (line["index"].to_string(), line["label"].as_str().unwrap());
        let row = |row: &&str| row.split_whitespace().nth(1) == Some(&index) && row.contains(label);
        let row = text.lines().find(row).unwrap_or_else(|| unreachable!("row {index} is not in\n{text}"));
        assert!(row.contains(&format!("{:.4}", line["margin"].as_f64().unwrap())), "{row}");
    }
}

#[test]
fn versions_are_chosen_by_number() {
    let gateway = Setup::model("flooded").import("matmul_only.onnx", "m", &[]).start();
    let newest = gateway.evaluate("m", &fixture("features.npy"));
    let mut arguments = gateway.command("infer");
    arguments.push("--json".into());
    assert_eq!(with_features(&arguments, &fixture("features.npy")).json(), newest);
    arguments.extend(["--version".into(), "2".into()]);
    assert_eq!(with_features(&arguments, &fixture("features.npy")).json(), newest);
    let oldest = with_features(&with(&arguments, "--version", "1"), &fixture("features.npy")).json();
    assert_eq!(oldest.len(), 20);
    assert_ne!(oldest, newest);
    with_features(&with(&arguments, "--version", "3"), &fixture("features.npy")).failed("unknown_version");
}

#[test]
fn clipped_features_are_warned_of_by_their_share() {
    let gateway = Setup::model("flooded").start();
    let features = gateway.path("far.csv");
    let near = "0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1\n";
    fs::write(&features, format!("{near}{near}123456.5,0.1,0.1,0.1,0.1,0.1,0.1,-987654.25\n{near}")).unwrap();
    let found = with_features(&gateway.command("infer"), &features);
    assert!(found.err.starts_with("tiresias: warning[clipped]: 2 features (6.25 %) "), "{}", found.err);
    let far_out = "tiresias: warning[far_out]: 1 of 4 vectors lie far from those";
    assert!(found.err.lines().nth(1).unwrap().starts_with(far_out), "{}", found.err);
    assert_eq!(found.err.lines().count(), 2);
    let marked = found.out.lines().filter(|line| line.contains("(review: far out)")).count();
    assert_eq!(marked, 1, "{}", found.out);
    for value in ["123456", "987654", "0.1"] {
        assert!(!found.err.contains(value), "{}", found.err);
    }
    assert!(found.done().contains("margin"));
}

#[test]
fn what_goes_wrong_has_a_code() {
    let gateway = Setup::model("flooded").start();
    let good = gateway.command("infer");
    let npy = fixture("features.npy");
    let file = |name: &str, text: &str| {
        fs::write(gateway.path(name), text).unwrap();
        gateway.path(name)
    };
    let row = "1,2,3,4,5,6,7,8\n";
    let with_file = |path: &Path| with_features(&good, path);
    with_file(&file("nan.csv", &format!("{row}1,2,3,NaN,5,6,7,8\n"))).failed("not_finite");
    with_file(&file("infinite.csv", "1,2,3,4,5,6,7,-inf\n")).failed("not_finite");
    with_file(&file("narrow.csv", "1,2,3\n")).failed("shape_mismatch");
    with_file(&file("wide.csv", "1,2,3,4,5,6,7,8,9\n")).failed("shape_mismatch");
    let word = with_file(&file("word.csv", &format!("{row}1,2,3,4,5,6,7,secret9f\n")));
    word.failed("not_a_number");
    assert!(word.err.contains("line 2, field 8") && !word.err.contains("secret9f"), "{}", word.err);
    with_file(&file("ragged.csv", &format!("{row}1,2\n"))).failed("bad_features_file");
    with_file(&file("empty.csv", "")).failed("bad_features_file");
    with_file(&file("bad.npy", "no numpy")).failed("bad_features_file");
    with_file(&file("features.txt", row)).failed("bad_features_file");
    with_file(&gateway.path("absent.csv")).failed("io");

    for (option, value, code) in [
        ("--model", "absent", "unknown_model"),
        ("--model", "../m", "out_of_range"),
        ("--gateway", "http://127.0.0.1:1", "bad_url"),
        ("--gateway", "127.0.0.1:1", "bad_url"),
        ("--gateway", "https://127.0.0.1:1", "connect"),
        ("--ca", "/nonexistent/ca.pem", "io"),
        ("--ca", npy.to_str().unwrap(), "tls"),
        ("--key", npy.to_str().unwrap(), "tls"),
        ("--key", gateway.certificate("server-key.pem").to_str().unwrap(), "tls"),
    ] {
        with_features(&with(&good, option, value), &npy).failed(code);
    }
    // A certificate of an authority that the clinic does not trust.
    let other = Setup::model("flooded").start();
    let wrong_ca = with(&good, "--ca", other.certificate("ca.pem").to_str().unwrap());
    with_features(&wrong_ca, &npy).failed("connect");
    // Plain HTTP where TLS is expected.
    let plain = with(&good, "--gateway", &format!("https://{}", gateway.metrics));
    with_features(&plain, &npy).failed("connect");
    assert_eq!(with_features(&good, &npy).code, Some(0), "the good command still works");
    assert!(!gateway.log().contains("panicked"));
}

#[test]
fn a_wrong_command_line_is_wrong_usage() {
    for arguments in [
        &[][..],
        &["frobnicate"],
        &["demo", "--patients", "some"],
        &["infer"],
        &["infer", "--gateway", "https://localhost:1", "--model", "m"],
        &["infer", "--gateway", "https://localhost:1", "--model", "m", "--features", "f.npy", "--colour"],
        &["encrypt", "--features", "f.npy", "--out", "d"],
        &["encrypt", "--card", "c.json", "--model", "m", "--features", "f.npy", "--out", "d"],
        &["decrypt", "--dir", "d"],
        &["decrypt", "--dir", "d", "--response", "r", "--tensor", "t"],
    ] {
        tiresias(arguments).wrong_usage();
    }
    let gateway = Setup::model("flooded").start();
    let mut half = gateway.command("infer");
    let cert = half.iter().position(|argument| argument == "--cert").unwrap();
    half.drain(cert..cert + 2);
    with_features(&half, &fixture("features.npy")).wrong_usage();
}

#[test]
fn a_header_length_goes_with_a_response_alone() {
    tiresias(&["decrypt", "--dir", "d", "--header-length", "3"]).wrong_usage();
    tiresias(&["decrypt", "--dir", "d", "--tensor", "t", "--header-length", "3"]).wrong_usage();
}
