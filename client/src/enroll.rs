//! Enrolment: a gateway gets the evaluation key of a clinic's long-lived key, and nothing else of it.

use std::path::Path;

use age::secrecy::SecretString;
use serde::Serialize;
use tiresias_evidence::Event;
use tiresias_keys::{BootstrapParameters, EvaluationKey};

use crate::{
    Error, Model,
    cli::EnrolledArgs,
    clock,
    evidence::Exchange,
    http::{Connection, keys::Done},
    key_file::{self, Frame, KeyFile, Protection},
    output, passphrase,
};

/// What a gateway has of a clinic now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Enrolled {
    /// The evaluation key's id.
    pub key_id: String,
    /// The parameter set.
    pub parameters: &'static str,
    /// Bytes of the evaluation key.
    pub bytes: usize,
    /// Whether it had to be sent.
    pub status: Status,
    /// What the receipt of its upload must say, and that receipt; `None` where the gateway had it already.
    #[serde(skip)]
    pub exchange: Option<Exchange>,
}

/// Whether an evaluation key had to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The gateway did not have it.
    Uploaded,
    /// The gateway had it already.
    Present,
}

impl EnrolledArgs {
    /// Opens the key file where the model needs one.
    pub fn open(&self, model: &Model) -> Result<Option<KeyFile>, Error> {
        let Some(wanted) = model.card().plan().bootstrap() else { return Ok(None) };
        let parameters = wanted.name();
        let path = self.key_file.as_ref().ok_or(Error::NotEnrolled { parameters })?;
        let file = KeyFile::open(path, || {
            passphrase::recall(passphrase::Subject::Key, self.key_passphrase_file.as_deref())
        })?;
        if file.key().parameters() == wanted {
            Ok(Some(file))
        } else {
            Err(Error::NotEnrolled { parameters })
        }
    }
}

/// Opens a key file, or makes it where there is none: then `parameters` say of which set, `choose` how it is protected.
/// A file that exists must be of that set.
pub fn open_or_create(
    path: &Path,
    parameters: Option<&'static BootstrapParameters>,
    choose: impl FnOnce() -> Result<Protection, Error>,
    recall: impl FnOnce() -> Result<SecretString, Error>,
) -> Result<(KeyFile, Option<Frame>), Error> {
    if !key_file::exists(path) {
        let parameters = parameters.ok_or(Error::Usage("a new key needs --model or --parameters"))?;
        let (file, frame) = KeyFile::create(path, parameters, choose()?)?;
        return Ok((file, Some(frame)));
    }
    let file = KeyFile::open(path, recall)?;
    match parameters {
        Some(parameters) if parameters != file.key().parameters() => Err(Error::KeyFile {
            path: path.to_owned(),
            reason: "the key in this file is of other parameters: name another file for another key",
        }),
        _ => Ok((file, None)),
    }
}

/// Sees to it that the gateway has the evaluation key of a key file. `frame` is it, where it is in memory already.
pub async fn enroll(
    connection: &mut Connection,
    file: &mut KeyFile,
    frame: Option<Frame>,
) -> Result<Enrolled, Error> {
    if connection.has_key(file.id()).await? {
        return Ok(Enrolled::new(file, Status::Present, None));
    }
    upload(connection, file, frame).await
}

/// Sends the evaluation key of a key file, as one does where the gateway no longer has it. The id of the file may be
/// another one afterwards, see [`KeyFile::evaluation_key`].
pub async fn upload(
    connection: &mut Connection,
    file: &mut KeyFile,
    frame: Option<Frame>,
) -> Result<Enrolled, Error> {
    let frame = match frame {
        Some(frame) => frame,
        None => file.evaluation_key()?,
    };
    if frame.is_new {
        output::warn_new_evaluation_key(file.id());
    }
    let sent_at = clock::seconds();
    let progress = output::upload_progress(frame.bytes.len() as u64);
    let sent = connection.put_key(file.id(), frame.bytes.into(), &progress).await;
    progress.finish_and_clear();
    let Done { is_new, receipt } = sent?;
    let status = if is_new { Status::Uploaded } else { Status::Present };
    let exchange = Exchange::of_key(Event::KeyUploaded, file.id(), receipt, sent_at);
    Ok(Enrolled::new(file, status, Some(exchange)))
}

impl Enrolled {
    fn new(file: &KeyFile, status: Status, exchange: Option<Exchange>) -> Self {
        let parameters = file.key().parameters();
        Self {
            key_id: file.id().to_string(),
            parameters: parameters.name(),
            bytes: EvaluationKey::encoded_len(parameters),
            status,
            exchange,
        }
    }
}
