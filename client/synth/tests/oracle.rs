//! The same figures from NumPy, SciPy and scikit-learn, which needs Python 3 with venv and a package index: says SKIPPED where there
//! is none.

mod common;

use std::{fmt::Write as _, fs, path::Path};

use common::{
    programs::{python_with, run},
    table,
};
use tiresias_synth::{Rows, evaluate, fit, split};

/// One release of each, so that a new one does not break the test.
const PACKAGES: [&str; 3] = ["numpy==2.4.6", "scipy==1.17.1", "scikit-learn==1.9.1"];

#[test]
fn figures_are_those_of_other_libraries() {
    let python = match python_with("synth", &PACKAGES) {
        Ok(python) => python,
        Err(reason) => {
            println!("SKIPPED: scikit-learn and its companions cannot be installed here: {reason}");
            return;
        }
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle.py");
    for (name, seed) in [("wdbc.csv", 1u64), ("wdbc.csv", 2), ("digits.csv", 1)] {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("synth-{name}-{seed}"));
        fs::create_dir_all(&folder).unwrap();
        let (train, test) = split(&table(name), 0.3, &seed.into()).unwrap();
        let model = fit(&train).unwrap();
        let synthetic = model.sample(train.len(), &seed.into()).unwrap();
        let found = evaluate(&train, &test, &synthetic).unwrap();
        for (part, rows) in [("train", &train), ("test", &test), ("synthetic", &synthetic)] {
            fs::write(folder.join(part), text(rows)).unwrap();
        }
        let shrinkage: Vec<f64> = model.shrinkage().collect();
        let figures = serde_json::json!({ "evaluation": found, "shrinkage": shrinkage });
        fs::write(folder.join("figures.json"), figures.to_string()).unwrap();
        let said = run(&python, &[script.to_str().unwrap(), folder.to_str().unwrap()]).unwrap();
        let said = String::from_utf8_lossy(&said.stdout);
        println!("{name}, seed {seed}: {}", said.trim());
        assert!(said.contains("all agree"), "{said}");
    }
}

fn text(rows: &Rows) -> String {
    rows.iter().zip(rows.labels()).fold(String::new(), |mut text, (row, label)| {
        let fields: Vec<String> = row.iter().map(f64::to_string).collect();
        let _ = writeln!(text, "{label},{}", fields.join(","));
        text
    })
}
