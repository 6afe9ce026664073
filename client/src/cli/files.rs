//! Options of `encrypt` and `decrypt`, the halves of `infer` on files.

use std::path::PathBuf;

use clap::Args;

use super::{EnrolledArgs, EvidenceArgs, GatewayArgs, NetworkArgs, RecordArgs};

/// `encrypt`
#[derive(Debug, Args)]
pub struct EncryptArgs {
    /// Where the circuit card comes from
    #[command(flatten)]
    pub gateway: Option<GatewayArgs>,
    /// The model's name
    #[arg(long, value_name = "NAME", required_unless_present = "card")]
    pub model: Option<String>,
    /// The model's version, the newest by default
    #[arg(long, value_name = "N")]
    pub version: Option<u32>,
    /// A circuit card from a file, to work offline
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "gateway",
        conflicts_with_all = ["gateway", "ca", "cert", "key", "model", "version"]
    )]
    pub card: Option<PathBuf>,
    /// Features, .npy or .csv, one row a patient; several files are one request, in order
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub features: Vec<PathBuf>,
    /// A directory for tensor-0.bin and on, body.bin, header-length and the secret state
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Protect the state with a passphrase, asked for twice on the terminal
    ///
    /// The state is then an age file (scrypt), which `decrypt` recognises. Without a passphrase it is protected by its
    /// file mode alone.
    #[arg(long, conflicts_with = "passphrase_file")]
    pub passphrase: bool,
    /// Protect the state with the passphrase on the first line of a file
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// The clinic's key
    #[command(flatten)]
    pub enrolled: EnrolledArgs,
    /// How
    #[command(flatten)]
    pub network: NetworkArgs,
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
    /// The passphrase of a protected state, on the first line of a file; asked for on the terminal by default
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Where results are recorded
    #[command(flatten)]
    pub record: RecordArgs,
    /// The clinic's key
    #[command(flatten)]
    pub enrolled: EnrolledArgs,
    /// What is done with the receipt in the response
    #[command(flatten)]
    pub evidence: EvidenceArgs,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}
