//! Standard output: a table for people, JSON for programs; and the files that commands read.

use std::{
    io::{self, IsTerminal as _, Read as _, Write as _},
    path::Path,
    time::Duration,
};

use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tiresias_circuits::Features;

use crate::{Diagnosis, Error};

/// Features files may be this large.
const MAXIMUM_FEATURES_BYTES: u64 = 1 << 30;

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

/// Prints diagnoses, as JSON lines or as a table.
pub fn diagnoses(diagnoses: &[Diagnosis], as_json: bool) -> Result<(), Error> {
    if as_json {
        return diagnoses.iter().try_for_each(json);
    }
    let mut table = table(&["row", "diagnosis", "score", "margin"]);
    for diagnosis in diagnoses {
        let best = diagnosis.scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        table.add_row([
            diagnosis.index.to_string(),
            diagnosis.label.clone().unwrap_or_else(|| "none".into()),
            format!("{best:.4}"),
            format!("{:.4}", diagnosis.margin),
        ]);
    }
    line(&table.to_string())
}

/// An empty table: names to the left, numbers to the right.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
    for (index, name) in header.iter().enumerate() {
        let text = matches!(*name, "diagnosis" | "truth" | "");
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(if text { CellAlignment::Left } else { CellAlignment::Right });
        }
    }
    table
}

/// Warns about clipped features, with their share and never their values.
pub fn warn_clipped(clipped: usize, features: usize) {
    if clipped > 0 {
        let share = 100.0 * clipped as f64 / features.max(1) as f64;
        let _ = writeln!(
            io::stderr(),
            "tiresias: warning[clipped]: {clipped} features ({share:.2} %) were outside the calibrated range and \
             were clipped to its ends"
        );
    }
}

/// Warns where one body holds more vectors than a gateway takes by default.
pub fn warn_batch(vectors: usize) {
    if vectors > DEFAULT_BATCH {
        let _ = writeln!(
            io::stderr(),
            "tiresias: warning[batch]: body.bin holds {vectors} vectors and gateways take {DEFAULT_BATCH} by default: \
             see maximum_batch in the model's metadata, and split the features file where it is smaller"
        );
    }
}

/// A progress bar on a terminal, nothing on a pipe.
#[must_use]
pub fn progress(length: usize) -> ProgressBar {
    if !io::stderr().is_terminal() || length < 2 {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} patients, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Reads a features file.
pub fn read_features(path: &Path) -> Result<Features, Error> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    Ok(Features::from_named(name, &read_file(path, MAXIMUM_FEATURES_BYTES)?)?)
}

/// Reads a file of at most `limit` bytes.
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(io)?.take(limit + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}
