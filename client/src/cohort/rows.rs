//! Features of many patients, a block at a time: the file may be larger than the memory.

mod parquet;

use std::{
    fs::File,
    io::{BufReader, Read, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use tiresias_circuits::features::NpyLayout;
use tiresias_keys::Digest;

use self::parquet::Table;
use crate::{Error, files, inputs::at};

/// A features file that is read row after row.
#[derive(Debug)]
pub struct Rows {
    path: PathBuf,
    columns: usize,
    /// Rows that were read.
    read: u64,
    source: Source,
}

enum Source {
    Npy { file: BufReader<File>, layout: NpyLayout },
    Csv { records: Box<csv::Reader<File>>, first: Option<csv::StringRecord> },
    Parquet(Box<Table>),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Npy { .. } => "Npy",
            Self::Csv { .. } => "Csv",
            Self::Parquet(_) => "Parquet",
        })
    }
}

impl Rows {
    /// Opens a `.npy`, `.csv` or `.parquet` file whose rows have so many columns.
    pub fn open(path: &Path, columns: usize) -> Result<Self, Error> {
        let refuse = |rule| at(path)(tiresias_circuits::Error::Features(rule));
        let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
        let file = File::open(path).map_err(files::at(path))?;
        let (source, found) = match ending.as_deref() {
            Some("npy") => {
                let layout = npy_layout(&file, path)?;
                let mut file = BufReader::with_capacity(1 << 20, file);
                file.seek(SeekFrom::Start(layout.offset as u64)).map_err(files::at(path))?;
                if layout.rows == 0 {
                    return Err(refuse("a table needs at least one row and one column"));
                }
                (Source::Npy { file, layout }, layout.columns)
            }
            Some("csv") => {
                let mut records = csv::ReaderBuilder::new()
                    .has_headers(false)
                    .trim(csv::Trim::All)
                    .buffer_capacity(1 << 20)
                    .from_reader(file);
                let first = first_row(&mut records).map_err(|_| refuse(NOT_CSV))?;
                let first = first.ok_or_else(|| refuse("a table needs at least one row and one column"))?;
                let columns = first.len();
                (Source::Csv { records: Box::new(records), first: Some(first) }, columns)
            }
            Some("parquet") => {
                let table = Table::open(file).map_err(refuse)?;
                if table.rows() == 0 {
                    return Err(refuse("a table needs at least one row and one column"));
                }
                let width = table.width().unwrap_or(columns);
                (Source::Parquet(Box::new(table)), width)
            }
            _ => return Err(refuse("a features file ends in .npy, .csv or .parquet")),
        };
        if found != columns {
            let shape =
                tiresias_circuits::Error::Shape { what: "features per row", got: found, expected: columns };
            return Err(at(path)(shape));
        }
        Ok(Self { path: path.to_owned(), columns, read: 0, source })
    }

    /// How many rows the file has, where it says so.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        match &self.source {
            Source::Npy { layout, .. } => Some(layout.rows),
            Source::Csv { .. } => None,
            Source::Parquet(table) => Some(table.rows()),
        }
    }

    /// The next rows, at most `most`, one after the other; none at the end of the file.
    pub fn next(&mut self, most: usize) -> Result<Vec<f64>, Error> {
        let (path, columns, read) = (self.path.as_path(), self.columns, self.read);
        let values = match &mut self.source {
            Source::Npy { file, layout } => {
                let rows = (layout.rows - read).min(most as u64) as usize;
                let mut bytes = vec![0; rows * columns * layout.width];
                file.read_exact(&mut bytes).map_err(files::at(path))?;
                match layout.width {
                    4 => {
                        bytes.as_chunks().0.iter().map(|word| f64::from(f32::from_le_bytes(*word))).collect()
                    }
                    _ => bytes.as_chunks().0.iter().map(|word| f64::from_le_bytes(*word)).collect(),
                }
            }
            Source::Csv { records, first } => {
                let mut values = Vec::with_capacity(most * columns);
                let mut record = csv::StringRecord::new();
                for _ in 0..most {
                    match first.take() {
                        Some(row) => record = row,
                        None => match records.read_record(&mut record) {
                            Ok(true) => {}
                            Ok(false) => break,
                            Err(_) => return Err(at(path)(tiresias_circuits::Error::Features(NOT_CSV))),
                        },
                    }
                    let line = record.position().map_or(0, csv::Position::line);
                    for (field, text) in record.iter().enumerate() {
                        let value = text.parse();
                        values.push(value.map_err(|_| {
                            at(path)(tiresias_circuits::Error::NotANumber { line, field: field + 1 })
                        })?);
                    }
                }
                values
            }
            Source::Parquet(table) => table
                .next(most, columns)
                .map_err(|rule| at(path)(tiresias_circuits::Error::Features(rule)))?,
        };
        let values: Vec<f64> = values;
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            let row = read as usize + place / columns;
            let error =
                tiresias_circuits::Error::NotFinite { what: "features", row, column: place % columns };
            return Err(at(path)(error));
        }
        self.read += (values.len() / columns) as u64;
        Ok(values)
    }

    /// Passes over rows.
    pub fn skip(&mut self, rows: u64) -> Result<(), Error> {
        let mut left = rows;
        while left > 0 {
            let read = self.next(left.min(2048) as usize)?.len() / self.columns;
            if read == 0 {
                break;
            }
            left -= read as u64;
        }
        Ok(())
    }
}

const NOT_CSV: &str = "a .csv file must be UTF-8 text with the same number of fields in each line";

/// The first row; a line in which no field is a number is a header.
fn first_row(records: &mut csv::Reader<File>) -> Result<Option<csv::StringRecord>, csv::Error> {
    let mut record = csv::StringRecord::new();
    for _ in 0..2 {
        if !records.read_record(&mut record)? {
            return Ok(None);
        }
        if record.iter().any(|field| field.parse::<f64>().is_ok()) {
            return Ok(Some(record));
        }
    }
    Ok(Some(record))
}

fn npy_layout(file: &File, path: &Path) -> Result<NpyLayout, Error> {
    let length = file.metadata().map_err(files::at(path))?.len();
    let mut prefix = Vec::new();
    file.take(NpyLayout::PREFIX as u64).read_to_end(&mut prefix).map_err(files::at(path))?;
    NpyLayout::read(&prefix, length).map_err(at(path))
}

/// The SHA-256 of a file of any size.
pub fn digest(path: &Path) -> Result<Digest, Error> {
    let mut file = File::open(path).map_err(files::at(path))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        let read = file.read(&mut buffer).map_err(files::at(path))?;
        if read == 0 {
            return Ok(Digest::from_bytes(hash.finalize().into()));
        }
        hash.update(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (directory, path)
    }

    #[test]
    fn rows_come_in_portions_from_either_kind_of_file() {
        let table: Vec<[f64; 2]> = (0..5).map(|i| [f64::from(i), -0.5 * f64::from(i)]).collect();
        let npy = crate::npy::bytes(table.iter().map(<[f64; 2]>::as_slice), 2);
        let csv = table.iter().fold("a,b\n".to_owned(), |text, [a, b]| format!("{text}{a},{b}\n"));
        for (name, bytes, count) in [("x.npy", npy.as_slice(), Some(5)), ("x.csv", csv.as_bytes(), None)] {
            let (_directory, path) = file(name, bytes);
            let mut rows = Rows::open(&path, 2).unwrap();
            assert_eq!(rows.count(), count);
            assert_eq!(rows.next(2).unwrap(), [0.0, 0.0, 1.0, -0.5]);
            rows.skip(1).unwrap();
            assert_eq!(rows.next(100).unwrap(), [3.0, -1.5, 4.0, -2.0]);
            assert!(rows.next(100).unwrap().is_empty());
            assert_eq!(digest(&path).unwrap(), Digest::of(bytes));
            let error = Rows::open(&path, 3).unwrap_err().to_string();
            assert!(error.contains("features per row"), "{error}");
        }
    }

    #[test]
    fn what_is_no_table_is_refused_with_its_place() {
        let error = |name: &str, bytes: &[u8]| {
            let (_directory, path) = file(name, bytes);
            let rows = Rows::open(&path, 2).and_then(|mut rows| rows.next(10).map(|_| ()));
            rows.unwrap_err().to_string()
        };
        let cut = crate::npy::bytes([[1.0, 2.0].as_slice()].into_iter(), 2);
        for (name, bytes, part) in [
            ("x.csv", b"1,2\n3,x\n".as_slice(), "line 2, field 2 is not a number"),
            ("x.csv", b"1,2\n3\n", "same number of fields"),
            ("x.csv", b"", "at least one row"),
            ("x.csv", b"a,b\n", "at least one row"),
            ("x.csv", b"1,2\n3,NaN\n", "row 1, column 1"),
            ("x.csv", &[0xff, 0xfe, b'\n'], "UTF-8"),
            ("x.npy", &cut[..cut.len() - 1], "length differs"),
            ("x.npy", b"1,2\n", "not a readable .npy"),
            ("x.txt", b"1,2\n", "ends in .npy, .csv or .parquet"),
        ] {
            let error = error(name, bytes);
            assert!(error.contains(part), "{error} lacks {part}");
        }
    }
}
