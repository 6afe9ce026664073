//! Options of `demo`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The data of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DataArg {
    /// Breast cancer, Wisconsin: 30 measurements, two classes
    Wdbc,
    /// Handwritten digits: 64 pixels, ten classes
    Digits,
}

/// What a clinic learns from a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyArg {
    /// The exact scores
    Scores,
    /// The label alone
    Label,
}

/// The heads of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HeadArg {
    /// A logistic regression
    Linear,
    /// One hidden layer of ReLU neurons
    Mlp,
}

/// `demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Which data: 171 patients of the Wisconsin breast-cancer data, or 540 images of handwritten digits
    #[arg(long, value_enum, default_value = "wdbc")]
    pub data: DataArg,
    /// Diagnose only the first N patients, or images
    #[arg(long, value_name = "N")]
    pub patients: Option<usize>,
    /// Leave out the table of patients
    #[arg(long)]
    pub quiet: bool,
    /// Which head
    #[arg(long, value_enum, default_value = "linear")]
    pub head: HeadArg,
    /// What the clinic learns
    #[arg(long, value_enum, default_value = "scores")]
    pub policy: PolicyArg,
    /// Print JSON, one object a line, the summary last
    #[arg(long)]
    pub json: bool,
    /// The gateway's program; by default the one beside this program, then on PATH
    #[arg(long, value_name = "FILE")]
    pub gateway_bin: Option<PathBuf>,
}
