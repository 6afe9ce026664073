//! Reports in all their forms, of answers of a real gateway.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use common::{Ended, and, tiresias};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use gateway::{Gateway, Setup, gateway_command, program};
use serde_json::Value;

/// Pooled features of the map of a small model: four.
const CARD: &str = "size = [8, 8]\nlayout = \"nchw\"\nchannels = \"rgb\"\nrange = [0.0, 1.0]\noutput = \"map\"\n\
                    pooling = \"average\"\n";

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

fn pixels(seed: usize) -> Vec<u8> {
    (0..120).map(|at| ((at * (seed + 3) * 7 + at / 10 * seed * 13) % 256) as u8).collect()
}

/// A grey scan as a NumPy array of bytes.
fn array(pixels: &[u8]) -> Vec<u8> {
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (12, 10), }\n";
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), pixels].concat()
}

/// The same as an ultrasound image, of one frame or of several.
fn dicom(frames: &[Vec<u8>], instance: &str) -> Vec<u8> {
    let mut object = InMemDicomObject::new_empty();
    let class = if frames.len() == 1 {
        uids::ULTRASOUND_IMAGE_STORAGE
    } else {
        uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE
    };
    for (tag, vr, value) in [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100"),
        (tags::SOP_CLASS_UID, VR::UI, class),
        (tags::SOP_INSTANCE_UID, VR::UI, instance),
        (tags::STUDY_DATE, VR::DA, "20261120"),
        (tags::MODALITY, VR::CS, "US"),
        (tags::PATIENT_NAME, VR::PN, "M\u{fc}ller^Jane"),
        (tags::PATIENT_ID, VR::LO, "PID-42"),
        (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3.4"),
        (tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.4.5"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        // All that eight bits hold, as of the arrays.
        (tags::WINDOW_CENTER, VR::DS, "128"),
        (tags::WINDOW_WIDTH, VR::DS, "256"),
    ] {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1_u16),
        (tags::ROWS, 12),
        (tags::COLUMNS, 10),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let count = PrimitiveValue::from(frames.len().to_string());
    object.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, count));
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::from(frames.concat())));
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let mut bytes = Vec::new();
    object.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    bytes
}

/// A gateway with a model that was calibrated on ten scans, and a folder for others.
fn start() -> (Gateway, PathBuf, PathBuf) {
    program();
    let setup = Setup::empty();
    let path = |name: &str| setup.path(name).to_str().unwrap().to_owned();
    let backbone = setup.path("tiny.onnx");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("backbone/tests/fixtures/tiny.onnx");
    fs::copy(model, &backbone).unwrap();
    fs::write(backbone.with_extension("toml"), CARD).unwrap();
    fs::create_dir(setup.path("known")).unwrap();
    for seed in 0..10 {
        fs::write(setup.path("known").join(format!("{seed}.npy")), array(&pixels(seed))).unwrap();
    }
    fs::write(setup.path("head.safetensors"), head()).unwrap();
    let (known, calibration, head, repo) =
        (path("known"), path("calibration.npy"), path("head.safetensors"), path("models"));
    tiresias(&["backbone", backbone.to_str().unwrap(), "--scan", &known, "--out", &calibration]).done();
    gateway_command(&["import", &head, "--calibration", &calibration, "--name", "m", "--repo", &repo]);
    let scans = setup.path("scans");
    fs::create_dir(&scans).unwrap();
    (setup.start(), scans, backbone)
}

fn infer(gateway: &Gateway, scans: &Path, backbone: &Path, more: &[&str]) -> Ended {
    let start = ["--json", "--backbone", backbone.to_str().unwrap(), "--scan", scans.to_str().unwrap()];
    tiresias(&and(&and(&gateway.command("infer"), &start), more))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn value(object: &InMemDicomObject, tag: Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().trim_matches([' ', '\0']).to_owned()
}

/// The numbers and image references of a tree.
fn walk(object: &InMemDicomObject, numbers: &mut BTreeMap<String, f64>, frames: &mut Vec<String>) {
    let items = |object: &InMemDicomObject, tag| {
        object.get(tag).and_then(|found| found.items()).unwrap_or_default().to_vec()
    };
    for item in items(object, tags::CONTENT_SEQUENCE) {
        let name = value(&items(&item, tags::CONCEPT_NAME_CODE_SEQUENCE)[0], tags::CODE_MEANING);
        for measured in items(&item, tags::MEASURED_VALUE_SEQUENCE) {
            numbers.insert(name.clone(), value(&measured, tags::NUMERIC_VALUE).parse().unwrap());
        }
        for image in items(&item, tags::REFERENCED_SOP_SEQUENCE) {
            let frame = image.get(tags::REFERENCED_FRAME_NUMBER);
            frames.push(frame.map_or_else(String::new, |_| value(&image, tags::REFERENCED_FRAME_NUMBER)));
        }
        walk(&item, numbers, frames);
    }
}

#[test]
fn every_form_tells_what_was_answered() {
    let (gateway, scans, backbone) = start();
    fs::write(scans.join("a.dcm"), dicom(&[pixels(2)], "1.2.3.4.5.6")).unwrap();
    fs::write(scans.join("b.dcm"), dicom(&[pixels(5), pixels(7)], "1.2.3.4.5.7")).unwrap();
    fs::write(scans.join("c.npy"), array(&pixels(4))).unwrap();
    let out = |name: &str| gateway.path(name).to_str().unwrap().to_owned();
    let (report, fhir, sr) = (out("report"), out("fhir"), out("sr"));
    let ended = infer(&gateway, &scans, &backbone, &["--report", &report, "--fhir", &fhir, "--sr", &sr]);
    ended.failed_after_output("some_reports");
    assert!(
        ended.err.contains("error[no_study]: ") && ended.err.contains("c.npy: no DICOM structured report"),
        "{ended:?}"
    );
    let found: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((found.len(), names(Path::new(&report)).len(), names(Path::new(&fhir)).len()), (4, 4, 4));
    assert_eq!(names(Path::new(&sr)).len(), 3);

    for (name, found) in names(Path::new(&fhir)).iter().zip(&found) {
        let bundle: Value = serde_json::from_slice(&fs::read(Path::new(&fhir).join(name)).unwrap()).unwrap();
        let observation = &bundle["entry"][1]["resource"];
        assert_eq!(observation["valueCodeableConcept"]["text"], found["label"], "{name}: {found}");
        let numbers = observation["component"].as_array().unwrap().iter();
        let numbers: Vec<f64> =
            numbers.map(|part| part["valueQuantity"]["value"].as_f64().unwrap()).collect();
        let scores = found["scores"].as_array().unwrap().iter().map(|score| score.as_f64().unwrap());
        let expected: Vec<f64> = std::iter::once(found["margin"].as_f64().unwrap()).chain(scores).collect();
        assert_eq!(numbers, expected, "{name}");
        let patient = &bundle["entry"][0]["resource"]["subject"]["display"];
        assert_eq!(patient.as_str(), (!name.contains("npy")).then_some("M\u{fc}ller Jane"), "{name}");
    }
    let mut series = Vec::new();
    for ((name, found), expected) in names(Path::new(&sr)).iter().zip(&found).zip(["", "1", "2"]) {
        let object = dicom_object::open_file(Path::new(&sr).join(name)).unwrap();
        for (tag, expected) in [
            (tags::STUDY_INSTANCE_UID, "1.2.3.4"),
            (tags::PATIENT_NAME, "M\u{fc}ller^Jane"),
            (tags::VERIFICATION_FLAG, "UNVERIFIED"),
            (tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.88.34"),
        ] {
            assert_eq!(value(&object, tag), expected, "{name}");
        }
        series.push(value(&object, tags::SERIES_INSTANCE_UID));
        let (mut numbers, mut frames) = (BTreeMap::new(), Vec::new());
        walk(&object, &mut numbers, &mut frames);
        let scores = found["scores"].as_array().unwrap().iter().map(|score| score.as_f64().unwrap());
        assert_eq!(numbers.len(), 3, "{name}");
        for (number, score) in numbers.values().zip(scores) {
            assert!((number - score).abs() <= 1e-9 * score.abs(), "{name}: {number} and {score}");
        }
        assert_eq!(frames, [expected], "{name}");
    }
    series.sort();
    series.dedup();
    assert_eq!(series.len(), 3, "each report is a series of its own");
    #[cfg(unix)]
    for folder in [&report, &fhir, &sr] {
        use std::os::unix::fs::PermissionsExt as _;
        for name in names(Path::new(folder)) {
            let mode = fs::metadata(Path::new(folder).join(&name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}

#[test]
fn a_scan_that_is_far_out_has_no_result_in_any_form_and_one_without_a_study_is_not_asked_about() {
    let (gateway, scans, backbone) = start();
    let scan = scans.join("white.dcm");
    fs::write(&scan, dicom(&[vec![255; 120]], "1.2.3.4.5.8")).unwrap();
    let out = |name: &str| gateway.path(name).to_str().unwrap().to_owned();
    let (report, fhir, sr) = (out("one.html"), out("one.json"), out("one.dcm"));
    let found = infer(&gateway, &scan, &backbone, &["--report", &report, "--fhir", &fhir, "--sr", &sr]);
    assert!(found.err.contains("warning[far_out]"), "{found:?}");
    let found = found.json();
    assert_eq!(found[0]["drift"]["far_out"], true);
    let page = fs::read_to_string(report).unwrap();
    assert!(
        page.contains("<p class=\"label\">Review</p>") && page.contains("The computation said: "),
        "{page}"
    );
    let bundle: Value = serde_json::from_slice(&fs::read(fhir).unwrap()).unwrap();
    let observation = &bundle["entry"][1]["resource"];
    assert_eq!(observation["dataAbsentReason"]["coding"][0]["code"], "temp-unknown");
    assert!(observation.get("valueCodeableConcept").is_none() && observation.get("component").is_none());
    let (mut numbers, mut frames) = (BTreeMap::new(), Vec::new());
    walk(&dicom_object::open_file(&sr).unwrap(), &mut numbers, &mut frames);
    assert!(numbers.is_empty(), "{numbers:?}");

    let plain = scans.join("plain.npy");
    fs::write(&plain, array(&pixels(1))).unwrap();
    let sr = out("plain.dcm");
    infer(&gateway, &plain, &backbone, &["--sr", &sr]).failed("no_study");
    assert!(!Path::new(&sr).exists());
}
