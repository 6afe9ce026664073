//! Options of `cohort`.

use std::path::PathBuf;

use clap::{Args, value_parser};

use super::{ApproverArgs, EvidenceArgs, GatewayArgs, NetworkArgs};

/// `cohort`
#[derive(Debug, Args)]
pub struct CohortArgs {
    /// Where to
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// The model's name
    #[arg(long, value_name = "NAME")]
    pub model: String,
    /// The model's version, the newest by default
    #[arg(long, value_name = "N")]
    pub version: Option<u32>,
    /// Features, .npy, .csv or .parquet, one row a patient; read in portions, so it may be larger than the memory
    #[arg(long, value_name = "FILE")]
    pub features: PathBuf,
    /// The new file for the results: .csv, or .jsonl with one object a line as `infer --json` prints
    ///
    /// Encrypted answers and their keys lie in FILE.part until the last one is here; only then the first one is decrypted.
    /// After a failure or an interruption, the same command with the same features goes on where it ended. An existing FILE
    /// is never overwritten.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Patients in one request, at most 2048 and at most what the gateway takes
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = value_parser!(u16).range(1..=2048))]
    pub block: u16,
    /// Print a summary as JSON
    #[arg(long)]
    pub json: bool,
    /// Who must have approved the model
    #[command(flatten)]
    pub approvers: ApproverArgs,
    /// What is done with receipts
    #[command(flatten)]
    pub evidence: EvidenceArgs,
    /// How
    #[command(flatten)]
    pub network: NetworkArgs,
}
