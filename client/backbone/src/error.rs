//! What can be wrong with a backbone. Messages name the broken rule and never quote pixels or features.

use std::{io, path::PathBuf};

/// Why there are no features.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file that is too large.
    #[error("{}: larger than the {limit} MiB that are read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// A model without its card.
    #[error(
        "{}: there is no such preprocessing card beside the model; write one that says how pictures become its input",
        path.display()
    )]
    NoCard {
        /// Where it should be.
        path: PathBuf,
    },
    /// A preprocessing card that breaks a rule.
    #[error("the preprocessing card: {0}")]
    Card(&'static str),
    /// Not an ONNX model, or one with operators that are not known.
    #[error(
        "the model could not be loaded: it is damaged, or has an operator that this version does not know"
    )]
    Model,
    /// A model with several inputs, or another shape than the card says.
    #[error("the model must have one input, of the preprocessing card's shape")]
    Input,
    /// Several outputs and none named, or a name that is not the model's.
    #[error("output: the preprocessing card must name a tensor of the model, unless it has one output alone")]
    Output,
    /// The model failed on a picture.
    #[error("the model failed on this picture: its shape, or its preprocessing card, does not fit")]
    Run,
    /// The output's shape is none of features or maps.
    #[error("the output of the model is {0}")]
    Shape(&'static str),
    /// NaN or infinity.
    #[error("the model gave a feature that is not finite: the preprocessing card may be of another model")]
    NotFinite,
    /// A map was asked for.
    #[error("this backbone has no feature map: its preprocessing card does not say pooling = \"average\"")]
    NoMap,
    /// The picture could not be resized.
    #[error("the picture could not be resized to the size of the preprocessing card")]
    Resize,
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::TooLarge { .. } => "too_large",
            Self::NoCard { .. } | Self::Card(_) => "bad_preprocessing",
            Self::Model | Self::Input | Self::Output => "bad_backbone",
            Self::Run | Self::Shape(_) | Self::NotFinite | Self::NoMap | Self::Resize => "backbone_failed",
        }
    }
}
