//! Dense heads: the class of each location of feature maps, by a real gateway, over real TLS.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{Ended, and, tiresias};
use gateway::{Gateway, Setup, gateway_command, program};
use serde_json::{Value, json};

/// Channels of a promptable segmenter's embeddings, which have 64 x 64 locations.
const CHANNELS: usize = 256;

/// Place i of a fixed sequence in \[-1, 1\].
fn value(i: usize) -> f32 {
    let word = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((word ^ (word >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f32 / (1 << 23) as f32 - 1.0
}

fn array(rows: usize, columns: usize) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}\n");
    let length = (header.len() as u16).to_le_bytes();
    let values = (0..rows * columns).flat_map(|at| value(at).to_le_bytes());
    [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes()].concat().into_iter().chain(values).collect()
}

/// A head of so many classes, over the channels.
fn head(classes: usize) -> Vec<u8> {
    let (weights, all) = (4 * classes * CHANNELS, 4 * classes * (CHANNELS + 1));
    let header = json!({
        "weight": { "dtype": "F32", "shape": [classes, CHANNELS], "data_offsets": [0, weights] },
        "bias": { "dtype": "F32", "shape": [classes], "data_offsets": [weights, all] },
    });
    let header = header.to_string();
    let values = (0..classes * (CHANNELS + 1)).flat_map(|at| value(at + (1 << 30)).to_le_bytes());
    [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat().into_iter().chain(values).collect()
}

/// A gateway with a dense head, and a file of so many locations.
fn dense(classes: usize, locations: usize, more: &[&str]) -> (Gateway, PathBuf) {
    program();
    let setup = Setup::empty();
    let (features, stored) = (setup.path("maps.npy"), setup.path("head.safetensors"));
    fs::write(&features, array(locations, CHANNELS)).unwrap();
    fs::write(&stored, head(classes)).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (stored, rows, repo) = (text(&stored), text(&features), text(&setup.path("models")));
    let arguments = ["import", &stored, "--calibration", &rows, "--name", "m", "--repo", &repo];
    gateway_command(&[&arguments, more].concat());
    (setup.start(), features)
}

fn segment(gateway: &Gateway, features: &Path, shape: &str, out: &str, more: &[&str]) -> Ended {
    let (features, out) = (features.to_str().unwrap(), gateway.path(out));
    let arguments = ["--features", features, "--shape", shape, "--out", out.to_str().unwrap()];
    tiresias(&and(&and(&gateway.command("segment"), &arguments), more))
}

/// The numbers of a mask.
fn mask(map: &Value) -> Vec<usize> {
    let bytes = fs::read(map["mask"].as_str().unwrap()).unwrap();
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[header..].as_chunks().0.iter().map(|class| usize::from(u16::from_le_bytes(*class))).collect()
}

#[test]
fn a_whole_embedding_has_the_clear_twins_class_at_each_location() {
    let (gateway, features) = dense(3, 4096, &["--cohort", "--scale", "per-tensor"]);
    let map = segment(&gateway, &features, "64x64", "out", &["--json"]).json().remove(0);
    let classes = mask(&map);
    assert_eq!(classes.len(), 4096);
    let expected = gateway.evaluate("m", &features);
    for (class, expected) in classes.iter().zip(&expected) {
        assert_eq!(map["classes"][class], expected["label"]);
    }
    for (class, name) in ["class 0", "class 1", "class 2"].iter().enumerate() {
        let share = classes.iter().filter(|found| **found == class).count() as f64 / 4096.0;
        assert!(share > 0.0 && map["shares"][name] == share, "{name}");
    }
    let picture = fs::read(map["picture"].as_str().unwrap()).unwrap();
    assert_eq!(picture[16..24], [0, 0, 0, 64, 0, 0, 0, 64]);

    // Two maps of another shape, and the words for people.
    let shown = segment(&gateway, &features, "32x64", "words", &["--block", "1000"]).done();
    assert!(
        shown.contains("class 2 (#") && shown.contains("map 1") && shown.contains("2 maps written"),
        "{shown}"
    );
    assert_eq!(fs::read_dir(gateway.path("words")).unwrap().count(), 4);
}

#[test]
fn a_lone_class_is_there_or_not() {
    let (gateway, features) = dense(1, 64, &["--cohort"]);
    let map = segment(&gateway, &features, "8x8", "out", &["--json"]).json().remove(0);
    assert_eq!(map["classes"], json!(["none", "class 0"]));
    let expected = gateway.evaluate("m", &features);
    for (class, expected) in mask(&map).into_iter().zip(&expected) {
        assert_eq!(class == 1, !expected["label"].is_null());
    }
}

#[test]
fn what_cannot_be_segmented_is_refused_before_anything_is_sent() {
    let (gateway, features) = dense(2, 64, &["--cohort"]);
    let refused = |shape: &str, out: &str, more: &[&str]| segment(&gateway, &features, shape, out, more);
    for (shape, more) in [("8x7", &[][..]), ("8x8", &["--background", "tumour"])] {
        refused(shape, "out", more).wrong_usage();
    }
    refused("0x8", "out", &[]).wrong_usage();
    refused("65x64", "out", &[]).wrong_usage();
    fs::create_dir(gateway.path("there")).unwrap();
    refused("8x8", "there", &[]).failed("output_exists");
    assert!(!gateway.path("out").exists());

    let (closed, features) = dense(2, 64, &[]);
    segment(&closed, &features, "8x8", "out", &[]).failed("no_cohorts");
}
