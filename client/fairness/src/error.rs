//! Why decisions cannot be audited. Messages name the rule, a row and a column, and never quote a value.

use std::fmt;

/// What a field is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// What came true.
    Truth,
    /// What the model said.
    Prediction,
    /// A score, counted from 0.
    Score(usize),
    /// A group, counted from 0.
    Group(usize),
    /// The date.
    Time,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truth => f.write_str("truth"),
            Self::Prediction => f.write_str("prediction"),
            Self::Score(at) => write!(f, "score {}", at + 1),
            Self::Group(at) => write!(f, "group {}", at + 1),
            Self::Time => f.write_str("time"),
        }
    }
}

/// Where a field stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The row, counted from 1; a header is not counted.
    pub row: usize,
    /// What it is for.
    pub field: Field,
    /// The column, counted from 1, where the rows come from a table.
    pub column: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            Some(column) => write!(f, "row {}, column {column} ({})", self.row, self.field),
            None => write!(f, "row {} ({})", self.row, self.field),
        }
    }
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// Nothing is in it.
    #[error("the field is empty: fill it in or leave the row out")]
    Empty,
    /// The same for a group.
    #[error("the group is empty: fill it in, or count such rows as a group of their own with --empty-as")]
    EmptyGroup,
    /// Not a number.
    #[error("a number is expected")]
    NotANumber,
    /// NaN or infinity.
    #[error("the number is not finite: leave the row out, or find out why it has no score")]
    NotFinite,
    /// Not a date.
    #[error("a date such as 2026-03-31 is expected, perhaps with a time behind it")]
    NotADate,
    /// A class or group that clinics did not agree on.
    #[error("this is not among the classes or groups of the vocabulary, which all clinics have alike")]
    NotInVocabulary,
    /// A class that is predicted and never true.
    #[error(
        "the predicted class is never the truth: correct its spelling, or name it with --abstain if it says that no \
         decision was made"
    )]
    UnknownClass,
    /// The truth is no decision.
    #[error("the class that stands for no decision cannot be the truth")]
    AbstainedTruth,
}

/// Why decisions cannot be audited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// One field.
    #[error("{place}: {flaw}")]
    Cell {
        /// Where.
        place: Place,
        /// What is wrong.
        flaw: Flaw,
    },
    /// A table that is no table.
    #[error("line {line}: the file must be UTF-8 text with the same number of fields in each line")]
    Table {
        /// The line, counted from 1.
        line: u64,
    },
    /// A column that is not there.
    #[error("{option} names a column that the header does not have")]
    MissingColumn {
        /// The option.
        option: &'static str,
    },
    /// A column that is there twice, or has two roles.
    #[error("{option} names a column that stands twice in the header, or that another option names too")]
    DoubleColumn {
        /// The option.
        option: &'static str,
    },
    /// No rows.
    #[error("there are no rows: the file needs a header and a row for each decision")]
    NoRows,
    /// No columns of groups.
    #[error("--groups: name at least one column, and at most {0}")]
    Attributes(usize),
    /// A column with one group.
    #[error("group column {0} has one group only: there is nothing to compare")]
    SingleGroup(usize),
    /// A column with too many groups.
    #[error("group column {0} has more than {1} groups: band it with --bands, or name fewer")]
    TooManyGroups(usize, usize),
    /// Too many combinations.
    #[error("the groups have more than {0} combinations: name fewer columns, or band them more coarsely")]
    TooManyCells(usize),
    /// Too many classes, or one.
    #[error("the truth must have between 2 and {0} classes")]
    Classes(usize),
    /// Two classes and no word on which one counts.
    #[error("there are two classes: name the one that is looked for with --positive")]
    NoPositive,
    /// A class that is not there.
    #[error("{0} names a class that is neither true nor predicted in any row")]
    NoSuchClass(&'static str),
    /// A group that is not there.
    #[error("{0} names a group that no row has, or a column that --groups does not name")]
    NoSuchGroup(&'static str),
    /// Neither predictions nor scores.
    #[error("name a column with --prediction, or scores with --score from which predictions follow")]
    NoPredictions,
    /// Scores of some classes.
    #[error(
        "predictions follow from scores where --positive's class has one, or every class: name the missing ones with \
         --score CLASS=COLUMN, or a column with --prediction"
    )]
    SomeScores,
    /// Edges that do not rise.
    #[error("--bands: give a column of --groups and rising numbers, as in age=40,65")]
    Bands,
    /// A number that is out of its range.
    #[error("{option}: {rule}")]
    Setting {
        /// The option.
        option: &'static str,
        /// What it has to be.
        rule: &'static str,
    },
    /// A vocabulary that is none, or totals that are too many.
    #[error("the vocabulary: {0}")]
    Vocabulary(&'static str),
    /// Too many windows.
    #[error("the dates span more than {0} windows: choose a longer --window")]
    TooManyWindows(usize),
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cell { flaw: Flaw::Empty | Flaw::EmptyGroup, .. } => "empty_field",
            Self::Cell { flaw: Flaw::NotANumber, .. } => "not_a_number",
            Self::Cell { flaw: Flaw::NotFinite, .. } => "not_finite",
            Self::Cell { flaw: Flaw::NotADate, .. } => "not_a_date",
            Self::Vocabulary(_) => "vocabulary",
            Self::Cell { .. } | Self::NoSuchClass(_) => "unknown_class",
            Self::Table { .. } => "bad_table",
            Self::MissingColumn { .. } => "missing_column",
            Self::DoubleColumn { .. } => "double_column",
            Self::NoRows => "no_rows",
            Self::Attributes(_) => "no_groups",
            Self::SingleGroup(_) => "single_group",
            Self::TooManyGroups(..) | Self::TooManyCells(_) => "too_many_groups",
            Self::Classes(_) => "classes",
            Self::NoPositive => "no_positive",
            Self::NoSuchGroup(_) => "unknown_group",
            Self::NoPredictions | Self::SomeScores => "no_predictions",
            Self::Bands | Self::Setting { .. } => "setting",
            Self::TooManyWindows(_) => "too_many_windows",
        }
    }
}
