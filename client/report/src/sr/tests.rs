use std::io::Cursor;

use dicom_core::Tag;
use dicom_object::{FileDicomObject, OpenFileOptions};

use super::*;
use crate::samples::{all, full, hostile, study};

fn read(report: &Report) -> FileDicomObject<InMemDicomObject> {
    OpenFileOptions::new().from_reader(Cursor::new(sr(report).unwrap())).unwrap()
}

fn value(object: &InMemDicomObject, tag: Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().trim_matches([' ', '\0']).to_owned()
}

fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.element(tag).unwrap().items().unwrap()
}

/// Each item as "depth relationship TYPE name = value".
fn tree(object: &InMemDicomObject) -> Vec<String> {
    let mut lines = Vec::new();
    let children = object.get(tags::CONTENT_SEQUENCE).and_then(|children| children.items());
    for item in children.unwrap_or_default() {
        let name = value(&items(item, tags::CONCEPT_NAME_CODE_SEQUENCE)[0], tags::CODE_MEANING);
        let kind = value(item, tags::VALUE_TYPE);
        let value = match kind.as_str() {
            "TEXT" => value(item, tags::TEXT_VALUE),
            "UIDREF" => value(item, tags::UID),
            "CODE" => value(&items(item, tags::CONCEPT_CODE_SEQUENCE)[0], tags::CODE_MEANING),
            "NUM" => value(&items(item, tags::MEASURED_VALUE_SEQUENCE)[0], tags::NUMERIC_VALUE),
            "IMAGE" => {
                value(&items(item, tags::REFERENCED_SOP_SEQUENCE)[0], tags::REFERENCED_SOP_INSTANCE_UID)
            }
            _ => String::new(),
        };
        lines.push(format!("{} {kind} {name} = {value}", self::value(item, tags::RELATIONSHIP_TYPE)));
        lines.extend(tree(item).into_iter().map(|line| format!("  {line}")));
    }
    lines
}

#[test]
fn the_tree_is_that_of_a_measurement_report() {
    let report = full();
    let found = tree(&read(&report));
    let (card, backbone) = (&report.model.config_id, report.model.backbone.as_ref().unwrap());
    let expected = [
        "HAS CONCEPT MOD CODE Language of Content Item and Descendants = English".to_owned(),
        "HAS OBS CONTEXT CODE Observer Type = Device".into(),
        format!("HAS OBS CONTEXT UIDREF Device Observer UID = {}", device_id(&report).uid()),
        "HAS OBS CONTEXT TEXT Device Observer Name = mri".into(),
        "HAS OBS CONTEXT TEXT Device Observer Manufacturer = Tiresias".into(),
        "HAS OBS CONTEXT TEXT Device Observer Model Name = mri".into(),
        format!("HAS OBS CONTEXT TEXT Device Observer Serial Number = {card}"),
        "HAS CONCEPT MOD CODE Procedure reported = MRI unspecified body region".into(),
        "CONTAINS CONTAINER Imaging Measurements = ".into(),
        "  CONTAINS CONTAINER Measurement Group = ".into(),
        "    HAS OBS CONTEXT TEXT Tracking Identifier = Computed finding of mri".into(),
        format!(
            "    HAS OBS CONTEXT UIDREF Tracking Unique Identifier = {}",
            report.id.part("finding").uid()
        ),
        "    CONTAINS CODE Finding = glioma".into(),
        "    HAS CONCEPT MOD TEXT Algorithm Name = mri".into(),
        "    HAS CONCEPT MOD TEXT Algorithm Version = 3".into(),
        format!("    HAS CONCEPT MOD TEXT Algorithm Parameters = circuit card {card}"),
        format!("    HAS CONCEPT MOD TEXT Algorithm Parameters = backbone {backbone}"),
        "    CONTAINS NUM Score of glioma = 1.25".into(),
        "    CONTAINS NUM Score of meningioma = -0.5".into(),
        "    CONTAINS NUM Score of no tumour = -0.0000003".into(),
        "    CONTAINS IMAGE Source of Measurement = 1.2.276.0.7230010.3.1.4.1".into(),
        "CONTAINS CONTAINER Qualitative Evaluations = ".into(),
        "  CONTAINS TEXT Comment = Computed finding: glioma, margin 1.750.".into(),
    ];
    assert_eq!(found[..expected.len()], expected);
    let comments = found[expected.len()..].join("\n");
    assert!(
        comments.contains("Receipt UNWITNESSED") && comments.contains("decision by a clinician"),
        "{comments}"
    );
}

#[test]
fn it_is_unverified_and_lies_in_the_study_of_the_image() {
    let (report, study) = (full(), study());
    let object = read(&report);
    for (tag, expected) in [
        (tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.88.34"),
        (tags::MODALITY, "SR"),
        (tags::VERIFICATION_FLAG, "UNVERIFIED"),
        (tags::PRELIMINARY_FLAG, "PRELIMINARY"),
        (tags::SERIES_DESCRIPTION, "CAUTION: Not for Diagnostic Use, for research use only."),
        (tags::STUDY_INSTANCE_UID, &study.study_instance_uid),
        (tags::PATIENT_ID, "PID-42"),
        (tags::PATIENT_NAME, &study.patient_name),
        (tags::PATIENT_BIRTH_DATE, "19610504"),
        (tags::ACCESSION_NUMBER, "ACC-7"),
        (tags::STUDY_DATE, "20261123"),
        // The clock of the image, an hour ahead of UTC.
        (tags::TIMEZONE_OFFSET_FROM_UTC, "+0100"),
        (tags::CONTENT_DATE, "20261125"),
        (tags::CONTENT_TIME, "005959"),
    ] {
        assert_eq!(value(&object, tag), expected, "{tag}");
    }
    assert_ne!(value(&object, tags::SERIES_INSTANCE_UID), study.series_instance_uid);
    assert_eq!(value(&object, tags::SOP_INSTANCE_UID), report.id.uid());
    let equipment = &items(&object, tags::CONTRIBUTING_EQUIPMENT_SEQUENCE)[0];
    assert_eq!(value(equipment, tags::CONTRIBUTION_DATE_TIME), "20261125005959+0100");
    let evidence = &items(&object, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE)[0];
    let series = &items(evidence, tags::REFERENCED_SERIES_SEQUENCE)[0];
    let image = &items(series, tags::REFERENCED_SOP_SEQUENCE)[0];
    assert_eq!(value(image, tags::REFERENCED_SOP_INSTANCE_UID), study.sop_instance_uid);
}

#[test]
fn what_is_left_to_a_human_is_undetermined_and_has_no_score() {
    for (name, report) in all() {
        let found = tree(&read(&report));
        let has = |part: &str| found.iter().any(|line| line.trim_start().starts_with(part));
        assert_eq!(has("CONTAINS NUM"), matches!(name, "scores" | "below" | "hostile"), "{name}");
        let review = has("CONTAINS TEXT Comment = Review: a human decides: ");
        assert_eq!(review, report.review.is_some(), "{name}");
        if report.is_withheld() {
            for label in ["glioma", "edema", "mass", "a nodule of the lung"] {
                let line = found.iter().find(|line| line.contains(&format!("CODE {label} =")));
                assert!(line.is_none_or(|line| line.ends_with("= Undetermined")), "{name}: {line:?}");
            }
            assert!(!has("CONTAINS CODE Finding = glioma"), "{name}");
        }
    }
    let of = |wanted: &str| {
        let report = all().into_iter().find(|(name, _)| *name == wanted).unwrap().1;
        tree(&read(&report)).into_iter().filter(|line| line.contains("CONTAINS CODE")).collect::<Vec<_>>()
    };
    let code = |line: &str| format!("    CONTAINS CODE {line}");
    let expected = ["edema = Present", "mass = Undetermined", "a nodule of the lung = Absent"].map(code);
    assert_eq!(of("findings"), expected);
    assert_eq!(of("undecided"), [code("Finding = Undetermined")]);
    assert_eq!(of("below"), [code("malignant = Absent")]);
}

#[test]
fn frames_are_named_and_images_without_uids_refused() {
    let findings = all().into_iter().find(|(name, _)| *name == "findings").unwrap().1;
    let object = read(&findings);
    let containers = items(&object, tags::CONTENT_SEQUENCE);
    let measurements = containers.iter().find(|item| item.get(tags::CONTENT_SEQUENCE).is_some()).unwrap();
    let group = &items(measurements, tags::CONTENT_SEQUENCE)[0];
    let image = items(group, tags::CONTENT_SEQUENCE).last().unwrap();
    let reference = &items(image, tags::REFERENCED_SOP_SEQUENCE)[0];
    assert_eq!(value(reference, tags::REFERENCED_FRAME_NUMBER), "4");

    assert!(matches!(sr(&Report { study: None, ..full() }), Err(Error::NoStudy)));
    for odd in ["", "1.2.\u{20ac}", "1..2", "1.02", "12", "1.2\\1.3", &"1.2".repeat(30)] {
        let study = Study { sop_instance_uid: odd.into(), ..study() };
        assert!(!is_referable(&study), "{odd}");
        assert!(matches!(sr(&Report { study: Some(study), ..full() }), Err(Error::NoStudy)), "{odd}");
    }
}

#[test]
fn odd_attributes_fit_their_representations() {
    let object = read(&hostile());
    for (tag, limit) in [(tags::PATIENT_ID, 64), (tags::ACCESSION_NUMBER, 16), (tags::STUDY_DESCRIPTION, 64)]
    {
        let text = value(&object, tag);
        assert!((1..=limit).contains(&text.chars().count()) && !text.contains(['\\', '\u{1b}']), "{text}");
    }
    for tag in [tags::PATIENT_SEX, tags::STUDY_DATE, tags::STUDY_TIME, tags::PATIENT_BIRTH_DATE] {
        assert_eq!(value(&object, tag), "");
    }
    assert!(object.get(tags::TIMEZONE_OFFSET_FROM_UTC).is_none());
    let scores = tree(&object).into_iter().filter(|line| line.contains(" NUM ")).collect::<Vec<_>>();
    assert_eq!(scores.len(), 2, "a score that is no number is left out: {scores:?}");
    // The name of a score may be empty, and the label longer than a code value.
    assert!(scores[1].ends_with("Score of = 1e-300"), "{}", scores[1]);
}
