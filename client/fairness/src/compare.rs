//! How far groups are apart: the largest rate of any group less the smallest, and the smallest as a part of the largest.

use serde::Serialize;

use crate::{
    counts::{Counts, Rate},
    interval::Estimate,
};

/// What is alike if a model is fair in one of the senses of the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Selection rates.
    DemographicParity,
    /// True positive rates and false positive rates: the one of the two that is further apart.
    EqualizedOdds,
    /// True positive rates.
    EqualOpportunity,
    /// Positive predictive values.
    PredictiveParity,
    /// Accuracy.
    EqualAccuracy,
}

impl Measure {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] = [
        Self::DemographicParity,
        Self::EqualizedOdds,
        Self::EqualOpportunity,
        Self::PredictiveParity,
        Self::EqualAccuracy,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DemographicParity => "Demographic parity",
            Self::EqualizedOdds => "Equalized odds",
            Self::EqualOpportunity => "Equal opportunity",
            Self::PredictiveParity => "Predictive parity",
            Self::EqualAccuracy => "Equal accuracy",
        }
    }

    /// The rates that it compares.
    #[must_use]
    pub fn rates(self) -> &'static [Rate] {
        match self {
            Self::DemographicParity => &[Rate::SelectionRate],
            Self::EqualizedOdds => &[Rate::TruePositiveRate, Rate::FalsePositiveRate],
            Self::EqualOpportunity => &[Rate::TruePositiveRate],
            Self::PredictiveParity => &[Rate::PositivePredictiveValue],
            Self::EqualAccuracy => &[Rate::Accuracy],
        }
    }
}

/// How far apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The rate that is furthest apart.
    pub rate: Rate,
    /// The largest less the smallest.
    pub difference: f64,
    /// The smallest divided by the largest; `None` where all are 0. Of several rates, the least.
    pub ratio: Option<f64>,
    /// The group with the smallest.
    pub least: usize,
    /// The group with the largest.
    pub most: usize,
}

/// How far apart, with intervals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Disparity {
    /// The measure.
    pub measure: Measure,
    /// The rate that is furthest apart.
    pub rate: Rate,
    /// The largest less the smallest.
    pub difference: f64,
    /// Its percentiles over resampled rows; `None` where nothing was resampled.
    pub difference_interval: Option<(f64, f64)>,
    /// The smallest divided by the largest.
    pub ratio: Option<f64>,
    /// Its percentiles.
    pub ratio_interval: Option<(f64, f64)>,
    /// The group with the smallest rate.
    pub least: String,
    /// The group with the largest.
    pub most: String,
    /// The groups that were compared.
    pub compared: Vec<String>,
}

/// A rate less that of the reference group.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Gap {
    /// The rate.
    pub rate: Rate,
    /// The difference and its interval.
    #[serde(flatten)]
    pub estimate: Estimate,
}

/// Rates that are compared with the reference group's. For selection rates this is the statistical parity difference, for
/// true positive rates the equal opportunity difference.
pub const GAPS: [Rate; 5] = [
    Rate::SelectionRate,
    Rate::TruePositiveRate,
    Rate::FalsePositiveRate,
    Rate::PositivePredictiveValue,
    Rate::Accuracy,
];

/// Whether a group's rate is compared: it and what the rate is of have enough rows.
#[must_use]
pub fn is_compared(rate: Rate, counts: &Counts, min_cell: u64) -> bool {
    counts.rows() >= min_cell && rate.of(counts).1 >= min_cell.max(1)
}

/// The groups that a measure compares, for each of its rates; `None` where a rate has fewer than two.
#[must_use]
pub fn compared(measure: Measure, counts: &[Counts], min_cell: u64) -> Option<Vec<Vec<usize>>> {
    let of_rate = |rate: &Rate| {
        let groups = counts.iter().enumerate().filter(|(_, counts)| is_compared(*rate, counts, min_cell));
        let groups: Vec<usize> = groups.map(|(group, _)| group).collect();
        (groups.len() > 1).then_some(groups)
    };
    measure.rates().iter().map(of_rate).collect()
}

/// How far the given groups are apart; `None` where a rate is of nothing.
#[must_use]
pub fn spread(measure: Measure, counts: &[Counts], groups: &[Vec<usize>]) -> Option<Spread> {
    let mut found: Option<Spread> = None;
    for (rate, groups) in measure.rates().iter().zip(groups) {
        let mut least: Option<(f64, usize)> = None;
        let mut most: Option<(f64, usize)> = None;
        for &group in groups {
            let value = rate.value(&counts[group])?;
            least = least.filter(|least| least.0 <= value).or(Some((value, group)));
            most = most.filter(|most| most.0 >= value).or(Some((value, group)));
        }
        let ((low, least), (high, most)) = (least?, most?);
        let ratio = (high > 0.0).then(|| low / high);
        let next = Spread { rate: *rate, difference: high - low, ratio, least, most };
        found = Some(match found {
            None => next,
            Some(before) => {
                let ratio = before.ratio.zip(ratio).map(|(one, two)| one.min(two));
                Spread { ratio, ..if next.difference > before.difference { next } else { before } }
            }
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(
        true_positives: u64,
        false_positives: u64,
        false_negatives: u64,
        true_negatives: u64,
    ) -> Counts {
        Counts { true_positives, false_positives, false_negatives, true_negatives, ..Counts::default() }
    }

    #[test]
    fn groups_are_apart_by_their_extremes() {
        let groups = [counts(8, 1, 2, 9), counts(5, 4, 5, 6), counts(9, 2, 1, 8)];
        let find = |measure| spread(measure, &groups, &compared(measure, &groups, 1).unwrap()).unwrap();
        let opportunity = find(Measure::EqualOpportunity);
        assert_eq!((opportunity.least, opportunity.most), (1, 2));
        assert!((opportunity.difference - 0.4).abs() < 1e-12);
        assert!((opportunity.ratio.unwrap() - 5.0 / 9.0).abs() < 1e-12);
        let odds = find(Measure::EqualizedOdds);
        assert_eq!((odds.rate, odds.least, odds.most), (Rate::TruePositiveRate, 1, 2));
        assert!((odds.ratio.unwrap() - 0.25).abs() < 1e-12, "that of the false positive rates");
        let parity = find(Measure::DemographicParity);
        assert!((parity.difference - 0.1).abs() < 1e-12 && (parity.least, parity.most) == (0, 2));
    }

    #[test]
    fn small_cells_are_left_out() {
        let groups = [counts(20, 0, 0, 1), counts(10, 0, 10, 30), counts(3, 3, 3, 3)];
        assert_eq!(compared(Measure::EqualOpportunity, &groups, 20), Some(vec![vec![0, 1]]));
        // The first group has too few of what a false positive rate is of.
        assert_eq!(compared(Measure::EqualizedOdds, &groups, 20), None);
        assert_eq!(compared(Measure::DemographicParity, &groups, 12), Some(vec![vec![0, 1, 2]]));
        assert_eq!(compared(Measure::DemographicParity, &groups, 50), None);
    }

    #[test]
    fn zero_has_no_ratio() {
        let groups = [counts(0, 0, 5, 5), counts(0, 0, 3, 3)];
        let found = spread(Measure::DemographicParity, &groups, &[vec![0, 1]]).unwrap();
        assert_eq!((found.difference, found.ratio), (0.0, None));
        assert_eq!(spread(Measure::PredictiveParity, &groups, &[vec![0, 1]]), None);
    }
}
