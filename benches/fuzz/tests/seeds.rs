//! Writes the seeds of the corpora, good ones and bad ones, anew. What fuzzers found stands beside them, under other names.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{fs, path::Path};

use clap::Parser as _;
use tiresias_circuits::{HeadShape, Plan, Privacy};
use tiresias_evidence::{
    Approval, Checkpoint, Event, Leaf, LogKey, Receipt, merkle::leaf_hash, tile, witness::Submission,
};
use tiresias_keys::{ConfigId, EncryptedFeatures, Seed};
use tiresias_server::{
    cli::{Cli, Command},
    owner,
};

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn put(target: &str, name: &str, bytes: impl AsRef<[u8]>) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(name), bytes).unwrap();
}

fn file(path: &str) -> Vec<u8> {
    fs::read(Path::new(TOP).join(path)).unwrap()
}

fn with(first: &[u8], rest: impl AsRef<[u8]>) -> Vec<u8> {
    [first, rest.as_ref()].concat()
}

fn frames() {
    for (kind, privacy) in Privacy::ALL.into_iter().enumerate() {
        let shape = HeadShape { features: 30, classes: 5, feature_bits: 8, weight_bits: 8 };
        let plan = Plan::new(shape, privacy).unwrap();
        let shape = plan.request_shape();
        let polynomial = vec![5; shape.parameters.polynomial_words()];
        let bodies = vec![polynomial.clone(); shape.ciphertexts];
        let zero = shape.carries_zero.then_some(polynomial);
        let config = ConfigId::from_bytes([0x42; 32]);
        let frame = EncryptedFeatures::new(config, Seed::from_bytes([1; 32]), bodies, zero).to_bytes(&shape);
        // The first 88 bytes are stretched and sealed by the target.
        put("request_frame", &format!("good-{kind}"), with(&[0xc0 | kind as u8], &frame[..88]));
        put("request_frame", &format!("unsealed-{kind}"), with(&[0x40 | kind as u8], &frame[..88]));
        put("request_frame", &format!("short-{kind}"), with(&[kind as u8], &frame[..120]));
        let response = plan.response_shape();
        let code = [1, 2, 1][kind];
        let header =
            [b'T', b'R', b'S', b'R', 2, code, u8::from(response.rerandomized), response.modulus_bits as u8];
        let head = [header.as_slice(), &[0x42; 32], &[0x17; 32], &[0; 16]].concat();
        put("response_frame", &format!("good-{kind}"), with(&[0xc0 | kind as u8], &head));
        put("response_frame", &format!("short-{kind}"), with(&[0x80 | kind as u8], &head));
    }
    for (name, flags) in [("good", 0xc0_u8), ("short", 0x80)] {
        let header = [b'T', b'R', b'S', b'C', 2, 1, 1, 48];
        let front =
            [header.as_slice(), &[0x42; 32], &[1; 32], &[2; 32], &1_u32.to_le_bytes(), &[9; 16]].concat();
        put("cohort_frame", name, with(&[flags], front));
        let key = [b'T', b'R', b'S', b'K', 2, 0xf0, 1, 0];
        put("evaluation_key", name, with(&[flags], [key.as_slice(), &[1; 32], &[0; 48]].concat()));
    }
    for (name, first) in [("zeros", 0_u8), ("second", 1), ("third", 2)] {
        for target in ["conforming_scores", "conforming_cohort", "conforming_label"] {
            put(target, name, with(&[first], [first.wrapping_mul(77); 40]));
            put(target, &format!("ones-{name}"), with(&[first], [0xff; 64]));
        }
    }
}

fn models() {
    let directory = tempfile::tempdir().unwrap();
    let repo = directory.path().to_str().unwrap().to_owned();
    let fixture = |name: &str| format!("{TOP}/server/tests/fixtures/{name}");
    let flags: [(&str, &str, &[&str]); 4] = [
        ("flooded", "gemm.onnx", &[]),
        ("open", "gemm.onnx", &["--privacy", "open-weights", "--cohort"]),
        ("label", "gemm.onnx", &["--policy", "label"]),
        ("mlp", "mlp_torch.onnx", &[]),
    ];
    for (name, head, more) in flags {
        let features = if name == "mlp" { None } else { Some(fixture("features.npy")) };
        let Some(calibration) = features else { continue };
        let (head, base) = (fixture(head), ["tiresias-gateway", "import"]);
        let named = [head.as_str(), "--calibration", &calibration, "--name", name, "--repo", &repo];
        let Command::Import(args) = Cli::try_parse_from([&base, &named[..], more].concat()).unwrap().command
        else {
            unreachable!("it says import")
        };
        owner::import(&args, &mut Vec::new()).unwrap();
        let stored = |file: &str| fs::read(directory.path().join(name).join("1").join(file)).unwrap();
        let (card, record) = (stored("card.json"), stored("model.bin"));
        put("card", name, &card);
        let length = (card.len() as u32).to_le_bytes();
        put("model_repository", name, [&length, card.as_slice(), &record].concat());
        put("model_repository", &format!("short-{name}"), [&length, card.as_slice(), &record[..40]].concat());
    }
    put("card", "empty-object", "{}");
    put("card", "not-json", "card");
    for name in [
        "gemm",
        "gemm_raw_f64",
        "matmul_add",
        "matmul_only",
        "sklearn_binary",
        "mlp_torch",
        "mlp_keras",
        "mlp_sklearn_multi",
        "bad_conv",
        "bad_external",
        "bad_nan",
        "bad_shape",
        "bad_truncated",
        "bad_two_inputs",
    ] {
        put("onnx", name, file(&format!("server/tests/fixtures/{name}.onnx")));
    }
    for name in ["head", "bad_head_name", "bad_head_shape"] {
        put("safetensors", name, file(&format!("server/tests/fixtures/{name}.safetensors")));
    }
    put("model_card", "good", "\0[model]\nowner = \"a\"\nintended_use = \"b\"\n");
    put("model_card", "not-toml", "\0= = =");
}

fn evidence() {
    let key = LogKey::from_seed("fuzz.example/log", &[7; 32]).unwrap();
    let leaf = Leaf {
        event: Event::ModelLoaded,
        request: None,
        response: None,
        model: Some([1; 32]),
        config: Some([2; 32]),
        key: None,
        build: [3; 32],
        randomness: None,
        approval: None,
        time: 600,
    };
    let entry = leaf.entry(&[4; 32]);
    let checkpoint = Checkpoint { origin: "fuzz.example/log".into(), size: 1, root: leaf_hash(&entry) };
    let note = key.sign(&checkpoint.text());
    let receipt =
        Receipt { leaf: leaf.clone(), salt: [4; 32], index: 0, proof: Vec::new(), checkpoint: note.clone() };
    put("receipt", "good", receipt.to_text());
    put("receipt", "leaf", leaf.to_text());
    put("receipt", "cut", &receipt.to_text()[..90]);
    put("note", "good", &note);
    put("note", "checkpoint", checkpoint.text());
    put("note", "cosigned", note.clone() + &key.cosign(&checkpoint.text(), 9));
    put("note", "key", key.verifier().to_string());
    let approval = Approval { name: "m".into(), version: 1, config: [1; 32], model: [2; 32], card: [3; 32] };
    put("note", "approval", key.sign(&approval.text()));
    put("note", "approval-text", approval.text());
    put("note", "unsigned", "text\n\n");
    put("tiles", "bundle", tile::bundle([entry.as_slice(), b"", b"x"].into_iter()).unwrap());
    put("tiles", "small", with(&[200, 0], [7; 96]));
    put("tiles", "large", with(&[201, 24], [9; 33]));
    put("tiles", "cut", [0, 9, 1]);
    put("submission", "good", Submission::new(0, Vec::new(), note.clone()).unwrap().to_text());
    put(
        "submission",
        "proof",
        Submission::new(1, vec![[1; 32], [2; 32]], note.clone())
            .map_or("old 1\n\n".to_owned(), |sent| sent.to_text()),
    );
    put("submission", "size", "7\n");
    put("submission", "cosignature", key.cosign("fuzz.example/log\n0\n", 9));
    put("log_directory", "one-leaf", with(&[0], [0_u8; 36]));
    put("log_directory", "half", with(&[0], [1_u8; 20]));
    put("log_directory", "checkpoint", with(&[1], &note));
    put(
        "log_directory",
        "newest",
        with(&[2], key.sign(&Checkpoint { origin: "x".into(), size: 0, root: [0; 32] }.text())),
    );
    put("log_directory", "keys", with(&[3], "PRIVATE+KEY+x+00000000+AA\n"));
    put("log_directory", "entries", with(&[4], [0, 32, 1]));
}

fn bodies() {
    let form = |more: &str| {
        format!(
            r#"{{"parameters":{{"config_id":"00"}},"inputs":[{{"name":"features","datatype":"BYTES","shape":[1],{more}}}],"outputs":[{{"name":"scores","parameters":{{"binary_data":true}}}}]}}"#
        )
    };
    let binary = form(r#""parameters":{"binary_data_size":7}"#);
    let length = (binary.len() as u16).to_le_bytes();
    put("infer_body", "binary", [&length, binary.as_bytes(), &[3, 0, 0, 0, 1, 2, 3]].concat());
    put(
        "infer_body",
        "lying-length",
        [&length, binary.as_bytes(), &[0xff, 0xff, 0xff, 0xff, 1, 2, 3]].concat(),
    );
    put("infer_body", "base64", with(&[0, 0], form(r#""data":["AQID"]"#)));
    put("infer_body", "cohort", with(&[0, 0], form(r#""data":["AQID"]"#).replace("features", "cohort")));
    put("infer_body", "nested", with(&[0, 0], "[".repeat(400)));
    let response = r#"{"parameters":{"evaluate_us":9},"outputs":[{"name":"scores","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":7}}]}"#;
    let length = (response.len() as u16).to_le_bytes();
    put("response_body", "good", [&length, response.as_bytes(), &[3, 0, 0, 0, 1, 2, 3]].concat());
    put("response_body", "short", [&length, response.as_bytes(), &[9, 0, 0, 0, 1]].concat());
    put("response_body", "no-json", b"\x05\x00hello");
    let example = String::from_utf8(file("server/gateway.toml")).unwrap();
    put("configuration", "example", &example);
    put("configuration", "commented", example.replace("\n# ", "\n").replace("\n#[", "\n["));
    put("configuration", "small", "repo = \"m\"\nlisten = \"127.0.0.1:1\"\n[tls]\nself_signed = \"t\"\n");
    put("configuration", "unknown", "colour = 1\n");
    put("data_directory", "empty", "");
    put("data_directory", "not-json", "damage\n");
    put("data_directory", "budget", "{\"tenant\":\"a\",\"model\":\"m\",\"vectors\":5}\n");
    put(
        "data_directory",
        "served",
        format!("{{\"name\":\"m\",\"version\":1,\"config_id\":\"{}\"}}\n", "0".repeat(64)),
    );
    let words = |words: &[u64]| {
        with(
            &(words.len() as u64).to_le_bytes(),
            words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>(),
        )
    };
    put("device_messages", "has", with(&[1], 7_u64.to_le_bytes()));
    put(
        "device_messages",
        "load",
        [vec![2], 7_u64.to_le_bytes().into(), vec![1], words(&[1, 2]), words(&[3])].concat(),
    );
    put(
        "device_messages",
        "bootstrap",
        [vec![3], 7_u64.to_le_bytes().into(), words(&[1, 2]), words(&[3]), words(&[])].concat(),
    );
    put("device_messages", "endless", with(&[3], [0xff; 24]));
    put("device_messages", "ready", with(&[1, 2, 0, 0, 0, 0, 0, 0, 0], "ok"));
}

fn clinic() {
    put("features", "good-npy", with(&[0], file("server/tests/fixtures/features.npy")));
    put("features", "good-csv", with(&[1], &file("server/tests/fixtures/features.csv")[..200]));
    put("features", "huge-shape", with(&[0], b"\x93NUMPY\x01\0\x46\0{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 9), }    \n"));
    put("features", "words", with(&[1], "a,b\n1,x\n"));
    let element = |group: u16, number: u16, vr: &[u8; 2], value: &[u8]| {
        let tag = [group.to_le_bytes(), number.to_le_bytes()].concat();
        let long = matches!(vr, b"OB" | b"OW");
        let length = if long {
            with(&[0, 0], (value.len() as u32).to_le_bytes())
        } else {
            (value.len() as u16).to_le_bytes().into()
        };
        [tag, vr.to_vec(), length, value.to_vec()].concat()
    };
    let short = |number: u16, value: u16| element(0x28, number, b"US", &value.to_le_bytes());
    let dicom = |syntax: &[u8]| {
        let meta = element(2, 0x10, b"UI", syntax);
        let length = element(2, 0, b"UL", &(meta.len() as u32).to_le_bytes());
        let image: Vec<u8> = [
            element(8, 0x60, b"CS", b"MR"),
            short(2, 1),
            element(0x28, 4, b"CS", b"MONOCHROME2 "),
            short(0x10, 4),
            short(0x11, 4),
            short(0x100, 8),
            short(0x101, 8),
            short(0x102, 7),
            short(0x103, 0),
            element(0x7fe0, 0x10, b"OB", &[9; 16]),
        ]
        .concat();
        [vec![0; 128], b"DICM".to_vec(), length, meta, image].concat()
    };
    put("scan", "native.dcm", dicom(b"1.2.840.10008.1.2.1\0"));
    put("scan", "rle.dcm", dicom(b"1.2.840.10008.1.2.5\0"));
    put("scan", "jpeg-ls.dcm", dicom(b"1.2.840.10008.1.2.4.80"));
    let png = [
        0x89, 0x50, 0x4e, 0x47, 0xd, 0xa, 0x1a, 0xa, 0, 0, 0, 0xd, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1, 0, 0,
        0, 1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 0xa, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63,
        0xf8, 0xf, 0, 1, 1, 1, 0, 0x1b, 0xb6, 0xee, 0x56, 0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42,
        0x60, 0x82,
    ];
    put("scan", "pixel.png", png);
    put("scan", "cut.png", &png[..40]);
    put("scan", "start.jpg", [0xff, 0xd8, 0xff, 0xe0, 0, 0x10, b'J', b'F', b'I', b'F', 0]);
}

/// `cargo test -p tiresias-fuzz --test seeds -- --ignored`, a second.
#[test]
#[ignore = "writes into the source tree"]
fn write_the_seeds() {
    frames();
    models();
    evidence();
    bodies();
    clinic();
}
