//! What a clinic knows of its patients, from a table: groups, and what came true. Rows are found as results name their inputs.

use std::{collections::HashMap, path::Path};

use tiresias_record::{Column, export::COLUMNS};

use crate::{Error, files};

/// Tables of patients may be this large.
const MAXIMUM_TABLE_BYTES: u64 = 1 << 28;
/// Columns of a table, besides those that name the input.
const MAXIMUM_COLUMNS: usize = 64;
/// Characters of a field.
const MAXIMUM_FIELD: usize = 256;

/// What is known, by input.
pub(crate) struct About {
    rows: HashMap<(Option<String>, Option<u64>), Vec<Column>>,
    has_file: bool,
    has_row: bool,
}

impl About {
    /// Reads a table whose columns `file` and `row` name inputs.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |line, reason| Error::Table { path: path.to_owned(), line, reason };
        let bytes = files::read(path, MAXIMUM_TABLE_BYTES)?;
        // A byte order mark is no part of the first name.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
        let broken = |error: csv::Error| {
            wrong(
                error.position().map_or(1, csv::Position::line),
                "the file must be UTF-8 text with as many fields in each line",
            )
        };
        let header = reader.headers().map_err(broken)?.clone();
        let find = |name: &str| header.iter().position(|column| column == name);
        let (file, row) = (find("file"), find("row"));
        if file.is_none() && row.is_none() {
            return Err(wrong(1, "there must be a column row, or file, or both, to find inputs by"));
        }
        let is_known = |at: usize| Some(at) != file && Some(at) != row;
        let names: Vec<(usize, &str)> = header.iter().enumerate().filter(|(at, _)| is_known(*at)).collect();
        if names.len() > MAXIMUM_COLUMNS {
            return Err(wrong(1, "there are more columns than a record takes"));
        }
        for (at, (_, name)) in names.iter().enumerate() {
            if name.is_empty() || names[..at].iter().any(|(_, other)| other == name) {
                return Err(wrong(1, "each column must have a name of its own"));
            }
            if COLUMNS.contains(name) {
                return Err(wrong(
                    1,
                    "a column has a name that exports of the record use themselves: rename it",
                ));
            }
        }
        let mut rows = HashMap::new();
        for record in reader.records() {
            let record = record.map_err(broken)?;
            let wrong = |reason| wrong(record.position().map_or(0, csv::Position::line), reason);
            if record.iter().any(|field| field.chars().count() > MAXIMUM_FIELD) {
                return Err(wrong("a field is longer than 256 characters"));
            }
            let number =
                row.map(|row| record[row].parse().map_err(|_| wrong("row must be a number, from 0")));
            let place = (file.map(|file| record[file].to_owned()), number.transpose()?);
            let column = |(at, name): &(usize, &str)| Column {
                name: (*name).to_owned(),
                value: record[*at].to_owned(),
            };
            if rows.insert(place, names.iter().map(column).collect()).is_some() {
                return Err(wrong("there are two rows of one input"));
            }
        }
        Ok(Self { rows, has_file: file.is_some(), has_row: row.is_some() })
    }

    /// What is known of an input. Where the table has no column for a part of its name, that part is not looked at, if it can be
    /// missed: a row cannot, and neither can a file that is one of `several`, or a scan.
    pub(crate) fn of(&self, file: &str, row: Option<u64>, several: bool) -> Option<&[Column]> {
        let needs_file = several || row.is_none();
        if (row.is_some() != self.has_row) || (needs_file && !self.has_file) {
            return None;
        }
        let place = (self.has_file.then(|| file.to_owned()), row);
        self.rows.get(&place).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(text: &str) -> Result<About, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        About::read(file.path())
    }

    #[test]
    fn rows_are_found_as_results_name_inputs() {
        let values = |about: &About, file: &str, row, several| {
            let found = about.of(file, row, several);
            found.map(|columns| {
                columns.iter().map(|column| column.value.clone()).collect::<Vec<_>>().join("/")
            })
        };
        let rows = read("\u{feff}row,sex,truth\n0,f,ill\n 2 , m ,\n").unwrap();
        assert_eq!(values(&rows, "a.csv", Some(0), false).as_deref(), Some("f/ill"));
        assert_eq!(values(&rows, "a.csv", Some(2), false).as_deref(), Some("m/"));
        assert_eq!(values(&rows, "a.csv", Some(1), false), None);
        // One row of several files, or of scans, it does not tell apart.
        assert_eq!(values(&rows, "a.csv", Some(0), true), None);
        assert_eq!(values(&rows, "a.dcm", None, false), None);
        let both = read("sex,file,row\nf,a.csv,0\nm,b.csv,0\n").unwrap();
        assert_eq!(values(&both, "b.csv", Some(0), true).as_deref(), Some("m"));
        assert_eq!(values(&both, "c.csv", Some(0), false), None);
        assert_eq!(values(&both, "a.csv", None, false), None);
        let scans = read("file,sex\nscans/a b.dcm frame 1,f\n").unwrap();
        assert_eq!(values(&scans, "scans/a b.dcm frame 1", None, true).as_deref(), Some("f"));
        assert_eq!(values(&scans, "scans/a b.dcm", Some(0), false), None);
    }

    #[test]
    fn bad_tables_are_refused_with_their_line_and_without_a_value() {
        for (text, line, reason) in [
            ("sex\nf\n", 1, "a column row"),
            ("row,sex,sex\n0,f,f\n", 1, "a name of its own"),
            ("row,,sex\n0,f,f\n", 1, "a name of its own"),
            ("row,prediction\n0,secret\n", 1, "exports"),
            ("row,sex\n0,f\nsecret,m\n", 3, "a number"),
            ("row,sex\n-1,f\n", 2, "a number"),
            ("row,sex\n0,f\n1,f\n0,m\n", 4, "two rows"),
            ("row,sex\n0,f,secret\n", 2, "as many fields"),
            (&format!("row,sex\n0,{}\n", "x".repeat(257)), 2, "256"),
            (
                &format!("row,{}\n", (0..65).map(|n| n.to_string()).collect::<Vec<_>>().join(",")),
                1,
                "more columns",
            ),
        ] {
            let Err(Error::Table { line: found, reason: said, .. }) = read(text) else { panic!("{text}") };
            assert!(found == line && said.contains(reason) && !said.contains("secret"), "{found} {said}");
        }
    }
}
