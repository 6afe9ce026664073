//! Features from Parquet: a column a feature, in the order of the file, or one column of lists with all of a row's. Values are
//! read column by column, some pages of each at a time.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
};

use parquet::{
    basic::{LogicalType, Type as Physical},
    column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader},
    data_type::{DataType, DoubleType, FloatType, Int32Type, Int64Type},
    errors::ParquetError,
    file::reader::{FileReader, SerializedFileReader},
    schema::types::ColumnDescriptor,
};

/// Columns of a file; more are no features.
const MAXIMUM_COLUMNS: usize = 16_384;

/// Why a file could not be read. What it holds is not quoted.
const DAMAGED: &str = "a .parquet file must be whole, and compressed with Snappy, gzip, LZ4 or not at all: write it again, such as with \
     compression=\"snappy\"";
const MISSING: &str =
    "a .parquet file of features must have a value in each place: fill or drop what is missing";
const KIND: &str = "each column of a .parquet file of features must hold float, double, int32 or int64 numbers: select those columns alone";
const LISTS: &str =
    "a .parquet file of features has a column a feature, or one column of lists of equal lengths";

/// A Parquet file, read row after row.
pub(super) struct Table {
    file: SerializedFileReader<File>,
    rows: u64,
    /// Features of a row, where a column of lists does not hide that.
    flat: Option<usize>,
    /// The next row group to be opened, and the columns of the one that is.
    next_group: usize,
    columns: Vec<Column>,
}

/// A column of a row group.
enum Column {
    F32(ColumnReaderImpl<FloatType>),
    F64(ColumnReaderImpl<DoubleType>),
    I32(ColumnReaderImpl<Int32Type>),
    I64(ColumnReaderImpl<Int64Type>),
}

/// Rows of a column.
struct Values {
    values: Vec<f64>,
    rows: usize,
    /// For lists: 0 where a value begins one.
    repetitions: Vec<i16>,
}

impl Table {
    /// Opens a file. Its length and form are checked, its values are not read yet.
    pub(super) fn open(file: File) -> Result<Self, &'static str> {
        let file = contained(|| SerializedFileReader::new(file))?;
        let metadata = file.metadata();
        let (schema, rows) = (metadata.file_metadata().schema_descr(), metadata.file_metadata().num_rows());
        if !(1..=MAXIMUM_COLUMNS).contains(&schema.num_columns()) {
            return Err(LISTS);
        }
        for column in schema.columns() {
            check(column)?;
        }
        let is_lists = schema.columns().iter().any(|column| column.max_rep_level() > 0);
        if is_lists && (schema.num_columns() != 1 || schema.column(0).max_rep_level() != 1) {
            return Err(LISTS);
        }
        let flat = (!is_lists).then_some(schema.num_columns());
        let rows = u64::try_from(rows).map_err(|_| DAMAGED)?;
        Ok(Self { file, rows, flat, next_group: 0, columns: Vec::new() })
    }

    /// Rows of the file.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Features of a row, or none where the rows will tell.
    pub(super) fn width(&self) -> Option<usize> {
        self.flat
    }

    /// The next rows, at most `most` and none at the end: `features` values each, one row after the other.
    pub(super) fn next(&mut self, most: usize, features: usize) -> Result<Vec<f64>, &'static str> {
        loop {
            let read: Vec<Values> =
                self.columns.iter_mut().map(|column| column.read(most)).collect::<Result<_, _>>()?;
            let rows = read.first().map_or(0, |column| column.rows);
            if read.iter().any(|column| column.rows != rows) {
                return Err(DAMAGED);
            }
            if rows > 0 {
                return if self.flat.is_some() {
                    interleaved(&read, rows)
                } else {
                    lists(read, rows, features)
                };
            }
            if !self.open_group()? {
                return Ok(Vec::new());
            }
        }
    }

    /// Opens the columns of the next row group, if there is one.
    fn open_group(&mut self) -> Result<bool, &'static str> {
        if self.next_group >= self.file.num_row_groups() {
            return Ok(false);
        }
        let file = &self.file;
        self.columns = contained(|| {
            let group = file.get_row_group(self.next_group)?;
            (0..group.num_columns()).map(|at| Column::new(group.get_column_reader(at)?)).collect()
        })?;
        self.next_group += 1;
        Ok(true)
    }
}

/// Numbers whose bits mean what they say, and no list of lists.
fn check(column: &ColumnDescriptor) -> Result<(), &'static str> {
    let is_number = matches!(
        column.physical_type(),
        Physical::FLOAT | Physical::DOUBLE | Physical::INT32 | Physical::INT64
    );
    let is_plain = match column.logical_type_ref() {
        None => column.converted_type() == parquet::basic::ConvertedType::NONE,
        Some(LogicalType::Integer(integer)) => integer.is_signed,
        Some(_) => false,
    };
    if is_number && is_plain { Ok(()) } else { Err(KIND) }
}

impl Column {
    fn new(reader: ColumnReader) -> Result<Self, ParquetError> {
        Ok(match reader {
            reader @ ColumnReader::FloatColumnReader(_) => Self::F32(get_typed_column_reader(reader)),
            reader @ ColumnReader::DoubleColumnReader(_) => Self::F64(get_typed_column_reader(reader)),
            reader @ ColumnReader::Int32ColumnReader(_) => Self::I32(get_typed_column_reader(reader)),
            reader @ ColumnReader::Int64ColumnReader(_) => Self::I64(get_typed_column_reader(reader)),
            _ => return Err(ParquetError::General(KIND.into())),
        })
    }

    /// The next rows of the column, at most `most`; none at its end.
    fn read(&mut self, most: usize) -> Result<Values, &'static str> {
        match self {
            Self::F32(reader) => read(reader, most, f64::from),
            Self::F64(reader) => read(reader, most, |value| value),
            Self::I32(reader) => read(reader, most, f64::from),
            Self::I64(reader) => read(reader, most, |value| value as f64),
        }
    }
}

fn read<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    most: usize,
    number: impl Fn(T::T) -> f64,
) -> Result<Values, &'static str> {
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    let mut rows = 0;
    while rows < most {
        let (more, _, _) = contained(|| {
            reader.read_records(most - rows, Some(&mut definitions), Some(&mut repetitions), &mut values)
        })?;
        if more == 0 {
            break;
        }
        rows += more;
    }
    // A place without a value has a level, and no value.
    let places = definitions.len().max(repetitions.len());
    if places > values.len() || (places == 0 && values.len() != rows) {
        return Err(MISSING);
    }
    Ok(Values { values: values.into_iter().map(number).collect(), rows, repetitions })
}

/// Rows of columns.
fn interleaved(columns: &[Values], rows: usize) -> Result<Vec<f64>, &'static str> {
    if columns.iter().any(|column| column.values.len() != rows) {
        return Err(MISSING);
    }
    let mut out = vec![0.0; rows * columns.len()];
    for (at, column) in columns.iter().enumerate() {
        out.iter_mut()
            .skip(at)
            .step_by(columns.len())
            .zip(&column.values)
            .for_each(|(out, value)| *out = *value);
    }
    Ok(out)
}

/// Rows that are lists of so many features each.
fn lists(mut columns: Vec<Values>, rows: usize, features: usize) -> Result<Vec<f64>, &'static str> {
    let column = columns.pop().filter(|column| column.values.len() == rows * features).ok_or(LISTS)?;
    let mut levels = column.repetitions.iter().enumerate();
    let is_even = levels.all(|(at, level)| (*level == 0) == at.is_multiple_of(features));
    if is_even { Ok(column.values) } else { Err(LISTS) }
}

/// Runs the reader of Parquet, whose bugs must not end a run without a word.
fn contained<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, &'static str> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| DAMAGED)?.map_err(|error| match error {
        ParquetError::General(rule) if rule == KIND => KIND,
        _ => DAMAGED,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Files that pyarrow wrote: four rows of 1, 2, 3; 11, 12, 13; and on, in row groups of three.
    fn table(name: &str) -> Result<Table, &'static str> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parquet");
        Table::open(File::open(folder.join(name)).unwrap())
    }

    #[test]
    fn rows_are_those_that_another_program_wrote() {
        for name in
            ["columns.parquet", "lists.parquet", "fixed_lists.parquet", "plain.parquet", "integers.parquet"]
        {
            let mut table = table(name).unwrap();
            assert_eq!(table.rows(), 4, "{name}");
            assert_eq!(table.next(2, 3).unwrap(), [1.0, 2.0, 3.0, 11.0, 12.0, 13.0], "{name}");
            assert_eq!(table.next(9, 3).unwrap(), [21.0, 22.0, 23.0], "the first row group has three rows");
            assert_eq!(table.next(9, 3).unwrap(), [31.0, 32.0, 33.0]);
            assert!(table.next(9, 3).unwrap().is_empty());
        }
    }

    #[test]
    fn what_is_no_table_of_numbers_is_refused() {
        for (name, rule) in [
            ("text.parquet", KIND),
            ("unsigned.parquet", KIND),
            ("zstd.parquet", DAMAGED),
            ("deep.parquet", LISTS),
        ] {
            let read = table(name).and_then(|mut table| table.next(9, 3).map(|_| ()));
            assert_eq!(read, Err(rule), "{name}");
        }
        for name in ["missing.parquet", "missing_lists.parquet"] {
            let read = table(name).and_then(|mut table| table.next(9, 3));
            assert_eq!(read, Err(MISSING), "{name}");
        }
        let uneven = table("uneven.parquet").and_then(|mut table| table.next(9, 3));
        assert_eq!(uneven, Err(LISTS), "two lists of three are not one of two and one of four");
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parquet");
        let good = std::fs::read(folder.join("columns.parquet")).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("damaged.parquet");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x5a;
            bad.truncate(if at % 3 == 0 { at } else { good.len() });
            std::fs::write(&path, &bad).unwrap();
            if let Ok(mut table) = Table::open(File::open(&path).unwrap()) {
                while table.next(9, 3).is_ok_and(|rows| !rows.is_empty()) {}
            }
        }
    }
}
