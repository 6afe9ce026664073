//! What is counted of a group, seen from one class, and the rates that follow.

use serde::Serialize;

/// Decisions of a group. Rows without a decision count for what came true, and for nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// The class was predicted and true.
    pub true_positives: u64,
    /// It was predicted, and another was true.
    pub false_positives: u64,
    /// It was true, and another was predicted.
    pub false_negatives: u64,
    /// Others were predicted and true.
    pub true_negatives: u64,
    /// It was true, and the decision was left to a human.
    pub undecided_positives: u64,
    /// Another was true, and the decision was left to a human.
    pub undecided_negatives: u64,
}

impl Counts {
    /// Adds `weight` rows of one kind.
    pub fn add(&mut self, is_true: bool, is_predicted: Option<bool>, weight: u64) {
        *match (is_true, is_predicted) {
            (true, Some(true)) => &mut self.true_positives,
            (false, Some(true)) => &mut self.false_positives,
            (true, Some(false)) => &mut self.false_negatives,
            (false, Some(false)) => &mut self.true_negatives,
            (true, None) => &mut self.undecided_positives,
            (false, None) => &mut self.undecided_negatives,
        } += weight;
    }

    /// Rows with a decision.
    #[must_use]
    pub fn decided(&self) -> u64 {
        self.true_positives + self.false_positives + self.false_negatives + self.true_negatives
    }

    /// All rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.decided() + self.undecided_positives + self.undecided_negatives
    }
}

/// A rate of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// How many have the class.
    BaseRate,
    /// How many decisions name the class.
    SelectionRate,
    /// How many of those that have it are found: sensitivity, recall.
    TruePositiveRate,
    /// How many of those that do not have it are said to.
    FalsePositiveRate,
    /// How many of those that have it are missed.
    FalseNegativeRate,
    /// How many of those that are said to have it do: precision.
    PositivePredictiveValue,
    /// How many of those that are said not to have it do not.
    NegativePredictiveValue,
    /// How many decisions are right.
    Accuracy,
    /// How many decisions were left to a human.
    UndecidedRate,
}

impl Rate {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::BaseRate,
        Self::SelectionRate,
        Self::TruePositiveRate,
        Self::FalsePositiveRate,
        Self::FalseNegativeRate,
        Self::PositivePredictiveValue,
        Self::NegativePredictiveValue,
        Self::Accuracy,
        Self::UndecidedRate,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BaseRate => "Base rate",
            Self::SelectionRate => "Selection rate",
            Self::TruePositiveRate => "True positive rate",
            Self::FalsePositiveRate => "False positive rate",
            Self::FalseNegativeRate => "False negative rate",
            Self::PositivePredictiveValue => "Positive predictive value",
            Self::NegativePredictiveValue => "Negative predictive value",
            Self::Accuracy => "Accuracy",
            Self::UndecidedRate => "Left to a human",
        }
    }

    /// How many rows have it, and of how many.
    #[must_use]
    pub fn of(self, counts: &Counts) -> (u64, u64) {
        let Counts {
            true_positives: tp,
            false_positives: fp,
            false_negatives: missed,
            true_negatives: tn,
            undecided_positives,
            undecided_negatives,
        } = *counts;
        match self {
            Self::BaseRate => (tp + missed + undecided_positives, counts.rows()),
            Self::SelectionRate => (tp + fp, counts.decided()),
            Self::TruePositiveRate => (tp, tp + missed),
            Self::FalsePositiveRate => (fp, fp + tn),
            Self::FalseNegativeRate => (missed, tp + missed),
            Self::PositivePredictiveValue => (tp, tp + fp),
            Self::NegativePredictiveValue => (tn, tn + missed),
            Self::Accuracy => (tp + tn, counts.decided()),
            Self::UndecidedRate => (undecided_positives + undecided_negatives, counts.rows()),
        }
    }

    /// The rate; `None` where it is of nothing.
    #[must_use]
    pub fn value(self, counts: &Counts) -> Option<f64> {
        let (part, whole) = self.of(counts);
        (whole > 0).then(|| part as f64 / whole as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_their_rows() {
        let mut counts = Counts::default();
        for (is_true, is_predicted, weight) in [
            (true, Some(true), 6),
            (false, Some(true), 2),
            (true, Some(false), 3),
            (false, Some(false), 9),
            (true, None, 1),
            (false, None, 4),
        ] {
            counts.add(is_true, is_predicted, weight);
        }
        assert_eq!((counts.decided(), counts.rows()), (20, 25));
        let expected = [(10, 25), (8, 20), (6, 9), (2, 11), (3, 9), (6, 8), (9, 12), (15, 20), (5, 25)];
        assert_eq!(Rate::ALL.map(|rate| rate.of(&counts)), expected);
        assert_eq!(Rate::Accuracy.value(&counts), Some(0.75));
        assert_eq!(Rate::ALL.map(|rate| rate.value(&Counts::default())), [None; 9]);
    }
}
