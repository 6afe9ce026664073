//! `tiresias enroll`: a long-lived key in its file, its evaluation key at the gateway.

use serde::Serialize;
use tiresias_evidence::Event;
use tiresias_keys::{BootstrapParameters, KeyId};

use crate::{
    Error,
    cli::EnrollArgs,
    clock,
    enroll::{self, Enrolled, Status},
    evidence::{Exchange, Judgement, Ledger},
    http::Connection,
    key_file::{KeyFile, Protection},
    output,
    passphrase::{self, Subject},
    stop::Stop,
};

/// What is printed of an enrolment.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    enrolled: &'a Enrolled,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Judgement>,
}

/// What is printed of a removal.
#[derive(Serialize)]
struct Removed {
    key_id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Judgement>,
}

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
    let ledger = Ledger::open(&args.evidence)?;
    let parameters = match &args.model {
        None => args.parameters,
        Some(name) => Some(parameters_of(args, name).await?),
    };
    let (mut file, frame) = enroll::open_or_create(path, parameters, || choose(args), || recall(args))?;
    refuse_needless_passphrase(args, &file)?;
    let mut connection = connect(args).await?;
    let enrolled = enroll::enroll(&mut connection, &mut file, frame).await?;
    let (receipt, outcome) = judge(ledger, &mut connection, enrolled.exchange.as_ref()).await;
    drop(connection);
    if args.json {
        output::json(&Line { enrolled: &enrolled, receipt })?;
        return outcome;
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
    ))?;
    say(receipt.as_ref())?;
    outcome
}

/// Keeps and judges the receipt of what was done, where the options ask for it.
async fn judge(
    ledger: Option<Ledger>,
    connection: &mut Connection,
    exchange: Option<&Exchange>,
) -> (Option<Judgement>, Result<(), Error>) {
    let (Some(mut ledger), Some(exchange)) = (ledger, exchange) else { return (None, Ok(())) };
    let kept = ledger.keep_receipt(exchange);
    let judged = ledger.judge(connection, &[exchange]).await;
    (judged.judgements.into_iter().next(), kept.and(judged.outcome))
}

fn say(receipt: Option<&Judgement>) -> Result<(), Error> {
    match receipt {
        Some(receipt) => output::line(&format!("its receipt: {}: {}", receipt.verdict, receipt.reason)),
        None => Ok(()),
    }
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
    let ledger = Ledger::open(&args.evidence)?;
    let (mut connection, sent) = (connect(args).await?, clock::seconds());
    let deleted = connection.delete_key(&id).await?;
    let had_it = deleted.is_new;
    let exchange = had_it.then(|| Exchange::of_key(Event::KeyRemoved, &id, deleted.receipt, sent));
    let (receipt, outcome) = judge(ledger, &mut connection, exchange.as_ref()).await;
    drop(connection);
    if args.json {
        let status = if had_it { "removed" } else { "absent" };
        output::json(&Removed { key_id: id.to_string(), status, receipt })?;
        return outcome;
    }
    let done = if had_it { "deleted the evaluation key" } else { "has no evaluation key" };
    output::line(&format!("the gateway {done} {id}"))?;
    say(receipt.as_ref())?;
    outcome
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
