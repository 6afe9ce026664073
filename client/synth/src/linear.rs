//! Symmetric matrices by their lower half, and Cholesky factors. Sums are taken in eight lanes in a fixed order, so that
//! every processor gets the same bits.

use crate::Error;

/// A symmetric or lower triangular matrix: row i has i + 1 numbers.
#[derive(Clone, PartialEq)]
pub(crate) struct Lower {
    entries: Vec<f64>,
    size: usize,
}

impl std::fmt::Debug for Lower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lower({})", self.size)
    }
}

impl Lower {
    /// Made of its entries at (row, column), the column never above the row.
    pub(crate) fn from_fn(size: usize, mut entry: impl FnMut(usize, usize) -> f64) -> Self {
        let entries = (0..size).flat_map(|row| (0..=row).map(move |column| (row, column)));
        Self { entries: entries.map(|(row, column)| entry(row, column)).collect(), size }
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The numbers of a row, up to the diagonal.
    pub(crate) fn row(&self, row: usize) -> &[f64] {
        let start = row * (row + 1) / 2;
        &self.entries[start..=start + row]
    }

    /// The entry of a symmetric matrix.
    pub(crate) fn at(&self, row: usize, column: usize) -> f64 {
        let (high, low) = (row.max(column), row.min(column));
        self.row(high)[low]
    }

    /// The entries beside the diagonal, each once.
    pub(crate) fn beside(&self) -> impl Iterator<Item = f64> + '_ {
        (1..self.size).flat_map(|row| self.row(row)[..row].iter().copied())
    }

    /// (1 - weight) of this correlation matrix and `weight` of the identity.
    pub(crate) fn shrunk(&self, weight: f64) -> Self {
        Self::from_fn(self.size, |row, column| match row == column {
            true => 1.0,
            false => (1.0 - weight) * self.at(row, column),
        })
    }

    /// The factor L with L Lᵀ = this matrix, where it is positive definite.
    pub(crate) fn cholesky(&self) -> Result<Self, Error> {
        let mut entries: Vec<f64> = Vec::with_capacity(self.entries.len());
        for row in 0..self.size {
            let start = entries.len();
            for column in 0..row {
                let other = column * (column + 1) / 2;
                let known = dot(&entries[start..], &entries[other..other + column]);
                entries.push((self.at(row, column) - known) / entries[other + column]);
            }
            let rest = self.at(row, row) - dot(&entries[start..], &entries[start..]);
            if rest <= 1e-12 || rest.is_nan() {
                return Err(Error::NotPositive);
            }
            entries.push(rest.sqrt());
        }
        Ok(Self { entries, size: self.size })
    }
}

/// The sum of products of numbers at the same places, as far as both go.
#[must_use]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let length = a.len().min(b.len());
    let (a, a_rest) = a[..length].as_chunks::<8>();
    let (b, b_rest) = b[..length].as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f64>() + rest
}

/// Adds `factor` times `from` to `to`.
pub fn add(to: &mut [f64], factor: f64, from: &[f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_textbook_factor() {
        let matrix = [[4.0, 12.0, -16.0], [12.0, 37.0, -43.0], [-16.0, -43.0, 98.0]];
        let factor = Lower::from_fn(3, |row, column| matrix[row][column]).cholesky().unwrap();
        assert_eq!(
            [factor.row(0), factor.row(1), factor.row(2)],
            [&[2.0][..], &[6.0, 1.0], &[-8.0, 5.0, 3.0]]
        );
    }

    #[test]
    fn what_is_not_positive_definite_is_refused() {
        for off in [1.0, -1.5, f64::NAN] {
            let matrix = Lower::from_fn(2, |row, column| if row == column { 1.0 } else { off });
            assert_eq!(matrix.cholesky().unwrap_err(), Error::NotPositive);
        }
    }

    proptest! {
        #[test]
        fn factors_multiply_back(size in 1usize..20, seed in prop::collection::vec(-1.0f64..1.0, 20 * 30)) {
            // A Gram matrix of more rows than its size, and a little of the identity.
            let row = |at: usize| &seed[at * 30..(at + 1) * 30];
            let matrix = Lower::from_fn(size, |a, b| dot(row(a), row(b)) + if a == b { 0.1 } else { 0.0 });
            let factor = matrix.cholesky().unwrap();
            for a in 0..size {
                for b in 0..=a {
                    prop_assert!((dot(factor.row(a), factor.row(b)) - matrix.at(a, b)).abs() < 1e-9);
                }
            }
        }

        #[test]
        fn dot_is_the_sum(a in prop::collection::vec(-9i32..9, 0..40), b in prop::collection::vec(-9i32..9, 0..40)) {
            let float = |values: &[i32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
            let expected: i32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            prop_assert_eq!(dot(&float(&a), &float(&b)), f64::from(expected));
        }
    }
}
