//! Why no head can be learned. Messages name the rule, and never quote a value.

/// Why no head can be learned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A table that is no table, or bounds and budgets that are none.
    #[error(transparent)]
    Table(#[from] tiresias_synth::Error),
    /// A setting out of its range.
    #[error("{0}")]
    Setting(&'static str),
    /// Groups that do not fit the rows.
    #[error(
        "there must be one group for each row, at most {} groups, each named once",
        crate::patients::MAXIMUM_GROUPS
    )]
    Groups,
    /// A class without patients.
    #[error(
        "class {class} has no patients to learn from, at any clinic: leave it out of the classes or add some"
    )]
    NoPatients {
        /// The class, counted from 1.
        class: usize,
    },
    /// More folds than patients.
    #[error(
        "class {class} has fewer patients than there are folds: set fewer --folds (2 are the least) or add patients"
    )]
    Folds {
        /// The class, counted from 1.
        class: usize,
    },
    /// A number that does not fit into the fixed point.
    #[error(
        "a sum over patients is too large for the fixed point: features must lie within 700 deviations of their mean, and bounds must not be \
         far too narrow; look for patients whose features are wrong"
    )]
    Overflow,
    /// Totals that cannot be those of what was asked.
    #[error(
        "the totals that came back do not belong to what was asked: the clinics run different settings or versions"
    )]
    Totals,
    /// A bug: a matrix has no Cholesky factor.
    #[error("a bug: the matrix of second derivatives could not be factored: please report this")]
    NotPositive,
    /// A bug: what was learned could not be written.
    #[error("a bug: the head could not be written: please report this")]
    Written,
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Table(error) => error.code(),
            Self::Setting(_) => "setting",
            Self::Groups => "groups",
            Self::NoPatients { .. } | Self::Folds { .. } => "too_few_rows",
            Self::Overflow => "overflow",
            Self::Totals => "totals",
            Self::NotPositive | Self::Written => "internal",
        }
    }
}
