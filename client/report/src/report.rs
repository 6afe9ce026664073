//! What a report tells. Texts are plain; each form escapes them in its own way.

use std::fmt;

use tiresias_scan::{Picture, Study};

use crate::HeatMap;

/// One diagnosis and what stands around it. `Debug` shows none of it.
#[derive(Clone, Default)]
pub struct Report {
    /// What was found.
    pub outcome: Outcome,
    /// Why a human has to decide, in a sentence; `None` where nothing calls for it.
    pub review: Option<String>,
    /// Where the scan or the features came from: a file name.
    pub source: String,
    /// The scan as the model saw it, before resizing.
    pub picture: Option<Picture>,
    /// The class-activation map of the found class.
    pub heat_map: Option<HeatMap>,
    /// What groups of features contributed, class by class.
    pub bars: Vec<Bars>,
    /// How usual the features are.
    pub drift: Option<Drift>,
    /// Whose scan it is.
    pub study: Option<Study>,
    /// The model.
    pub model: ModelFacts,
    /// When it was computed, in words of the reader's choice.
    pub computed_at: String,
}

/// What was found.
#[derive(Clone)]
pub enum Outcome {
    /// Scores of all classes, and the class that they name.
    Scores {
        /// The class; `None` where a score of a single class does not reach it.
        label: Option<String>,
        /// How far it is ahead.
        margin: f64,
        /// Each class and its score.
        scores: Vec<(String, f64)>,
    },
    /// A class alone; `None` where the decision is left to a human.
    Class(Option<String>),
    /// For each class whether it was found; `None` where that is left to a human.
    Findings(Vec<(String, Option<bool>)>),
}

impl Default for Outcome {
    fn default() -> Self {
        Self::Class(None)
    }
}

/// The contributions to one class's score.
#[derive(Clone, Default)]
pub struct Bars {
    /// The class.
    pub class: String,
    /// The score of features in the middle of their calibrated ranges.
    pub intercept: f64,
    /// The groups.
    pub bars: Vec<Bar>,
}

/// One group's contribution.
#[derive(Clone, Default)]
pub struct Bar {
    /// The group.
    pub name: String,
    /// What it adds to the score.
    pub value: f64,
}

/// How usual the features are.
#[derive(Clone, Copy, Default)]
pub struct Drift {
    /// Values outside the calibrated range.
    pub outside: usize,
    /// All values.
    pub values: usize,
    /// The distance from the calibration's.
    pub distance: f64,
    /// The distance beyond which they are far out.
    pub limit: f64,
    /// Whether they are.
    pub is_far_out: bool,
}

/// What is known of the model.
#[derive(Clone, Default)]
pub struct ModelFacts {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The id of its circuit card.
    pub config_id: String,
    /// Where it was evaluated.
    pub gateway: String,
    /// The digest of the backbone that made the features.
    pub backbone: Option<String>,
    /// What its owner says of it.
    pub about: Option<String>,
    /// Further facts of the card, by name.
    pub facts: Vec<(&'static str, String)>,
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Report(..)")
    }
}
