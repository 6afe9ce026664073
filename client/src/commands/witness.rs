//! `tiresias witness`: a small server that cosigns checkpoints.

use std::path::Path;

use serde_json::json;
use tiresias_evidence::NoteVerifier;

use crate::{
    Error,
    cli::{WitnessArgs, log_key},
    files, output,
    stop::Stop,
    witness::{Server, Witness},
};

/// Keys are lines of some hundred bytes.
const MAXIMUM_KEYS_BYTES: u64 = 1 << 20;

/// Runs the command until it is told to stop. That may be at any time: what was answered is on the disk.
pub async fn run(args: &WitnessArgs) -> Result<(), Error> {
    let name = args.name.as_deref();
    let mut logs = args.log_key.clone();
    if let Some(path) = &args.log_keys {
        logs.extend(read_keys(path)?);
    }
    let Some(listen) = args.listen.filter(|_| !args.show_key) else {
        let key = match name {
            Some(_) => Witness::open(&args.data, name, &[])?.verifier(),
            None => Witness::key_of(&args.data)?,
        };
        return output::line(&key.to_string());
    };
    if logs.is_empty() {
        return Err(Error::Usage("name the keys of the logs to cosign: --log-key or --log-keys"));
    }
    let witness = Witness::open(&args.data, name, &logs)?;
    let key = witness.verifier().to_string();
    let tls = args.tls_cert.as_deref().zip(args.tls_key.as_deref());
    let server = Server::bind(witness, listen, tls).await?;
    if tls.is_none() && !listen.ip().is_loopback() {
        output::warn_plain_http();
    }
    output::json(&json!({ "listening": server.url(), "key": key }))?;
    // Told to stop, it ends: there is nothing to finish that a log would not ask for again.
    let _ = Stop::of_a_server().or(server.run()).await;
    Ok(())
}

fn read_keys(path: &Path) -> Result<Vec<NoteVerifier>, Error> {
    let bytes = files::read(path, MAXIMUM_KEYS_BYTES)?;
    let text =
        std::str::from_utf8(&bytes).map_err(|_| Error::Usage("--log-keys is a file of keys, one a line"))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let keys: Result<_, _> = lines.map(log_key).collect();
    keys.map_err(|_| Error::Usage("--log-keys: each line is a key of a log, name+id+base64"))
}
