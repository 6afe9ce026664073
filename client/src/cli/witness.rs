//! Options of `witness`.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use tiresias_evidence::NoteVerifier;

/// `witness`
#[derive(Debug, Args)]
pub struct WitnessArgs {
    /// The witness's name, such as witness.example/w1: asked for at the first start, and kept with the key for good
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Where the key and the last checkpoint of each log are kept
    ///
    /// Never restore it from a backup: with an old state the witness would cosign a second history. Where it is lost, begin with
    /// a new one, and tell those who trust the old key.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDR", required_unless_present = "show_key")]
    pub listen: Option<SocketAddr>,
    /// A log's key, name+id+base64, as `tiresias-gateway log key` prints it; give each, and both while a log changes its key
    #[arg(long, value_name = "KEY", value_parser = log_key)]
    pub log_key: Vec<NoteVerifier>,
    /// A file of such keys, one a line
    #[arg(long, value_name = "FILE")]
    pub log_keys: Option<PathBuf>,
    /// The certificate chain, PEM; without it the witness speaks plain HTTP, for a proxy in front of it or for trials
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Print the key that verifies this witness's cosignatures, and end; with --name it is made where there is none
    #[arg(long, conflicts_with_all = ["listen", "log_key", "log_keys", "tls_cert", "tls_key"])]
    pub show_key: bool,
}

/// A key that signs checkpoints.
pub(crate) fn log_key(text: &str) -> Result<NoteVerifier, String> {
    let key = NoteVerifier::parse(text).map_err(|error| error.to_string())?;
    if key.is_cosigner() { Err("this is a witness's key, and not a log's".to_owned()) } else { Ok(key) }
}
