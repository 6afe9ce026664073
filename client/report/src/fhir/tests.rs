use super::*;
use crate::samples::{all, full, hostile};

fn bundle(report: &Report) -> Value {
    serde_json::from_str(&fhir(report)).unwrap()
}

fn resources(bundle: &Value, kind: &str) -> Vec<Value> {
    let entries = bundle["entry"].as_array().unwrap().iter().map(|entry| entry["resource"].clone());
    entries.filter(|resource| resource["resourceType"] == kind).collect()
}

/// Every text in it.
fn texts(value: &Value, seen: &mut Vec<String>) {
    match value {
        Value::String(text) => seen.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| texts(value, seen)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, seen)),
        _ => {}
    }
}

fn sample(name: &str) -> Report {
    all().into_iter().find(|(found, _)| *found == name).unwrap().1
}

#[test]
fn scores_and_labels_are_values_and_everything_is_preliminary() {
    let bundle = bundle(&full());
    let [report] = resources(&bundle, "DiagnosticReport").try_into().unwrap();
    let [observation] = resources(&bundle, "Observation").try_into().unwrap();
    assert_eq!((&report["status"], &observation["status"]), (&"preliminary".into(), &"preliminary".into()));
    assert_eq!(observation["valueCodeableConcept"]["text"], "glioma");
    let numbers = observation["component"].as_array().unwrap().iter();
    let numbers: Vec<_> =
        numbers.map(|part| (&part["code"]["text"], &part["valueQuantity"]["value"])).collect();
    let expected = [
        json!("Margin"),
        json!("Score of glioma"),
        json!("Score of meningioma"),
        json!("Score of no tumour"),
    ];
    let values = [json!(1.75), json!(1.25), json!(-0.5), json!(-3.0e-7)];
    assert_eq!(numbers, expected.iter().zip(&values).collect::<Vec<_>>());
    assert!(observation.get("dataAbsentReason").is_none() && observation.get("interpretation").is_none());

    assert_eq!(report["subject"]["identifier"]["value"], "PID-42");
    assert_eq!(report["subject"]["identifier"]["assigner"]["display"], "St. Hedwig");
    assert!(report["subject"]["display"].as_str().unwrap().starts_with("M\u{fc}ller J\u{f8}rgen"));
    let uid = "urn:oid:1.2.276.0.7230010.3.1.2.1";
    assert_eq!(report["imagingStudy"][0]["identifier"], json!({"system": "urn:dicom:uid", "value": uid}));
    assert_eq!(observation["derivedFrom"][1]["identifier"]["value"], "urn:oid:1.2.276.0.7230010.3.1.4.1");
    assert_eq!(report["basedOn"][0]["identifier"]["value"], "ACC-7");
    assert_eq!(report["effectiveDateTime"], "2026-11-23");
    assert_eq!(report["issued"], "2026-11-24T23:59:59+00:00");
    let conclusion = report["conclusion"].as_str().unwrap();
    assert!(conclusion.starts_with("Computed finding: glioma, margin 1.750. "));
    assert!(conclusion.contains("decision by a clinician"));
    let notes = observation["note"].to_string();
    assert!(notes.contains("Receipt UNWITNESSED: no witness has signed the log"), "{notes}");
    assert!(notes.contains("Is this a usual scan for the model? Yes"), "{notes}");
}

#[test]
fn references_lead_to_entries_and_entries_are_made_once() {
    for (name, report) in all() {
        let bundle = bundle(&report);
        let entries = bundle["entry"].as_array().unwrap();
        let urls: Vec<&str> = entries.iter().map(|entry| entry["fullUrl"].as_str().unwrap()).collect();
        let mut unique = urls.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), urls.len(), "{name}");
        for entry in entries {
            assert_eq!(entry["request"]["method"], "POST");
            assert!(entry["request"]["ifNoneExist"].as_str().unwrap().starts_with("identifier="), "{name}");
        }
        let [report] = resources(&bundle, "DiagnosticReport").try_into().unwrap();
        let observations = resources(&bundle, "Observation");
        let whole = report["result"][0]["reference"].as_str().unwrap();
        assert!(urls.contains(&whole), "{name}");
        for member in observations.iter().filter_map(|found| found["hasMember"].as_array()).flatten() {
            assert!(urls.contains(&member["reference"].as_str().unwrap()), "{name}");
        }
        for observation in &observations {
            assert!(urls.contains(&observation["device"]["reference"].as_str().unwrap()), "{name}");
        }
    }
    let device =
        |report: &Report| bundle(report)["entry"].as_array().unwrap().last().unwrap()["fullUrl"].clone();
    let (one, mut other) = (full(), full());
    other.id = Id::named("another sample");
    assert_eq!(device(&one), device(&other), "one model is one device");
    other.model.config_id = "6f".repeat(32);
    assert_ne!(device(&one), device(&other));
}

#[test]
fn what_is_left_to_a_human_has_no_value_that_a_program_could_take_for_a_result() {
    for name in ["scores_far_out", "undecided", "findings_far_out"] {
        let bundle = bundle(&sample(name));
        for observation in resources(&bundle, "Observation") {
            let fields = observation.as_object().unwrap();
            assert!(!fields.keys().any(|field| field.starts_with("value") || field == "component"), "{name}");
            let reason = &observation["dataAbsentReason"];
            assert_eq!(reason["coding"][0]["code"], "temp-unknown", "{name}");
            assert!(reason["text"].as_str().unwrap().starts_with("Review: a human decides: the "), "{name}");
            assert_eq!(observation["interpretation"][0]["coding"][0]["code"], "IND", "{name}");
            assert!(observation["note"][0]["text"].as_str().unwrap().starts_with("Review: "), "{name}");
        }
        let [report] = resources(&bundle, "DiagnosticReport").try_into().unwrap();
        let conclusion = report["conclusion"].as_str().unwrap();
        assert!(conclusion.starts_with("Review: ") && conclusion.contains("There is no result."), "{name}");
        assert!(report["text"]["div"].as_str().unwrap().contains("<p>Review: "), "{name}");
    }
}

#[test]
fn findings_side_by_side_are_present_absent_or_open_each() {
    let bundle = bundle(&sample("findings"));
    let [whole, edema, mass, nodule] = resources(&bundle, "Observation").try_into().unwrap();
    assert_eq!(whole["hasMember"].as_array().unwrap().len(), 3);
    assert!(whole.get("dataAbsentReason").is_none());
    let code = |observation: &Value, field: &str| observation[field]["coding"][0]["code"].clone();
    let interpretation = |observation: &Value| observation["interpretation"][0]["coding"][0]["code"].clone();
    assert_eq!(
        (code(&edema, "valueCodeableConcept"), interpretation(&edema)),
        ("LA9633-4".into(), "POS".into())
    );
    assert_eq!(
        (code(&nodule, "valueCodeableConcept"), interpretation(&nodule)),
        ("LA9634-2".into(), "NEG".into())
    );
    assert_eq!(
        (code(&mass, "dataAbsentReason"), interpretation(&mass)),
        ("temp-unknown".into(), "IND".into())
    );
    assert!(mass.get("valueCodeableConcept").is_none());
    assert_eq!(edema["derivedFrom"][1]["display"], "The image, frame 4 from 1");
}

#[test]
fn odd_texts_stay_texts_and_unknown_ones_are_left_out() {
    let bundle = bundle(&hostile());
    let mut seen = Vec::new();
    texts(&bundle, &mut seen);
    assert!(seen.iter().all(|text| !text.is_empty() && text.trim() == text));
    assert!(seen.iter().all(|text| !text.contains(|letter: char| is_unseen(letter) && letter != '\n')));
    let [report] = resources(&bundle, "DiagnosticReport").try_into().unwrap();
    let narrative = report["text"]["div"].as_str().unwrap();
    assert!(!narrative.contains("<b>") && narrative.contains("&lt;b&gt;&amp;"));
    assert!(report.get("effectiveDateTime").is_none(), "a date that is none");
    let [observation] = resources(&bundle, "Observation").try_into().unwrap();
    assert_eq!(
        observation["component"].as_array().unwrap().len(),
        3,
        "a score that is no number is left out"
    );

    let bare = Report { outcome: Outcome::Class(Some("benign".into())), ..Report::default() };
    let text = fhir(&bare);
    for absent in ["subject", "imagingStudy", "derivedFrom", "basedOn", "effective", "null", "[]"] {
        assert!(!text.contains(absent), "{absent}");
    }
}
