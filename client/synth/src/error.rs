//! Why no patients can be made. Messages name the rule, a row or a column, and never quote a value.

/// Rows that a class must have to be fitted.
pub const MINIMUM_ROWS: usize = 10;

/// Columns that a table may have.
pub const MAXIMUM_COLUMNS: usize = 2048;

/// Classes that labels may have.
pub const MAXIMUM_CLASSES: usize = 1000;

/// Numbers that a model's matrices may have together: 1 GiB of them.
pub const MAXIMUM_ENTRIES: usize = 1 << 27;

/// Rows that may be asked for at once.
pub const MAXIMUM_ROWS: usize = 10_000_000;

/// Values that a table of synthetic rows may have: 4 GiB of them.
pub const MAXIMUM_VALUES: usize = 1 << 29;

/// Why no patients can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A table that is no table.
    #[error("a table needs at least one row, rows of one length and a label for each")]
    Shape,
    /// Too many columns.
    #[error("there are more than {MAXIMUM_COLUMNS} features: choose fewer")]
    Columns,
    /// Not a finite number.
    #[error("row {row}, feature {feature} is not finite: leave the row out")]
    NotFinite {
        /// The row, counted from 1.
        row: usize,
        /// The feature, counted from 1.
        feature: usize,
    },
    /// One class, or too many.
    #[error("there must be between 2 and {MAXIMUM_CLASSES} classes, each named once")]
    Classes,
    /// A label that is no class.
    #[error("row {row}: its label is none of the classes")]
    Label {
        /// The row, counted from 1.
        row: usize,
    },
    /// Tables that do not belong together.
    #[error("the tables differ in their features or classes")]
    Mismatch,
    /// A class that is too small.
    #[error(
        "class {class} has too few rows to learn from: {MINIMUM_ROWS} are the least, in the part that is fitted; \
         add rows, leave the class out or set a smaller --test-share"
    )]
    TooFewRows {
        /// The class, counted from 1 in the order of the names.
        class: usize,
    },
    /// The same by a count with noise.
    #[error(
        "class {class} has, by a count with noise, too few rows to learn from ({MINIMUM_ROWS} are the least): add rows \
         or set a larger --epsilon"
    )]
    TooFewNoisyRows {
        /// The class, counted from 1 in the order of the names.
        class: usize,
    },
    /// Classes and features that need too much memory.
    #[error(
        "the model would need more than {} MiB for its matrices (classes times half the square of the features): \
         choose fewer features",
        MAXIMUM_ENTRIES >> 17
    )]
    TooLarge,
    /// A wrong number of rows asked for.
    #[error(
        "--rows: at least one for each class, at most {MAXIMUM_ROWS}, and at most {MAXIMUM_VALUES} values in all"
    )]
    Rows,
    /// A share that splits nothing.
    #[error("--test-share: a number between 0.01 and 0.9")]
    Share,
    /// A part without rows.
    #[error("the split leaves a part without rows: choose another --test-share or --seed, or add rows")]
    EmptyPart,
    /// A budget that is out of its range.
    #[error(
        "--epsilon must lie between 0.01 and 100, and --delta between 1e-15 and 1e-3: far below one in the number of \
         patients"
    )]
    Budget,
    /// Bounds for another number of features.
    #[error("the bounds are for another number of features: give one line for each, in their order")]
    BoundsCount,
    /// Bounds that bound nothing.
    #[error(
        "bounds of feature {feature}: two finite numbers, the lower one first, whole ones for whole numbers"
    )]
    Bounds {
        /// The feature, counted from 1.
        feature: usize,
    },
    /// A bug: a matrix has no Cholesky factor.
    #[error("a matrix of correlations could not be factored: please report this")]
    NotPositive,
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Shape | Self::Columns => "shape",
            Self::NotFinite { .. } => "not_finite",
            Self::Classes | Self::Label { .. } => "classes",
            Self::Mismatch => "mismatch",
            Self::TooFewRows { .. } | Self::TooFewNoisyRows { .. } => "too_few_rows",
            Self::TooLarge => "too_large",
            Self::Rows | Self::Share => "setting",
            Self::EmptyPart => "empty_part",
            Self::Budget => "budget",
            Self::BoundsCount | Self::Bounds { .. } => "bounds",
            Self::NotPositive => "not_positive",
        }
    }
}
