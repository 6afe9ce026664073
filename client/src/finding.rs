//! What a clinic reads: a finding, what explains it, and how far its features lie from those of the calibration.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct as _};
use tiresias_circuits::{Card, Drift, explain::Explained};

/// The label of a decision that is too close to tell.
pub const REVIEW: &str = tiresias_circuits::card::REVIEW;

/// What a clinic reads. `Debug` shows no value.
#[derive(Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// The row of the features file, from 0.
    pub index: usize,
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
    /// How usual the features are; `None` where the card tells nothing of the calibration's.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "drift")]
    pub drift: Option<Drift>,
    /// Whether vectors with known answers were answered wrongly in the same run: then this answer is worth nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub canary_alarm: bool,
}

/// What a model says of a row, as its policy allows.
#[derive(Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Finding {
    /// All scores.
    Scores {
        /// The class; `None` where a head of one class does not reach it.
        label: Option<String>,
        /// The integer scores: exact, or where the card says `approximate` to the nearest sixteen of their steps.
        scores_q: Vec<i64>,
        /// The dequantized scores.
        scores: Vec<f64>,
        /// How far the class is ahead of the next.
        margin: f64,
        /// What groups of features contributed, class by class, where the model explains its scores.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        contributions: Vec<Contributions>,
    },
    /// The class alone, or [`REVIEW`].
    Class {
        /// Its name.
        label: String,
    },
    /// The classes that pass their thresholds.
    Classes {
        /// Their names.
        label: Vec<String>,
        /// Those that are too close to tell: a human decides.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        review: Vec<String>,
    },
}

impl Finding {
    /// The label in words.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Scores { label, .. } => label.clone().unwrap_or_else(|| "none".into()),
            Self::Class { label } => label.clone(),
            Self::Classes { label, review } if review.is_empty() => label.join(", "),
            Self::Classes { label, review } => {
                let close = review.iter().map(|class| format!("{class} ({REVIEW})"));
                label.iter().cloned().chain(close).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// Whether the answer itself leaves the decision, or one of them, to a human.
    #[must_use]
    pub fn is_review(&self) -> bool {
        match self {
            Self::Scores { .. } => false,
            Self::Class { label } => label == REVIEW,
            Self::Classes { review, .. } => !review.is_empty(),
        }
    }

    /// The highest score and its margin, where there are scores.
    #[must_use]
    pub fn score_and_margin(&self) -> Option<(f64, f64)> {
        let Self::Scores { scores, margin, .. } = self else { return None };
        Some((scores.iter().copied().fold(f64::NEG_INFINITY, f64::max), *margin))
    }

    /// What groups of features contributed; nothing where the model does not explain.
    #[must_use]
    pub fn contributions(&self) -> &[Contributions] {
        match self {
            Self::Scores { contributions, .. } => contributions,
            _ => &[],
        }
    }

    /// The integer scores; none of a label.
    #[must_use]
    pub fn scores_q(&self) -> &[i64] {
        match self {
            Self::Scores { scores_q, .. } => scores_q,
            _ => &[],
        }
    }
}

impl Diagnosis {
    /// Whether a human has to decide: the label says so, or something besides.
    #[must_use]
    pub fn needs_review(&self) -> bool {
        self.finding.is_review() || self.review_reason().is_some()
    }

    /// Why a human has to decide whatever the label says: the gateway was caught, or the features are far from those of the
    /// calibration.
    #[must_use]
    pub fn review_reason(&self) -> Option<&'static str> {
        let is_far_out = self.drift.is_some_and(|drift| drift.is_far_out());
        if self.canary_alarm { Some("canary alarm") } else { is_far_out.then_some("far out") }
    }
}

impl fmt::Debug for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diagnosis").field("index", &self.index).finish_non_exhaustive()
    }
}

/// What the groups of features contributed to one class's score: score = intercept + the sum of the groups.
#[derive(Clone, PartialEq, Serialize)]
pub struct Contributions {
    /// The class.
    pub class: String,
    /// The score at features in the middle of their calibrated ranges.
    pub intercept: f64,
    /// One value a group, in the card's order.
    pub groups: Vec<Contribution>,
}

/// What one group of features contributed.
#[derive(Clone, PartialEq, Serialize)]
pub struct Contribution {
    /// The group.
    pub group: String,
    /// In units of the score.
    pub value: f64,
    /// The exact integer.
    pub value_q: i64,
}

impl Contributions {
    /// The exact integers, in the card's order.
    pub fn values_q(&self) -> impl Iterator<Item = i64> {
        self.groups.iter().map(|group| group.value_q)
    }

    /// Of a card's groups, by class.
    pub(crate) fn read(card: &Card, names: &[String], explained: &Explained) -> Vec<Self> {
        let scale = card.score_scale();
        let classes = card.labels().iter().zip(&explained.scores_q).zip(&explained.contributions_q);
        let read = |((class, score), contributions_q): ((&String, &i64), &Vec<i64>)| {
            let groups = names.iter().zip(contributions_q);
            let groups = groups.map(|(group, &value_q)| Contribution {
                group: group.clone(),
                value: value_q as f64 * scale,
                value_q,
            });
            let intercept = (score - contributions_q.iter().sum::<i64>()) as f64 * scale;
            Self { class: class.clone(), intercept, groups: groups.collect() }
        };
        classes.map(read).collect()
    }
}

/// Found before anything is sent, from features and the card alone.
fn drift<S: Serializer>(drift: &Option<Drift>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut fields = serializer.serialize_struct("Drift", 4)?;
    if let Some(drift) = drift {
        fields.serialize_field("outside", &drift.outside)?;
        fields.serialize_field("distance", &drift.distance)?;
        fields.serialize_field("limit", &drift.limit)?;
        fields.serialize_field("far_out", &drift.is_far_out())?;
    }
    fields.end()
}
