//! The same model with differential privacy: fitted to answers with noise alone. [`crate::budget`] counts what they cost.
//!
//! - Histograms have between 4 and 64 bins over the public bounds, fewer where noise is wide: their counts with noise are
//!   drawn to the nearest ones that are not negative and sum up to the class's rows (with noise), which empties bins that
//!   hold noise alone. Within a bin, a feature is uniform.
//! - Correlations come from normal scores clipped to their sign: +1 above the median of the histogram, -1 below. It is the one
//!   clip whose effect can be undone: for a Gaussian copula with correlation r the mean product is 2/π asin(r) (Sheppard
//!   1899). Sums of such products are integers, and no row moves one by more than 1. For whole numbers, where no
//!   cut halves the class, products are centred and scaled by the shares, which is an approximation.
//! - The matrix loses its negative eigenvalues, and is drawn to the identity by `WEIGHT`.
//!
//! All that follows from the answers (bins, medians, matrices, patients) costs nothing more.

use std::f64::consts::FRAC_PI_2;

use crate::{
    Bounds, Budget, Error, Model, Rows, Seed,
    bounds::Bound,
    budget::Spent,
    discrete::gaussian,
    eigen,
    error::MINIMUM_ROWS,
    linear::Lower,
    marginal::Marginal,
    model::{Part, expect_size},
    seed::{Purpose, Stream},
};

/// Bins of a histogram, at least and at most.
const BINS: (usize, usize) = (4, 64);

/// How far correlations are drawn to none.
const WEIGHT: f64 = 1e-3;

/// Fits a model with differential privacy.
///
/// `noise` must be 32 bytes of entropy that nobody else knows or keeps: who has them can take the noise away. Values outside the
/// bounds are moved to them. Refuses classes by their rows with noise, so that an error tells no more than the model would.
pub fn fit_private(rows: &Rows, bounds: &Bounds, budget: Budget, noise: &Seed) -> Result<Model, Error> {
    expect_size(rows)?;
    let bounds = bounds.as_slice();
    if bounds.len() != rows.columns() {
        return Err(Error::BoundsCount);
    }
    let spent = budget.plan(bounds.iter().filter(|bound| bound.lower < bound.upper).count());
    let mut parts = Vec::new();
    for class in 0..rows.classes().len() {
        let of = rows.of(class);
        let counted =
            of.len() as i64 + gaussian(variance(&spent, 0), &mut stream(noise, Purpose::CountNoise, class));
        if counted < MINIMUM_ROWS as i64 {
            return Err(Error::TooFewNoisyRows { class: class + 1 });
        }
        let class = Class { rows: &of, bounds, counted: counted as f64, spent: &spent, noise, class };
        parts.push(class.fit()?);
    }
    Ok(Model { columns: rows.columns(), classes: rows.classes().to_vec(), parts, spent: Some(spent) })
}

fn variance(spent: &Spent, question: usize) -> u64 {
    spent.questions.get(question).map_or(0, |question| question.variance)
}

fn stream(noise: &Seed, purpose: Purpose, class: usize) -> Stream {
    Stream::new(noise, purpose, class)
}

/// One class and what it is fitted with.
struct Class<'a> {
    rows: &'a [&'a [f64]],
    bounds: &'a [Bound],
    counted: f64,
    spent: &'a Spent,
    noise: &'a Seed,
    class: usize,
}

impl Class<'_> {
    fn fit(&self) -> Result<Part, Error> {
        let mut noise = stream(self.noise, Purpose::MarginalNoise, self.class);
        let marginals: Vec<Marginal> =
            (0..self.bounds.len()).map(|column| self.marginal(column, &mut noise)).collect();
        let varying = (0..marginals.len()).filter(|&column| !marginals[column].is_constant());
        let sides: Vec<Sides> = varying.map(|column| self.sides(column, &marginals[column])).collect();
        let matrix = self.correlations(&sides);
        let factor = eigen::without_negative(&matrix)?.shrunk(WEIGHT).cholesky()?;
        Ok(Part { rows: self.counted, marginals, factor, weight: WEIGHT })
    }

    fn marginal(&self, column: usize, noise: &mut Stream) -> Marginal {
        let bound = self.bounds[column];
        if bound.lower == bound.upper {
            return Marginal::Constant(bound.lower);
        }
        let variance = variance(self.spent, 1);
        // So many bins that a row's share of each is about four deviations of its noise.
        let wanted = self.counted / (4.0 * (variance as f64).sqrt());
        let wanted = (wanted as usize).clamp(BINS.0, BINS.1);
        let (start, end) =
            if bound.whole { (bound.lower - 0.5, bound.upper + 0.5) } else { (bound.lower, bound.upper) };
        let is_each_whole = bound.whole && end - start <= wanted as f64;
        let bins = if is_each_whole { (end - start) as usize } else { wanted };
        let counts = self.histogram(column, bins, (start, end));
        let noisy: Vec<f64> =
            counts.iter().map(|&count| (count + gaussian(variance, noise)) as f64).collect();
        let mut shares = Vec::with_capacity(bins + 1);
        let mut sum = 0.0;
        for share in nearest_shares(&noisy, self.counted) {
            sum += share;
            shares.push(sum);
        }
        shares[bins - 1] = 1.0;
        if is_each_whole {
            return Marginal::Steps {
                shares,
                values: (0..bins).map(|bin| bound.lower + bin as f64).collect(),
            };
        }
        shares.insert(0, 0.0);
        let edge = |bin: usize| start + (end - start) * (bin as f64 / bins as f64);
        let values = (0..=bins).map(edge).collect();
        Marginal::Line { shares, values, whole: bound.whole.then_some((bound.lower, bound.upper)) }
    }

    /// How many rows fall in each bin.
    fn histogram(&self, column: usize, bins: usize, (start, end): (f64, f64)) -> Vec<i64> {
        let bound = self.bounds[column];
        let mut counts = vec![0; bins];
        for row in self.rows {
            let place = (row[column].clamp(bound.lower, bound.upper) - start) / (end - start);
            counts[((place * bins as f64) as usize).min(bins - 1)] += 1;
        }
        counts
    }

    /// On which side of the median each row is.
    fn sides(&self, column: usize, marginal: &Marginal) -> Sides {
        let bound = self.bounds[column];
        let median = marginal.quantile(0.5);
        let (cut, mean) = if bound.whole {
            let off = |cut: f64| (marginal.below(cut) - 0.5).abs();
            let (below, above) = (median - 0.5, median + 0.5);
            let cut = if off(below) <= off(above) { below } else { above };
            (cut, 1.0 - 2.0 * marginal.below(cut))
        } else {
            (median, 0.0)
        };
        let mut bits = vec![0u64; self.rows.len().div_ceil(64)];
        for (at, row) in self.rows.iter().enumerate() {
            bits[at / 64] |= u64::from(row[column] >= cut) << (at % 64);
        }
        Sides { bits, mean }
    }

    fn correlations(&self, sides: &[Sides]) -> Lower {
        let mut noise = stream(self.noise, Purpose::CorrelationNoise, self.class);
        let variance = variance(self.spent, 2);
        Lower::from_fn(sides.len(), |row, column| {
            if row == column {
                return 1.0;
            }
            let (a, b) = (&sides[row], &sides[column]);
            let sum = a.agreement(b, self.rows.len()) + gaussian(variance, &mut noise);
            let spread = ((1.0 - a.mean * a.mean) * (1.0 - b.mean * b.mean)).sqrt();
            // A cut with all on one side tells nothing.
            if spread < 1e-9 {
                return 0.0;
            }
            let product = (sum as f64 / self.counted - a.mean * b.mean) / spread;
            libm::sin(FRAC_PI_2 * product.clamp(-1.0, 1.0))
        })
    }
}

/// A bit for each row, and what +1 and -1 are on average.
struct Sides {
    bits: Vec<u64>,
    mean: f64,
}

impl Sides {
    /// How many rows lie on the same side in both, less how many do not.
    fn agreement(&self, other: &Self, rows: usize) -> i64 {
        let apart: u32 = self.bits.iter().zip(&other.bits).map(|(a, b)| (a ^ b).count_ones()).sum();
        rows as i64 - 2 * i64::from(apart)
    }
}

/// The shares nearest to counts with noise (in squares) that are not negative and sum up to 1.
fn nearest_shares(counts: &[f64], total: f64) -> Vec<f64> {
    let mut falling = counts.to_vec();
    falling.sort_unstable_by(|a, b| b.total_cmp(a));
    let (mut sum, mut taken) = (0.0, 0.0);
    for (at, count) in falling.iter().enumerate() {
        sum += count;
        let level = (sum - total) / (at + 1) as f64;
        if *count <= level {
            break;
        }
        taken = level;
    }
    let kept: Vec<f64> = counts.iter().map(|count| (count - taken).max(0.0)).collect();
    let all: f64 = kept.iter().sum();
    kept.iter().map(|count| count / all).collect()
}

#[cfg(test)]
mod tests;
