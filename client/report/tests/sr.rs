//! What programs that nobody here wrote make of our structured reports: highdicom (on pydicom) reads the tree by its templates;
//! dciodvfy and dcentvfy of dicom3tools check objects, and that a report and its image are of one patient and study; dsrdump
//! of DCMTK checks how items may stand to each other; PixelMed's validator checks the tree against TID 1500.
//!
//! Says SKIPPED for each program that cannot be had: `apt-get install dicom3tools dcmtk libpixelmed-java`.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::{
    programs::{program, python_with, run},
    samples, skipped,
};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use serde_json::{Value, json};
use tiresias_report::{
    Bar, Bars, Drift, Evidence, HeatMap, Id, ModelFacts, Moment, Outcome, Report, Review, Verdict, sr,
};

/// All samples as files of one folder.
fn files() -> (tempfile::TempDir, Vec<(&'static str, PathBuf)>) {
    let directory = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for (name, report) in samples::all() {
        let path = directory.path().join(format!("{name}.dcm"));
        fs::write(&path, sr(&report).unwrap()).unwrap();
        files.push((name, path));
    }
    (directory, files)
}

/// Writes an object with some of its elements replaced.
fn rewritten(from: &Path, to: &Path, elements: &[(dicom_core::Tag, VR, &str)]) {
    let mut object = dicom_object::open_file(from).unwrap();
    for (tag, vr, value) in elements {
        object.put(DataElement::new(*tag, *vr, PrimitiveValue::from(*value)));
    }
    object.write_to_file(to).unwrap();
}

/// Both outputs of a program, whatever it ends with.
fn says(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn lines<'a>(said: &'a str, start: &str) -> Vec<&'a str> {
    said.lines().filter(|line| line.starts_with(start)).collect()
}

#[test]
fn highdicom_reads_the_findings_by_their_templates() {
    let python = match python_with("highdicom", &["highdicom==0.28.2", "pydicom==3.0.2"]) {
        Ok(python) => python,
        Err(reason) => return skipped("highdicom cannot be installed here", &reason),
    };
    let (directory, files) = files();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read_sr.py");
    let read = run(&python, &[script.to_str().unwrap(), directory.path().to_str().unwrap()]).unwrap();
    let read: Value = serde_json::from_slice(&read.stdout).unwrap();
    let study = samples::study();
    for (name, _) in files {
        let read = &read[name];
        assert_eq!(read["verification"], "UNVERIFIED", "{name}");
        assert_eq!(read["study"], json!([study.study_instance_uid, study.study_instance_uid]), "{name}");
        assert_eq!(read["image"], study.sop_instance_uid, "{name}");
        assert_eq!(
            read["comments"].as_array().unwrap().last().unwrap().as_str().unwrap().len(),
            145,
            "{name}"
        );
        let (finding, scores, findings, frames) = match name {
            "scores" => {
                let scores = json!({
                    "Score of glioma": 1.25, "Score of meningioma": -0.5, "Score of no tumour": -3.0e-7,
                });
                (json!("glioma"), scores, json!({}), json!(null))
            }
            "below" => (
                json!(null),
                json!({"Score of malignant": -0.4}),
                json!({"malignant": "Absent"}),
                json!(null),
            ),
            "class" => (json!("benign"), json!({}), json!({}), json!(null)),
            "scores_far_out" | "undecided" => (json!("Undetermined"), json!({}), json!({}), json!(null)),
            "findings" => {
                let findings =
                    json!({"edema": "Present", "mass": "Undetermined", "a nodule of the lung": "Absent"});
                (json!(null), json!({}), findings, json!([4]))
            }
            "findings_far_out" => {
                let open = "Undetermined";
                let findings = json!({"edema": open, "mass": open, "a nodule of the lung": open});
                (json!(null), json!({}), findings, json!([4]))
            }
            _ => continue,
        };
        let units = if scores.as_object().unwrap().is_empty() { json!([]) } else { json!(["1"]) };
        let expected = [("finding", finding), ("scores", scores), ("findings", findings), ("frames", frames)];
        for (part, expected) in expected.into_iter().chain([("units", units)]) {
            assert_eq!(read[part], expected, "{name}: {part}");
        }
        assert_eq!(read["patient"], json!([study.patient_name, study.patient_id]), "{name}");
    }
}

#[test]
fn dciodvfy_finds_no_error() {
    let dciodvfy = match program(&["dciodvfy"], "-h") {
        Ok(program) => program,
        Err(reason) => return skipped("dicom3tools", &reason),
    };
    let (directory, files) = files();
    for (name, path) in &files {
        let said = says(&dciodvfy, &[path.to_str().unwrap()]);
        assert!(said.contains("Comprehensive3DSR"), "{name}: {said}");
        let mut errors = lines(&said, "Error");
        // It counts bytes where PS3.5 counts characters.
        if *name == "hostile" {
            errors.retain(|line| {
                !line.contains("Length invalid for this VR") && !line.contains("contains invalid data")
            });
        }
        assert_eq!(errors, Vec::<&str>::new(), "{name}");
    }
    let damaged = directory.path().join("damaged");
    rewritten(&files[0].1, &damaged, &[(tags::VERIFICATION_FLAG, VR::CS, "MAYBE")]);
    assert!(!lines(&says(&dciodvfy, &[damaged.to_str().unwrap()]), "Error").is_empty());
}

#[test]
fn dcentvfy_finds_report_and_image_in_one_study() {
    let dcentvfy = match program(&["dcentvfy"], "-h") {
        Ok(program) => program,
        Err(reason) => return skipped("dicom3tools", &reason),
    };
    let (directory, files) = files();
    let (study, image) = (samples::study(), directory.path().join("image"));
    let mut object = InMemDicomObject::new_empty();
    for (tag, vr, value) in [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        (tags::SOP_CLASS_UID, VR::UI, &study.sop_class_uid),
        (tags::SOP_INSTANCE_UID, VR::UI, &study.sop_instance_uid),
        (tags::STUDY_DATE, VR::DA, &study.study_date),
        (tags::STUDY_TIME, VR::TM, &study.study_time),
        (tags::ACCESSION_NUMBER, VR::SH, &study.accession_number),
        (tags::MODALITY, VR::CS, &study.modality),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN, &study.referring_physician),
        (tags::STUDY_DESCRIPTION, VR::LO, &study.study_description),
        (tags::PATIENT_NAME, VR::PN, &study.patient_name),
        (tags::PATIENT_ID, VR::LO, &study.patient_id),
        (tags::ISSUER_OF_PATIENT_ID, VR::LO, &study.issuer_of_patient_id),
        (tags::PATIENT_BIRTH_DATE, VR::DA, &study.patient_birth_date),
        (tags::PATIENT_SEX, VR::CS, &study.patient_sex),
        (tags::STUDY_INSTANCE_UID, VR::UI, &study.study_instance_uid),
        (tags::SERIES_INSTANCE_UID, VR::UI, &study.series_instance_uid),
        (tags::STUDY_ID, VR::SH, &study.study_id),
    ] {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    object.with_meta(meta).unwrap().write_to_file(&image).unwrap();
    let image = image.to_str().unwrap();
    for (name, path) in files.iter().filter(|(name, _)| *name != "hostile") {
        let said = says(&dcentvfy, &[image, path.to_str().unwrap()]);
        assert_eq!(lines(&said, "Error"), Vec::<&str>::new(), "{name}: {said}");
    }
    let other = directory.path().join("other");
    rewritten(&files[0].1, &other, &[(tags::PATIENT_ID, VR::LO, "another patient's")]);
    let said = says(&dcentvfy, &[image, other.to_str().unwrap()]);
    assert!(said.contains("Error") && said.contains("PatientID"), "{said}");
}

#[test]
fn dsrdump_finds_the_tree_sound() {
    let dsrdump = match program(&["dsrdump"], "--version") {
        Ok(program) => program,
        Err(reason) => return skipped("DCMTK", &reason),
    };
    let (directory, files) = files();
    for (name, path) in &files {
        let said =
            run(&dsrdump, &[path.to_str().unwrap()]).unwrap_or_else(|error| unreachable!("{name}: {error}"));
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        for part in [
            "Comprehensive 3D SR Document",
            "Verification Flag   : UNVERIFIED",
            "CAUTION: Not for Diagnostic",
        ] {
            assert!(said.contains(part), "{name}: {said}");
        }
    }
    let damaged = directory.path().join("damaged");
    rewritten(&files[0].1, &damaged, &[(tags::VALUE_TYPE, VR::CS, "TEXT")]);
    assert!(run(&dsrdump, &[damaged.to_str().unwrap()]).is_err());
}

/// Two minutes, as it compiles all of its rules for each file:
/// `cargo test -p tiresias-report --test sr -- --ignored --nocapture pixelmed`
#[test]
#[ignore = "two minutes"]
fn pixelmed_finds_the_templates_followed() {
    let jars = Path::new("/usr/share/java");
    let java = match program(&["java"], "-version") {
        Ok(java) if jars.join("pixelmed.jar").is_file() => java,
        Ok(_) => return skipped("PixelMed", "there is no pixelmed.jar of libpixelmed-java"),
        Err(reason) => return skipped("PixelMed", &reason),
    };
    // Its rules are longer than Java compiles by default.
    let limits = ["xpathExprOpLimit", "xpathExprGrpLimit", "xpathTotalOpLimit"];
    let limits = limits.map(|limit| format!("-Djdk.xml.{limit}=0"));
    let jars = format!("{0}/pixelmed.jar:{0}/*", jars.display());
    let validate = |path: &Path| {
        let mut arguments: Vec<&str> = limits.iter().map(String::as_str).collect();
        arguments.extend(["-cp", &jars, "com.pixelmed.validate.DicomSRValidator", path.to_str().unwrap()]);
        says(&java, &arguments)
    };
    let (directory, files) = files();
    for name in ["scores", "findings", "undecided"] {
        let (_, path) = files.iter().find(|(found, _)| *found == name).unwrap();
        let said = validate(path);
        for part in
            ["Found Root Template TID_1500", "Root Template Validation Complete", "IOD validation complete"]
        {
            assert!(said.contains(part), "{name}: {said}");
        }
        assert_eq!(lines(&said, "Error"), Vec::<&str>::new(), "{name}");
        // Rules of 2022 know no qualitative evaluations of a group, which TID 1501 has gained since.
        let evaluations = if name == "findings" { 3 } else { 0 };
        let warnings = lines(&said, "Warning");
        assert_eq!(warnings.len(), evaluations, "{name}: {warnings:?}");
        assert!(warnings.iter().all(|line| line.ends_with(": Content Item not in template")), "{warnings:?}");
    }
    let damaged = directory.path().join("damaged");
    let mut object = dicom_object::open_file(&files[0].1).unwrap();
    object.update_value(tags::CONTENT_SEQUENCE, |value| {
        let findings = &mut value.items_mut().unwrap()[8];
        findings.put(DataElement::new(
            tags::RELATIONSHIP_TYPE,
            VR::CS,
            PrimitiveValue::from("HAS OBS CONTEXT"),
        ));
    });
    object.write_to_file(&damaged).unwrap();
    let said = validate(&damaged);
    assert!(said.contains("expected CONTAINS - found HAS OBS CONTEXT"), "{said}");
}
