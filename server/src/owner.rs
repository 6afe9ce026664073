//! The model owner's commands: `estimate`, `import`, `inspect`, `evaluate`. Each answers on standard output and touches no
//! network.

mod estimate;
mod evaluate;
mod import;
mod inspect;
mod model;
mod quantize;

use std::{
    io,
    path::{Path, PathBuf},
};

use tiresias_circuits::Features;

use crate::{
    import::ImportError,
    repository::{self, read_file},
};
pub use estimate::estimate;
pub use evaluate::evaluate;
pub use import::import;
pub use inspect::inspect;

/// Features files of a model owner may be this large.
const MAXIMUM_FEATURES_BYTES: u64 = 1 << 30;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The head's file was refused.
    #[error("{source}")]
    Import {
        /// Which rule it broke.
        source: ImportError,
    },
    /// Shapes, widths or features were refused.
    #[error(transparent)]
    Circuit(#[from] tiresias_circuits::Error),
    /// The repository or a file could not be read or written.
    #[error(transparent)]
    Repository(#[from] repository::Error),
    /// A bootstrapped circuit with another privacy than `flooded`.
    #[error("--privacy: a label or a head with hidden layers is always flooded; leave the option out")]
    LabelPrivacy,
    /// Options of hidden layers for a head that has none.
    #[error("{0}: this head has no hidden layers")]
    NoHiddenLayers(&'static str),
    /// Thresholds without a decision by thresholds.
    #[error("--thresholds goes with --policy label --decision thresholds")]
    Thresholds,
    /// A thresholds file that is not a number a line.
    #[error("the thresholds file is not text with one number a line")]
    ThresholdsFile,
    /// An explanation of a label or of hidden layers.
    #[error("--explain-groups and --explain-map go with the scores of a head without hidden layers")]
    Explanation,
    /// Calibration rows that are no whole maps.
    #[error("--explain-map: the rows of the calibration are not whole maps of that many locations")]
    PartialMap,
    /// A file that could not be written.
    #[error("{path}: {source}", path = path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is not UTF-8 text.
    #[error("{0} is not a file of UTF-8 text")]
    Text(&'static str),
    /// A labels file that is not UTF-8 text.
    #[error("the labels file is not UTF-8 text with one label a line")]
    Labels,
    /// The circuit of an estimate could not be run.
    #[error("the estimated circuit could not be run: this is a bug")]
    Estimate,
    /// The operating system gave no entropy.
    #[error("the operating system gave no entropy")]
    Entropy(#[from] getrandom::Error),
    /// Standard output is gone.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Import { source } => source.code(),
            Self::Circuit(error) => error.code(),
            Self::Repository(error) => error.code(),
            Self::LabelPrivacy => "label_privacy",
            Self::NoHiddenLayers(_) => "no_hidden_layers",
            Self::Thresholds => "thresholds",
            Self::ThresholdsFile => "bad_thresholds",
            Self::Explanation => "explanation",
            Self::PartialMap => "partial_map",
            Self::Write { .. } => "io",
            Self::Text(_) => "bad_text",
            Self::Labels => "bad_labels",
            Self::Estimate => "internal",
            Self::Entropy(_) => "entropy",
            Self::Output(_) => "output",
        }
    }
}

fn read_features(path: &Path, columns: usize) -> Result<Features, Error> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let features = Features::from_named(name, &read_file(path, MAXIMUM_FEATURES_BYTES)?)?;
    features.expect_columns(columns)?;
    Ok(features)
}

fn read_thresholds(path: &Path) -> Result<Vec<f64>, Error> {
    let text = String::from_utf8(read_file(path, 2 << 20)?).map_err(|_| Error::ThresholdsFile)?;
    let numbers: Result<Vec<f64>, _> = text.lines().map(|line| line.trim().parse()).collect();
    numbers.map_err(|_| Error::ThresholdsFile)
}

fn read_text(path: &Path, option: &'static str) -> Result<String, Error> {
    String::from_utf8(read_file(path, 2 << 20)?).map_err(|_| Error::Text(option))
}

fn read_labels(path: &Path) -> Result<Vec<String>, Error> {
    let text = String::from_utf8(read_file(path, 2 << 20)?).map_err(|_| Error::Labels)?;
    Ok(text.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect())
}
