//! Options of `audit`.

use std::path::PathBuf;

use clap::{Args, value_parser};

use super::TrustArgs;

/// `audit`
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// A new folder for the evidence and the page that explains it, audit.html
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Canary patients: features drawn at random inside the model's calibrated range, which exist nowhere else
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = value_parser!(u16).range(1..=32))]
    pub patients: u16,
    /// A local copy of the RustSec advisory database, to look the gateway's crates up in
    ///
    /// Without it the page says that advisories were not checked: nothing is downloaded.
    #[arg(long, value_name = "DIR")]
    pub advisory_db: Option<PathBuf>,
    /// The gateway's program, to start one for the audit; by default the one beside this program, then on PATH
    #[arg(long, value_name = "FILE", conflicts_with = "gateway")]
    pub gateway_bin: Option<PathBuf>,
    /// Do not trace system calls, even where strace is there
    #[arg(long, conflicts_with = "gateway")]
    pub no_strace: bool,
    /// Which running gateway
    #[command(flatten)]
    pub running: RunningArgs,
    /// Whose signatures count; for a gateway that the audit starts, the key that it names itself
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Print JSON, one object
    #[arg(long)]
    pub json: bool,
}

/// A gateway that runs already.
#[derive(Debug, Args)]
#[command(next_help_heading = "A running gateway")]
pub struct RunningArgs {
    /// Its https URL; without it, the audit starts a gateway of its own with the demo's model
    #[arg(long, value_name = "URL", requires = "model")]
    pub gateway: Option<String>,
    /// The authority that signed the gateway's certificate, PEM; the system's by default
    #[arg(long, value_name = "FILE", requires = "gateway")]
    pub ca: Option<PathBuf>,
    /// This clinic's certificate, PEM
    #[arg(long, value_name = "FILE", requires = "gateway")]
    pub cert: Option<PathBuf>,
    /// The private key of that certificate, PEM
    #[arg(long, value_name = "FILE", requires = "gateway")]
    pub key: Option<PathBuf>,
    /// A model that takes keys of the request's own
    #[arg(long, value_name = "NAME", requires = "gateway")]
    pub model: Option<String>,
    /// Its process on this machine, to read its program and its memory: takes the rights of a debugger
    ///
    /// Without it, program, memory and open files are not looked at, and the audit ends as incomplete.
    #[arg(long, value_name = "PID", requires = "gateway")]
    pub pid: Option<u32>,
    /// A folder or file that it writes, such as its data directory or its log
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "gateway")]
    pub gateway_files: Vec<PathBuf>,
}
