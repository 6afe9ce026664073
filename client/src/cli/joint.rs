//! Options of `joint`, and of whatever else adds up over clinics.

use std::path::PathBuf;

use clap::{Args, Subcommand, value_parser};
use tiresias_evidence::NoteVerifier;

use super::{GatewayArgs, NetworkArgs, log_key};

/// `joint`
#[derive(Debug, Subcommand)]
pub enum JointCommand {
    /// Print this clinic's key for a roster; with --name it is made where there is none
    Key(JointKeyArgs),
    /// Write the roster that all clinics and the gateway's operator have alike
    Roster(RosterArgs),
    /// Make a joint key together, which nobody holds alone
    ///
    /// All clinics run it at the same time; a clinic that runs it again goes on where it was. It ends when all have agreed on
    /// the same transcript, whose hash is printed: compare it by telephone.
    Ceremony(Box<JointArgs>),
    /// Add up the numbers of a file with those of all other clinics
    ///
    /// All clinics run it with the same label, bound and number of values. Only the totals are ever opened.
    Sum(Box<JointSumArgs>),
}

/// `joint key`
#[derive(Debug, Args)]
pub struct JointKeyArgs {
    /// Where this clinic keeps its keys and what it has sent; never restore it from a backup
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// The clinic's name in rosters: letters, digits and -_./
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// `joint roster`
#[derive(Debug, Args)]
pub struct RosterArgs {
    /// The study's name
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// A clinic's key, as its `joint key` prints it; give each, 3 to 16
    #[arg(long, value_name = "KEY", value_parser = log_key, required = true)]
    pub clinic: Vec<NoteVerifier>,
    /// The new file
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Who adds up, and where they meet.
#[derive(Debug, Clone, Args)]
pub struct JointArgs {
    /// The roster of the clinics, the same file everywhere
    #[arg(long, value_name = "FILE")]
    pub roster: PathBuf,
    /// Where this clinic keeps its keys and what it has sent; never restore it from a backup
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// Which ceremony of this roster; a new number makes a new joint key
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub ceremony: u32,
    /// Seconds to wait for the other clinics in each step
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = value_parser!(u64).range(1..=604_800))]
    pub wait: u64,
    /// The gateway that carries messages and adds.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// How to reach it.
    #[command(flatten)]
    pub network: NetworkArgs,
}

/// `joint sum`
#[derive(Debug, Args)]
pub struct JointSumArgs {
    /// What is summed, in words that all clinics have alike
    #[arg(long, value_name = "TEXT")]
    pub label: String,
    /// Integers, one a line or with commas between them
    #[arg(long, value_name = "FILE")]
    pub values: PathBuf,
    /// Every value of every clinic lies between -N and N
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=1 << 58))]
    pub bound: u64,
    /// Print JSON, one object
    #[arg(long)]
    pub json: bool,
    /// Noise.
    #[command(flatten)]
    pub noise: NoiseArgs,
    /// Who adds up.
    #[command(flatten)]
    pub joint: JointArgs,
}

/// Noise that protects this clinic's patients, also where all others pool what they have.
#[derive(Debug, Args)]
#[command(next_help_heading = "Differential privacy")]
pub struct NoiseArgs {
    /// Add noise to this clinic's numbers before they leave, for this epsilon
    #[arg(long, value_name = "E", requires_all = ["sensitivity", "ledger"])]
    pub epsilon: Option<f64>,
    /// The delta that goes with it, for discrete Gaussian noise; without it the noise is discrete Laplace, and delta is 0
    #[arg(long, value_name = "D", requires = "epsilon")]
    pub delta: Option<f64>,
    /// How far one patient moves the numbers: with --delta the root of the sum of squares, rounded up, else the sum of sizes
    #[arg(long, value_name = "N", requires = "epsilon", value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub sensitivity: Option<u32>,
    /// What it is charged to
    #[command(flatten)]
    pub ledger: LedgerArgs,
}

/// The ledger that noise is charged to.
#[derive(Debug, Default, Args)]
pub struct LedgerArgs {
    /// What may be told of these patients in all, and what was told: refuses when it is spent
    #[arg(long, value_name = "FILE", requires = "epsilon")]
    pub ledger: Option<PathBuf>,
    /// Make the ledger, with this epsilon in all
    #[arg(long, value_name = "E", requires_all = ["ledger", "ledger_delta"])]
    pub ledger_epsilon: Option<f64>,
    /// The delta that goes with it
    #[arg(long, value_name = "D", requires = "ledger_epsilon")]
    pub ledger_delta: Option<f64>,
}

/// [`JointArgs`] where a joint sum is one of two ways.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Joint sums")]
pub struct JointOptions {
    /// Do it together with the clinics of this roster; only totals are opened
    #[arg(long, value_name = "ROSTER", requires_all = ["state", "gateway"])]
    pub joint: Option<PathBuf>,
    /// Where this clinic keeps its keys and what it has sent
    #[arg(long, value_name = "DIR", requires = "joint")]
    pub state: Option<PathBuf>,
    /// Which ceremony of this roster
    #[arg(long, value_name = "N", default_value_t = 1, requires = "joint")]
    pub ceremony: u32,
    /// What it is for, in words that all clinics have alike
    #[arg(long, value_name = "TEXT", default_value = "study", requires = "joint")]
    pub label: String,
    /// Seconds to wait for the other clinics in each step
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, requires = "joint", value_parser = value_parser!(u64).range(1..=604_800))]
    pub wait: u64,
    /// The gateway's https URL
    #[arg(long, value_name = "URL", requires = "joint")]
    pub gateway: Option<String>,
    /// The authority that signed the gateway's certificate, PEM; the system's by default
    #[arg(long, value_name = "FILE", requires = "joint")]
    pub ca: Option<PathBuf>,
    /// This clinic's certificate, PEM
    #[arg(long, value_name = "FILE", requires = "joint")]
    pub cert: Option<PathBuf>,
    /// The private key of that certificate, PEM
    #[arg(long, value_name = "FILE", requires = "joint")]
    pub key: Option<PathBuf>,
    /// How to reach it.
    #[command(flatten)]
    pub network: NetworkArgs,
}

impl JointOptions {
    /// Who adds up; `None` where nobody does.
    #[must_use]
    pub fn joint(&self) -> Option<JointArgs> {
        Some(JointArgs {
            roster: self.joint.clone()?,
            state: self.state.clone()?,
            ceremony: self.ceremony,
            wait: self.wait,
            gateway: GatewayArgs {
                gateway: self.gateway.clone()?,
                ca: self.ca.clone(),
                cert: self.cert.clone(),
                key: self.key.clone(),
            },
            network: self.network.clone(),
        })
    }
}
