//! Who is represented, and how evenly: the Gini coefficient and Shannon's diversity.

use serde::Serialize;

/// How evenly something is spread over groups.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Diversity {
    /// The Gini coefficient over all groups, also those that have nothing: 0 where all have the same, near 1 where one has all.
    pub gini: f64,
    /// Shannon's entropy in nats.
    pub shannon: f64,
    /// Pielou's evenness: the entropy as a part of what the groups that have something could reach. `None` for a single one.
    pub evenness: Option<f64>,
}

/// The diversity of counts; `None` where all are 0.
#[must_use]
pub fn diversity(counts: &[u64]) -> Option<Diversity> {
    let total: u64 = counts.iter().sum();
    let shares: Vec<f64> =
        counts.iter().filter(|count| **count > 0).map(|count| *count as f64 / total as f64).collect();
    let shannon = shares.iter().map(|share| -share * share.ln()).sum::<f64>().max(0.0);
    let evenness = (shares.len() > 1).then(|| shannon / (shares.len() as f64).ln());
    let values: Vec<f64> = counts.iter().map(|count| *count as f64).collect();
    Some(Diversity { gini: gini(&values)?, shannon, evenness })
}

/// The Gini coefficient of values that are not negative: half their mean absolute difference, divided by their mean.
/// `None` where all are 0.
#[must_use]
pub fn gini(values: &[f64]) -> Option<f64> {
    let total: f64 = values.iter().sum();
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let weighted: f64 = sorted.iter().zip(1..).map(|(value, rank)| f64::from(rank) * value).sum();
    (total > 0.0).then(|| (2.0 * weighted / (n * total) - (n + 1.0) / n).max(0.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn even_and_uneven() {
        let even = diversity(&[5, 5, 5, 5]).unwrap();
        assert!((even.gini, even.evenness) == (0.0, Some(1.0)) && (even.shannon - 4f64.ln()).abs() < 1e-12);
        let one = diversity(&[0, 0, 0, 9]).unwrap();
        assert_eq!((one.gini, one.shannon, one.evenness), (0.75, 0.0, None));
        assert_eq!((diversity(&[0, 0]), gini(&[]), gini(&[0.0])), (None, None, None));
    }

    proptest! {
        #[test]
        fn gini_is_the_mean_difference(values in prop::collection::vec(0u32..1000, 1..20)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let sum: f64 = values.iter().sum();
            let differences: f64 = values.iter().flat_map(|one| values.iter().map(move |two| (one - two).abs())).sum();
            let expected = (sum > 0.0).then(|| differences / (2.0 * values.len() as f64 * sum));
            prop_assert_eq!(gini(&values).is_some(), expected.is_some());
            prop_assert!((gini(&values).unwrap_or_default() - expected.unwrap_or_default()).abs() < 1e-9);
        }
    }
}
