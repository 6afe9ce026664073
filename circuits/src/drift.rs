//! How far a row of features lies from those that a quantizer was calibrated on. Public numbers of the calibration set
//! as a whole stand in the card, and the client compares on its own machine.
//!
//! The distance is the root mean square of the features' z-scores, each cut off at 10: about 1 for a row of the
//! calibration set (a diagonal Mahalanobis distance, scaled by the number of features). It notices scans of another
//! kind, scanner or preparation; it cannot notice a change that leaves means and deviations alone.

use crate::{Error, Features};

/// Fewer rows say too little of a distribution.
pub const MINIMUM_ROWS: usize = 8;

/// A larger z-score tells no more.
const LARGEST_Z: f64 = 10.0;

/// Means, deviations and the usual distance of a calibration set.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    rows: usize,
    mean: Vec<f64>,
    deviation: Vec<f64>,
    limit: f64,
}

impl Calibration {
    /// Of given rows. `None` where there are fewer than [`MINIMUM_ROWS`], or numbers too large for a deviation.
    ///
    /// The limit, beyond which a row is far out, is as far above the 99th percentile of the rows' own distances as that
    /// is above their median.
    #[must_use]
    pub fn of(rows: &Features) -> Option<Self> {
        let n = rows.rows();
        if n < MINIMUM_ROWS {
            return None;
        }
        // Welford's recurrence: exact for a feature that is constant.
        let (mut mean, mut squares) = (vec![0.0; rows.columns()], vec![0.0; rows.columns()]);
        for (row, seen) in rows.iter().zip(1_u32..) {
            for ((mean, square), value) in mean.iter_mut().zip(&mut squares).zip(row) {
                let step = value - *mean;
                *mean += step / f64::from(seen);
                *square += step * (value - *mean);
            }
        }
        let deviation = squares.into_iter().map(|square| stated((square / (n - 1) as f64).sqrt())).collect();
        let mean = mean.into_iter().map(stated).collect();
        let mut calibration = Self::new(n, mean, deviation, LARGEST_Z).ok()?;
        let mut distances: Vec<f64> = rows.iter().map(|row| calibration.distance(row)).collect();
        distances.sort_by(f64::total_cmp);
        let (median, high) = (distances[n / 2], distances[(n * 99).div_ceil(100) - 1]);
        calibration.limit = stated((2.0 * high - median).clamp(1.0, LARGEST_Z));
        Some(calibration)
    }

    /// Checks stated numbers: `rows` of at least [`MINIMUM_ROWS`], one finite mean and one finite deviation of 0 or more
    /// for each feature, a limit from 1 to 10.
    pub fn new(rows: usize, mean: Vec<f64>, deviation: Vec<f64>, limit: f64) -> Result<Self, Error> {
        if deviation.len() != mean.len() {
            return Err(Error::Shape {
                what: "deviations of a calibration",
                got: deviation.len(),
                expected: mean.len(),
            });
        }
        let is_sound = rows >= MINIMUM_ROWS
            && mean.iter().all(|mean| mean.is_finite())
            && deviation.iter().all(|deviation| deviation.is_finite() && *deviation >= 0.0)
            && (1.0..=LARGEST_Z).contains(&limit);
        if !is_sound {
            return Err(Error::OutOfRange {
                what: "a calibration's numbers",
                rule: "8 rows or more, finite, with a limit from 1 to 10",
            });
        }
        Ok(Self { rows, mean, deviation, limit })
    }

    /// The distance of one row of d features: 0 at the mean, about 1 for the calibration's own rows, at most 10.
    #[must_use]
    pub fn distance(&self, row: &[f64]) -> f64 {
        let squares = self.scores(row).map(|z| z * z);
        (squares.sum::<f64>() / self.mean.len().max(1) as f64).sqrt()
    }

    /// How far the mean of a run's rows is from the calibration's: the same distance of their mean row, beside what it
    /// would be on average for as many rows of the calibration set, 1/sqrt(rows).
    #[must_use]
    pub fn shift(&self, rows: &[&[f64]]) -> Option<(f64, f64)> {
        let n = rows.len() as f64;
        let mean = |at: usize| rows.iter().map(|row| row.get(at).copied().unwrap_or(0.0) / n).sum();
        let mean: Vec<f64> = (0..self.mean.len()).map(mean).collect();
        (!rows.is_empty()).then(|| (self.distance(&mean), 1.0 / n.sqrt()))
    }

    fn scores(&self, row: &[f64]) -> impl Iterator<Item = f64> {
        row.iter().zip(self.mean.iter().zip(&self.deviation)).map(|(value, (mean, deviation))| {
            let distance = (value - mean).abs();
            // A feature that was constant in calibration: any step away from it is as far as can be.
            let step = deviation.max(1e-6 * mean.abs()).max(f64::MIN_POSITIVE);
            (distance / step).min(LARGEST_Z)
        })
    }

    /// Rows of the calibration set.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// One mean a feature.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// One standard deviation a feature.
    #[must_use]
    pub fn deviation(&self) -> &[f64] {
        &self.deviation
    }

    /// The distance beyond which a row is far out.
    #[must_use]
    pub fn limit(&self) -> f64 {
        self.limit
    }
}

/// How usual one vector's features are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Values outside the calibrated range, which were clipped to its ends.
    pub outside: usize,
    /// Values in all: the features, of a map those at all its locations.
    pub values: usize,
    /// The distance of the features, of a map of their means.
    pub distance: f64,
    /// The distance beyond which a vector is far out.
    pub limit: f64,
}

impl Drift {
    /// Of a vector with this distance.
    #[must_use]
    pub fn new(calibration: &Calibration, distance: f64, outside: usize, values: usize) -> Self {
        Self { outside, values, distance, limit: calibration.limit() }
    }

    /// Whether the distance is beyond its limit, or a tenth or more of the values outside their range. No score is then to
    /// be trusted: a human decides.
    #[must_use]
    pub fn is_far_out(&self) -> bool {
        self.distance > self.limit || self.outside * 10 >= self.values
    }
}

/// To six digits, as a card states it.
fn stated(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 200 rows of three features, uniform around (5, -100, 7), the last one constant.
    fn calibration() -> Calibration {
        let unit = |i: usize| ((i * 7919 + 13) % 1000) as f64 / 1000.0 - 0.5;
        let row = |i: usize| [5.0 + 2.0 * unit(i), -100.0 + 40.0 * unit(i * 31 + 7), 7.0];
        Calibration::of(&Features::new((0..200).flat_map(row).collect(), 3).unwrap()).unwrap()
    }

    #[test]
    fn rows_like_the_calibration_are_near_and_others_far() {
        let calibration = calibration();
        assert!((calibration.mean()[0] - 5.0).abs() < 0.1 && calibration.deviation()[2] == 0.0);
        assert!(calibration.distance(calibration.mean()) < 1e-9);
        assert!((1.0..2.5).contains(&calibration.limit()));
        assert!(calibration.distance(&[5.9, -80.5, 7.0]) < calibration.limit());
        assert!(calibration.distance(&[9.0, -100.0, 7.0]) > calibration.limit());
        // A constant that moves counts as far as can be, and no feature for more than that.
        assert!((calibration.distance(&[5.0, -100.0, 7.1]) - 10.0 / 3_f64.sqrt()).abs() < 0.1);
        assert!(calibration.distance(&[1e300, -100.0, 7.0]) < 6.0);
    }

    #[test]
    fn a_run_that_shifts_shows_though_each_row_is_near() {
        let calibration = calibration();
        let rows = vec![[5.6, -88.0, 7.0]; 100];
        let rows: Vec<&[f64]> = rows.iter().map(<[f64; 3]>::as_slice).collect();
        let (shift, usual) = calibration.shift(&rows).unwrap();
        assert!(rows.iter().all(|row| calibration.distance(row) < calibration.limit()));
        assert!((usual - 0.1).abs() < 1e-9 && shift > 5.0 * usual);
        assert!(calibration.shift(&[]).is_none());
    }

    #[test]
    fn too_few_rows_and_unsound_numbers_are_no_calibration() {
        assert!(Calibration::of(&Features::new(vec![1.0; 7], 1).unwrap()).is_none());
        assert!(Calibration::of(&Features::new(vec![1.0; 8], 1).unwrap()).is_some());
        assert!(Calibration::new(8, vec![0.0], vec![1.0], 2.0).is_ok());
        assert!(Calibration::new(7, vec![0.0], vec![1.0], 2.0).is_err());
        assert!(Calibration::new(8, vec![0.0], vec![], 2.0).is_err());
        assert!(Calibration::new(8, vec![f64::NAN], vec![1.0], 2.0).is_err());
        assert!(Calibration::new(8, vec![0.0], vec![-1.0], 2.0).is_err());
        assert!(Calibration::new(8, vec![0.0], vec![1.0], f64::INFINITY).is_err());
    }
}
