//! What programs that nobody here wrote make of our FHIR bundles: fhir.resources and fhirclient of PyPI, and fhir of npm. They
//! get damaged bundles too, and have to refuse each.
//!
//! Says SKIPPED where they cannot be had.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::{fs, path::Path, process::Command};

use common::{
    programs::{python_with, run},
    samples, skipped,
};
use serde_json::Value;
use tiresias_report::{
    Bar, Bars, Drift, Evidence, HeatMap, Id, ModelFacts, Moment, Outcome, Report, Review, Verdict, fhir,
};

/// A change of a bundle that makes it none, by name.
type Damage = (&'static str, fn(&mut Value));

const DAMAGES: [Damage; 5] = [
    ("damaged: unknown code", |bundle| bundle["entry"][1]["resource"]["status"] = "probable".into()),
    ("damaged: no status", |bundle| {
        bundle["entry"][1]["resource"].as_object_mut().unwrap().remove("status");
    }),
    ("damaged: two values", |bundle| {
        bundle["entry"][1]["resource"]["valueString"] = "glioma".into();
    }),
    ("damaged: unknown field", |bundle| bundle["entry"][0]["resource"]["diagnosis"] = "glioma".into()),
    ("damaged: wrong kind", |bundle| bundle["entry"][1]["resource"]["component"] = Value::from(1.25)),
];

/// All samples, and damaged ones, as files of one folder.
fn files() -> (tempfile::TempDir, Vec<&'static str>) {
    let directory = tempfile::tempdir().unwrap();
    let write =
        |name: &str, text: &str| fs::write(directory.path().join(format!("{name}.json")), text).unwrap();
    let mut names = Vec::new();
    for (name, report) in samples::all() {
        write(name, &fhir(&report));
        names.push(name);
    }
    for (name, damage) in DAMAGES {
        let mut bundle = serde_json::from_str(&fhir(&samples::full())).unwrap();
        damage(&mut bundle);
        write(name, &bundle.to_string());
        names.push(name);
    }
    (directory, names)
}

/// Each sample without a complaint, each damaged one with some but for what this program does not look at.
fn assert_told_apart(said: &[u8], names: &[&str], missed: &[&str]) {
    let said: Value = serde_json::from_slice(said).unwrap();
    for name in names {
        let complaints = said[name].as_array().unwrap();
        let is_refused = name.starts_with("damaged") && !missed.contains(name);
        assert_eq!(!complaints.is_empty(), is_refused, "{name}: {complaints:?}");
    }
}

#[test]
fn the_models_of_r4_take_every_bundle() {
    let python = match python_with("fhir", &["fhir.resources==8.3.0", "fhirclient==4.4.0"]) {
        Ok(python) => python,
        Err(reason) => return skipped("fhir.resources and fhirclient cannot be installed here", &reason),
    };
    let (directory, names) = files();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check_fhir.py");
    let said = run(&python, &[script.to_str().unwrap(), directory.path().to_str().unwrap()]).unwrap();
    assert_told_apart(&said.stdout, &names, &["damaged: unknown code"]);
}

#[test]
fn the_definitions_of_r4_take_every_bundle() {
    let modules = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fhir-npm");
    let npm = [
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--prefix",
        modules.to_str().unwrap(),
        "fhir@4.12.0",
    ];
    if let Err(reason) = run(Path::new("npm"), &npm) {
        return skipped("the npm package fhir cannot be installed here", &reason);
    }
    let (directory, names) = files();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check_fhir.js");
    let mut node = Command::new("node");
    node.env("NODE_PATH", modules.join("node_modules")).arg(script).arg(directory.path());
    let said = node.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert_told_apart(&said.stdout, &names, &["damaged: two values"]);
}
