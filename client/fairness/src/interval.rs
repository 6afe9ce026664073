//! Intervals of 95 %: Wilson's score interval for a rate, Newcombe's hybrid score interval (his method 10, made of two
//! Wilson intervals) for the difference of two rates, the normal one for a mean, percentiles for resampled statistics.

use serde::Serialize;

/// The normal distribution's quantile at 97.5 %.
const Z: f64 = 1.959_963_984_540_054;

/// A figure and its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Wilson's interval of `part` out of `whole`; `None` of nothing.
#[must_use]
pub fn wilson((part, whole): (u64, u64)) -> Option<Estimate> {
    if whole == 0 {
        return None;
    }
    let n = whole as f64;
    let value = part as f64 / n;
    let widening = 1.0 + Z * Z / n;
    let centre = (value + Z * Z / (2.0 * n)) / widening;
    let half = Z / widening * (value * (1.0 - value) / n + Z * Z / (4.0 * n * n)).sqrt();
    // At the ends rounding would leave a trace of zero and one.
    let low = if part == 0 { 0.0 } else { centre - half };
    let high = if part == whole { 1.0 } else { centre + half };
    Some(Estimate { value, low, high })
}

/// Newcombe's interval of the first rate less the second.
#[must_use]
pub fn newcombe(first: (u64, u64), second: (u64, u64)) -> Option<Estimate> {
    let (one, two) = (wilson(first)?, wilson(second)?);
    let value = one.value - two.value;
    let low = value - (one.value - one.low).hypot(two.high - two.value);
    let high = value + (one.high - one.value).hypot(two.value - two.low);
    Some(Estimate { value, low, high })
}

/// The normal interval of a mean, with the sample's standard deviation; `None` of fewer than two values.
#[must_use]
pub fn mean(values: &[f64]) -> Option<Estimate> {
    if values.len() < 2 {
        return None;
    }
    let n = values.len() as f64;
    let value = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|each| (each - value).powi(2)).sum();
    let half = Z * (squares / (n - 1.0) / n).sqrt();
    Some(Estimate { value, low: value - half, high: value + half })
}

/// The middle 95 % of values, between neighbours in proportion; `None` of none.
#[must_use]
pub fn percentiles(values: &mut [f64]) -> Option<(f64, f64)> {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)? as f64;
    let at = |share: f64| {
        let place = last * share;
        let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
        below + (above - below) * place.fract()
    };
    Some((at(0.025), at(0.975)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(found: Option<Estimate>, value: f64, low: f64, high: f64) {
        let found = found.unwrap();
        for (found, expected) in [(found.value, value), (found.low, low), (found.high, high)] {
            assert!((found - expected).abs() < 5e-5, "{found} for {expected}");
        }
    }

    #[test]
    fn published_examples() {
        // Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
        close(wilson((81, 263)), 0.3080, 0.2553, 0.3662);
        close(wilson((15, 148)), 0.1014, 0.0624, 0.1605);
        close(wilson((0, 20)), 0.0, 0.0, 0.1611);
        close(wilson((1, 29)), 0.0345, 0.0061, 0.1718);
        // Newcombe 1998, "Interval estimation for the difference between independent proportions", table II, method 10.
        close(newcombe((56, 70), (48, 80)), 0.2, 0.0524, 0.3339);
        close(newcombe((9, 10), (3, 10)), 0.6, 0.1705, 0.8090);
        close(newcombe((10, 10), (0, 20)), 1.0, 0.6791, 1.0);
        assert_eq!((wilson((0, 0)), newcombe((1, 2), (0, 0))), (None, None));
    }

    #[test]
    fn means_and_percentiles() {
        close(mean(&[1.0, 2.0, 3.0, 4.0]), 2.5, 1.234_854, 3.765_145);
        assert_eq!((mean(&[1.0]), percentiles(&mut [])), (None, None));
        let mut values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!(percentiles(&mut values), Some((2.5, 97.5)));
        assert_eq!(percentiles(&mut [7.0]), Some((7.0, 7.0)));
    }

    proptest! {
        #[test]
        fn intervals_hold_their_value(part in 0u64..500, rest in 0u64..500, other in 0u64..500, more in 1u64..500) {
            prop_assume!(part + rest > 0);
            let one = wilson((part, part + rest)).unwrap();
            prop_assert!(0.0 <= one.low && one.low <= one.value && one.value <= one.high && one.high <= 1.0);
            let two = newcombe((part, part + rest), (other, other + more)).unwrap();
            prop_assert!(-1.0 <= two.low && two.low <= two.value && two.value <= two.high && two.high <= 1.0);
            let back = newcombe((other, other + more), (part, part + rest)).unwrap();
            prop_assert!((back.low + two.high).abs() < 1e-12 && (back.high + two.low).abs() < 1e-12);
        }
    }
}
