//! Plans against `recompute.py`, which computes them from the formulas of `keys/WIRE.md` in exact rationals.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tiresias_circuits::{HeadShape, Plan, Privacy};

/// A plan with its inputs, as one JSON object.
fn stated(shape: HeadShape, privacy: Privacy) -> Value {
    let mut stated = json!({
        "d": shape.features,
        "classes": shape.classes,
        "feature_bits": shape.feature_bits,
        "weight_bits": shape.weight_bits,
        "privacy": privacy.name(),
    });
    stated["plan"] = Plan::new(shape, privacy).map_or(Value::Null, |plan| planned(shape, &plan));
    stated
}

fn planned(shape: HeadShape, plan: &Plan) -> Value {
    let widths = plan.widths().map(|widths| {
        json!({
            "rerandomizer": widths.rerandomizer,
            "mask_noise": widths.mask_noise,
            "body_noise": widths.body_noise,
            "flood": widths.flood,
        })
    });
    json!({
        "parameters": plan.parameters().name(),
        "ciphertexts": plan.layout().ciphertexts,
        "block": plan.layout().block,
        "t": plan.plaintext_bits(),
        "bias_limit": shape.bias_limit(),
        "r": plan.response_bits(),
        "classes_per_group": plan.classes_per_group(),
        "groups": plan.response_shape().groups(),
        "widths": widths,
        "noise_bound": plan.noise_bound().to_string(),
        "switched_noise_bound": plan.switched_noise_bound(),
        "request_bytes": plan.request_shape().encoded_len(),
        "response_bytes": plan.response_shape().encoded_len(),
        "bits_per_score": plan.leak().bits_per_score,
        "vectors_to_determine": plan.leak().vectors_to_determine,
        "vectors_for_any_client": plan.leak().vectors_for_any_client,
    })
}

/// Shapes at and around every corner of the formulas: powers of two, the hint cap, one group and many.
fn grid() -> String {
    let features = [
        1, 2, 3, 4, 5, 7, 8, 13, 18, 19, 30, 31, 32, 33, 64, 100, 255, 256, 257, 511, 512, 513, 682, 683,
        768, 1023, 1024, 1025, 1536, 2047, 2048, 2049, 2560, 4096, 6000, 8192, 16_384,
    ];
    let mut lines = String::new();
    for features in features {
        for classes in [1, 2, 14, 100, 4096] {
            for (feature_bits, weight_bits) in [(2, 2), (2, 8), (8, 2), (4, 4), (5, 7), (8, 8)] {
                for privacy in Privacy::ALL {
                    let shape = HeadShape { features, classes, feature_bits, weight_bits };
                    lines.push_str(&stated(shape, privacy).to_string());
                    lines.push('\n');
                }
            }
        }
    }
    lines
}

/// Runs the script on `lines`: whether it agreed, and what it said. `None` where there is no Python.
fn recompute(lines: &str) -> Option<(bool, String)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recompute.py");
    let mut python = match Command::new("python3")
        .args(["-B", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
    {
        Ok(python) => python,
        Err(error) => {
            println!("skipped: python3 cannot be started ({error})");
            return None;
        }
    };
    // The script reads all of its input before it says more than a pipe holds, unless thousands of plans differ.
    let mut input = python.stdin.take().unwrap();
    let lines = lines.to_owned();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    Some((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
}

#[test]
fn plans_are_those_of_the_page() {
    let lines = grid();
    let Some((agrees, said)) = recompute(&lines) else { return };
    println!("{said}");
    assert!(agrees, "{said}");
    assert_eq!(said, format!("{} plans, 0 wrong\n", lines.lines().count()));
}

#[test]
fn a_wrong_plan_is_found() {
    let shape = HeadShape { features: 512, classes: 14, feature_bits: 8, weight_bits: 8 };
    let line = stated(shape, Privacy::Flooded).to_string();
    for (from, to) in [("\"r\":37", "\"r\":36"), ("\"flood\":24", "\"flood\":23"), ("38505", "38504")] {
        assert!(line.contains(from), "the test's own text: {from}");
        let Some((agrees, said)) = recompute(&line.replace(from, to)) else { return };
        assert!(!agrees && said.contains("1 wrong"), "{said}");
    }
}
