//! Options of `fairness`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tiresias_fairness::{Measure, Window};

use super::JointOptions;

/// `fairness`
#[derive(Debug, Args)]
pub struct FairnessArgs {
    /// Decisions: .csv with a header, one row each
    #[arg(required_unless_present = "record", conflicts_with = "record")]
    pub data: Option<PathBuf>,
    /// Take the decisions from the record that `infer --record` writes: cases whose truth is known
    #[arg(long, value_name = "FILE", conflicts_with_all = ["prediction", "score"])]
    pub record: Option<PathBuf>,
    /// The passphrase of the record, on the first line of a file; asked for on the terminal by default
    #[arg(long, value_name = "FILE", requires = "record")]
    pub passphrase_file: Option<PathBuf>,
    /// The model whose cases are taken, where the record has several
    #[arg(long, value_name = "NAME", requires = "record")]
    pub model: Option<String>,
    /// Look at what humans decided, where they did, instead of at what the model said
    #[arg(long, requires = "record")]
    pub decided: bool,
    /// The column of what came true
    #[arg(long, value_name = "COLUMN")]
    pub truth: String,
    /// The column of what the model said; without it, predictions follow from scores
    #[arg(long, value_name = "COLUMN", required_unless_present_any = ["score", "record"])]
    pub prediction: Option<String>,
    /// The column of scores of the positive class, or with CLASS= of another; may be given several times
    ///
    /// Scores between 0 and 1 are looked at as probabilities (calibration). Thresholds are proposed from any scores.
    #[arg(long, value_name = "[CLASS=]COLUMN", value_parser = class_and_column)]
    pub score: Vec<(Option<String>, String)>,
    /// Without --prediction and with scores of one of two classes: that class is predicted from here on
    ///
    /// With scores of all classes, the one with the largest is predicted.
    #[arg(long, value_name = "SCORE", default_value_t = 0.5, allow_negative_numbers = true)]
    pub cut: f64,
    /// Columns of groups, such as sex,age,ethnicity,site,scanner
    ///
    /// Each is looked at alone, and all of them in all combinations.
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', required = true)]
    pub groups: Vec<String>,
    /// The class that is looked for; with more than two classes, each in turn by default
    #[arg(long, value_name = "CLASS")]
    pub positive: Option<String>,
    /// Band the numbers of a column of groups: age=40,65 makes "under 40", "40 to under 65" and "65 and over"
    #[arg(long, value_name = "COLUMN=EDGES", value_parser = bands)]
    pub bands: Vec<(String, Bands)>,
    /// The prediction that says that no decision was made, such as review
    #[arg(long, value_name = "CLASS")]
    pub abstain: Option<String>,
    /// Count rows with an empty group as a group of this name; without it they are an error
    #[arg(long, value_name = "NAME")]
    pub empty_as: Option<String>,
    /// The group that others of its column are compared with, the largest by default
    #[arg(long, value_name = "COLUMN=GROUP", value_parser = named)]
    pub reference: Vec<(String, String)>,
    /// The column of dates (2026-03-31), to look at windows of time as well
    #[arg(long, value_name = "COLUMN")]
    pub time: Option<String>,
    /// How long windows are
    #[arg(long, value_enum, default_value_t = WindowArg::Month, requires = "time")]
    pub window: WindowArg,
    /// Rows that a group must have to be judged, and that a rate must be of to be compared; smaller ones are named
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub min_cell: u64,
    /// Raise an alarm where the difference between groups is above this, in all rows or in a window: exit code 3
    #[arg(long, value_name = "DIFFERENCE")]
    pub threshold: Option<f64>,
    /// What the threshold is for
    #[arg(long, value_enum, default_value_t = MeasureArg::EqualizedOdds, requires = "threshold")]
    pub alarm_on: MeasureArg,
    /// How far apart proposed thresholds may leave true and false positive rates
    #[arg(long, value_name = "DIFFERENCE", default_value_t = 0.05)]
    pub tolerance: f64,
    /// Bins of scores for the calibration
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub bins: usize,
    /// How often rows are drawn again for the intervals of differences; 0 for none
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub resamples: usize,
    /// What fixes these draws
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Write a page of HTML to a new file
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print JSON, one object
    #[arg(long)]
    pub json: bool,
    /// With --joint: the classes and groups that are counted, the same file everywhere (TOML: classes = [...], and a table `groups` with a list
    /// a column)
    #[arg(long, value_name = "FILE", requires = "joint")]
    pub vocabulary: Option<PathBuf>,
    /// Counting together with other clinics.
    #[command(flatten)]
    pub joint: JointOptions,
}

/// The edges of bands.
#[derive(Debug, Clone)]
pub struct Bands(pub Vec<f64>);

/// How long windows are.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum WindowArg {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

/// What a threshold is for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum MeasureArg {
    DemographicParity,
    EqualizedOdds,
    EqualOpportunity,
    PredictiveParity,
    EqualAccuracy,
}

impl From<WindowArg> for Window {
    fn from(window: WindowArg) -> Self {
        match window {
            WindowArg::Day => Self::Day,
            WindowArg::Week => Self::Week,
            WindowArg::Month => Self::Month,
            WindowArg::Quarter => Self::Quarter,
            WindowArg::Year => Self::Year,
        }
    }
}

impl From<MeasureArg> for Measure {
    fn from(measure: MeasureArg) -> Self {
        match measure {
            MeasureArg::DemographicParity => Self::DemographicParity,
            MeasureArg::EqualizedOdds => Self::EqualizedOdds,
            MeasureArg::EqualOpportunity => Self::EqualOpportunity,
            MeasureArg::PredictiveParity => Self::PredictiveParity,
            MeasureArg::EqualAccuracy => Self::EqualAccuracy,
        }
    }
}

fn class_and_column(text: &str) -> Result<(Option<String>, String), String> {
    Ok(match text.split_once('=') {
        Some((class, column)) => (Some(class.to_owned()), column.to_owned()),
        None => (None, text.to_owned()),
    })
}

fn named(text: &str) -> Result<(String, String), String> {
    let (column, group) = text.split_once('=').ok_or("write it as COLUMN=GROUP")?;
    Ok((column.to_owned(), group.to_owned()))
}

fn bands(text: &str) -> Result<(String, Bands), String> {
    let (column, edges) = text.split_once('=').ok_or("write it as COLUMN=EDGES, as in age=40,65")?;
    let edges: Result<Vec<f64>, _> = edges.split(',').map(str::parse).collect();
    Ok((column.to_owned(), Bands(edges.map_err(|_| "edges are numbers with commas between them")?)))
}
