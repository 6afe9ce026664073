//! Options of `harmonize`.

use std::path::PathBuf;

use clap::{Args, value_parser};

use super::JointArgs;

/// `harmonize`
#[derive(Debug, Args)]
pub struct HarmonizeArgs {
    /// Features of this clinic's patients: .csv with a header, or .npy with --site
    #[arg(long, value_name = "FILE")]
    pub features: PathBuf,
    /// The column of scanners or sites in the .csv; all others are features
    #[arg(long, value_name = "COLUMN", required_unless_present = "site", conflicts_with = "site")]
    pub by: Option<String>,
    /// The one scanner or site that all rows are of
    #[arg(long, value_name = "NAME")]
    pub site: Option<String>,
    /// All scanners or sites of all clinics, the same list everywhere
    #[arg(long, value_name = "NAME", value_delimiter = ',', required = true)]
    pub sites: Vec<String>,
    /// Values are rounded to whole steps before they are added up
    #[arg(long, value_name = "STEP")]
    pub step: f64,
    /// The largest magnitude that a value of any clinic has
    #[arg(long, value_name = "VALUE")]
    pub largest: f64,
    /// Another step and largest magnitude for one feature; may be given several times
    #[arg(long, value_name = "COLUMN=STEP,LARGEST", value_parser = scale)]
    pub scale: Vec<(String, f64, f64)>,
    /// The most rows that any clinic has
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = value_parser!(u64).range(1..))]
    pub rows: u64,
    /// Rows that a scanner must have over all clinics to be harmonized; of smaller ones nothing is shown
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = value_parser!(u64).range(2..))]
    pub min_rows: u64,
    /// What is summed, in words that all clinics have alike
    #[arg(long, value_name = "TEXT", default_value = "harmonize")]
    pub label: String,
    /// Write means and variances to a new file, JSON
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Write this clinic's harmonized features to a new file, .csv or .npy
    #[arg(long, value_name = "FILE")]
    pub apply: Option<PathBuf>,
    /// Print JSON, one object
    #[arg(long)]
    pub json: bool,
    /// Who adds up.
    #[command(flatten)]
    pub joint: JointArgs,
}

fn scale(text: &str) -> Result<(String, f64, f64), String> {
    let parsed = text.split_once('=').and_then(|(column, scale)| {
        let (step, largest) = scale.split_once(',')?;
        Some((column.to_owned(), step.parse().ok()?, largest.parse().ok()?))
    });
    parsed.ok_or_else(|| "write it as COLUMN=STEP,LARGEST, as in area=0.1,5000".to_owned())
}
