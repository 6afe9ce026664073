//! What a file holds.

use tiresias_circuits::{Error, LinearHead, MlpHead};

/// A float head, with or without hidden layers.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportedHead {
    /// One linear layer.
    Linear(LinearHead),
    /// Hidden layers in front of a linear one.
    Mlp(MlpHead),
}

impl ImportedHead {
    /// Features d.
    #[must_use]
    pub fn features(&self) -> usize {
        match self {
            Self::Linear(head) => head.features(),
            Self::Mlp(head) => head.features(),
        }
    }

    /// One name a class.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        match self {
            Self::Linear(head) => head.labels(),
            Self::Mlp(head) => head.labels(),
        }
    }

    /// The same head under other class names.
    pub fn with_labels(self, labels: Vec<String>) -> Result<Self, Error> {
        Ok(match self {
            Self::Linear(head) => Self::Linear(head.with_labels(labels)?),
            Self::Mlp(head) => Self::Mlp(head.with_labels(labels)?),
        })
    }

    /// The head whose scores are 0 or more where this one's are at least `thresholds`, one a class.
    pub fn with_thresholds(self, thresholds: &[f64]) -> Result<Self, Error> {
        Ok(match self {
            Self::Linear(head) => Self::Linear(head.with_thresholds(thresholds)?),
            Self::Mlp(head) => Self::Mlp(head.with_thresholds(thresholds)?),
        })
    }

    /// The float scores of one row of d features.
    #[must_use]
    pub fn scores(&self, row: &[f64]) -> Vec<f64> {
        match self {
            Self::Linear(head) => head.scores(row),
            Self::Mlp(head) => head.scores(row),
        }
    }
}
