//! What the answer to a canary must be, and whether one is.

use serde::{Deserialize, Serialize};

use crate::{
    Model,
    finding::{Contributions, Finding, REVIEW},
};

/// The answer that a canary must have.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// The exact integers of a linear head: class by class the score, and behind it the contributions of its groups where
    /// the model explains scores.
    RowsQ(Vec<i64>),
    /// A class.
    Class(String),
    /// The classes that pass their thresholds.
    Classes(Vec<String>),
}

impl Expected {
    /// What a finding says that a later one must say again. `None` where it names no class.
    #[must_use]
    pub fn of(finding: &Finding, model: &Model) -> Option<Self> {
        match finding {
            Finding::Scores { .. } if is_exact(model) => rows_q(finding).map(Self::RowsQ),
            _ if finding.is_review() => None,
            Finding::Scores { label, .. } => label.clone().map(Self::Class),
            Finding::Class { label } => Some(Self::Class(label.clone())),
            Finding::Classes { label, .. } => Some(Self::Classes(label.clone())),
        }
    }

    /// Whether this can be the answer of a model at all.
    #[must_use]
    pub fn fits(&self, model: &Model) -> bool {
        let labels = model.card().labels();
        match self {
            Self::RowsQ(rows) => is_exact(model) && rows.len() == model.card().plan().answers(),
            Self::Class(label) => !is_exact(model) && labels.contains(label),
            Self::Classes(of) => !is_exact(model) && of.iter().all(|label| labels.contains(label)),
        }
    }

    /// Whether a finding is as it must be. Where the card has a zone, `review` may stand for any decision.
    #[must_use]
    pub fn agrees(&self, finding: &Finding, model: &Model) -> bool {
        let may_review = model.card().plan().label_policy().is_some_and(|policy| policy.zone > 0);
        match (self, finding) {
            (Self::RowsQ(expected), Finding::Scores { .. }) => rows_q(finding).as_ref() == Some(expected),
            (Self::Class(expected), Finding::Scores { label, .. }) => label.as_ref() == Some(expected),
            (Self::Class(expected), Finding::Class { label }) => {
                label == expected || (may_review && label == REVIEW)
            }
            (Self::Classes(expected), Finding::Classes { label, review }) => {
                let is_open = |class: &String| may_review && review.contains(class);
                (may_review || review.is_empty())
                    && label.iter().all(|class| expected.contains(class))
                    && expected.iter().all(|class| label.contains(class) || is_open(class))
            }
            _ => false,
        }
    }
}

impl std::fmt::Debug for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Expected").finish_non_exhaustive()
    }
}

/// Whether answers are the exact integers of a linear head. Behind hidden layers an activation may be off by a level, so
/// there labels are compared.
#[must_use]
pub fn is_exact(model: &Model) -> bool {
    let plan = model.card().plan();
    plan.hidden().is_none() && plan.label_policy().is_none()
}

/// The integers of an answer, in its order; none of a label.
#[must_use]
pub(super) fn rows_q(finding: &Finding) -> Option<Vec<i64>> {
    let Finding::Scores { scores_q, contributions, .. } = finding else { return None };
    let groups =
        |class: usize| contributions.get(class).into_iter().flat_map(Contributions::values_q).collect();
    Some(in_order(scores_q, groups))
}

/// Scores, and behind each the contributions of its class's groups.
pub(crate) fn in_order(scores_q: &[i64], groups: impl Fn(usize) -> Vec<i64>) -> Vec<i64> {
    let class = |(class, score): (usize, &i64)| std::iter::once(*score).chain(groups(class));
    scores_q.iter().enumerate().flat_map(class).collect()
}

#[cfg(test)]
mod tests {
    use tiresias_circuits::{
        Card, HeadShape, Plan, Quantizer,
        card::CardParts,
        plan::{Decision, LabelPolicy},
        quantize::Scale,
    };
    use tiresias_keys::{BootstrapParameters, Seed};

    use super::*;

    fn model(decision: Decision, zone: u64) -> Model {
        let shape = HeadShape { features: 3, classes: 3, feature_bits: 4, weight_bits: 4 };
        let quantizer = Quantizer::new(4, 3, Scale::PerTensor(0.5)).unwrap();
        let bootstrap = BootstrapParameters::ALL[0];
        let plan = Plan::label(shape, LabelPolicy { decision, stages: 2, zone, bootstrap }).unwrap();
        let labels = ["a", "b", "c"].map(str::to_owned).to_vec();
        let parts = CardParts::new("m", 1, labels, quantizer, 0.25, plan, Seed::from_bytes([1; 32]));
        Model::from_card(Card::new(parts).unwrap().to_json()).unwrap()
    }

    fn list(labels: &[&str]) -> Vec<String> {
        labels.iter().map(|&label| label.to_owned()).collect()
    }

    #[test]
    fn a_class_is_the_class_and_review_only_where_there_is_a_zone() {
        let found = |label: &str| Finding::Class { label: label.to_owned() };
        let (exact, zoned) = (model(Decision::Argmax, 0), model(Decision::Argmax, 5));
        let expected = Expected::of(&found("b"), &exact).unwrap();
        assert!(expected.fits(&exact) && !Expected::Class("d".to_owned()).fits(&exact));
        assert!(!Expected::RowsQ(vec![1, 2, 3]).fits(&exact), "a label's model answers no scores");
        assert_eq!(Expected::of(&found(REVIEW), &zoned), None);
        for (model, label, agrees) in [
            (&exact, "b", true),
            (&exact, "a", false),
            (&exact, REVIEW, false),
            (&zoned, "b", true),
            (&zoned, "c", false),
            (&zoned, REVIEW, true),
        ] {
            assert_eq!(expected.agrees(&found(label), model), agrees, "{label}");
        }
    }

    #[test]
    fn findings_are_those_and_no_others() {
        let found =
            |label: &[&str], review: &[&str]| Finding::Classes { label: list(label), review: list(review) };
        let (exact, zoned) = (model(Decision::Thresholds, 0), model(Decision::Thresholds, 5));
        let expected = Expected::of(&found(&["a", "c"], &[]), &exact).unwrap();
        assert_eq!(expected, Expected::Classes(list(&["a", "c"])));
        assert_eq!(Expected::of(&found(&["a"], &["c"]), &zoned), None);
        for (label, review, by_exact, by_zoned) in [
            (["a", "c"].as_slice(), [].as_slice(), true, true),
            (&["a"], &[], false, false),
            (&["a", "b", "c"], &[], false, false),
            (&["a"], &["c"], false, true),
            (&["a", "c"], &["b"], false, true),
            (&["b"], &["a", "c"], false, false),
            (&[], &["a", "b", "c"], false, true),
        ] {
            let finding = found(label, review);
            assert_eq!(expected.agrees(&finding, &exact), by_exact, "{label:?} {review:?}");
            assert_eq!(expected.agrees(&finding, &zoned), by_zoned, "{label:?} {review:?}");
        }
    }
}
