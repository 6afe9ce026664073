//! Features with the classes of their rows, and other small tables, as the clinic keeps them.

use std::path::Path;

use tiresias_circuits::Features;
use tiresias_synth::Bound;

use crate::{
    Error, files,
    inputs::{self, MAXIMUM_FEATURES_BYTES},
};

/// Labels and bounds may be this large.
const MAXIMUM_TABLE_BYTES: u64 = 1 << 28;

/// A table of features whose rows have classes.
pub(crate) struct Labelled {
    /// Values in row order.
    pub(crate) values: Vec<f64>,
    /// Names of the features.
    pub(crate) names: Vec<String>,
    /// The class of each row.
    pub(crate) labels: Vec<String>,
    /// The group of each row, where groups were asked for.
    pub(crate) groups: Option<Vec<String>>,
}

impl Labelled {
    /// Reads features, .npy or .csv, and labels: a file with one on each line, perhaps below a header.
    pub(crate) fn with_labels(features: &Path, labels: &Path) -> Result<Self, Error> {
        let bytes = files::read(features, MAXIMUM_FEATURES_BYTES)?;
        let table = inputs::parse(features, &bytes)?;
        let names = header(features, &bytes)
            .unwrap_or_else(|| (1..=table.columns()).map(|at| format!("feature_{at}")).collect());
        drop(bytes);
        let labels = one_a_row(labels, table.rows())?;
        Ok(Self { values: table.iter().flatten().copied().collect(), names, labels, groups: None })
    }

    /// The same with the group of each row, from a file like that of labels.
    pub(crate) fn in_groups(self, groups: &Path) -> Result<Self, Error> {
        let groups = one_a_row(groups, self.labels.len())?;
        Ok(Self { groups: Some(groups), ..self })
    }

    /// Reads a .csv with a header, one of whose columns has the labels, and perhaps another one groups.
    pub(crate) fn with_column(features: &Path, column: &str, groups: Option<&str>) -> Result<Self, Error> {
        if !is_csv(features) {
            return Err(Error::Usage("--label-column: the features must be a .csv with a header"));
        }
        let bytes = files::read(features, MAXIMUM_FEATURES_BYTES)?;
        let wrong = |line, reason| Error::Table { path: features.to_owned(), line, reason };
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(&bytes[..]);
        let mut records = reader.records();
        let broken = |_| {
            const RULE: &str = "a .csv file must be UTF-8 text with the same number of fields in each line";
            inputs::at(features)(tiresias_circuits::Error::Features(RULE))
        };
        let header = records.next().transpose().map_err(broken)?.unwrap_or_default();
        let find = |column: &str, rules: [&'static str; 2]| {
            let mut places = (0..header.len()).filter(|&at| &header[at] == column);
            match (places.next(), places.next()) {
                (Some(at), None) => Ok(at),
                (found, _) => Err(wrong(1, rules[usize::from(found.is_some())])),
            }
        };
        let at = find(
            column,
            [
                "--label-column names a column that the header does not have",
                "--label-column names a column that stands twice in the header",
            ],
        )?;
        let group_rules = [
            "--group-column names a column that the header does not have",
            "--group-column names a column that stands twice in the header",
        ];
        let group_at = groups.map(|column| find(column, group_rules)).transpose()?;
        if group_at == Some(at) {
            return Err(wrong(1, "--group-column must name another column than --label-column"));
        }
        let is_text = |place: usize| place == at || Some(place) == group_at;
        if (0..header.len()).all(is_text) {
            return Err(wrong(1, "there must be a feature beside the labels"));
        }
        // The reader of features takes numbers alone: it gets a 0 for each label and group, and a header that has no number.
        let mut writer = csv::Writer::from_writer(Vec::with_capacity(bytes.len()));
        let mut write =
            |fields: Vec<&str>| writer.write_record(fields).map_err(|_| wrong(1, "cannot be copied"));
        write(vec!["x"; header.len()])?;
        let (mut labels, mut groups) = (Vec::new(), Vec::new());
        for record in records {
            let record = record.map_err(broken)?;
            for (at, texts, rule) in
                [(Some(at), &mut labels, EMPTY_LABEL), (group_at, &mut groups, EMPTY_GROUP)]
            {
                match at.map(|at| &record[at]) {
                    Some("") => return Err(wrong(record.position().map_or(0, csv::Position::line), rule)),
                    Some(text) => texts.push(text.to_owned()),
                    None => {}
                }
            }
            write(
                record
                    .iter()
                    .enumerate()
                    .map(|(place, field)| if is_text(place) { "0" } else { field })
                    .collect(),
            )?;
        }
        let copy = writer.into_inner().map_err(|_| wrong(1, "cannot be copied"))?;
        let table = Features::from_csv(&copy).map_err(inputs::at(features))?;
        let values =
            table.iter().flat_map(|row| row.iter().enumerate().filter(|(place, _)| !is_text(*place)));
        let names = header.iter().enumerate().filter(|(place, _)| !is_text(*place));
        Ok(Self {
            values: values.map(|(_, value)| *value).collect(),
            names: names.map(|(_, name)| name.to_owned()).collect(),
            labels,
            groups: group_at.map(|_| groups),
        })
    }
}

/// One text for each row, perhaps below a header.
fn one_a_row(path: &Path, rows: usize) -> Result<Vec<String>, Error> {
    let records = Records::read(path)?;
    // The first line is a header where there is one more than rows.
    let is_first_header = records.lines.len() == rows + 1;
    let mut found = Vec::with_capacity(rows);
    for (line, record) in &records.lines[usize::from(is_first_header)..] {
        match &record[..] {
            [label] if !label.is_empty() => found.push(label.clone()),
            [_] => return Err(records.wrong(*line, EMPTY_LABEL)),
            _ => return Err(records.wrong(*line, "one label is expected")),
        }
    }
    if found.len() != rows {
        let last = records.lines.last().map_or(1, |(line, _)| *line);
        let reason =
            "there must be as many labels as rows of features, one on each line, perhaps below a header";
        return Err(records.wrong(last, reason));
    }
    Ok(found)
}

const EMPTY_GROUP: &str = "the group is empty: fill it in or leave the row out";
const EMPTY_LABEL: &str = "the label is empty: fill it in or leave the row out";

/// Whether a file is a .csv by its name.
pub(crate) fn is_csv(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"))
}

/// The first line of a .csv, where no field of it is a number.
fn header(path: &Path, bytes: &[u8]) -> Option<Vec<String>> {
    if !is_csv(path) {
        return None;
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(bytes);
    let first = reader.records().next()?.ok()?;
    let is_header = first.iter().all(|field| field.parse::<f64>().is_err());
    is_header.then(|| first.iter().map(str::to_owned).collect())
}

/// Reads the bounds of features: lines of a lower and an upper number and perhaps the word `integer` or `continuous`, perhaps below a
/// header.
pub(crate) fn bounds(path: &Path) -> Result<Vec<Bound>, Error> {
    let records = Records::read(path)?;
    let mut bounds = Vec::new();
    for (index, (line, record)) in records.lines.iter().enumerate() {
        let numbers: Vec<Option<f64>> = record.iter().map(|field| field.parse().ok()).collect();
        if index == 0 && numbers.iter().all(Option::is_none) {
            continue;
        }
        let whole = match record.get(2).map(String::as_str) {
            None | Some("" | "continuous") => Some(false),
            Some("integer") => Some(true),
            Some(_) => None,
        };
        match (&numbers[..], whole) {
            ([Some(lower), Some(upper), rest @ ..], Some(whole)) if rest.len() < 2 => {
                bounds.push(Bound { lower: *lower, upper: *upper, whole });
            }
            _ => {
                let reason = "a lower and an upper number are expected, and perhaps integer or continuous";
                return Err(records.wrong(*line, reason));
            }
        }
    }
    Ok(bounds)
}

/// Lines of a small .csv.
struct Records<'a> {
    path: &'a Path,
    lines: Vec<(u64, Vec<String>)>,
}

impl<'a> Records<'a> {
    fn read(path: &'a Path) -> Result<Self, Error> {
        let bytes = files::read(path, MAXIMUM_TABLE_BYTES)?;
        let mut reader = csv::ReaderBuilder::new();
        let mut reader =
            reader.has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(&bytes[..]);
        let mut records = Self { path, lines: Vec::new() };
        for record in reader.records() {
            let next = records.lines.last().map_or(1, |(line, _)| line + 1);
            let record = record.map_err(|_| records.wrong(next, "the file must be UTF-8 text"))?;
            let line = record.position().map_or(next, csv::Position::line);
            records.lines.push((line, record.iter().map(str::to_owned).collect()));
        }
        Ok(records)
    }

    fn wrong(&self, line: u64, reason: &'static str) -> Error {
        Error::Table { path: self.path.to_owned(), line, reason }
    }
}
