//! The discrete Gaussian and the discrete Laplace distribution, exactly: Canonne, Kamath and Steinke 2020, "The Discrete Gaussian for
//! Differential Privacy", algorithms 1 to 3, in integers alone.
//!
//! Noise in floating point leaks through the gaps between its numbers (Mironov 2012, for Laplace noise; Gaussian noise has them as
//! well). Here queries are integers, the noise is an integer with P(x) proportional to exp(-x² / 2 variance), or to exp(-|x| / scale),
//! and no rounding happens. The time that a draw takes depends on what is drawn: who can measure it may learn of the noise.

use crate::{
    Seed,
    seed::{Purpose, Stream},
};

/// Variances, at most: so that all products stay below 2^128.
pub const MAXIMUM_VARIANCE: u64 = 1 << 44;

/// Noise of sums that leave the machine.
pub struct Noise(Stream);

impl std::fmt::Debug for Noise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Noise").finish_non_exhaustive()
    }
}

impl Noise {
    /// Of a seed, which must be 32 bytes of entropy that nobody else knows or keeps, and of one release alone: who has it can take the
    /// noise away.
    #[must_use]
    pub fn new(seed: &Seed) -> Self {
        Self(Stream::new(seed, Purpose::ReleaseNoise, 0))
    }

    /// Draws from the discrete Gaussian with an integer parameter σ² between 1 and [`MAXIMUM_VARIANCE`].
    pub fn gaussian(&mut self, variance: u64) -> i64 {
        gaussian(variance, &mut self.0)
    }

    /// Draws from the discrete Laplace distribution, P(x) proportional to exp(-|x| below / above): with the scale above / below, for
    /// example a sensitivity divided by an epsilon. Neither is 0, which is taken as 1.
    pub fn laplace(&mut self, above: u32, below: u32) -> i64 {
        let (is_negative, size) = laplace(u128::from(above.max(1)), u128::from(below.max(1)), &mut self.0);
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        if is_negative { -size } else { size }
    }
}

/// Draws from the discrete Gaussian with an integer parameter σ² between 1 and [`MAXIMUM_VARIANCE`].
pub(crate) fn gaussian(variance: u64, stream: &mut Stream) -> i64 {
    let variance = u128::from(variance.clamp(1, MAXIMUM_VARIANCE));
    let scale = variance.isqrt() + 1;
    loop {
        let (is_negative, size) = laplace(scale, 1, stream);
        // exp(-(size - variance/scale)² / 2 variance)
        let distance = size.saturating_mul(scale).abs_diff(variance);
        if happens(distance.saturating_pow(2), 2 * variance * scale * scale, stream) {
            let size = i64::try_from(size).unwrap_or(i64::MAX);
            return if is_negative { -size } else { size };
        }
    }
}

/// Sign and size of a draw from the discrete Laplace distribution, P(x) proportional to exp(-|x| below / above).
fn laplace(above: u128, below: u128, stream: &mut Stream) -> (bool, u128) {
    loop {
        let low = stream.below(above);
        if !happens(low, above, stream) {
            continue;
        }
        let mut high = 0u128;
        while happens(1, 1, stream) {
            high += 1;
        }
        // Exponential in steps of 1 / above; as many of them as `below` are one step of the noise.
        let size = above.saturating_mul(high).saturating_add(low) / below;
        let is_negative = stream.below(2) == 1;
        if !(is_negative && size == 0) {
            return (is_negative, size);
        }
    }
}

/// True with the probability exp(-above / below).
fn happens(mut above: u128, below: u128, stream: &mut Stream) -> bool {
    while above > below {
        if !happens_at_most_one(1, 1, stream) {
            return false;
        }
        above -= below;
    }
    happens_at_most_one(above, below, stream)
}

/// The same for fractions up to 1: von Neumann's alternating series.
fn happens_at_most_one(above: u128, below: u128, stream: &mut Stream) -> bool {
    let mut turn = 1;
    while stream.below(below.saturating_mul(turn)) < above {
        turn += 1;
    }
    turn % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Purpose;

    fn draws(variance: u64, seed: u64, count: usize) -> Vec<f64> {
        let mut stream = Stream::new(&seed.into(), Purpose::MarginalNoise, 0);
        (0..count).map(|_| gaussian(variance, &mut stream) as f64).collect()
    }

    /// P(x) by summing the definition.
    fn probability(x: i64, variance: f64) -> f64 {
        let at = |x: i64| (-(x as f64).powi(2) / (2.0 * variance)).exp();
        let reach = (12.0 * variance.sqrt()) as i64 + 12;
        at(x) / (-reach..=reach).map(at).sum::<f64>()
    }

    #[test]
    fn each_value_comes_as_often_as_it_should() {
        let count = 200_000;
        for (variance, seed) in [(1, 5), (2, 6), (7, 7), (30, 8)] {
            let drawn = draws(variance, seed, count);
            let reach = (3.5 * (variance as f64).sqrt()) as i64;
            // Pearson's statistic over the values within reach, and the rest.
            let (mut statistic, mut rest, mut rest_expected) = (0.0, count as f64, count as f64);
            for x in -reach..=reach {
                let found = drawn.iter().filter(|&&drawn| drawn == x as f64).count() as f64;
                let expected = probability(x, variance as f64) * count as f64;
                statistic += (found - expected).powi(2) / expected;
                rest -= found;
                rest_expected -= expected;
            }
            statistic += (rest - rest_expected).powi(2) / rest_expected;
            // Mean and deviation of chi squared: freedom, sqrt(2 freedom).
            let freedom = 2.0 * reach as f64 + 1.0;
            assert!(
                statistic < freedom + 4.0 * (2.0 * freedom).sqrt(),
                "{variance}: {statistic} of {freedom}"
            );
        }
    }

    #[test]
    fn laplace_comes_as_often_as_it_should() {
        let count = 200_000;
        for (above, below, seed) in [(1u32, 1u32, 11), (7, 2, 12), (2, 3, 13), (20, 1, 14)] {
            let scale = f64::from(above) / f64::from(below);
            let mut noise = Noise::new(&Seed::from(seed));
            let drawn: Vec<i64> = (0..count).map(|_| noise.laplace(above, below)).collect();
            // P(x) = tanh(1 / 2 scale) exp(-|x| / scale): the sum over all x is 1.
            let expected =
                |x: i64| (0.5 / scale).tanh() * (-(x.abs() as f64) / scale).exp() * f64::from(count);
            // As far as a value is expected twenty times.
            let reach = (0..).take_while(|&x| expected(x) >= 20.0).last().unwrap();
            let (mut statistic, mut rest, mut rest_expected) = (0.0, f64::from(count), f64::from(count));
            for x in -reach..=reach {
                let found = drawn.iter().filter(|&&drawn| drawn == x).count() as f64;
                statistic += (found - expected(x)).powi(2) / expected(x);
                rest -= found;
                rest_expected -= expected(x);
            }
            statistic += (rest - rest_expected).powi(2) / rest_expected;
            let freedom = 2.0 * reach as f64 + 1.0;
            assert!(
                statistic < freedom + 4.0 * (2.0 * freedom).sqrt(),
                "{above}/{below}: {statistic} of {freedom}"
            );
        }
    }

    #[test]
    fn moments_and_tails_of_wide_noise() {
        let count = 100_000usize;
        for (variance, seed) in [(10_000u64, 1), (1 << 30, 2), (MAXIMUM_VARIANCE, 3)] {
            let deviation = (variance as f64).sqrt();
            let drawn: Vec<f64> =
                draws(variance, seed, count).into_iter().map(|drawn| drawn / deviation).collect();
            let moment = |power: i32| drawn.iter().map(|drawn| drawn.powi(power)).sum::<f64>() / count as f64;
            let beyond =
                |cut: f64| drawn.iter().filter(|drawn| drawn.abs() > cut).count() as f64 / count as f64;
            // Five standard errors of each.
            let near = |found: f64, expected: f64, error: f64| {
                assert!(
                    (found - expected).abs() < 5.0 * error / (count as f64).sqrt(),
                    "{variance}: {found} for {expected}"
                );
            };
            near(moment(1), 0.0, 1.0);
            near(moment(2), 1.0, 2f64.sqrt());
            near(moment(4), 3.0, 96f64.sqrt());
            near(beyond(1.96), 0.05, 0.218);
            near(beyond(3.29), 0.001, 0.0317);
        }
    }

    #[test]
    fn exponential_chances() {
        let mut stream = Stream::new(&9.into(), Purpose::MarginalNoise, 0);
        for (above, below) in [(0, 3), (1, 2), (1, 1), (5, 2), (1 << 90, 1 << 91)] {
            let share = (0..50_000).filter(|_| happens(above, below, &mut stream)).count() as f64 / 50_000.0;
            let expected = (-(above as f64) / below as f64).exp();
            assert!((share - expected).abs() < 0.012, "{above}/{below}: {share} for {expected}");
        }
    }
}
