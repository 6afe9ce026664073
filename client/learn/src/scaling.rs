//! Means and deviations of features, over the patients of all clinics.
//!
//! Features are first centred and scaled by bounds, so that the bounds are at -2 and 2: the fixed point then serves features of any size.
//! Values outside stay where they are. Bounds need not be right, only alike at all clinics and not a thousand times too wide or narrow.

use tiresias_synth::{Bound, Bounds, Rows};

use crate::{
    Alone, Error, Pool,
    fixed::{SUM_BOUND, accumulate, float},
};

/// A mean and a deviation for each feature; features that do not vary are centred alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling(Vec<(f64, f64)>);

/// The bounds of one clinic's own rows, for learning alone.
pub fn bounds_of(rows: &Rows) -> Result<Bounds, Error> {
    let of = |column| {
        let values = rows.column(column);
        let lower = values.iter().copied().fold(f64::INFINITY, f64::min);
        Bound { lower, upper: values.into_iter().fold(f64::NEG_INFINITY, f64::max), whole: false }
    };
    Ok(Bounds::new((0..rows.columns()).map(of).collect())?)
}

impl Scaling {
    /// Of the patients of all clinics, of whom there are `patients`: the means are opened first, then the sums of squares about them.
    pub(crate) fn pooled<P: Pool>(
        rows: &Rows,
        bounds: &Bounds,
        patients: u64,
        pool: &mut P,
    ) -> Result<Self, P::Error> {
        let public = Self::of_bounds(rows, bounds)?;
        let mut means_of = |question, about: &[f64], power| -> Result<Vec<f64>, P::Error> {
            let mut sums = vec![0i64; rows.columns()];
            for row in rows.iter() {
                for (column, (sum, value)) in sums.iter_mut().zip(row).enumerate() {
                    let (centre, width) = public.0[column];
                    let value: f64 = (value - centre) / width - about[column];
                    accumulate(sum, value.powi(power))?;
                }
            }
            let totals = pool.sum(question, &sums, SUM_BOUND)?;
            Ok(totals.into_iter().map(|total| float(total) / patients as f64).collect())
        };
        let means = means_of("means", &vec![0.0; rows.columns()], 1)?;
        let variances = means_of("deviations", &means, 2)?;
        let each =
            public.0.iter().zip(means.iter().zip(&variances)).map(|(&(centre, width), (mean, variance))| {
                let deviation = variance.max(0.0).sqrt();
                // Less is what rounding leaves of a feature that does not vary.
                (centre + width * mean, if deviation > 1e-4 { width * deviation } else { width })
            });
        Ok(Self(each.collect()))
    }

    /// The same of one clinic alone.
    pub(crate) fn of(rows: &Rows) -> Result<Self, Error> {
        Self::pooled(rows, &bounds_of(rows)?, rows.len() as u64, &mut Alone)
    }

    /// That which brings bounds to -2 and 2.
    pub(crate) fn of_bounds(rows: &Rows, bounds: &Bounds) -> Result<Self, Error> {
        if bounds.as_slice().len() != rows.columns() {
            return Err(tiresias_synth::Error::BoundsCount.into());
        }
        let each = bounds.as_slice().iter().map(|bound| {
            let width = (bound.upper - bound.lower) / 4.0;
            (bound.lower / 2.0 + bound.upper / 2.0, if width > 0.0 { width } else { 1.0 })
        });
        Ok(Self(each.collect()))
    }

    /// The mean and the deviation of each feature.
    #[must_use]
    pub fn as_slice(&self) -> &[(f64, f64)] {
        &self.0
    }

    /// Rows of a 1, for the bias, and the standardized features.
    pub(crate) fn apply(&self, rows: &Rows) -> Vec<f64> {
        let mut design = Vec::with_capacity(rows.len() * (rows.columns() + 1));
        for row in rows.iter() {
            design.push(1.0);
            design
                .extend(row.iter().zip(&self.0).map(|(value, (mean, deviation))| (value - mean) / deviation));
        }
        design
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_far_apart_and_constant_ones() {
        let values = [1e-7, 5e6, 0.1, 3e-7, 7e6, 0.1].to_vec();
        let rows = Rows::new(values, 3, vec![0, 1], vec!["a".into(), "b".into()]).unwrap();
        let bound = |lower, upper| Bound { lower, upper, whole: false };
        let public = Bounds::new(vec![bound(0.0, 1e-6), bound(0.0, 1e7), bound(0.0, 1.0)]).unwrap();
        for bounds in [bounds_of(&rows).unwrap(), public] {
            let scaling = Scaling::pooled(&rows, &bounds, 2, &mut Alone).unwrap();
            let [(small, small_by), (large, large_by), (constant, _)] = scaling.0[..] else { panic!() };
            assert!((small / 2e-7 - 1.0).abs() < 1e-8 && (small_by / 1e-7 - 1.0).abs() < 1e-8);
            assert!((large / 6e6 - 1.0).abs() < 1e-8 && (large_by / 1e6 - 1.0).abs() < 1e-8);
            assert!((constant - 0.1).abs() < 1e-9);
            assert!((scaling.apply(&rows)[5] - 1.0).abs() < 1e-8 && scaling.apply(&rows)[7].abs() < 1e-8);
        }
        let far = Bounds::new(vec![bound(0.0, 1e-6), bound(0.0, 1e-9), bound(0.0, 1.0)]).unwrap();
        assert_eq!(Scaling::pooled(&rows, &far, 2, &mut Alone).unwrap_err(), Error::Overflow);
    }
}
