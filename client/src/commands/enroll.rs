//! `tiresias enroll`: a long-lived key in its file, its evaluation key at the gateway.

use serde_json::json;
use tiresias_keys::{BootstrapParameters, KeyId};

use crate::{
    Error,
    cli::EnrollArgs,
    enroll::{self, Status},
    http::Connection,
    key_file::{KeyFile, Protection},
    output,
    passphrase::{self, Subject},
    stop::Stop,
};

/// Runs the command. An interruption ends it at once: files appear whole or not at all, and so do uploads.
pub async fn run(args: &EnrollArgs) -> Result<(), Error> {
    if args.list {
        let keys = connect(args).await?.list_keys().await?;
        return output::keys(&keys, args.json);
    }
    if args.remove {
        return remove(args).await;
    }
    let path = args.key_file.as_deref().ok_or(Error::Usage("name a key file"))?;
    let parameters = match &args.model {
        None => args.parameters,
        Some(name) => Some(parameters_of(args, name).await?),
    };
    let (mut file, frame) = enroll::open_or_create(path, parameters, || choose(args), || recall(args))?;
    refuse_needless_passphrase(args, &file)?;
    let mut connection = connect(args).await?;
    let enrolled = enroll::enroll(&mut connection, &mut file, frame).await?;
    if args.json {
        return output::json(&enrolled);
    }
    let done = match enrolled.status {
        Status::Uploaded => "was uploaded",
        Status::Present => "is there already",
    };
    output::line(&format!(
        "the evaluation key {} ({}, {} bytes) {done}; keep {}",
        enrolled.key_id,
        enrolled.parameters,
        enrolled.bytes,
        path.display()
    ))
}

/// The set that a model's circuit card asks for. The connection ends with it: a passphrase may take its time.
async fn parameters_of(args: &EnrollArgs, model: &str) -> Result<&'static BootstrapParameters, Error> {
    let model = connect(args).await?.fetch_model(model, None).await?;
    let parameters = model.card().plan().bootstrap();
    parameters.ok_or(Error::Usage("this model needs no key: it answers scores of a linear head"))
}

async fn remove(args: &EnrollArgs) -> Result<(), Error> {
    let id = match (&args.key_id, &args.key_file) {
        (Some(id), _) => {
            KeyId::from_hex(id).map_err(|_| Error::Usage("--key-id: 64 lowercase hexadecimal digits"))?
        }
        (None, Some(path)) => {
            let file = KeyFile::open(path, || recall(args))?;
            refuse_needless_passphrase(args, &file)?;
            *file.id()
        }
        (None, None) => return Err(Error::Usage("name a key file, or a key by --key-id")),
    };
    let had_it = connect(args).await?.delete_key(&id).await?;
    if args.json {
        let status = if had_it { "removed" } else { "absent" };
        return output::json(&json!({ "key_id": id.to_string(), "status": status }));
    }
    let done = if had_it { "deleted the evaluation key" } else { "has no evaluation key" };
    output::line(&format!("the gateway {done} {id}"))
}

async fn connect(args: &EnrollArgs) -> Result<Connection, Error> {
    Connection::open_with(&args.gateway, &args.network, Stop::never()).await
}

fn choose(args: &EnrollArgs) -> Result<Protection, Error> {
    if args.unencrypted_key_file {
        return Ok(Protection::FileMode);
    }
    passphrase::choose(Subject::Key, args.passphrase_file.as_deref()).map(Protection::Passphrase)
}

fn recall(args: &EnrollArgs) -> Result<age::secrecy::SecretString, Error> {
    passphrase::recall(Subject::Key, args.passphrase_file.as_deref())
}

/// Who names a passphrase must not believe that it protects a key in the clear.
fn refuse_needless_passphrase(args: &EnrollArgs, file: &KeyFile) -> Result<(), Error> {
    match args.passphrase_file {
        Some(_) if !file.has_passphrase() => Err(Error::Usage(
            "--passphrase-file: the key in this file is in the clear, no passphrase protects it",
        )),
        _ => Ok(()),
    }
}
