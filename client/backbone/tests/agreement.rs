//! What onnxruntime and Pillow make of the same picture, and files that are no backbones.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{fs, path::PathBuf};

use serde_json::Value;
use tiresias_backbone::{Backbone, Error};
use tiresias_scan::Picture;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn model() -> Vec<u8> {
    fs::read(fixture("tiny.onnx")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn expected() -> Value {
    serde_json::from_slice(&fs::read(fixture("expected.json")).unwrap()).unwrap()
}

fn picture(expected: &Value, kind: &str) -> Picture {
    let size = |name: &str| expected[name].as_u64().unwrap() as usize;
    let (channels, scale) = if kind == "rgb" { (3, 255.0) } else { (1, 1.0) };
    let samples = numbers(&expected[kind]).iter().map(|sample| (sample / scale) as f32).collect();
    Picture::new(size("height"), size("width"), channels, samples).unwrap()
}

fn assert_close(what: &str, got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1.0_f64, |largest, value| largest.max(value.abs()));
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-5 * largest, "{what}: {got} and {expected}");
    }
}

#[test]
fn outputs_inner_tensors_and_maps_are_those_of_onnxruntime() {
    let expected = expected();
    for case in expected["cases"].as_array().unwrap() {
        let (name, card) = (case["name"].as_str().unwrap(), case["card"].as_str().unwrap());
        let picture = picture(&expected, case["picture"].as_str().unwrap());
        let scores = Backbone::new(model(), card.as_bytes()).unwrap();
        assert_close(name, &scores.features(&picture).unwrap(), &numbers(&case["scores"]));
        assert!(matches!(scores.map(&picture), Err(Error::NoMap)));

        let inner = format!("{card}output = \"flat\"\n");
        let inner = Backbone::new(model(), inner.as_bytes()).unwrap();
        assert_close(name, &inner.features(&picture).unwrap(), &numbers(&case["flat"]));

        let pooled = format!("{card}output = \"map\"\npooling = \"average\"\n");
        let pooled = Backbone::new(model(), pooled.as_bytes()).unwrap();
        let map = pooled.map(&picture).unwrap();
        assert_eq!((map.height(), map.width(), map.features()), (4, 4, 4));
        let values: Vec<f64> = map.locations().flatten().copied().collect();
        assert_close(name, &values, &numbers(&case["map"]));
        assert_close(name, &pooled.features(&picture).unwrap(), &numbers(&case["flat"]));
    }
}

#[test]
fn a_digest_covers_model_and_card() {
    let expected = expected();
    let card = expected["cases"][0]["card"].as_str().unwrap();
    let digest = |model: Vec<u8>, card: &str| *Backbone::new(model, card.as_bytes()).unwrap().digest();
    let first = digest(model(), card);
    assert_eq!(first, digest(model(), card));
    assert_ne!(first, digest(model(), &format!("{card}# another\n")));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tiny.onnx");
    fs::write(&path, model()).unwrap();
    let error = Backbone::open(&path).unwrap_err();
    assert!(matches!(error, Error::NoCard { .. }), "{error}");
    fs::write(directory.path().join("tiny.toml"), card).unwrap();
    assert_eq!(Backbone::open(&path).unwrap().digest(), &first);
    assert!(matches!(Backbone::open(&directory.path().join("none.onnx")), Err(Error::Io { .. })));
}

#[test]
fn cards_that_break_a_rule_are_refused_with_its_name() {
    let good = "size = [8, 8]\nlayout = \"nchw\"\nchannels = \"rgb\"\nrange = [0.0, 1.0]\n";
    assert!(Backbone::new(model(), good.as_bytes()).is_ok());
    for (from, to, part) in [
        ("[8, 8]", "[0, 8]", "size"),
        ("[8, 8]", "[8, 9999999999]", "size"),
        ("[8, 8]", "[8]", "wrong kind"),
        ("\"nchw\"", "\"chwn\"", "wrong kind"),
        ("range", "ranges", "unknown"),
        ("[0.0, 1.0]", "[1.0, 1.0]", "range"),
        ("[0.0, 1.0]", "[nan, 1.0]", "range"),
        ("[0.0, 1.0]", "[0.0, 1.0]\nmean = [0.5]", "mean"),
        ("[0.0, 1.0]", "[0.0, 1.0]\nstd = [1.0, 0.0, 1.0]", "std"),
        ("[0.0, 1.0]", "[0.0, 1.0]\ncrop = 0.5", "crop"),
        ("[0.0, 1.0]", "[0.0, 1.0]\nwindow = [40.0, 0.0]", "window"),
        ("[0.0, 1.0]", "[0.0, 1.0]\nmap_layout = \"nhwc\"", "map_layout"),
    ] {
        let card = good.replace(from, to);
        let error = Backbone::new(model(), card.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(part), "{card}: {error}");
    }
    let error = Backbone::new(model(), format!("{good}output = \"none\"\n").as_bytes()).unwrap_err();
    assert!(matches!(error, Error::Output));
    assert!(matches!(Backbone::new(model(), &[0xff]), Err(Error::Card(_))));
}

#[test]
fn damaged_models_and_other_shapes_are_refused() {
    let card = "size = [8, 8]\nlayout = \"nchw\"\nchannels = \"rgb\"\nrange = [0.0, 1.0]\n";
    let picture = picture(&expected(), "rgb");
    let good = model();
    for length in (0..good.len()).step_by(23) {
        // A cut model is refused, or is a shorter one that still runs; it never ends the program.
        let _ = Backbone::new(good[..length].to_vec(), card.as_bytes()).map(|model| model.features(&picture));
    }
    for at in (0..good.len()).step_by(5) {
        let mut damaged = good.clone();
        damaged[at] ^= 0x5a;
        let _ = Backbone::new(damaged, card.as_bytes()).map(|model| model.features(&picture));
    }
    let grey = card.replace("rgb", "grey");
    let error = Backbone::new(good.clone(), grey.as_bytes()).unwrap().features(&picture).unwrap_err();
    assert!(matches!(error, Error::Run), "{error}");
    // A map without pooling is no vector.
    let unpooled = format!("{card}output = \"map\"\n");
    let error = Backbone::new(good, unpooled.as_bytes()).unwrap().features(&picture).unwrap_err();
    assert!(matches!(error, Error::Shape(_)), "{error}");
}
