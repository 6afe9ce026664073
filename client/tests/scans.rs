//! From scans to findings, maps and reports, with a real gateway between.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../../server/tests/common/cheat.rs"]
mod cheat;
mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;
#[path = "common/records.rs"]
mod records;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{Ended, and, tiresias};
use gateway::{Gateway, Setup, gateway_command, program};
use records::Sealed;
use serde_json::Value;

/// Pooled features of the map of a small model: four, at 4 x 4 locations.
const CARD: &str = "size = [8, 8]\nlayout = \"nchw\"\nchannels = \"rgb\"\nrange = [0.0, 1.0]\noutput = \"map\"\n\
                    pooling = \"average\"\n";

/// A grey scan as a NumPy array of bytes.
fn array(seed: usize) -> Vec<u8> {
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (12, 10), }\n";
    let pixel = |at: usize| ((at * (seed + 3) * 7 + at / 10 * seed * 13) % 256) as u8;
    let length = (header.len() as u16).to_le_bytes();
    let pixels: Vec<u8> = (0..120).map(pixel).collect();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), &pixels].concat()
}

/// A linear head of three classes over four features, as a safetensors file.
fn head() -> Vec<u8> {
    let header = r#"{"weight":{"dtype":"F32","shape":[3,4],"data_offsets":[0,48]},"bias":{"dtype":"F32","shape":[3],"data_offsets":[48,60]}}"#;
    let weight = [1.0, -0.5, 0.25, 2.0, -1.0, 0.75, 1.5, -0.25, 0.5, 0.5, -2.0, 1.0_f32];
    let numbers = weight.into_iter().chain([0.1, -0.2, 0.3]);
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(numbers.flat_map(f32::to_le_bytes));
    bytes
}

/// A clinic with ten scans and a backbone.
struct Clinic {
    setup: Setup,
    scans: PathBuf,
    backbone: PathBuf,
}

impl Clinic {
    fn new() -> Self {
        program();
        let setup = Setup::empty();
        let (scans, backbone) = (setup.path("scans"), setup.path("tiny.onnx"));
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("backbone/tests/fixtures/tiny.onnx");
        fs::copy(model, &backbone).unwrap();
        fs::write(backbone.with_extension("toml"), CARD).unwrap();
        fs::create_dir(&scans).unwrap();
        for seed in 0..10 {
            fs::write(scans.join(format!("{seed}.npy")), array(seed)).unwrap();
        }
        fs::write(setup.path("head.safetensors"), head()).unwrap();
        Self { setup, scans, backbone }
    }

    fn path(&self, name: &str) -> String {
        self.setup.path(name).to_str().unwrap().to_owned()
    }

    fn backbone(&self, more: &[&str]) -> Ended {
        tiresias(&[&["backbone", self.backbone.to_str().unwrap()], more].concat())
    }

    /// Imports the head as model `m`, calibrated on the scans' locations or on the scans.
    fn import(&self, more: &[&str]) {
        let (scans, calibration) = (self.scans.to_str().unwrap(), self.path("calibration.npy"));
        let of_maps = more.contains(&"--explain-map");
        let locations = if of_maps { ["--locations"].as_slice() } else { &[] };
        self.backbone(&[&["--scan", scans, "--out", &calibration], locations].concat()).done();
        let (head, repo) = (self.path("head.safetensors"), self.path("models"));
        let arguments = ["import", &head, "--calibration", &calibration, "--name", "m", "--repo", &repo];
        gateway_command(&[&arguments, more].concat());
    }

    fn start(self) -> (Gateway, PathBuf, PathBuf) {
        let Self { setup, scans, backbone } = self;
        (setup.start(), scans, backbone)
    }
}

fn infer(gateway: &Gateway, scans: &[&Path], backbone: &Path, more: &[&str]) -> Ended {
    let mut arguments = and(&gateway.command("infer"), &["--backbone", backbone.to_str().unwrap(), "--scan"]);
    arguments.extend(scans.iter().map(|path| path.to_str().unwrap().to_owned()));
    tiresias(&and(&arguments, more))
}

#[test]
fn scans_have_receipts_and_one_that_is_invalid_asks_for_a_human() {
    let clinic = Clinic::new();
    clinic.import(&["--explain-map", "4x4"]);
    let Clinic { setup, scans, backbone } = clinic;
    let gateway = setup.with_data().start();
    let (key, cam, report) = (gateway.log_key.clone().unwrap(), gateway.path("cam"), gateway.path("report"));
    let (cam, report) = (cam.to_str().unwrap(), report.to_str().unwrap());
    // Ten maps of sixteen locations, in requests that are not cut where scans begin.
    let (sealed, about) = (Sealed::make(&gateway.path("")), gateway.path("about.csv"));
    let rows =
        (0..10).map(|seed| format!("{},site {}\n", scans.join(format!("{seed}.npy")).display(), seed % 2));
    fs::write(&about, "file,site\n".to_owned() + &rows.collect::<String>()).unwrap();
    let record = ["--record", &sealed.record, "--about", about.to_str().unwrap()];
    let more = ["--json", "--batch", "50", "--log-key", &key];
    let more = [&more, &record[..], &["--cam", cam]].concat();
    let found = infer(&gateway, &[&scans], &backbone, &more).json();
    let indices: Vec<&Value> = found.iter().map(|line| &line["receipt"]["index"]).collect();
    assert_eq!(indices, [1, 1, 1, 1, 2, 2, 2, 3, 3, 3], "a scan has the first of its requests' receipts");
    assert!(found.iter().all(|line| line["receipt"]["verdict"] == "UNWITNESSED"));
    let other =
        tiresias_evidence::LogKey::from_seed("other.example", &[1; 32]).unwrap().verifier().to_string();
    let more = [&["--log-key", &other, "--report", report], &record[..]].concat();
    let ended = infer(&gateway, &[&scans], &backbone, &more);
    ended.failed_after_output("bad_receipt");
    assert_eq!(ended.out.matches("(review: its receipt is INVALID)").count(), 10);
    let pages: Vec<PathBuf> = fs::read_dir(report).unwrap().map(|page| page.unwrap().path()).collect();
    assert_eq!(pages.len(), 10);
    for page in pages {
        assert!(fs::read_to_string(page).unwrap().contains("receipt of this answer is INVALID"));
    }
    // The record has both runs, and the second one needs a human for each scan.
    let cases = sealed.cases();
    assert_eq!(cases.len(), 20);
    for (at, case) in cases.iter().enumerate() {
        let (source, is_invalid) = (format!("{}.npy", at % 10), at >= 10);
        assert!(case["source"].as_str().unwrap().ends_with(&source) && case.get("row").is_none(), "{case}");
        assert_eq!(case["about"]["site"], format!("site {}", at % 2));
        assert_eq!(case["receipt"], if is_invalid { "INVALID" } else { "UNWITNESSED" });
        assert_eq!(case["reasons"].as_str().unwrap().contains("receipt INVALID"), is_invalid);
        assert_eq!(case.get("scores").is_none(), is_invalid, "{case}");
        let expected = if is_invalid { Value::from("review") } else { found[at]["label"].clone() };
        assert_eq!(case["prediction"], expected);
    }
    assert_eq!(cases[9]["receipt_index"], 3);
}

#[test]
fn maps_and_scores_are_those_of_the_clear_twin_location_by_location() {
    let clinic = Clinic::new();
    let digest = clinic.backbone(&[]).done().trim().to_owned();
    let about = clinic.path("about.txt");
    fs::write(&about, "For tests alone.\n\nNot for patients.").unwrap();
    clinic.import(&["--explain-map", "4x4", "--backbone", &digest, "--about", &about]);
    let calibration = PathBuf::from(clinic.path("calibration.npy"));
    let (gateway, scans, backbone) = clinic.start();
    let (cam, report) = (gateway.path("cam"), gateway.path("report"));
    let written = ["--cam", cam.to_str().unwrap(), "--report", report.to_str().unwrap()];
    let found = infer(&gateway, &[&scans], &backbone, &[&["--json"], written.as_slice()].concat());
    let found = found.json();
    // The calibration has the same locations, in the same order.
    let clear = gateway.evaluate("m", &calibration);
    assert_eq!((found.len(), clear.len()), (10, 160));
    for (scan, locations) in found.iter().zip(clear.chunks_exact(16)) {
        let map = scan["map"]["scores_q"].as_array().unwrap();
        assert!(map.iter().eq(locations.iter().map(|location| &location["scores_q"])));
        for class in 0..3 {
            let sum: i64 = map.iter().map(|location| location[class].as_i64().unwrap()).sum();
            assert_eq!(scan["scores_q"][class], sum);
            let mean: f64 = locations.iter().map(|at| at["scores"][class].as_f64().unwrap() / 16.0).sum();
            assert!((scan["scores"][class].as_f64().unwrap() - mean).abs() < 1e-9);
        }
        assert_eq!((&scan["map"]["height"], &scan["map"]["width"]), (&4.into(), &4.into()));
    }
    let names = |folder: &Path| fs::read_dir(folder).unwrap().count();
    assert_eq!((names(&cam), names(&report)), (10, 10));
    let page = fs::read_dir(&report).unwrap().next().unwrap().unwrap().path();
    let page = fs::read_to_string(page).unwrap();
    for part in ["Not for patients.", "id=\"legend\"", "id=\"decision\"", &digest, "4 x 4 locations"] {
        assert!(page.contains(part), "{part}");
    }
    // Nothing is overwritten.
    infer(&gateway, &[&scans], &backbone, &written).failed_after_output("io");

    // Another backbone is refused: its card is part of it.
    fs::write(backbone.with_extension("toml"), format!("{CARD}# changed\n")).unwrap();
    infer(&gateway, &[&scans], &backbone, &[]).failed("other_backbone");
}

#[test]
fn good_scans_are_diagnosed_and_broken_ones_named() {
    let clinic = Clinic::new();
    clinic.import(&[]);
    let calibration = PathBuf::from(clinic.path("calibration.npy"));
    let (gateway, scans, backbone) = clinic.start();
    let clear = gateway.evaluate("m", &calibration);
    let mixed = gateway.path("mixed");
    fs::create_dir(&mixed).unwrap();
    for name in ["3.npy", "7.npy"] {
        fs::copy(scans.join(name), mixed.join(name)).unwrap();
    }
    fs::write(mixed.join("cut.npy"), &array(1)[..100]).unwrap();
    fs::write(mixed.join("notes.txt"), "Jane Doe, canary 4711").unwrap();
    let found = infer(&gateway, &[&mixed], &backbone, &["--json"]);
    assert_eq!(found.code, Some(1));
    let lines: Vec<Value> = found.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    for (line, row) in lines.iter().zip([3, 7]) {
        assert_eq!(line["scores_q"], clear[row]["scores_q"]);
        assert!(line["file"].as_str().unwrap().ends_with(&format!("{row}.npy")));
        assert!(line.get("map").is_none());
    }
    for part in [
        "error[damaged_scan]: ",
        "cut.npy: damaged or cut off",
        "error[not_a_scan]: ",
        "notes.txt: not a scan",
        "error[some_scans]: 2 files could not be read as scans; 2 scans were read",
    ] {
        assert!(found.err.contains(part), "{part}: {}", found.err);
    }
    assert!(!found.err.contains("4711"));

    // Maps need the owner's consent.
    let one = scans.join("1.npy");
    infer(&gateway, &[&one], &backbone, &["--cam", "out.png"]).failed("no_maps");
    // A report of one scan is a file.
    let report = gateway.path("one.html");
    infer(&gateway, &[&one], &backbone, &["--report", report.to_str().unwrap()]).done();
    assert!(fs::read_to_string(&report).unwrap().contains("id=\"result\""));
    // Features of another number are another model's.
    fs::write(backbone.with_extension("toml"), CARD.replace("\"map\"\npooling = \"average\"", "\"scores\""))
        .unwrap();
    infer(&gateway, &[&one], &backbone, &[]).failed("other_backbone");
}

#[test]
fn a_model_that_is_cut_in_two_scores_as_the_whole() {
    let clinic = Clinic::new();
    // What onnxruntime makes of a picture, with the whole model.
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("backbone/tests/fixtures");
    let expected: Value = serde_json::from_slice(&fs::read(fixtures.join("expected.json")).unwrap()).unwrap();
    let pixels: Vec<u8> =
        expected["rgb"].as_array().unwrap().iter().map(|pixel| pixel.as_u64().unwrap() as u8).collect();
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (20, 14, 3), }\n";
    let length = (header.len() as u16).to_le_bytes();
    let bytes = [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), &pixels].concat();
    fs::write(clinic.scans.join("picture.npy"), bytes).unwrap();

    // The owner calibrates with the whole model at the tensor, cuts it there and pins the clinic's part.
    let whole = CARD.replace("\"map\"\npooling = \"average\"", "\"flat\"");
    fs::write(clinic.backbone.with_extension("toml"), whole).unwrap();
    let (scans, calibration) = (clinic.scans.to_str().unwrap().to_owned(), clinic.path("calibration.npy"));
    clinic.backbone(&["--scan", &scans, "--out", &calibration]).done();
    let (model, part, card, repo) =
        (clinic.path("tiny.onnx"), clinic.path("part.onnx"), clinic.path("card.toml"), clinic.path("models"));
    fs::write(&card, CARD.replace("output = \"map\"\npooling = \"average\"\n", "")).unwrap();
    let arguments = [
        "import",
        &model,
        "--split-at",
        "flat",
        "--backbone-out",
        &part,
        "--preprocessing",
        &card,
        "--calibration",
        &calibration,
        "--name",
        "m",
        "--repo",
        &repo,
    ];
    gateway_command(&arguments);
    let (gateway, scans, whole) = clinic.start();
    let picture = scans.join("picture.npy");
    let found = infer(&gateway, &[&picture], Path::new(&part), &["--json"]).json();
    let scores = found[0]["scores"].as_array().unwrap();
    for (score, expected) in scores.iter().zip(expected["cases"][0]["scores"].as_array().unwrap()) {
        let off = (score.as_f64().unwrap() - expected.as_f64().unwrap()).abs();
        assert!(off < 0.02, "{score} and {expected}");
    }
    infer(&gateway, &[&picture], &whole, &[]).failed("other_backbone");
}

#[test]
fn segmented_scans_have_the_clear_twins_class_at_each_location() {
    let clinic = Clinic::new();
    clinic.import(&["--explain-map", "4x4", "--cohort"]);
    let (gateway, scans, backbone) = clinic.start();
    fs::write(scans.join("notes.txt"), "no scan").unwrap();
    let out = gateway.path("segmented");
    let arguments = [
        ["--scan", scans.to_str().unwrap(), "--backbone", backbone.to_str().unwrap()],
        // Blocks end within maps.
        ["--out", out.to_str().unwrap(), "--block", "50"],
        ["--background", "class 0", "--version", "1"],
    ];
    let arguments = [arguments.as_flattened(), &["--json"]].concat();
    let ended = tiresias(&and(&gateway.command("segment"), &arguments));
    ended.failed_after_output("some_scans");
    assert!(ended.err.contains("notes.txt"), "{ended:?}");
    let maps: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(maps.len(), 10);
    let expected = gateway.evaluate("m", &gateway.path("calibration.npy"));
    for (map, expected) in maps.iter().zip(expected.chunks(16)) {
        assert_eq!((&map["height"], &map["width"]), (&4.into(), &4.into()));
        let bytes = fs::read(map["mask"].as_str().unwrap()).unwrap();
        let classes = bytes[bytes.len() - 32..].as_chunks().0.iter().map(|class| u16::from_le_bytes(*class));
        let names = map["classes"].as_array().unwrap();
        for (class, expected) in classes.zip(expected) {
            assert_eq!(names[usize::from(class)], expected["label"]);
        }
        let picture = fs::read(map["picture"].as_str().unwrap()).unwrap();
        assert_eq!(picture[16..24], [0, 0, 0, 10, 0, 0, 0, 12], "as large as the scan");
    }
    assert_eq!(fs::read_dir(&out).unwrap().count(), 20);
}

#[test]
fn canaries_lie_between_locations_of_maps_and_an_alarm_is_in_the_report() {
    let clinic = Clinic::new();
    clinic.import(&["--explain-map", "4x4"]);
    let (gateway, scans, backbone) = clinic.start();
    let path = |name: &str| gateway.path(name).to_str().unwrap().to_owned();
    let (calibration, card, answers) = (path("calibration.npy"), path("card.json"), path("answers.jsonl"));
    fs::write(&card, gateway.get("/v2/models/m/config").body).unwrap();
    let evaluated = gateway.evaluate("m", Path::new(&calibration));
    fs::write(&answers, evaluated.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")).unwrap();
    let canaries = path("canaries.jsonl");
    let arguments = ["--card", &card, "--answers", &answers, "--features", &calibration, "--out", &canaries];
    tiresias(&[&["canaries", "make"], arguments.as_slice()].concat()).done();

    let ask = |gateway: &Gateway, cam: &str, more: &[&str]| {
        infer(gateway, &[&scans], &backbone, &[&["--json", "--cam", &path(cam)], more].concat())
    };
    let plain = ask(&gateway, "cam", &[]).json();
    assert_eq!(ask(&gateway, "cam-again", &["--canaries", &canaries]).json(), plain);

    let other = Setup::empty();
    cheat::copy_repository(&gateway.path("models"), &other.path("models"));
    let stored = cheat::StoredWeights::of(&other.path("models"), "m", 12);
    stored.store(&stored.values().into_iter().rev().collect::<Vec<_>>());
    let (cheat, report) = (other.start(), path("report"));
    let caught = ask(&cheat, "cam-cheated", &["--canaries", &canaries, "--report", &report]);
    caught.failed_after_output("canary_alarm");
    assert_eq!(caught.out.matches("\"canary_alarm\":true").count(), 10);
    assert!(!gateway.path("cam-cheated").exists(), "a picture cannot say that it is worth nothing");
    for page in fs::read_dir(report).unwrap() {
        assert!(fs::read_to_string(page.unwrap().path()).unwrap().contains("do not rely on this result"));
    }
}

#[test]
fn scans_go_with_a_backbone_and_not_with_features() {
    for more in [
        ["--scan", "a.png"].as_slice(),
        &["--scan", "a.png", "--backbone", "b.onnx", "--features", "f.npy"],
        &["--features", "f.npy", "--report", "r.html"],
    ] {
        let start = ["infer", "--gateway", "https://localhost:1", "--model", "m"];
        tiresias(&[&start, more].concat()).wrong_usage();
    }
}
