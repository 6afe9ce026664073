//! Options of `synth`.

use std::path::PathBuf;

use clap::Args;

/// `synth`
#[derive(Debug, Args)]
pub struct SynthArgs {
    /// Features of real patients: .npy or .csv, one row each
    #[arg(long, value_name = "FILE")]
    pub features: PathBuf,
    /// Their classes: one on each line, perhaps below a header
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "label_column",
        required_unless_present = "label_column"
    )]
    pub labels: Option<PathBuf>,
    /// The column of --features that has the classes, where it is a .csv with a header
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,
    /// How many patients to make
    #[arg(long, value_name = "N")]
    pub rows: usize,
    /// What fixes the split and the patients that are made of a model
    ///
    /// The noise of --epsilon is drawn from the operating system and kept nowhere, so such a run cannot be repeated.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Write their features to a new file, .csv or .npy
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Write their classes to this new file [default: that of --out, ending in .labels.csv]
    #[arg(long, value_name = "FILE")]
    pub out_labels: Option<PathBuf>,
    /// Protect each row by differential privacy with this epsilon
    #[arg(long, value_name = "E", requires_all = ["delta", "bounds"])]
    pub epsilon: Option<f64>,
    /// The delta that goes with it, far below one in the number of patients
    #[arg(long, value_name = "D", requires = "epsilon")]
    pub delta: Option<f64>,
    /// Between what each feature lies, known without looking at the patients: .csv, for each feature a line with a lower and an
    /// upper number, and perhaps integer
    #[arg(long, value_name = "FILE", requires = "epsilon")]
    pub bounds: Option<PathBuf>,
    /// About this share of the rows is held out from the model, to test on
    #[arg(long, value_name = "SHARE", default_value_t = 0.3, conflicts_with = "skip_evaluation")]
    pub test_share: f64,
    /// Fit the model to all rows, and measure nothing
    #[arg(long)]
    pub skip_evaluation: bool,
    /// Print JSON, one object, with the distance of each row
    #[arg(long)]
    pub json: bool,
}
