//! What can be wrong with heads, cards and features. Messages name the broken rule and never quote a value.

/// Why a head, card or feature set was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A dimension or width is outside what this version evaluates.
    #[error("{what} must be {rule}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// The rule it broke.
        rule: &'static str,
    },
    /// Two shapes that must agree do not.
    #[error("{what}: got {got}, expected {expected}")]
    Shape {
        /// What was compared.
        what: &'static str,
        /// The dimension found.
        got: usize,
        /// The dimension wanted.
        expected: usize,
    },
    /// NaN or infinity where a number is needed.
    #[error("{what} must be finite: row {row}, column {column} is not")]
    NotFinite {
        /// Which table.
        what: &'static str,
        /// Row, counted from 0.
        row: usize,
        /// Column, counted from 0.
        column: usize,
    },
    /// No parameter set leaves room for an exact answer.
    #[error(
        "the head does not fit: scores of {plaintext_bits} bits leave no room for an exact answer under this privacy; \
         use fewer bits for features or weights, or where it is `flooded`, `statistical` with its larger modulus"
    )]
    DoesNotFit {
        /// Bits t of the widest score.
        plaintext_bits: u32,
    },
    /// Hidden layers that no circle of a bootstrap holds.
    #[error("the hidden layers do not fit: {0}")]
    HiddenDoNotFit(&'static str),
    /// A features file that could not be read.
    #[error("features: {0}")]
    Features(&'static str),
    /// A field of a CSV file that is not a number.
    #[error("features: line {line}, field {field} is not a number")]
    NotANumber {
        /// Line in the file, counted from 1.
        line: u64,
        /// Field in the line, counted from 1.
        field: usize,
    },
    /// A card that is not valid JSON of the card's form.
    #[error("the circuit card is malformed: {0}")]
    CardForm(&'static str),
    /// A card whose stated numbers do not follow from its public ones: it is wrong or a downgrade.
    #[error("the circuit card states another {0} than its own numbers imply: do not use it")]
    CardMismatch(&'static str),
    /// An evaluation key of another parameter set than the circuit's.
    #[error(
        "the evaluation key is of other parameters than the circuit card asks for: enroll for this model"
    )]
    KeyParameters,
    /// Wrong public bytes.
    #[error(transparent)]
    Keys(#[from] tiresias_keys::Error),
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::OutOfRange { .. } => "out_of_range",
            Self::Shape { .. } => "shape_mismatch",
            Self::NotFinite { .. } => "not_finite",
            Self::DoesNotFit { .. } | Self::HiddenDoNotFit(_) => "does_not_fit",
            Self::Features(_) => "bad_features_file",
            Self::NotANumber { .. } => "not_a_number",
            Self::CardForm(_) => "bad_card",
            Self::CardMismatch(_) => "card_mismatch",
            Self::KeyParameters => "key_parameters",
            Self::Keys(error) => error.code(),
        }
    }
}
