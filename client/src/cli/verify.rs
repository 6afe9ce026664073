//! Options of `verify`.

use std::path::PathBuf;

use clap::Args;

use super::{NetworkArgs, TrustArgs};

/// `verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Receipts, and folders that --receipts filled
    #[arg(value_name = "RECEIPT|DIR", requires = "log_key", conflicts_with_all = ["old", "new"])]
    pub receipts: Vec<PathBuf>,
    /// The body of the request that the one receipt is of
    #[arg(long, value_name = "FILE", requires = "receipts")]
    pub request: Option<PathBuf>,
    /// The body of the response that the one receipt is of
    #[arg(long, value_name = "FILE", requires = "receipts")]
    pub response: Option<PathBuf>,
    /// The log itself: a folder such as a gateway's log/public, or an https URL
    ///
    /// With receipts: the log must continue the checkpoint of each, and what witnesses have signed of it since then counts. With
    /// --old and --new: where the proof is read. Alone: every entry and every tile is read and computed again.
    #[arg(long, value_name = "DIR|URL", required_unless_present = "receipts")]
    pub log: Option<String>,
    /// A checkpoint that was seen of the log
    #[arg(long, value_name = "FILE", requires = "log")]
    pub old: Option<PathBuf>,
    /// A later one, which must continue it; the log's own by default
    #[arg(long, value_name = "FILE", requires = "old")]
    pub new: Option<PathBuf>,
    /// Whose signatures count
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
    /// The authority that signed the certificate of the log's server, PEM; the system's by default
    #[arg(long, value_name = "FILE", requires = "log")]
    pub ca: Option<PathBuf>,
    /// This clinic's certificate, PEM
    #[arg(long, value_name = "FILE", requires = "log")]
    pub cert: Option<PathBuf>,
    /// The private key of that certificate, PEM
    #[arg(long, value_name = "FILE", requires = "log")]
    pub key: Option<PathBuf>,
    /// How
    #[command(flatten)]
    pub network: NetworkArgs,
}
