//! Rows of features with their classes, checked.

use std::fmt;

use crate::error::{Error, MAXIMUM_CLASSES, MAXIMUM_COLUMNS};

/// A table of finite features, each row with its class.
#[derive(Clone, PartialEq)]
pub struct Rows {
    values: Vec<f64>,
    columns: usize,
    labels: Vec<usize>,
    classes: Vec<String>,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Patients are what is protected: only the shape is ever shown.
        write!(f, "Rows([{}, {}])", self.len(), self.columns)
    }
}

impl Rows {
    /// Builds a table from values in row order, the names of the classes and each row's class, counted from 0.
    pub fn new(
        values: Vec<f64>,
        columns: usize,
        labels: Vec<usize>,
        classes: Vec<String>,
    ) -> Result<Self, Error> {
        if columns == 0 || labels.is_empty() || Some(values.len()) != labels.len().checked_mul(columns) {
            return Err(Error::Shape);
        }
        if columns > MAXIMUM_COLUMNS {
            return Err(Error::Columns);
        }
        let mut names: Vec<&String> = classes.iter().collect();
        names.sort_unstable();
        names.dedup();
        if !(2..=MAXIMUM_CLASSES).contains(&classes.len()) || names.len() < classes.len() {
            return Err(Error::Classes);
        }
        if let Some(row) = labels.iter().position(|&label| label >= classes.len()) {
            return Err(Error::Label { row: row + 1 });
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::NotFinite { row: at / columns + 1, feature: at % columns + 1 });
        }
        Ok(Self { values, columns, labels, classes })
    }

    /// The same with each row's class by name. The classes are those that occur, in alphabetical order.
    pub fn with_names(values: Vec<f64>, columns: usize, labels: &[String]) -> Result<Self, Error> {
        let mut classes = labels.to_vec();
        classes.sort_unstable();
        classes.dedup();
        let labels = labels.iter().map(|label| classes.binary_search(label).unwrap_or(usize::MAX)).collect();
        Self::new(values, columns, labels, classes)
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Never: a table has a row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// How many features.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Names of the classes.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The class of each row.
    #[must_use]
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The rows, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f64]> + Clone {
        self.values.chunks_exact(self.columns)
    }

    /// All values, in row order.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// One feature of all rows.
    #[must_use]
    pub fn column(&self, column: usize) -> Vec<f64> {
        self.iter().map(|row| row[column]).collect()
    }

    /// How many rows each class has.
    #[must_use]
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for &label in &self.labels {
            counts[label] += 1;
        }
        counts
    }

    /// The rows of one class.
    pub(crate) fn of(&self, class: usize) -> Vec<&[f64]> {
        self.iter().zip(&self.labels).filter(|&(_, &label)| label == class).map(|(row, _)| row).collect()
    }

    /// The rows that `keep` says, in order.
    pub fn filtered(&self, keep: impl Fn(usize) -> bool) -> Result<Self, Error> {
        let kept: Vec<usize> = (0..self.len()).filter(|&row| keep(row)).collect();
        if kept.is_empty() {
            return Err(Error::EmptyPart);
        }
        let slice = |row: usize| &self.values[row * self.columns..(row + 1) * self.columns];
        Ok(Self {
            values: kept.iter().flat_map(|&row| slice(row)).copied().collect(),
            columns: self.columns,
            labels: kept.iter().map(|&row| self.labels[row]).collect(),
            classes: self.classes.clone(),
        })
    }

    /// Checks that another table has the same features and classes.
    pub(crate) fn expect_alike(&self, other: &Self) -> Result<(), Error> {
        match self.columns == other.columns && self.classes == other.classes {
            true => Ok(()),
            false => Err(Error::Mismatch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let ab = names(&["a", "b"]);
        let new = |values: &[f64], columns, labels: &[usize], classes: &[String]| {
            Rows::new(values.to_vec(), columns, labels.to_vec(), classes.to_vec()).unwrap_err()
        };
        assert_eq!(new(&[], 1, &[], &ab), Error::Shape);
        assert_eq!(new(&[1.0], 0, &[0], &ab), Error::Shape);
        assert_eq!(new(&[1.0, 2.0, 3.0], 2, &[0, 1], &ab), Error::Shape);
        assert_eq!(new(&[1.0; 2049], 2049, &[0], &ab), Error::Columns);
        assert_eq!(new(&[1.0, 2.0], 1, &[0, 0], &ab[..1]), Error::Classes);
        assert_eq!(new(&[1.0, 2.0], 1, &[0, 1], &names(&["a", "a"])), Error::Classes);
        assert_eq!(new(&[1.0, 2.0], 1, &[0, 2], &ab), Error::Label { row: 2 });
        assert_eq!(new(&[1.0, 2.0, f64::NAN, 0.0], 2, &[0, 1], &ab), Error::NotFinite { row: 2, feature: 1 });
        assert_eq!(new(&[1.0, f64::INFINITY], 1, &[0, 1], &ab), Error::NotFinite { row: 2, feature: 1 });
    }

    #[test]
    fn classes_are_in_alphabetical_order_and_nothing_shows_a_value() {
        let rows = Rows::with_names(vec![1.5, 2.5, 3.5], 1, &names(&["ill", "healthy", "ill"])).unwrap();
        assert_eq!((rows.classes(), rows.labels()), (&names(&["healthy", "ill"])[..], &[1, 0, 1][..]));
        assert_eq!(rows.counts(), [1, 2]);
        assert_eq!(format!("{rows:?}"), "Rows([3, 1])");
        assert_eq!(rows.filtered(|_| false).unwrap_err(), Error::EmptyPart);
    }
}
