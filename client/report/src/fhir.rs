//! A report as FHIR R4: a `DiagnosticReport`, the `Observation`s in it, and the `Device` that made them, in a bundle that a
//! FHIR server takes by `POST` as it is. Posted twice it creates nothing twice: each entry goes by an identifier of its own.
//!
//! - Everything is `preliminary`: a clinician makes the final report.
//! - What is left to a human has no value, but a `dataAbsentReason` and the interpretation `IND`, so that no program reads the
//!   computed class as a result. What the computation said stands in words alone.
//! - Patient, study, image and order are named by the identifiers that the DICOM file has, and not made anew: whoever takes
//!   the bundle knows them. A scan that is no DICOM file leaves them out.

mod observation;

use serde_json::{Map, Value, json};
use tiresias_page::{is_unseen, text};
use tiresias_scan::Study;

use crate::{Id, Outcome, Report, report::CAUTION};

const DICOM_UID: &str = "urn:dicom:uid";

/// The bundle, as JSON.
#[must_use]
pub fn fhir(report: &Report) -> String {
    let mut entries = vec![diagnostic_report(report), observation::whole(report)];
    if let Outcome::Findings(findings) = &report.outcome {
        let findings = findings.iter().enumerate();
        entries.extend(findings.map(|(at, (class, found))| observation::finding(report, at, class, *found)));
    }
    let mut entries: Vec<Value> = entries.into_iter().map(Entry::into_value).collect();
    entries.push(device(report).into_value());
    let bundle = json!({
        "resourceType": "Bundle",
        "type": "transaction",
        "timestamp": report.computed_at.instant(),
        "entry": entries,
    });
    format!("{bundle:#}\n")
}

/// A resource and how a server tells whether it has it.
struct Entry {
    id: Id,
    resource: Resource,
    identifier: Value,
    query: String,
}

impl Entry {
    /// A resource of this report alone.
    fn of(id: Id, resource: Resource) -> Self {
        let identifier = json!({"system": "urn:ietf:rfc3986", "value": id.urn()});
        let query = format!("identifier=urn:ietf:rfc3986|{}", id.urn());
        Self { id, resource, identifier, query }
    }

    fn into_value(self) -> Value {
        let Self { id, resource: Resource { kind, fields }, identifier, query } = self;
        let mut resource = Map::from_iter([
            ("resourceType".to_owned(), kind.into()),
            ("identifier".to_owned(), json!([identifier])),
        ]);
        resource.extend(fields);
        json!({
            "fullUrl": id.urn(),
            "resource": resource,
            "request": {"method": "POST", "url": kind, "ifNoneExist": query},
        })
    }
}

/// A resource's type and its fields; FHIR has no empty ones.
struct Resource {
    kind: &'static str,
    fields: Map<String, Value>,
}

impl Resource {
    fn new(kind: &'static str) -> Self {
        Self { kind, fields: Map::new() }
    }

    fn with(mut self, name: &str, value: impl Into<Option<Value>>) -> Self {
        let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
        if let Some(value) = value.into().filter(|value| !is_empty(value)) {
            self.fields.insert(name.to_owned(), value);
        }
        self
    }
}

fn diagnostic_report(report: &Report) -> Entry {
    let study = report.study.as_ref();
    let order = study.and_then(|study| plain(&study.accession_number)).map(|number| {
        let kind = coding("http://terminology.hl7.org/CodeSystem/v2-0203", "ACSN", "Accession ID");
        json!([{"type": "ServiceRequest", "identifier": {"type": {"coding": [kind]}, "value": number}}])
    });
    let category = coding("http://terminology.hl7.org/CodeSystem/v2-0074", "IMG", "Diagnostic Imaging");
    let code = coding("http://loinc.org", "18748-4", "Diagnostic imaging study");
    let resource = Resource::new("DiagnosticReport")
        .with("text", narrative(report))
        .with("basedOn", order)
        .with("status", Value::from("preliminary"))
        .with("category", json!([{"coding": [category]}]))
        .with("code", json!({"coding": [code], "text": "Computed finding, for review by a clinician"}))
        .with("subject", subject(study))
        .with("effectiveDateTime", effective(study))
        .with("issued", Value::from(report.computed_at.instant()))
        .with("result", json!([{"reference": observation::whole_id(report).urn()}]))
        .with("imagingStudy", study_reference(study).map(|study| json!([study])))
        .with("conclusion", Value::from(format!("{} {CAUTION}", string(&report.conclusion()))));
    Entry::of(report.id, resource)
}

/// What a person reads of it.
fn narrative(report: &Report) -> Value {
    let (model, source) = (&report.model, &report.source);
    let source = format!("Model {}, version {}, on {source}.", model.name, model.version);
    let texts = report.notes().into_iter().chain([source]);
    let paragraphs: String = texts.map(|part| format!("<p>{}</p>", text(&part))).collect();
    let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">{paragraphs}</div>");
    json!({"status": "generated", "div": div})
}

fn device(report: &Report) -> Entry {
    let model = &report.model;
    let version = |kind: &str, value: &str| json!({"type": {"text": kind}, "value": string(value)});
    let mut versions = vec![
        version("model", &model.version.to_string()),
        version("circuit card", &model.config_id),
        version("tiresias", env!("CARGO_PKG_VERSION")),
    ];
    versions.extend(model.backbone.as_deref().map(|backbone| version("backbone", backbone)));
    let facts = model.facts.iter().map(|(name, value)| format!("{name}: {value}"));
    let about = [
        model
            .about
            .clone()
            .unwrap_or_else(|| "Its owner states neither its intended use nor its limits.".into()),
        format!("Gateway: {}", model.gateway),
    ];
    let notes: Vec<Value> =
        about.into_iter().chain(facts).map(|note| json!({"text": paragraphs(&note)})).collect();
    let identifier = json!({"type": {"text": "circuit card"}, "value": string(&model.config_id)});
    let resource = Resource::new("Device")
        .with("status", Value::from("active"))
        .with("deviceName", json!([{"name": string(&model.name), "type": "model-name"}]))
        .with("type", json!({"text": "Classification model, evaluated on encrypted features"}))
        .with("version", Value::from(versions))
        .with("note", Value::from(notes));
    let query = format!("identifier={}", string(&model.config_id));
    Entry { id: device_id(report), resource, identifier, query }
}

/// The same for all reports by one circuit card.
fn device_id(report: &Report) -> Id {
    Id::named(&format!("circuit card {}", report.model.config_id))
}

fn coding(system: &str, code: &str, display: &str) -> Value {
    json!({"system": system, "code": code, "display": display})
}

fn subject(study: Option<&Study>) -> Option<Value> {
    let study = study?;
    let (id, name) = (plain(&study.patient_id), plain(&study.patient_name.replace(['^', '='], " ")));
    if id.is_none() && name.is_none() {
        return None;
    }
    let mut subject = Map::from_iter([("type".to_owned(), Value::from("Patient"))]);
    if let Some(id) = id {
        let mut identifier = json!({"value": id});
        if let (Some(issuer), Some(fields)) = (plain(&study.issuer_of_patient_id), identifier.as_object_mut())
        {
            fields.insert("assigner".into(), json!({"display": issuer}));
        }
        subject.insert("identifier".into(), identifier);
    }
    subject.extend(name.map(|name| ("display".to_owned(), name.into())));
    Some(subject.into())
}

fn study_reference(study: Option<&Study>) -> Option<Value> {
    let uid = oid(&study?.study_instance_uid)?;
    Some(json!({"type": "ImagingStudy", "identifier": {"system": DICOM_UID, "value": uid}}))
}

/// When the patient was examined: a day, since DICOM's times seldom name their offset from UTC.
fn effective(study: Option<&Study>) -> Option<Value> {
    let day = &study?.study_date;
    let day = chrono::NaiveDate::parse_from_str(day, "%Y%m%d").ok().filter(|_| day.len() == 8)?;
    Some(day.format("%Y-%m-%d").to_string().into())
}

/// A DICOM UID as a URI, if it is one.
fn oid(uid: &str) -> Option<String> {
    crate::sr::is_uid(uid).then(|| format!("urn:oid:{uid}"))
}

/// A text in one line, if anything is left of it.
fn plain(text: &str) -> Option<String> {
    let line: String = text.chars().map(|letter| if is_unseen(letter) { ' ' } else { letter }).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}

/// A text in one line where one has to be.
fn string(text: &str) -> String {
    plain(text).unwrap_or_else(|| "unknown".to_owned())
}

/// A text in paragraphs.
fn paragraphs(text: &str) -> String {
    text.split("\n\n").filter_map(plain).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests;
