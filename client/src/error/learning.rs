//! Why no patients are made, no head is learned, or nothing may be told of patients any more.

use std::path::PathBuf;

/// Why no patients are made or no head is learned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Learning {
    /// Patients that cannot be made.
    #[error("{path}: {source}", path = path.display())]
    Synth {
        /// The file that is to blame.
        path: PathBuf,
        /// What is wrong.
        source: tiresias_synth::Error,
    },
    /// Patients or settings that no head can be learned with.
    #[error("{path}: {source}", path = path.display())]
    Patients {
        /// The file that is to blame.
        path: PathBuf,
        /// What is wrong.
        source: tiresias_learn::Error,
    },
    /// The same in a round of learning.
    #[error("learning: {0}")]
    Round(#[from] tiresias_learn::Error),
    /// A model card that would not be one.
    #[error("the model card: {0}")]
    Card(tiresias_evidence::Error),
    /// A ledger that cannot be read.
    #[error("{path}: line {line}: {reason}", path = path.display())]
    Ledger {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// Another command has the ledger open.
    #[error("{path}: another command is using this privacy ledger: wait for its end", path = path.display())]
    LedgerInUse {
        /// The file.
        path: PathBuf,
    },
    /// A ledger that is made for another budget.
    #[error("{path}: {reason}", path = path.display())]
    LedgerBudget {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// Nothing is left, or less than is asked for.
    #[error(
        "{path}: this run would tell more of the patients than their privacy budget allows: epsilon {left:.4} is left at the ledger's delta, \
         and {asked:.4} is asked for; ask for a smaller --epsilon, or learn from patients of whom nothing was told yet, with a ledger of \
         their own", path = path.display()
    )]
    Spent {
        /// The ledger.
        path: PathBuf,
        /// What is left, as an epsilon at its delta.
        left: f64,
        /// What is asked for, likewise.
        asked: f64,
    },
}

impl Learning {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Synth { source, .. } => source.code(),
            Self::Patients { source, .. } | Self::Round(source) => source.code(),
            Self::Card(_) => "bad_model_card",
            Self::Ledger { .. } => "bad_privacy_ledger",
            Self::LedgerInUse { .. } => "privacy_ledger_in_use",
            Self::LedgerBudget { .. } => "privacy_ledger_budget",
            Self::Spent { .. } => "privacy_spent",
        }
    }
}

impl From<tiresias_learn::Error> for super::Error {
    fn from(error: tiresias_learn::Error) -> Self {
        Learning::from(error).into()
    }
}
