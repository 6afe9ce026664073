//! The command line of `tiresias-gateway`.

mod card;
mod circuit;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use card::CardArgs;
pub use circuit::{CircuitArgs, DecisionArg, HiddenArgs, LabelArgs, PolicyArg, PrecisionArg, RangeArg};

use crate::device::{DeviceChoice, WorkerArgs};

/// Serves classification heads over encrypted features. It never sees a plaintext.
#[derive(Debug, Parser)]
#[command(name = "tiresias-gateway", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Quantize a trained head and store it as a new version in a model repository
    Import(ImportArgs),
    /// Show what a stored model costs, protects and promises
    Inspect(ModelArgs),
    /// Score features in the clear with the stored model: the clear twin, for the model owner
    Evaluate(EvaluateArgs),
    /// Say what a head of some shape would cost: bytes, memory, processor time and requests a second on this machine
    Estimate(EstimateArgs),
    /// Sign a stored model as a member of the council that approves what is served
    ///
    /// The first one to sign puts the model card in its place. What is signed binds circuit card, weights and model card.
    Approve(ApproveArgs),
    /// Serve a model repository over TLS
    Serve(ServeArgs),
    /// Read everything that `serve` would read, and say what is wrong with it
    CheckConfig(CheckArgs),
    /// The keys of the transparency log
    #[command(subcommand)]
    Log(LogCommand),
    /// Compute a logged response again, byte for byte, for an auditor who holds the model
    Replay(ReplayArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print what this program is built from: crates with version, licence and checksum, as CycloneDX JSON
    Sbom,
    /// Print the manual page
    Man,
    /// Compute bootstraps for the gateway that started this process
    #[command(hide = true)]
    BootstrapWorker(WorkerArgs),
}

/// `replay`
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The data directory of the gateway that answered
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The model repository
    #[arg(long, value_name = "DIR")]
    pub repo: PathBuf,
    /// The body of the request, as it was sent
    #[arg(long, value_name = "FILE")]
    pub request: PathBuf,
    /// The body of the response, as it came
    #[arg(long, value_name = "FILE")]
    pub response: PathBuf,
    /// The receipt, where the response's body does not carry it
    #[arg(long, value_name = "FILE")]
    pub receipt: Option<PathBuf>,
    /// The evaluation key, where the data directory no longer has it
    #[arg(long, value_name = "FILE")]
    pub evaluation_key: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `log`
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Print the keys that verify the log, the newest first
    Key {
        /// The gateway's data directory
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Draw the log's next key, while no gateway uses the directory
    ///
    /// Both keys sign from then on. Prints the keys that verify, and the receipt by which whoever trusts the old key can trust
    /// the new one.
    Rotate(RotateArgs),
}

/// `log rotate`
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The gateway's data directory
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// End the rotation: the old key signs no more, and is deleted
    #[arg(long)]
    pub finish: bool,
}

/// How finely features are quantized.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ScaleArg {
    /// A scale and an offset for each feature: measurements of different units
    PerFeature,
    /// One scale for all, around 0: embeddings
    PerTensor,
}

/// For a head that is the tail of an ONNX model
#[derive(Debug, Args)]
pub struct SplitArgs {
    /// Cut the model at this tensor: what is made of it is the head, and the rest is written as the clinics' backbone
    ///
    /// The rows of the calibration are that tensor's values. `tiresias backbone` writes them with the whole model, and a
    /// preprocessing card that names the tensor as its output.
    #[arg(long, value_name = "TENSOR", requires = "backbone_out")]
    pub split_at: Option<String>,
    /// Where the backbone goes; it holds no weight that only the head reads, and no file is overwritten
    #[arg(long, value_name = "FILE", requires = "split_at")]
    pub backbone_out: Option<PathBuf>,
    /// The backbone's preprocessing card: written beside it, and both are pinned in the circuit card
    #[arg(long, value_name = "FILE", requires = "split_at", conflicts_with = "backbone")]
    pub preprocessing: Option<PathBuf>,
}

/// `import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The trained head: .onnx (Gemm, MatMul + Add, LinearClassifier with or without Scaler; up to three hidden layers
    /// with Relu in front) or .safetensors (weight of K x d, bias of K)
    pub head: PathBuf,
    /// Features to calibrate the quantizer on, .npy or .csv, one row a sample
    #[arg(long, value_name = "FILE")]
    pub calibration: PathBuf,
    /// Class names, one a line; by default those in the head's file
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// A scale and an offset for each feature, or one scale for all
    #[arg(long, value_enum, default_value = "per-feature")]
    pub scale: ScaleArg,
    /// How the head is evaluated
    #[command(flatten)]
    pub circuit: CircuitArgs,
    /// With --decision thresholds: the score from which each class counts as found, one number a line; by default 0
    ///
    /// These are scores as the head gives them, before a sigmoid.
    #[arg(long, value_name = "FILE")]
    pub thresholds: Option<PathBuf>,
    /// What clients see besides
    #[command(flatten)]
    pub card: CardArgs,
    /// Where the head is the tail of a model
    #[command(flatten)]
    pub split: SplitArgs,
    /// The model's name
    #[arg(long)]
    pub name: String,
    /// The model repository
    #[arg(long, value_name = "DIR")]
    pub repo: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `inspect`
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// The model repository
    #[arg(long, value_name = "DIR")]
    pub repo: PathBuf,
    /// The model's name
    #[arg(long)]
    pub name: String,
    /// The model's version, the newest by default
    #[arg(long)]
    pub version: Option<u32>,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

/// `evaluate`
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Which model
    #[command(flatten)]
    pub model: ModelArgs,
    /// Features, .npy or .csv, one row a sample
    #[arg(long, value_name = "FILE")]
    pub features: PathBuf,
}

/// `estimate`
#[derive(Debug, Args)]
pub struct EstimateArgs {
    /// Features of the head
    #[arg(long)]
    pub features: usize,
    /// Classes of the head
    #[arg(long)]
    pub classes: usize,
    /// Hidden layers: the neurons of each, such as 64 or 128,32
    #[arg(long, value_delimiter = ',', value_name = "N", num_args = 1..)]
    pub neurons: Vec<usize>,
    /// How the head is evaluated
    #[command(flatten)]
    pub circuit: CircuitArgs,
    /// Processor cores of the gateway; by default all of this machine's
    #[arg(long)]
    pub cores: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `approve`
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// Which model
    #[command(flatten)]
    pub model: ModelArgs,
    /// The approver's key; made where there is none, with the name of --approver
    #[arg(long, value_name = "FILE", required_unless_present = "add")]
    pub key: Option<PathBuf>,
    /// The name of a new key, such as council.example/ethics
    #[arg(long, value_name = "NAME", requires = "key")]
    pub approver: Option<String>,
    /// What the model is for, its data, licence, limits and metrics: a TOML file
    #[arg(long, value_name = "FILE", conflicts_with = "withdraw")]
    pub model_card: Option<PathBuf>,
    /// Add the signatures of the same approval, signed elsewhere
    #[arg(long, value_name = "FILE", conflicts_with = "withdraw")]
    pub add: Option<PathBuf>,
    /// Take this key's signature back
    #[arg(long)]
    pub withdraw: bool,
}

/// `check-config`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The flags of `serve`
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `serve`
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// A TOML file with any of the settings below; flags win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The model repository
    #[arg(long, value_name = "DIR")]
    pub repo: Option<PathBuf>,
    /// The address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// The server's certificate chain, PEM
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// The server's private key, PEM
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Make a CA, server and client certificates for localhost in DIR on first use, for trials
    #[arg(long, value_name = "DIR")]
    pub tls_self_signed: Option<PathBuf>,
    /// The CA of client certificates, PEM
    #[arg(long, value_name = "FILE")]
    pub client_ca: Option<PathBuf>,
    /// A list of revoked client certificates, PEM; give one for each authority that issues them
    #[arg(long, value_name = "FILE")]
    pub client_crl: Vec<PathBuf>,
    /// Ask for no client certificate: anyone may send requests
    #[arg(long)]
    pub insecure_no_client_auth: bool,
    /// Refuse clients without the hybrid key exchange X25519MLKEM768
    #[arg(long)]
    pub require_hybrid: bool,
    /// Where the gateway keeps state of its own
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The address of Prometheus metrics and /health, plain HTTP; port 0 picks a free one
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<SocketAddr>,
    /// Where bootstraps are computed: auto (the first GPU, or the CPU where there is none), cpu, or cuda:N, which must be there
    #[arg(long)]
    pub device: Option<DeviceChoice>,
}
