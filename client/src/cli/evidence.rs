//! Options that say what receipts are checked against, and where they are kept.

use std::path::PathBuf;

use clap::Args;

/// Whose signatures count.
#[derive(Debug, Clone, Default, Args)]
pub struct TrustArgs {
    /// The key of the gateway's log, `name+id+base64` as `tiresias-gateway log key` prints it, or a file with one a line
    ///
    /// Several keys of one log are those of a rotation: a checkpoint that any of them has signed counts.
    #[arg(long, value_name = "KEY|FILE", help_heading = "Receipts")]
    pub log_key: Vec<String>,
    /// The key of a witness who cosigns the log's checkpoints, or a file with one a line
    ///
    /// Without witnesses, no receipt is better than UNWITNESSED: the log's operator could show others another log.
    #[arg(long, value_name = "KEY|FILE", requires = "log_key", help_heading = "Receipts")]
    pub witness: Vec<String>,
    /// How many of the named witnesses must have signed; all of them by default
    #[arg(long, value_name = "N", requires = "witness", help_heading = "Receipts")]
    pub quorum: Option<usize>,
}

/// What is done with receipts.
#[derive(Debug, Clone, Default, Args)]
pub struct EvidenceArgs {
    /// Against what they are checked
    ///
    /// With a log key, each answer must come with a receipt that is right: signed, in the log, of this request, this answer,
    /// this model and this time, with a leaf and randomness of its own. The log must continue what was seen of it before.
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Keep each request, its response and its receipt in a folder, and the newest checkpoint of the log
    ///
    /// `tiresias verify DIR` checks them again at any time, and `tiresias-gateway replay` computes an answer again from them.
    #[arg(long, value_name = "DIR", help_heading = "Receipts")]
    pub receipts: Option<PathBuf>,
}
