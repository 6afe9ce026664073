//! Standard output: a table for people, JSON for programs; and warnings on standard error.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    time::Duration,
};

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::Value;
use tiresias_circuits::Drift;
use tiresias_keys::KeyId;

pub use crate::inputs::read_features;
use crate::{
    Diagnosis, Error, Model, approvers::Approved, evidence::Judgement, finding::REVIEW, http::keys::KeyEntry,
    scans::Failure,
};

/// Vectors that a gateway takes in one request unless it is configured otherwise.
const DEFAULT_BATCH: usize = 256;

/// Prints one line.
pub fn line(text: &str) -> Result<(), Error> {
    writeln!(io::stdout().lock(), "{text}").map_err(Error::Output)
}

/// Prints one JSON object on a line.
pub fn json(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string(value).map_err(|error| Error::Output(error.into()))?;
    line(&text)
}

/// A diagnosis and, where there are several features files, the one that its row comes from.
#[derive(Debug, Serialize)]
pub struct Found<'a> {
    /// The file as named on the command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<&'a str>,
    /// The diagnosis; its index is the row in that file.
    #[serde(flatten)]
    pub diagnosis: Diagnosis,
    /// What its receipt is worth, where receipts are checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Judgement>,
    /// Who has approved its model, where that is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approved>,
}

/// Prints diagnoses, as JSON lines or as a table.
pub fn diagnoses(found: &[Found<'_>], as_json: bool) -> Result<(), Error> {
    if as_json {
        return found.iter().try_for_each(json);
    }
    let several = found.iter().any(|found| found.file.is_some());
    let has_scores = found.iter().any(|found| found.diagnosis.finding.score_and_margin().is_some());
    let has_receipts = found.iter().any(|found| found.receipt.is_some());
    let columns = ["file", "row", "diagnosis", "score", "margin"];
    let mut columns = columns[usize::from(!several)..if has_scores { 5 } else { 3 }].to_vec();
    columns.extend(has_receipts.then_some("receipt"));
    let mut table = table(&columns);
    for Found { file, diagnosis, receipt, .. } in found {
        let numbers = diagnosis.finding.score_and_margin();
        let number = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.4}"));
        let cells = [
            diagnosis.index.to_string(),
            match diagnosis.review_reason() {
                _ if receipt.as_ref().is_some_and(Judgement::is_invalid) => {
                    format!("{} ({REVIEW}: its receipt is INVALID)", diagnosis.finding.label())
                }
                Some(reason) => format!("{} ({REVIEW}: {reason})", diagnosis.finding.label()),
                None => diagnosis.finding.label(),
            },
            number(numbers.map(|(score, _)| score)),
            number(numbers.map(|(_, margin)| margin)),
        ];
        let verdict = |judgement: &Judgement| judgement.verdict.to_string();
        let receipt = has_receipts.then(|| receipt.as_ref().map_or_else(String::new, verdict));
        let cells = cells.into_iter().take(if has_scores { 4 } else { 2 }).chain(receipt);
        table.add_row(several.then(|| file.unwrap_or_default().to_owned()).into_iter().chain(cells));
    }
    line(&table.to_string())?;
    // Why, once for all rows that share it.
    let mut said: Vec<&str> = Vec::new();
    for receipt in found.iter().filter_map(|found| found.receipt.as_ref()) {
        if !said.contains(&receipt.reason.as_str()) {
            said.push(&receipt.reason);
            line(&format!("{}: {}", receipt.verdict, receipt.reason))?;
        }
    }
    Ok(())
}

/// Prints evaluation keys, as JSON lines or as a table.
pub(crate) fn keys(keys: &[KeyEntry], as_json: bool) -> Result<(), Error> {
    if as_json {
        return keys.iter().try_for_each(json);
    }
    // The texts are the peer's: no control characters, and no more than a cell holds.
    let clean = |text: &str| text.chars().filter(|c| !c.is_control()).take(64).collect::<String>();
    let mut table = table(&["id", "parameters", "bytes", "state", "uploaded_at", "expires_at"]);
    for key in keys {
        let fact = |name| match key.facts.get(name) {
            Some(Value::String(text)) => clean(text),
            None | Some(Value::Null) => String::new(),
            Some(other) => clean(&other.to_string()),
        };
        let facts = ["parameters", "bytes", "state", "uploaded_at", "expires_at"].map(fact);
        table.add_row([clean(&key.id)].into_iter().chain(facts));
    }
    line(&table.to_string())
}

/// An empty table: names to the left, numbers to the right.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
    for (index, name) in header.iter().enumerate() {
        let text =
            matches!(*name, "file" | "diagnosis" | "truth" | "receipt" | "input" | "why" | "decided" | "");
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(if text { CellAlignment::Left } else { CellAlignment::Right });
        }
    }
    table
}

/// Warns about vectors that are far out.
pub(crate) fn warn_far_out<'a>(drifts: impl Iterator<Item = &'a Drift>) {
    let (mut far_out, mut vectors) = (0, 0);
    for drift in drifts {
        (far_out, vectors) = (far_out + usize::from(drift.is_far_out()), vectors + 1);
    }
    if far_out > 0 {
        warn(
            "far_out",
            &format!(
                "{far_out} of {vectors} vectors lie far from those that the model was calibrated on: they are marked for \
                 review, and a human decides"
            ),
        );
    }
}

/// Warns about clipped features, with their share and never their values.
pub fn warn_clipped(clipped: usize, features: usize) {
    if clipped > 0 {
        let share = 100.0 * clipped as f64 / features.max(1) as f64;
        warn(
            "clipped",
            &format!(
                "{clipped} features ({share:.2} %) were outside the calibrated range and were clipped to its ends"
            ),
        );
    }
}

/// Warns where a run's mean lies further from the calibration's than chance explains: by more than four times what it
/// would be on average for as many vectors of the calibration set, and by a quarter of a standard deviation.
pub(crate) fn warn_shift((shift, usual): (f64, f64), vectors: usize) {
    if vectors >= 8 && shift > (4.0 * usual).max(0.25) {
        warn(
            "drift",
            &format!(
                "the mean of these {vectors} vectors lies {shift:.2} standard deviations from that of the calibration, \
                 where {usual:.2} are usual: scanner, preparation or patients may have changed"
            ),
        );
    }
}

/// Warns where one body holds more vectors than a gateway takes by default.
pub fn warn_batch(vectors: usize) {
    if vectors > DEFAULT_BATCH {
        warn(
            "batch",
            &format!(
                "body.bin holds {vectors} vectors and gateways take {DEFAULT_BATCH} by default: see maximum_batch in \
                 the model's metadata, and split the features file where it is smaller"
            ),
        );
    }
}

/// Warns that rows of one run were answered by different models.
pub(crate) fn warn_replaced((version, config): (u32, &str), model: &Model) {
    let short = |config: &str| config.chars().take(8).collect::<String>();
    warn(
        "model_replaced",
        &format!(
            "the gateway has replaced {} version {version} (config {}…) by version {} (config {}…): each row is read by \
             the card that it was encrypted for",
            model.card().name(),
            short(config),
            model.card().version(),
            short(&model.config().to_string()),
        ),
    );
}

/// Names a file that is no scan, with its reason.
pub(crate) fn scan_failed(failure: &Failure) {
    let _ = writeln!(
        io::stderr(),
        "tiresias: error[{}]: {}: {}",
        failure.code,
        failure.path.display(),
        failure.reason
    );
}

/// Names an error that came beside a graver one.
pub(crate) fn also_failed(error: &Error) {
    let _ = writeln!(io::stderr(), "tiresias: error[{}]: {error}", error.code());
}

/// Says that the clinic's own vectors were answered as they must be.
pub(crate) fn note_canaries(canaries: usize, combinations: usize) {
    let counts = format!("canaries {canaries}, secret combinations {combinations}");
    let _ = writeln!(io::stderr(), "tiresias: note[canaries]: all answered as they must be: {counts}");
}

/// Says who has approved the model.
pub(crate) fn note_approved(approved: &Approved) {
    let _ = writeln!(io::stderr(), "tiresias: note[approved]: the model is approved by {}", approved.words());
}

/// Says what to keep of a record, so that a later look at it shows whether rows are gone.
pub(crate) fn note_head(rows: u64, head: &str) {
    let _ = writeln!(io::stderr(), "tiresias: note[record_head]: {rows} rows, head {head}");
}

/// Says how many cases of a record nobody knows the truth of.
pub(crate) fn note_without_truth(cases: usize) {
    if cases > 0 {
        let text = format!("{cases} cases of the record have no truth, and are left out");
        let _ = writeln!(io::stderr(), "tiresias: note[without_truth]: {text}");
    }
}

/// Says how to open the page.
pub(crate) fn note_serving() {
    let text = "the address opens once, in a browser on this machine; Ctrl-C ends it";
    let _ = writeln!(io::stderr(), "tiresias: note[serving]: {text}");
}

/// Says where the results of an unfinished run lie.
pub(crate) fn note_unfinished(part: &Path, done: usize, rows: usize) {
    let part = part.display();
    warn("unfinished", &format!("{done} of {rows} rows are in {part}: the same command asks for the others"));
}

/// Says that the user's wish to stop was heard.
pub(crate) fn note_interrupted() {
    warn("interrupted", "stops when the request on its way is answered; interrupt again to give that one up");
}

/// Says that the gateway is sent the evaluation key again.
pub(crate) fn note_upload(id: &KeyId) {
    warn("upload_key", &format!("the gateway does not have the evaluation key {id}: it is sent now"));
}

/// Warns that the gateway will know a key file by another id.
pub(crate) fn warn_new_evaluation_key(id: &KeyId) {
    warn(
        "new_evaluation_key",
        &format!(
            "the evaluation key beside the key file is missing or damaged: another one was made, with the id {id}"
        ),
    );
}

/// Says that a log signed a checkpoint that does not continue the one before.
pub(crate) fn warn_forked_log(evidence: &Path) {
    let evidence = evidence.display();
    warn(
        "log_forked",
        &format!(
            "a checkpoint with a log's signature does not continue the one before, or came with a wrong proof: {evidence}"
        ),
    );
}

/// Says that a checkpoint could not be stored, and so is not cosigned.
pub(crate) fn warn_witness_failed(error: &crate::witness::Error) {
    warn("witness_failed", &format!("a checkpoint could not be stored, and is not cosigned: {error}"));
}

/// Says that what a witness is asked and answers can be kept from it on the way.
pub(crate) fn warn_plain_http() {
    warn(
        "plain_http",
        "without --tls-cert and --tls-key the witness speaks plain HTTP, and not on this machine alone",
    );
}

/// Says where a cohort's answers lie that a later run goes on from.
pub(crate) fn note_unfinished_cohort(part: &Path, patients: u64) {
    let part = part.display();
    warn(
        "unfinished",
        &format!("the answers of {patients} patients are in {part}: the same command goes on from there"),
    );
}

/// Warns about patients of a cohort that are far out.
pub(crate) fn warn_cohort_far_out(far_out: u64, patients: u64) {
    if far_out > 0 {
        let text = format!(
            "{far_out} of {patients} patients lie far from those that the model was calibrated on: they are marked, and a human decides"
        );
        warn("far_out", &text);
    }
}

/// The same of the locations of maps.
pub(crate) fn warn_far_out_locations(far_out: usize, locations: usize) {
    if far_out > 0 {
        let text = format!(
            "{far_out} of {locations} locations lie far from those that the model was calibrated on: a human decides"
        );
        warn("far_out", &text);
    }
}

fn warn(code: &str, text: &str) {
    // Standard error may be closed; there is no one left to tell then.
    let _ = writeln!(io::stderr(), "tiresias: warning[{code}]: {text}");
}

/// A progress bar on a terminal, nothing on a pipe.
#[must_use]
pub fn progress(length: usize) -> ProgressBar {
    if length < 2 {
        return ProgressBar::hidden();
    }
    bar(length as u64, "{bar:40} {pos}/{len} vectors, {eta} left")
}

/// Counts files whose number is not known beforehand.
pub(crate) fn files_progress() -> ProgressBar {
    bar(0, "{spinner} {pos} files read")
}

/// The same for bytes that are sent.
pub(crate) fn upload_progress(length: u64) -> ProgressBar {
    bar(length, "{bar:40} {bytes}/{total_bytes} at {bytes_per_sec}, {eta} left")
}

/// Counts leaves of a log.
pub(crate) fn leaves_progress(length: u64) -> ProgressBar {
    bar(length, "{bar:40} {pos}/{len} leaves, {eta} left")
}

fn bar(length: u64, template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
