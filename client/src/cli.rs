//! The command line of `tiresias`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Asks a gateway for a diagnosis that only this machine can read.
#[derive(Debug, Parser)]
#[command(name = "tiresias", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Diagnose held-out patients of a real data set through a gateway started on this machine
    Demo(DemoArgs),
    /// Encrypt features, have them scored by a gateway, decrypt the scores
    Infer(InferArgs),
    /// The first half of `infer`, to files: any HTTP client can carry the bytes
    Encrypt(EncryptArgs),
    /// The second half of `infer`, from files
    Decrypt(DecryptArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// How to reach a gateway.
#[derive(Debug, Args)]
pub struct GatewayArgs {
    /// The gateway's https URL
    #[arg(long, value_name = "URL")]
    pub gateway: String,
    /// The authority that signed the gateway's certificate, PEM; the system's by default
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// This clinic's certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// The private key of that certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// `demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Diagnose only the first N patients
    #[arg(long, value_name = "N")]
    pub patients: Option<usize>,
    /// Leave out the table of patients
    #[arg(long)]
    pub quiet: bool,
    /// Print JSON, one object a line, the summary last
    #[arg(long)]
    pub json: bool,
    /// The gateway's program; by default the one beside this program, then on PATH
    #[arg(long, value_name = "FILE")]
    pub gateway_bin: Option<PathBuf>,
}

/// `infer`
#[derive(Debug, Args)]
pub struct InferArgs {
    /// Where to
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// The model's name
    #[arg(long)]
    pub model: String,
    /// The model's version, the newest by default
    #[arg(long)]
    pub version: Option<u32>,
    /// Features, .npy or .csv, one row a patient
    #[arg(long, value_name = "FILE")]
    pub features: PathBuf,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

/// `encrypt`
#[derive(Debug, Args)]
pub struct EncryptArgs {
    /// The gateway's https URL, to fetch the circuit card from
    #[arg(long, value_name = "URL", required_unless_present = "card")]
    pub gateway: Option<String>,
    /// The model's name
    #[arg(long, required_unless_present = "card")]
    pub model: Option<String>,
    /// The model's version, the newest by default
    #[arg(long)]
    pub version: Option<u32>,
    /// A circuit card from a file, to work offline
    #[arg(long, value_name = "FILE", conflicts_with_all = ["gateway", "model", "version"])]
    pub card: Option<PathBuf>,
    /// The authority that signed the gateway's certificate, PEM; the system's by default
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// This clinic's certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// The private key of that certificate, PEM
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Features, .npy or .csv, one row a patient
    #[arg(long, value_name = "FILE")]
    pub features: PathBuf,
    /// A directory for tensor-0.bin and on, body.bin, header-length and the secret state
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `decrypt`
#[derive(Debug, Args)]
pub struct DecryptArgs {
    /// The directory that `encrypt` wrote
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// A whole response body
    #[arg(long, value_name = "FILE", conflicts_with = "tensor")]
    pub response: Option<PathBuf>,
    /// The response's Inference-Header-Content-Length; found in the body by default
    #[arg(long, value_name = "N", requires = "response", conflicts_with = "tensor")]
    pub header_length: Option<usize>,
    /// Bare response elements, in the order of the encrypted vectors
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "response")]
    pub tensor: Vec<PathBuf>,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}
