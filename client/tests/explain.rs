//! Contributions of groups of features, encrypted and in the clear, and the drift of a whole run.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::fs;

use common::with_features;
use gateway::{Setup, fixture, rows};
use serde_json::Value;

/// Eight features in three groups.
const GROUPS: &str = "size\nshape\nsize\ntexture\nshape\nsize\ntexture\nsize\n";

fn explained() -> Setup {
    let setup = Setup::model("flooded");
    let groups = setup.path("groups.txt");
    fs::write(&groups, GROUPS).unwrap();
    setup.import("gemm.onnx", "plain", &[]).import(
        "gemm.onnx",
        "m",
        &["--explain-groups", groups.to_str().unwrap()],
    )
}

#[test]
fn contributions_are_those_of_the_clear_twin_and_add_up() {
    let gateway = explained().start();
    let mut arguments = gateway.command("infer");
    arguments.push("--json".into());
    let found = with_features(&arguments, &fixture("features.npy")).json();
    assert_eq!(found, gateway.evaluate("m", &fixture("features.npy")));
    for row in &found {
        let contributions = row["contributions"].as_array().unwrap();
        assert_eq!(contributions.len(), row["scores"].as_array().unwrap().len());
        for (class, score) in contributions.iter().zip(row["scores"].as_array().unwrap()) {
            let groups = class["groups"].as_array().unwrap();
            let names: Vec<_> = groups.iter().map(|group| group["group"].as_str().unwrap()).collect();
            assert_eq!(names, ["size", "shape", "texture"]);
            let sum: f64 = groups.iter().map(|group| group["value"].as_f64().unwrap()).sum();
            let total = sum + class["intercept"].as_f64().unwrap();
            assert!((total - score.as_f64().unwrap()).abs() < 1e-9);
        }
    }
    // The same scores as without the explanation.
    let plain = gateway.evaluate("plain", &fixture("features.npy"));
    let scores = |rows: &[Value]| rows.iter().map(|row| row["scores_q"].clone()).collect::<Vec<_>>();
    assert_eq!(scores(&found), scores(&plain));
}

#[test]
fn a_run_whose_mean_has_moved_is_warned_of() {
    let gateway = Setup::model("flooded").start();
    let rows = rows();
    let column = |at: usize| rows.iter().map(move |row| row[at]);
    let n = rows.len() as f64;
    let mean: Vec<f64> = (0..8).map(|at| column(at).sum::<f64>() / n).collect();
    let deviation = |at: usize| (column(at).map(|value| (value - mean[at]).powi(2)).sum::<f64>() / n).sqrt();
    let moved = rows.iter().map(|row| {
        let fields = row.iter().enumerate();
        let fields =
            fields.map(|(at, value)| (mean[at] + 0.1 * (value - mean[at]) + deviation(at)).to_string());
        fields.collect::<Vec<_>>().join(",")
    });
    let path = gateway.path("moved.csv");
    fs::write(&path, moved.collect::<Vec<_>>().join("\n")).unwrap();
    let found = with_features(&gateway.command("infer"), &path);
    assert!(found.err.contains("tiresias: warning[drift]: the mean of these 20 vectors"), "{}", found.err);
    assert!(!found.err.contains("far_out"), "each row alone is usual: {}", found.err);
}
