//! The fixtures, by their recorded scores and error codes, and hostile bytes.

use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::Value;
use tiresias_circuits::mlp::HiddenLayer;

use super::*;

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read(path).unwrap()
}

fn numbers(row: &Value) -> Vec<f64> {
    row.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn good_files_give_the_recorded_scores_and_labels() {
    let expected: Value = serde_json::from_slice(&fixture("expected.json")).unwrap();
    let csv = String::from_utf8(fixture("features.csv")).unwrap();
    let rows: Vec<Vec<f64>> = csv
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(|field| field.parse().unwrap()).collect())
        .collect();
    for (name, file) in expected.as_object().unwrap() {
        let head = read_head(name, &fixture(name)).unwrap().head;
        let labels: Vec<String> = match file["classes"].as_array() {
            Some(classes) => {
                classes.iter().map(|class| class.as_str().map_or(class.to_string(), str::to_owned)).collect()
            }
            None => (0..head.labels().len()).map(|class| format!("class {class}")).collect(),
        };
        assert_eq!(head.labels(), labels, "{name}");
        assert_eq!(head.features(), 8, "{name}");
        let tolerance = if name == "gemm_raw_f64.onnx" { 1e-12 } else { 1e-5 };
        let scores = file["scores"].as_array().unwrap();
        assert_eq!(scores.len(), rows.len());
        for (row, scores) in rows.iter().zip(scores) {
            let (got, scores) = (head.scores(row), numbers(scores));
            assert_eq!(got.len(), scores.len(), "{name}");
            for (got, score) in got.iter().zip(scores) {
                assert!((got - score).abs() <= tolerance * score.abs(), "{name}: {got} is not {score}");
            }
        }
    }
}

#[test]
fn steps_behind_the_head_are_named() {
    let ignored = |name| read_head(name, &fixture(name)).unwrap().ignored;
    assert!(ignored("gemm.onnx").is_empty());
    assert!(ignored("matmul_add.onnx").is_empty());
    assert_eq!(ignored("gemm_softmax.onnx"), ["Softmax"]);
    assert!(ignored("mlp_torch.onnx").is_empty());
    assert_eq!(ignored("mlp_keras.onnx"), ["Softmax"]);
    assert_eq!(ignored("mlp/torch_three.onnx"), ["Softmax"]);
    assert_eq!(ignored("mlp/keras_norm_before.onnx"), ["Sigmoid"]);
    let binary = ["Sigmoid", "Sub", "Concat", "ArgMax", "ArrayFeatureExtractor", "Reshape"];
    assert_eq!(ignored("mlp_sklearn_binary.onnx"), binary);
    assert_eq!(ignored("sklearn_binary.onnx"), ["post_transform LOGISTIC"]);
    assert_eq!(ignored("sklearn_multi.onnx"), ["post_transform SOFTMAX", "Normalizer"]);
}

/// Compares scores with recorded ones, which come from 32-bit floats.
fn assert_recorded(name: &str, head: &ImportedHead, rows: &[Vec<f64>], file: &Value) {
    let scores = file["scores"].as_array().unwrap();
    assert_eq!(scores.len(), rows.len());
    for (row, scores) in rows.iter().zip(scores) {
        let (got, scores) = (head.scores(row), numbers(scores));
        assert_eq!(got.len(), scores.len(), "{name}");
        for (got, score) in got.iter().zip(scores) {
            assert!((got - score).abs() <= 1e-5 * (1.0 + score.abs()), "{name}: {got} is not {score}");
        }
    }
    match file["classes"].as_array() {
        Some(classes) => {
            assert!(head.labels().iter().eq(classes.iter().map(|class| class.as_str().unwrap())))
        }
        None => assert_eq!(head.labels()[0], "class 0"),
    }
}

#[test]
fn heads_with_hidden_layers_give_the_scores_of_their_runtimes() {
    for (name, neurons) in [
        ("keras_norm_before", &[5, 4][..]),
        ("keras_norm_behind", &[5]),
        ("sklearn_double", &[6, 4]),
        ("sklearn_zipmap", &[5]),
        ("torch_three", &[6, 4, 4]),
    ] {
        let head = read_head("head.onnx", &fixture(&format!("mlp/{name}.onnx"))).unwrap().head;
        let ImportedHead::Mlp(mlp) = &head else { panic!("{name}: hidden layers") };
        assert!(mlp.hidden().iter().map(HiddenLayer::neurons).eq(neurons.iter().copied()), "{name}");
        let file: Value = serde_json::from_slice(&fixture(&format!("mlp/{name}.json"))).unwrap();
        let rows: Vec<_> = file["rows"].as_array().unwrap().iter().map(numbers).collect();
        assert_recorded(name, &head, &rows, &file);
    }
}

#[test]
fn the_demonstration_heads_give_the_scores_of_onnxruntime() {
    let demo = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../client/demo");
    let expected: Value = serde_json::from_slice(&fixture("mlp/demo.json")).unwrap();
    for (name, file) in expected.as_object().unwrap() {
        let head = read_head(name, &std::fs::read(demo.join(name)).unwrap()).unwrap().head;
        let table = std::fs::read_to_string(demo.join(name.replace("_mlp.onnx", ".csv"))).unwrap();
        let lines: Vec<_> = table.lines().skip(1).collect();
        let row = |at: f64| {
            let fields = lines[at as usize].split(',').skip(1);
            fields.map(|field| field.parse().unwrap()).collect()
        };
        let rows: Vec<Vec<f64>> = numbers(&file["rows"]).into_iter().map(row).collect();
        assert_recorded(name, &head, &rows, file);
    }
}

/// A net that Keras trained: logarithms of its probabilities differ as its scores do.
#[test]
fn a_real_export_of_keras_gives_its_probabilities() {
    let head = read_head("keras_real.onnx", &fixture("keras_real.onnx")).unwrap().head;
    let ImportedHead::Mlp(mlp) = &head else { panic!("hidden layers") };
    assert_eq!(mlp.hidden().iter().map(HiddenLayer::neurons).collect::<Vec<_>>(), [7, 6]);
    let expected: Value = serde_json::from_slice(&fixture("keras_real.json")).unwrap();
    let csv = String::from_utf8(fixture("features.csv")).unwrap();
    let rows = csv.lines().skip(1).zip(expected["log_probabilities"].as_array().unwrap());
    for (line, logarithms) in rows {
        let row: Vec<f64> = line.split(',').map(|field| field.parse().unwrap()).collect();
        let (scores, logarithms) = (head.scores(&row), numbers(logarithms));
        for class in 1..3 {
            let difference = (scores[class] - scores[0]) - (logarithms[class] - logarithms[0]);
            assert!(difference.abs() < 1e-4, "{difference}");
        }
    }
}

#[test]
fn bad_files_give_their_codes() {
    for (name, code) in [
        ("bad_conv.onnx", "operator_rule"),
        ("bad_external.onnx", "external_data"),
        ("bad_head_name.safetensors", "missing_tensor"),
        ("bad_head_shape.safetensors", "shape_mismatch"),
        ("bad_nan.onnx", "not_finite"),
        ("bad_shape.onnx", "shape_mismatch"),
        ("bad_tanh.onnx", "unsupported_activation"),
        ("bad_truncated.onnx", "not_onnx"),
        ("bad_two_inputs.onnx", "graph_inputs"),
    ] {
        assert_eq!(read_head(name, &fixture(name)).unwrap_err().code(), code, "{name}");
    }
}

#[test]
fn the_name_chooses_the_format() {
    assert!(read_head("a.b/HEAD.ONNX", &fixture("gemm.onnx")).is_ok());
    assert_eq!(read_head("onnx", b"").unwrap_err().code(), "unknown_format");
    assert_eq!(read_head("head.pkl", b"").unwrap_err().code(), "unknown_format");
    assert_eq!(read_head("head.onnx", b"").unwrap_err().code(), "not_onnx");
    assert_eq!(read_head("head.onnx", &fixture("head.safetensors")).unwrap_err().code(), "not_onnx");
    assert_eq!(read_head("head.safetensors", &fixture("gemm.onnx")).unwrap_err().code(), "not_safetensors");
}

#[test]
fn large_files_are_refused_unread() {
    let bytes = vec![0; MAX_BYTES + 1];
    assert_eq!(read_head("head.onnx", &bytes).unwrap_err().code(), "too_large");
    assert_eq!(read_head("head.safetensors", &bytes).unwrap_err().code(), "too_large");
}

/// Reading may fail but must not panic, and what it says must be short and printable.
fn read_quietly(name: &str, bytes: &[u8]) {
    if let Err(error) = read_head(name, bytes) {
        let text = error.to_string();
        assert!(text.len() < 200 && !text.contains(char::is_control), "{text}");
    }
}

#[test]
fn no_prefix_and_no_flipped_bit_panics() {
    for name in ["gemm.onnx", "sklearn_binary.onnx", "mlp_sklearn_binary.onnx", "head.safetensors"] {
        let mut bytes = fixture(name);
        for at in 0..bytes.len() {
            read_quietly(name, &bytes[..at]);
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                read_quietly(name, &bytes);
                bytes[at] ^= 1 << bit;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_bytes_never_panic(
        name in prop::sample::select(vec![
            "gemm.onnx", "gemm_float_data.onnx", "matmul_add.onnx", "sklearn_binary.onnx", "mlp_torch.onnx",
            "mlp_keras.onnx", "mlp_sklearn_multi.onnx", "head.safetensors",
        ]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        length in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = fixture(name);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(length) = length {
            bytes.truncate(length.index(bytes.len() + 1));
        }
        read_quietly(name, &bytes);
    }

    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        read_quietly("head.onnx", &bytes);
        read_quietly("head.safetensors", &bytes);
    }
}
