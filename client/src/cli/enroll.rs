//! Options of `enroll`.

use std::path::PathBuf;

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use tiresias_keys::BootstrapParameters;

use super::{EvidenceArgs, GatewayArgs, NetworkArgs};

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
    /// What is done with the receipt of an upload or a removal
    #[command(flatten)]
    pub evidence: EvidenceArgs,
    /// How
    #[command(flatten)]
    pub network: NetworkArgs,
}

/// Sets are chosen from this program's own table.
fn bootstrap_parameters() -> impl TypedValueParser<Value = &'static BootstrapParameters> {
    let names = PossibleValuesParser::new(BootstrapParameters::ALL.map(BootstrapParameters::name));
    names.try_map(|name| BootstrapParameters::by_name(&name))
}
