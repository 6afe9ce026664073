//! The command line of `tiresias`.

mod scans;

use std::{fmt, path::PathBuf};

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
    value_parser,
};
use tiresias_keys::BootstrapParameters;
use zeroize::Zeroizing;

pub use scans::{BackboneArgs, ScanArgs};

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
    ///
    /// Nothing is decrypted before the last request was sent, so that nothing the gateway sees depends on an answer.
    /// A first Ctrl-C (SIGINT, SIGTERM) waits for the request on its way and reports what was answered; a second one
    /// gives that request up.
    #[command(
        override_usage = "tiresias infer [OPTIONS] --gateway <URL> --model <NAME> --features <FILE>...\n       \
                          tiresias infer [OPTIONS] --gateway <URL> --card <FILE> --features <FILE>...\n       \
                          tiresias infer [OPTIONS] --gateway <URL> --model <NAME> --scan <PATH>... --backbone <FILE>"
    )]
    Infer(InferArgs),
    /// The first half of `infer`, to files: any HTTP client can carry the bytes
    #[command(
        override_usage = "tiresias encrypt [OPTIONS] --gateway <URL> --model <NAME> --features <FILE>... --out <DIR>\n       \
                          tiresias encrypt [OPTIONS] --card <FILE> --features <FILE>... --out <DIR>"
    )]
    Encrypt(EncryptArgs),
    /// The second half of `infer`, from files
    Decrypt(DecryptArgs),
    /// Make a long-lived key for models that need one, and give a gateway its evaluation key
    ///
    /// The secret key is stored in a file and goes nowhere. The evaluation key, with which nothing can be decrypted, is
    /// stored beside it and uploaded, unless the gateway has it. The same command with the same file uploads the same
    /// bytes again where a gateway has dropped them.
    #[command(
        override_usage = "tiresias enroll [OPTIONS] --gateway <URL> --key-file <FILE> --parameters <NAME>\n       \
                          tiresias enroll [OPTIONS] --gateway <URL> --remove <--key-file <FILE>|--key-id <ID>>\n       \
                          tiresias enroll [OPTIONS] --gateway <URL> --list"
    )]
    Enroll(EnrollArgs),
    /// Print the digest of a backbone, or write its features of scans
    Backbone(BackboneArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// Which gateway, and by which certificates the two know each other.
#[derive(Debug, Clone, Args)]
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

/// How to reach a gateway, and how patiently.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub struct NetworkArgs {
    /// Seconds for one attempt to connect: name, TCP, proxy and TLS together
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = value_parser!(u64).range(1..=3600))]
    pub connect_timeout: u64,
    /// Seconds from the first byte of a request to the last of its answer
    ///
    /// The upload of an evaluation key may take longer, as long as its bytes flow.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
    /// How often to try again where nothing can have been evaluated
    ///
    /// A failed attempt to connect is repeated after a growing pause, certificate errors excepted. A request that the
    /// gateway refuses for now (429, 503) is encrypted afresh and asked again after the gateway's Retry-After; for
    /// one request, these waits together take at most the seconds of --timeout. A request that may have reached the
    /// gateway is never sent twice, except for that of an evaluation key, which may arrive twice.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u32).range(0..=20))]
    pub retries: u32,
    /// An HTTP proxy to tunnel through, `http://[user:password@]host:port`
    ///
    /// By default that of HTTPS_PROXY or https_proxy, unless NO_PROXY or no_proxy names the gateway: a list of hosts,
    /// domains with all below them, networks, or *. TLS goes through the proxy end to end: it sees the gateway's name
    /// and encrypted bytes. Other users of this machine can see a password on the command line: prefer the variable.
    #[arg(long, value_name = "URL")]
    pub proxy: Option<ProxyUrl>,
}

/// A proxy's URL, which may hold a password: it is never shown.
#[derive(Clone)]
pub struct ProxyUrl(Zeroizing<String>);

impl ProxyUrl {
    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ProxyUrl {
    fn from(url: String) -> Self {
        Self(Zeroizing::new(url))
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyUrl(..)")
    }
}

/// The data of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DataArg {
    /// Breast cancer, Wisconsin: 30 measurements, two classes
    Wdbc,
    /// Handwritten digits: 64 pixels, ten classes
    Digits,
}

/// What a clinic learns from a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyArg {
    /// The exact scores
    Scores,
    /// The label alone
    Label,
}

/// The heads of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HeadArg {
    /// A logistic regression
    Linear,
    /// One hidden layer of ReLU neurons
    Mlp,
}

/// `demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Which data: 171 patients of the Wisconsin breast-cancer data, or 540 images of handwritten digits
    #[arg(long, value_enum, default_value = "wdbc")]
    pub data: DataArg,
    /// Diagnose only the first N patients, or images
    #[arg(long, value_name = "N")]
    pub patients: Option<usize>,
    /// Leave out the table of patients
    #[arg(long)]
    pub quiet: bool,
    /// Which head
    #[arg(long, value_enum, default_value = "linear")]
    pub head: HeadArg,
    /// What the clinic learns
    #[arg(long, value_enum, default_value = "scores")]
    pub policy: PolicyArg,
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
    /// The clinic's key
    #[command(flatten)]
    pub enrolled: EnrolledArgs,
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
    /// The clinic's key
    #[command(flatten)]
    pub enrolled: EnrolledArgs,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

/// `enroll`
#[derive(Debug, Args)]
pub struct EnrollArgs {
    /// Where to
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// The file of the long-lived key; made where there is none
    ///
    /// An age file under a passphrase (scrypt), mode 0600. The evaluation key lies beside it, in FILE.evaluation-key. An
    /// existing file is never overwritten by another key.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["list", "key_id"])]
    pub key_file: Option<PathBuf>,
    /// The model that a new key is for: its circuit card names the parameter set
    #[arg(long, value_name = "NAME", conflicts_with_all = ["parameters", "list", "remove"])]
    pub model: Option<String>,
    /// The parameter set of a new key, where it is not for one model
    #[arg(long, value_name = "NAME", value_parser = bootstrap_parameters())]
    pub parameters: Option<&'static BootstrapParameters>,
    /// The passphrase of the key file, on the first line of a file; asked for on the terminal by default
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Store a new key in the clear, under its file mode alone
    #[arg(long, conflicts_with = "passphrase_file")]
    pub unencrypted_key_file: bool,
    /// Have the gateway delete the evaluation key; the files here stay
    #[arg(long, conflicts_with_all = ["parameters", "unencrypted_key_file"])]
    pub remove: bool,
    /// Name the evaluation key to remove by its id, without a key file
    #[arg(long, value_name = "ID", requires = "remove", conflicts_with = "key_file")]
    pub key_id: Option<String>,
    /// Show which evaluation keys of this clinic the gateway has
    #[arg(long, conflicts_with_all = ["remove", "key_file", "parameters", "passphrase_file", "unencrypted_key_file"])]
    pub list: bool,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
    /// How
    #[command(flatten)]
    pub network: NetworkArgs,
}

/// Sets are chosen from this program's own table.
fn bootstrap_parameters() -> impl TypedValueParser<Value = &'static BootstrapParameters> {
    let names = PossibleValuesParser::new(BootstrapParameters::ALL.map(BootstrapParameters::name));
    names.try_map(|name| BootstrapParameters::by_name(&name))
}
