//! All cases as a table, for people and for `tiresias fairness`: CSV, or JSON lines.

use serde_json::{Map, Value, json};

use crate::{Answer, Book, Decision, Entry, Error, Verdict, case::REVIEW};

/// The columns that every case has. What the clinic knows of patients stands behind them and must have other names.
pub const COLUMNS: [&str; 21] = [
    "case",
    "time",
    "source",
    "row",
    "model",
    "version",
    "config_id",
    "prediction",
    "decided",
    "computed",
    "margin",
    "reasons",
    "outside",
    "far_out",
    "receipt",
    "receipt_index",
    "decision",
    "by",
    "reason",
    "decided_at",
    "head",
];
/// The column of the model's result, `review` where there is none.
pub const PREDICTION: &str = "prediction";
/// The column of the label that holds: the human's, or the model's result where no one has decided.
pub const DECIDED: &str = "decided";

/// How a table is made.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Margins below this are low.
    pub low_margin: f64,
    /// Seconds since 1970 as date and time.
    pub time: fn(u64) -> String,
}

/// A header, then one line a case. The last column is the record's head.
pub fn csv(book: &Book, settings: Settings) -> Result<Vec<u8>, Error> {
    table(book, settings, book.entries())
}

/// The same of some cases.
pub fn table<'a>(
    book: &Book,
    settings: Settings,
    entries: impl Iterator<Item = (u64, &'a Entry)>,
) -> Result<Vec<u8>, Error> {
    let about = about(book);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = COLUMNS.into_iter().chain(about.iter().copied());
    writer.write_record(header).map_err(|_| Error::Table)?;
    let head = hex::encode(book.head());
    for (number, entry) in entries {
        let fields = fields(number, entry, settings, &head);
        let text = |(_, value): (&str, Value)| match value {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        };
        let known = about.iter().map(|name| entry.case().about(name).unwrap_or_default().to_owned());
        writer.write_record(fields.into_iter().map(text).chain(known)).map_err(|_| Error::Table)?;
    }
    writer.into_inner().map_err(|_| Error::Table)
}

/// The record's head, then one object a case.
#[must_use]
pub fn json_lines(book: &Book, settings: Settings) -> Vec<Value> {
    let first = json!({ "record": { "rows": book.rows(), "head": hex::encode(book.head()) } });
    let lines = book.entries().map(|(number, entry)| object(book, number, entry, settings));
    std::iter::once(first).chain(lines).collect()
}

/// One case, with the scores that may be seen and all decisions.
#[must_use]
pub fn object(book: &Book, number: u64, entry: &Entry, settings: Settings) -> Value {
    let fields = fields(number, entry, settings, &hex::encode(book.head()));
    let fields = fields.into_iter().filter(|(name, value)| *name != "head" && !value.is_null());
    let mut object: Map<String, Value> = fields.map(|(name, value)| (name.to_owned(), value)).collect();
    let case = entry.case();
    if let (Answer::Scores { scores, .. }, false) = (&case.answer, entry.is_hidden()) {
        let scores = case.labels.iter().zip(scores).map(|(label, score)| (label.clone(), json!(score)));
        object.insert("scores".to_owned(), Value::Object(scores.collect()));
    }
    let all = entry.decisions().iter().map(|decision| {
        json!({
            "decision": word(decision), "to": to(decision), "by": decision.by(), "reason": decision.reason(),
            "decided_at": (settings.time)(decision.at()),
        })
    });
    object.insert("decisions".to_owned(), all.collect());
    let known = case.about.iter().map(|column| (column.name.clone(), json!(column.value)));
    object.insert("about".to_owned(), Value::Object(known.collect()));
    Value::Object(object)
}

/// In the order of [`COLUMNS`].
fn fields(
    number: u64,
    entry: &Entry,
    settings: Settings,
    head: &str,
) -> [(&'static str, Value); COLUMNS.len()] {
    let case = entry.case();
    let seen = !entry.is_hidden();
    let margin = match case.answer {
        Answer::Scores { margin, .. } if seen => json!(margin),
        _ => Value::Null,
    };
    let reasons: Vec<&str> = case.reasons(settings.low_margin).iter().map(|reason| reason.words()).collect();
    let decision = entry.decision();
    let receipt = case.receipt.as_ref();
    let values = [
        json!(number),
        json!((settings.time)(case.at)),
        json!(case.source),
        json!(case.row),
        json!(case.model),
        json!(case.version),
        json!(case.config_id),
        json!(case.result().as_deref().unwrap_or(REVIEW)),
        json!(entry.label().as_deref().unwrap_or(REVIEW)),
        json!(case.answer.label().filter(|_| seen)),
        margin,
        json!(reasons.join("; ")),
        json!(case.clipped),
        json!(case.drift.map(|drift| drift.far_out)),
        json!(receipt.map(|receipt| &receipt.verdict)),
        json!(receipt.and_then(|receipt| receipt.index)),
        json!(decision.map(word)),
        json!(decision.map(Decision::by)),
        json!(decision.map(Decision::reason)),
        json!(decision.map(|decision| (settings.time)(decision.at()))),
        json!(head),
    ];
    let mut names = COLUMNS.into_iter();
    values.map(|value| (names.next().unwrap_or_default(), value))
}

fn word(decision: &Decision) -> &'static str {
    if decision.is_accepted() { "accept" } else { "override" }
}

fn to(decision: &Decision) -> Value {
    match decision.verdict() {
        Verdict::Accept => Value::Null,
        Verdict::Override(labels) => json!(labels),
    }
}

/// All columns that cases have, in the order in which they came.
fn about(book: &Book) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for column in book.entries().flat_map(|(_, entry)| &entry.case().about) {
        if !names.contains(&column.name.as_str()) {
            names.push(&column.name);
        }
    }
    names
}
