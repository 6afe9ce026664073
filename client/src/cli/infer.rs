//! Options of `infer`.

use std::path::PathBuf;

use clap::{Args, value_parser};

use super::{ApproverArgs, CanaryArgs, EvidenceArgs, GatewayArgs, NetworkArgs, ScanArgs};

/// `infer`
#[derive(Debug, Args)]
pub struct InferArgs {
    /// Where to
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// The model's name
    #[arg(long, value_name = "NAME", required_unless_present = "card")]
    pub model: Option<String>,
    /// The model's version, the newest by default
    ///
    /// Without it, a model that the gateway replaces during the run is followed once, with a warning.
    #[arg(long, value_name = "N")]
    pub version: Option<u32>,
    /// A circuit card from a file: refuse to ask if the gateway serves another
    #[arg(long, value_name = "FILE")]
    pub card: Option<PathBuf>,
    /// Features, .npy or .csv, one row a patient
    ///
    /// With several files, each result has a field `file`, and `index` is the row in that file.
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "scan")]
    pub features: Vec<PathBuf>,
    /// Patients in one request, at most 256 and at most what the gateway takes for the model
    ///
    /// Each patient has a key of their own in any case. A larger batch spends fewer round trips; a connection that
    /// breaks loses the answers to one batch.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = value_parser!(u16).range(1..=256))]
    pub batch: u16,
    /// Print JSON, one object a line
    #[arg(long, conflicts_with = "out")]
    pub json: bool,
    /// Write JSON, one object a line, to a new file; a run that ends early can be continued
    ///
    /// Results go to FILE.part until all rows are done. After a failure or an interruption, the same command with the
    /// same features asks for the rows that are missing. An existing FILE is never overwritten.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// From scans instead of features
    #[command(flatten)]
    pub scans: ScanArgs,
    /// Vectors with known answers among the patients
    #[command(flatten)]
    pub canaries: CanaryArgs,
    /// Where results are recorded
    #[command(flatten)]
    pub record: RecordArgs,
    /// The clinic's key
    #[command(flatten)]
    pub enrolled: EnrolledArgs,
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

/// The long-lived key of a clinic, for models that answer labels.
#[derive(Debug, Clone, Args)]
pub struct EnrolledArgs {
    /// The file of the long-lived key that `enroll` made, for models that answer labels
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// The passphrase of the key file, on the first line of a file; asked for on the terminal by default
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub key_passphrase_file: Option<PathBuf>,
}

/// Where results are recorded.
#[derive(Debug, Clone, Args)]
pub struct RecordArgs {
    /// Write each result to this record of decisions before it is shown; `tiresias review init` makes one
    ///
    /// Writing needs no passphrase. A result that cannot be recorded is not shown. Whoever is asked about twice is recorded, and
    /// counted, twice.
    #[arg(long, value_name = "FILE", env = "TIRESIAS_RECORD", hide_env_values = true)]
    pub record: Option<PathBuf>,
    /// What is known of the patients, such as sex, site and what came true: .csv with a header, kept in the record with each result
    ///
    /// Its column `row` (from 0) names the row of a features file, its column `file` the features file where there are several, or
    /// the scan, each as results name it. Each input must have one row. Whoever decides a
    /// case sees all of it.
    #[arg(long, value_name = "FILE", requires = "record")]
    pub about: Option<PathBuf>,
}
