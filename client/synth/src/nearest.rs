//! How far rows are from the nearest of others. All pairs are looked at; a distance is given up where it is too large already.

use serde::Serialize;

use crate::marginal::order_statistic;

/// Features whose squares are summed before the sum is looked at.
const CHUNK: usize = 32;

/// The Euclidean distance of each row of `of` to the nearest row of `among`, rows of `columns` numbers.
pub(crate) fn nearest(of: &[f64], among: &[f64], columns: usize) -> Vec<f64> {
    let one = |row: &[f64]| {
        let closest = |best: f64, other: &[f64]| {
            let mut sum = 0.0;
            for (a, b) in row.chunks(CHUNK).zip(other.chunks(CHUNK)) {
                sum += a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
                if sum >= best {
                    return best;
                }
            }
            sum
        };
        among.chunks_exact(columns).fold(f64::INFINITY, closest).sqrt()
    };
    of.chunks_exact(columns).map(one).collect()
}

/// Distances in a few figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// The least.
    pub least: f64,
    /// 5 % are below.
    pub p05: f64,
    /// A quarter is below.
    pub p25: f64,
    /// Half are below.
    pub median: f64,
    /// A quarter is above.
    pub p75: f64,
    /// 5 % are above.
    pub p95: f64,
    /// The largest.
    pub most: f64,
}

impl Quantiles {
    /// Of at least one number.
    pub(crate) fn of(numbers: &[f64]) -> Self {
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |share| order_statistic(&sorted, share);
        Self {
            least: at(0.0),
            p05: at(0.05),
            p25: at(0.25),
            median: at(0.5),
            p75: at(0.75),
            p95: at(0.95),
            most: at(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_nearest_of_a_few() {
        let among = [0.0, 0.0, 3.0, 4.0];
        assert_eq!(nearest(&[0.0, 1.0, 3.0, 4.0, 6.0, 8.0], &among, 2), [1.0, 0.0, 5.0]);
        let quantiles = Quantiles::of(&[3.0, 1.0, 2.0]);
        assert_eq!((quantiles.least, quantiles.median, quantiles.most), (1.0, 2.0, 3.0));
    }

    proptest! {
        #[test]
        fn giving_up_early_changes_nothing(columns in 1usize..70, values in prop::collection::vec(-5.0f64..5.0, 70 * 8)) {
            let (of, among) = values[..columns * 8].split_at(columns * 3);
            for (row, found) in of.chunks(columns).zip(nearest(of, among, columns)) {
                let squares = |other: &[f64]| row.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
                let expected = among.chunks(columns).map(squares).fold(f64::INFINITY, f64::min).sqrt();
                prop_assert!((found - expected).abs() < 1e-12);
            }
        }
    }
}
