//! Rows of features from the bytes of `.npy` and `.csv` files. The caller reads the file and caps its size.

use crate::Error;

mod npy;

pub use npy::NpyLayout;

/// A table of finite features: n rows of d columns.
#[derive(Clone, PartialEq)]
pub struct Features {
    values: Vec<f64>,
    columns: usize,
}

impl std::fmt::Debug for Features {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Features are what Tiresias protects: only their shape is ever shown.
        write!(f, "Features([{}, {}])", self.rows(), self.columns)
    }
}

impl Features {
    /// Builds a table from values in row order. Errors where the shape is wrong or a value is not finite.
    pub fn new(values: Vec<f64>, columns: usize) -> Result<Self, Error> {
        if columns == 0 || values.is_empty() || !values.len().is_multiple_of(columns) {
            return Err(Error::Features(
                "a table needs at least one row and one column, and rows of one length",
            ));
        }
        match values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(Error::NotFinite { what: "features", row: at / columns, column: at % columns }),
            None => Ok(Self { values, columns }),
        }
    }

    /// Reads a NumPy array of float32 or float64, shape \[n, d\], or \[d\] for one row.
    pub fn from_npy(bytes: &[u8]) -> Result<Self, Error> {
        let file = npy::parse(bytes)?;
        let columns = match *file.shape.as_slice() {
            [columns] | [_, columns] => usize::try_from(columns).unwrap_or(0),
            _ => return Err(Error::Features("a .npy file must have shape [rows, features]")),
        };
        let values = match file.width {
            4 => file.data.as_chunks().0.iter().map(|chunk| f64::from(f32::from_le_bytes(*chunk))).collect(),
            _ => file.data.as_chunks().0.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect(),
        };
        Self::new(values, columns)
    }

    /// Reads comma-separated numbers, one row a line. A first line in which no field is a number is a header and
    /// skipped.
    pub fn from_csv(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(bytes);
        let (mut values, mut columns) = (Vec::new(), 0);
        for (index, record) in reader.records().enumerate() {
            let record = record.map_err(|_| {
                Error::Features("a .csv file must be UTF-8 text with the same number of fields in each line")
            })?;
            let fields: Vec<Option<f64>> = record.iter().map(|field| field.parse().ok()).collect();
            if index == 0 && fields.iter().all(Option::is_none) {
                continue;
            }
            columns = fields.len();
            for (field, value) in fields.into_iter().enumerate() {
                let line = record.position().map_or(0, csv::Position::line);
                values.push(value.ok_or(Error::NotANumber { line, field: field + 1 })?);
            }
        }
        Self::new(values, columns)
    }

    /// Reads a features file by its name's ending, `.npy` or `.csv`.
    pub fn from_named(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        match name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
            Some("npy") => Self::from_npy(bytes),
            Some("csv") => Self::from_csv(bytes),
            _ => Err(Error::Features("a features file ends in .npy or .csv")),
        }
    }

    /// Rows n.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    /// Columns d.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The rows, in order.
    pub fn iter(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.columns)
    }

    /// Checks that the table has the `expected` columns of a head.
    pub fn expect_columns(&self, expected: usize) -> Result<(), Error> {
        if self.columns == expected {
            return Ok(());
        }
        Err(Error::Shape { what: "features per row", got: self.columns, expected })
    }
}

impl<'a> IntoIterator for &'a Features {
    type Item = &'a [f64];
    type IntoIter = std::slice::ChunksExact<'a, f64>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_with_and_without_a_header() {
        let expected = Features::new(vec![1.0, -2.5, 3e2, 0.0], 2).unwrap();
        assert_eq!(Features::from_csv(b"a,b\n1,-2.5\n3e2,0\n").unwrap(), expected);
        assert_eq!(Features::from_csv(b"1, -2.5\n3e2, 0").unwrap(), expected);
    }

    #[test]
    fn bad_csv_is_refused_with_its_place() {
        let error = |text: &[u8]| Features::from_csv(text).unwrap_err().to_string();
        assert_eq!(error(b"1,2\n3,x\n"), "features: line 2, field 2 is not a number");
        assert!(error(b"1,2\n3\n").contains("same number of fields"));
        assert!(error(b"").contains("at least one row"));
        assert!(error(b"a,b\n").contains("at least one row"));
        assert_eq!(error(b"1,2\n3,NaN\n"), "features must be finite: row 1, column 1 is not");
        assert_eq!(error(b"inf,2\n"), "features must be finite: row 0, column 0 is not");
        assert!(error(&[0xff, 0xfe]).contains("UTF-8"));
    }

    #[test]
    fn bad_npy_is_refused() {
        let header = |text: &str| {
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
            bytes
        };
        let with_data = |text: &str, data: &[f32]| {
            let mut bytes = header(text);
            bytes.extend(data.iter().flat_map(|value| value.to_le_bytes()));
            bytes
        };
        let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n";
        let table = Features::from_npy(&with_data(good, &[1.0, 2.0, 3.0, 4.0])).unwrap();
        assert_eq!((table.rows(), table.columns()), (2, 2));
        for (bytes, part) in [
            (Vec::new(), "readable"),
            (header("{'descr': '<i8', 'fortran_order': False, 'shape': (2, 2), }\n"), "float32"),
            (header("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }\n"), "C order"),
            (header("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 0, 2), }\n"), "shape"),
            (with_data(good, &[1.0, 2.0, 3.0]), "length differs"),
            (
                header("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 8), }\n"),
                "length differs",
            ),
            (header("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 2), }\n"), "at least one row"),
            (with_data(good, &[1.0, f32::NAN, 3.0, 4.0]), "finite"),
        ] {
            let error = Features::from_npy(&bytes).unwrap_err().to_string();
            assert!(error.contains(part), "{error} lacks {part}");
        }
    }
}
