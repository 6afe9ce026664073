//! The observations of a report: one of the whole finding, and where findings stand side by side one of each.

use serde_json::{Value, json};

use super::{
    Entry, Resource, coding, device_id, effective, oid, paragraphs, string, study_reference, subject,
};
use crate::{Id, Outcome, Report, report::NONE};

/// The whole finding.
pub(super) fn whole(report: &Report) -> Entry {
    let resource = common(report, &format!("Computed finding of {}", report.model.name));
    let resource = match &report.outcome {
        Outcome::Findings(findings) => {
            let members = (0..findings.len()).map(|at| json!({"reference": finding_id(report, at).urn()}));
            let open = report.is_withheld().then(|| open(report));
            answered(resource, None, open).with("hasMember", members.collect::<Value>())
        }
        _ if report.is_withheld() => answered(resource, None, Some(open(report))),
        Outcome::Class(label) => answered(resource, label.as_deref().map(named), None),
        Outcome::Scores { label, margin, scores } => {
            let scores = scores.iter().map(|(class, score)| score_of(&format!("Score of {class}"), *score));
            let numbers = std::iter::once(score_of("Margin", *margin)).chain(scores);
            let label = named(label.as_deref().unwrap_or(NONE));
            answered(resource, Some(label), None).with("component", numbers.flatten().collect::<Value>())
        }
    };
    Entry::of(whole_id(report), resource)
}

/// One of several findings.
pub(super) fn finding(report: &Report, at: usize, class: &str, found: Option<bool>) -> Entry {
    let resource = common(report, class);
    let resource = match found {
        _ if report.is_withheld() => answered(resource, None, Some(open(report))),
        None => answered(resource, None, Some(open(report))),
        Some(found) => {
            let (code, display) = if found { ("LA9633-4", "Present") } else { ("LA9634-2", "Absent") };
            let value = json!({
                "coding": [coding("http://loinc.org", code, display)],
                "text": display.to_lowercase(),
            });
            let (code, display) = if found { ("POS", "Positive") } else { ("NEG", "Negative") };
            answered(resource, Some(value), None).with("interpretation", interpretation(code, display))
        }
    };
    Entry::of(finding_id(report, at), resource)
}

pub(super) fn whole_id(report: &Report) -> Id {
    report.id.part("finding")
}

fn finding_id(report: &Report, at: usize) -> Id {
    report.id.part(&format!("finding {at}"))
}

/// What all observations have.
fn common(report: &Report, code: &str) -> Resource {
    let study = report.study.as_ref();
    let image = study.and_then(|study| oid(&study.sop_instance_uid)).map(|uid| {
        let frame = report.frame.map_or_else(String::new, |frame| format!(", frame {frame} from 1"));
        let display = format!("The image{frame}");
        json!({"type": "Media", "identifier": {"system": super::DICOM_UID, "value": uid}, "display": display})
    });
    let sources: Vec<Value> = study_reference(study).into_iter().chain(image).collect();
    let category = coding("http://terminology.hl7.org/CodeSystem/observation-category", "imaging", "Imaging");
    let issued = report.computed_at.instant();
    let notes = report.notes().into_iter().map(|note| json!({"time": issued, "text": paragraphs(&note)}));
    Resource::new("Observation")
        .with("status", Value::from("preliminary"))
        .with("category", json!([{"coding": [category]}]))
        .with("code", json!({"text": string(code)}))
        .with("subject", subject(study))
        .with("effectiveDateTime", effective(study))
        .with("issued", Value::from(issued.clone()))
        .with("note", notes.collect::<Value>())
        .with(
            "method",
            json!({"text": "Classification of an image by a model that is evaluated under encryption"}),
        )
        .with("device", json!({"reference": device_id(report).urn()}))
        .with("derivedFrom", (!sources.is_empty()).then(|| sources.into()))
}

/// A value, or why there is none. Never both.
fn answered(resource: Resource, value: Option<Value>, open: Option<Value>) -> Resource {
    match (value, open) {
        (_, Some(open)) => resource
            .with("dataAbsentReason", open)
            .with("interpretation", interpretation("IND", "Indeterminate")),
        (value, None) => resource.with("valueCodeableConcept", value),
    }
}

/// Why there is no value: a human decides, so one may come.
fn open(report: &Report) -> Value {
    let reason = report.review.as_ref().map_or_else(String::new, |review| format!(": {}", review.reason()));
    let system = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
    json!({
        "coding": [coding(system, "temp-unknown", "Temporarily Unknown")],
        "text": string(&format!("Review: a human decides{reason}")),
    })
}

fn interpretation(code: &str, display: &str) -> Value {
    let system = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";
    json!([{"coding": [coding(system, code, display)]}])
}

fn named(label: &str) -> Value {
    json!({"text": string(label)})
}

/// A number without a unit, if it is one.
fn score_of(name: &str, score: f64) -> Option<Value> {
    let quantity = json!({
        "value": serde_json::Number::from_f64(score)?,
        "unit": "score",
        "system": "http://unitsofmeasure.org",
        "code": "{score}",
    });
    Some(json!({"code": {"text": string(name)}, "valueQuantity": quantity}))
}
