//! How one feature is distributed in one class: a quantile function.
//!
//! - A feature that is the same in all rows stays so.
//! - One with at most [`STEPS`] different values (grades, flags, counts) takes one of them, each with its share.
//! - Any other lies on a line between the order statistics (Hyndman and Fan 1996, type 7): never outside what was seen.
//!   Where all values are whole numbers, it is rounded to one. Of more than [`KNOTS`] rows, as many quantiles are kept.

/// A feature with at most this many different values takes no others.
pub(crate) const STEPS: usize = 32;

/// Points of a line, at most.
const KNOTS: usize = 1025;

/// A quantile function.
#[derive(Clone, PartialEq)]
pub(crate) enum Marginal {
    /// One value.
    Constant(f64),
    /// Rising values, and the share up to and with each.
    Steps { shares: Vec<f64>, values: Vec<f64> },
    /// Rising shares from 0 to 1, and the value at each; whether values are rounded, and then between what.
    Line { shares: Vec<f64>, values: Vec<f64>, whole: Option<(f64, f64)> },
}

impl std::fmt::Debug for Marginal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Marginal").finish_non_exhaustive()
    }
}

impl Marginal {
    /// Of values that were seen; there is at least one.
    pub(crate) fn of(mut seen: Vec<f64>) -> Self {
        seen.sort_unstable_by(f64::total_cmp);
        let (first, last) = (seen[0], seen[seen.len() - 1]);
        let mut distinct = seen.clone();
        distinct.dedup();
        match distinct.len() {
            1 => return Self::Constant(first),
            2..=STEPS => {
                let share = |value: &f64| seen.partition_point(|s| s <= value) as f64 / seen.len() as f64;
                return Self::Steps { shares: distinct.iter().map(share).collect(), values: distinct };
            }
            _ => {}
        }
        let knots = seen.len().min(KNOTS);
        let shares: Vec<f64> = (0..knots).map(|at| at as f64 / (knots - 1) as f64).collect();
        let values = shares.iter().map(|&share| order_statistic(&seen, share)).collect();
        let whole = seen.iter().all(|value| value.fract() == 0.0).then_some((first, last));
        Self::Line { shares, values, whole }
    }

    /// Whether there is one value only.
    pub(crate) fn is_constant(&self) -> bool {
        matches!(self, Self::Constant(_))
    }

    /// The value below which a share of the class lies.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Steps { shares, values } => {
                values[shares.partition_point(|&end| end < share).min(values.len() - 1)]
            }
            Self::Line { shares, values, whole } => {
                let above = shares.partition_point(|&knot| knot < share).clamp(1, shares.len() - 1);
                let value =
                    between(share, [shares[above - 1], shares[above]], [values[above - 1], values[above]]);
                match whole {
                    Some((least, most)) => value.round().clamp(*least, *most),
                    None => value,
                }
            }
        }
    }

    /// The share of the class that lies below a value.
    pub(crate) fn below(&self, value: f64) -> f64 {
        match self {
            Self::Constant(only) => f64::from(u8::from(*only < value)),
            Self::Steps { shares, values } => match values.partition_point(|&step| step < value) {
                0 => 0.0,
                steps => shares[steps - 1],
            },
            Self::Line { shares, values, .. } => {
                let above = values.partition_point(|&knot| knot < value).clamp(1, values.len() - 1);
                between(value, [values[above - 1], values[above]], [shares[above - 1], shares[above]])
            }
        }
    }
}

/// The quantile of sorted values, type 7.
pub(crate) fn order_statistic(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = (place.floor() as usize).min(sorted.len() - 1);
    let above = (below + 1).min(sorted.len() - 1);
    between(place, [below as f64, above as f64], [sorted[below], sorted[above]])
}

/// The line through two points at `x`, and no further than these.
fn between(x: f64, [start, end]: [f64; 2], [from, to]: [f64; 2]) -> f64 {
    if end <= start {
        return to;
    }
    let part = ((x - start) / (end - start)).clamp(0.0, 1.0);
    // Weighted so that it does not overflow and is exact at both ends.
    from * (1.0 - part) + to * part
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn order_statistics_are_those_of_numpy() {
        // numpy.quantile([1, 2, 4, 8], [0, 0.1, 0.5, 0.9, 1])
        let found = [0.0, 0.1, 0.5, 0.9, 1.0].map(|share| order_statistic(&[1.0, 2.0, 4.0, 8.0], share));
        for (found, expected) in found.into_iter().zip([1.0, 1.3, 3.0, 6.8, 8.0]) {
            assert!((found - expected).abs() < 1e-12);
        }
        assert_eq!(order_statistic(&[3.0], 0.7), 3.0);
    }

    #[test]
    fn constants_steps_and_whole_numbers_stay_what_they_are() {
        assert_eq!(Marginal::of(vec![2.5; 9]), Marginal::Constant(2.5));
        let steps = Marginal::of(vec![0.5, 0.5, 0.5, 7.0]);
        assert_eq!([0.1, 0.75, 0.76, 1.0].map(|share| steps.quantile(share)), [0.5, 0.5, 7.0, 7.0]);
        assert_eq!([0.5, 0.6, 7.0, 8.0].map(|value| steps.below(value)), [0.0, 0.75, 0.75, 1.0]);
        let whole = Marginal::of((0..100).map(|at| f64::from(at * at)).collect());
        let line = Marginal::of((0..100).map(|at| f64::from(at) + 0.25).collect());
        for at in 0..1000 {
            assert_eq!(whole.quantile(f64::from(at) / 999.0).fract(), 0.0);
        }
        assert_eq!(line.quantile(0.5), 49.75);
        assert!((line.below(49.75) - 0.5).abs() < 1e-12);
        assert_eq!((line.below(-1.0), line.below(1000.0)), (0.0, 1.0));
    }

    #[test]
    fn empty_bins_are_left_out() {
        let values = vec![0.0, 1.0, 2.0, 3.0];
        let gap = Marginal::Line { shares: vec![0.0, 0.5, 0.5, 1.0], values, whole: None };
        for at in 1..1000 {
            let value = gap.quantile(f64::from(at) / 1000.0);
            assert!(value <= 1.0 || value >= 2.0, "{value}");
        }
    }

    proptest! {
        #[test]
        fn quantiles_rise_and_stay_within(seen in prop::collection::vec(-1e300f64..1e300, 1..3000), a in 0.0f64..=1.0, b in 0.0f64..=1.0) {
            let marginal = Marginal::of(seen.clone());
            let (low, high) = (marginal.quantile(a.min(b)), marginal.quantile(a.max(b)));
            let least = seen.iter().copied().fold(f64::INFINITY, f64::min);
            let most = seen.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(least <= low && low <= high && high <= most);
        }
    }
}
