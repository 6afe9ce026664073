//! Features of different scanners, or sites, brought to one mean and spread: counts, sums and sums of squares by scanner, added up over clinics,
//! give each scanner's mean and variance; x becomes (x - mean) / spread of its scanner, times the spread of all, plus the mean of all.
//!
//! Everything that is added up is a whole number of steps, so the joint figures are those of all rows together, to the bit. Scanners with few rows
//! have no figures, and their rows stay as they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The widest sums of one clinic.
const MAXIMUM_BOUND: u64 = 1 << 58;

/// What all clinics agree on.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheme {
    /// Scanners or sites.
    pub sites: Vec<String>,
    /// The features.
    pub features: Vec<Feature>,
    /// The most rows of a clinic.
    pub rows: u64,
}

/// A feature, and how its values are added up.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// Values are rounded to whole steps.
    pub step: f64,
    /// The largest magnitude of a value.
    pub largest: f64,
}

impl Feature {
    /// Steps in the largest value; `None` where these are no numbers to count with.
    fn steps(&self) -> Option<f64> {
        let fits = self.step > 0.0 && self.largest > 0.0 && self.step.is_finite() && self.largest.is_finite();
        fits.then(|| (self.largest / self.step).round().max(1.0))
    }
}

/// How many, their mean, and their variance (of a sample, n - 1).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// Rows.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Their variance.
    pub variance: f64,
}

/// A feature's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Its name.
    pub name: String,
    /// Values were rounded to whole steps of this size.
    pub step: f64,
    /// Of all rows whose scanners are not too small.
    pub all: Moments,
    /// By scanner.
    pub by: BTreeMap<String, Moments>,
}

/// The figures of all features: the file that is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Harmony {
    /// Scanners that have too few rows to be shown.
    pub too_small: Vec<String>,
    /// By feature.
    pub features: Vec<Figures>,
}

impl Scheme {
    /// The rule that is broken.
    pub fn check(&self) -> Result<(), &'static str> {
        let are_names = |names: &[&String]| {
            !names.is_empty() && names.iter().enumerate().all(|(at, name)| !names[..at].contains(name))
        };
        let features: Vec<&String> = self.features.iter().map(|feature| &feature.name).collect();
        if !are_names(&self.sites.iter().collect::<Vec<_>>()) || !are_names(&features) {
            return Err("sites and features are names, each once");
        }
        if self.bound().is_none() {
            return Err(
                "rows times the square of (largest / step) must stay below 2^58: take a coarser step, or fewer rows",
            );
        }
        Ok(())
    }

    /// What all clinics must have alike, as a text.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:?} {:?} {}", self.sites, self.features, self.rows)
    }

    /// The largest magnitude of a clinic's sums.
    #[must_use]
    pub fn bound(&self) -> Option<u64> {
        let widest = self.features.iter().map(Feature::steps).try_fold(1.0, |widest, steps| {
            let steps: f64 = steps?;
            Some(f64::max(widest, steps))
        });
        let bound = widest?.powi(2) * self.rows as f64;
        (self.rows > 0 && bound < MAXIMUM_BOUND as f64).then(|| bound.ceil() as u64)
    }

    fn places_of_site(&self) -> usize {
        1 + 2 * self.features.len()
    }

    /// A clinic's sums: for each scanner its rows, and each feature's sum and sum of squares, in steps. `rows` are scanners' numbers with values.
    /// Errors with the row, from 0, that has a value out of range; a clinic may not have more rows than agreed.
    pub fn sums<'a>(&self, rows: impl IntoIterator<Item = (usize, &'a [f64])>) -> Result<Vec<i64>, usize> {
        let mut sums = vec![0_i64; self.sites.len() * self.places_of_site()];
        for (row, (site, values)) in rows.into_iter().enumerate() {
            let start = site * self.places_of_site();
            if row as u64 >= self.rows || site >= self.sites.len() {
                return Err(row);
            }
            sums[start] += 1;
            for (at, (feature, value)) in self.features.iter().zip(values).enumerate() {
                if !value.is_finite() || value.abs() > feature.largest {
                    return Err(row);
                }
                let steps = (value / feature.step).round() as i64;
                sums[start + 1 + 2 * at] += steps;
                sums[start + 2 + 2 * at] += steps * steps;
            }
        }
        Ok(sums)
    }

    /// The figures of totals. Scanners with fewer than `least` rows, and at least 2, have none.
    #[must_use]
    pub fn figures(&self, totals: &[i64], least: u64) -> Harmony {
        let sites: Vec<&[i64]> = totals.chunks(self.places_of_site()).collect();
        let is_large = |sums: &[i64]| sums[0] >= 0 && sums[0] as u64 >= least.max(2);
        let small = self.sites.iter().zip(&sites).filter(|(_, sums)| !is_large(sums));
        let too_small = small.map(|(name, _)| name.clone()).collect();
        let features = self.features.iter().enumerate().map(|(at, feature)| {
            let step = feature.step;
            let of = |sums: &[i64]| [sums[0], sums[1 + 2 * at], sums[2 + 2 * at]].map(i128::from);
            let large = || self.sites.iter().zip(&sites).filter(|(_, sums)| is_large(sums));
            let by = large().map(|(name, sums)| (name.clone(), moments(of(sums), step))).collect();
            let all = large().fold([0; 3], |all, (_, sums)| {
                let of = of(sums);
                [all[0] + of[0], all[1] + of[1], all[2] + of[2]]
            });
            Figures { name: feature.name.clone(), step, all: moments(all, step), by }
        });
        Harmony { too_small, features: features.collect() }
    }
}

fn moments([count, sum, squares]: [i128; 3], step: f64) -> Moments {
    let n = count.max(1) as f64;
    let spread = (count * squares - sum * sum).max(0) as f64;
    Moments {
        count: count.max(0) as u64,
        mean: sum as f64 / n * step,
        variance: spread / (n * (n - 1.0).max(1.0)) * step * step,
    }
}

impl Harmony {
    /// A row of a scanner, harmonized. Rows of scanners without figures, and features that do not vary there, stay as they are.
    #[must_use]
    pub fn apply(&self, site: &str, values: &[f64]) -> Vec<f64> {
        let features = self.features.iter().zip(values);
        let harmonized = features.map(|(feature, &value)| match feature.by.get(site) {
            Some(own) if own.variance > 0.0 => {
                (value - own.mean) / own.variance.sqrt() * feature.all.variance.sqrt() + feature.all.mean
            }
            _ => value,
        });
        harmonized.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme() -> Scheme {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let feature = |name: &str| Feature { name: name.into(), step: 0.01, largest: 100.0 };
        Scheme { sites: names(&["a", "b"]), features: vec![feature("x"), feature("y")], rows: 1000 }
    }

    #[test]
    fn sums_of_parts_give_the_figures_of_all_rows() {
        let rows: Vec<(usize, [f64; 2])> = (0..40)
            .map(|at| {
                (
                    at % 2,
                    [
                        f64::from(at as u32) * 0.37 - 5.0,
                        3.0 + f64::from((at * at % 17) as u32) * (1 + at % 2) as f64,
                    ],
                )
            })
            .collect();
        let sums = |part: &[(usize, [f64; 2])]| {
            scheme().sums(part.iter().map(|(site, values)| (*site, values.as_slice()))).unwrap()
        };
        let (first, second, whole) = (sums(&rows[..13]), sums(&rows[13..]), sums(&rows));
        let totals: Vec<i64> = first.iter().zip(&second).map(|(a, b)| a + b).collect();
        assert_eq!(totals, whole);
        let harmony = scheme().figures(&totals, 20);
        assert_eq!(harmony.features[0].by["a"].count, 20);
        // Afterwards both have the mean and variance of all.
        for site in 0..2 {
            let of_site = rows.iter().filter(|(own, _)| *own == site);
            let harmonized: Vec<Vec<f64>> =
                of_site.map(|(own, values)| harmony.apply(&scheme().sites[*own], values)).collect();
            for (feature, figures) in harmony.features.iter().enumerate() {
                let mean = harmonized.iter().map(|row| row[feature]).sum::<f64>() / 20.0;
                let variance = harmonized.iter().map(|row| (row[feature] - mean).powi(2)).sum::<f64>() / 19.0;
                assert!((mean - figures.all.mean).abs() < 0.01, "{mean} {}", figures.all.mean);
                assert!((variance / figures.all.variance - 1.0).abs() < 0.01);
            }
        }
    }

    #[test]
    fn small_scanners_have_no_figures_and_stay_as_they_are() {
        let rows = [(0, [1.0, 2.0]), (0, [2.0, 2.0]), (0, [3.0, 2.0]), (1, [50.0, 1.0])];
        let sums = scheme().sums(rows.iter().map(|(site, values)| (*site, values.as_slice()))).unwrap();
        let harmony = scheme().figures(&sums, 3);
        assert_eq!(harmony.too_small, ["b"]);
        assert_eq!(harmony.features[0].all, Moments { count: 3, mean: 2.0, variance: 1.0 });
        assert!(!harmony.features[0].by.contains_key("b"));
        assert_eq!(harmony.apply("b", &[50.0, 1.0]), [50.0, 1.0]);
        assert_eq!(harmony.apply("a", &[1.0, 2.0]), [1.0, 2.0], "a feature that does not vary stays");
    }

    #[test]
    fn values_out_of_range_and_schemes_that_do_not_fit_are_refused() {
        for values in [[100.1, 0.0], [0.0, f64::NAN], [f64::INFINITY, 0.0]] {
            assert_eq!(scheme().sums([(0, values.as_slice())]), Err(0));
        }
        assert_eq!(scheme().check(), Ok(()));
        for wrong in [
            Scheme { features: vec![Feature { name: "x".into(), step: 0.0, largest: 1.0 }], ..scheme() },
            Scheme { features: vec![Feature { name: "x".into(), step: 1e-9, largest: 1.0 }], ..scheme() },
            Scheme { features: vec![Feature { name: "x".into(), step: 1.0, largest: f64::NAN }], ..scheme() },
            Scheme { features: vec![], ..scheme() },
            Scheme { rows: 0, ..scheme() },
            Scheme { sites: vec!["a".into(), "a".into()], ..scheme() },
        ] {
            assert!(wrong.check().is_err());
        }
    }
}
