//! Means and deviations of features, over the patients of all clinics.

use tiresias_synth::Rows;

use crate::{
    Error, Pool,
    fixed::{VALUE_BITS, moment, moment_float},
};

/// Below this part of its mean, a deviation is what rounding leaves of a feature that does not vary.
const NOTHING: f64 = 1e-9;

/// A mean and a deviation for each feature; features that do not vary are centred alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling(Vec<(f64, f64)>);

impl Scaling {
    /// Of the patients of all clinics, of whom there are `patients`: the means are opened first, then the sums of squares about them.
    pub(crate) fn pooled<P: Pool>(rows: &Rows, patients: u64, pool: &mut P) -> Result<Self, P::Error> {
        let mut mean_of = |question, about: Option<&[f64]>| -> Result<Vec<f64>, P::Error> {
            let mut sums = vec![0i128; rows.columns()];
            for row in rows.iter() {
                for (column, (sum, value)) in sums.iter_mut().zip(row).enumerate() {
                    let value =
                        about.map_or(*value, |means| (value - means[column]) * (value - means[column]));
                    *sum = sum.checked_add(moment(value)?).ok_or(Error::Overflow)?;
                }
            }
            let totals = pool.sum(question, &sums, VALUE_BITS)?;
            Ok(totals.into_iter().map(|total| moment_float(total) / patients as f64).collect())
        };
        let means = mean_of("means", None)?;
        let variances = mean_of("deviations", Some(&means))?;
        Ok(Self::from_moments(&means, &variances))
    }

    /// From means and variances.
    pub(crate) fn from_moments(means: &[f64], variances: &[f64]) -> Self {
        let each = |(&mean, &variance): (&f64, &f64)| {
            let deviation = variance.max(0.0).sqrt();
            (mean, if deviation > NOTHING * f64::abs(mean) { deviation } else { 1.0 })
        };
        Self(means.iter().zip(variances).map(each).collect())
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
    use crate::Alone;

    #[test]
    fn features_far_apart_and_constant_ones() {
        let values = [1e-7, 5e6, 0.1, 3e-7, 7e6, 0.1].to_vec();
        let rows = Rows::new(values, 3, vec![0, 1], vec!["a".into(), "b".into()]).unwrap();
        let scaling = Scaling::pooled(&rows, 2, &mut Alone).unwrap();
        let [(small, small_by), (large, large_by), (constant, constant_by)] = scaling.0[..] else { panic!() };
        assert!((small - 2e-7).abs() < 1e-18 && (small_by / 1e-7 - 1.0).abs() < 1e-4, "{small} {small_by}");
        assert!((large, large_by) == (6e6, 1e6), "{large} {large_by}");
        assert!((constant - 0.1).abs() < 1e-15 && constant_by == 1.0, "{constant} {constant_by}");
        assert_eq!(scaling.apply(&rows)[4..7], [1.0, (3e-7 - small) / small_by, 1.0]);
    }
}
