//! Encrypt and ask, row after row. Nothing is decrypted here: no request, nor its time, can depend on an answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tiresias_circuits::Drift;
use tiresias_keys::{Digest, EncryptedScores};
use tiresias_secret_key::LongLivedKey;

use crate::{
    Diagnosis, Error, Model, clock,
    diagnosis::Pending,
    enroll,
    evidence::{Exchange, Judgement, Ledger},
    http::Connection,
    key_file::KeyFile,
    oip, output,
};

/// What to ask for, and in which portions.
#[derive(Debug)]
pub(crate) struct Terms<'a> {
    /// The model to encrypt for.
    pub(crate) model: Arc<Model>,
    /// Vectors in one request, at most.
    pub(crate) batch: usize,
    /// What to do where the gateway replaces the model.
    pub(crate) replaced: Replaced,
    /// Where receipts go, if anywhere.
    pub(crate) ledger: Option<&'a Ledger>,
}

/// What to do where the gateway replaces the model during a run.
#[derive(Debug)]
pub(crate) enum Replaced {
    /// Fail: the model is pinned.
    Refuse,
    /// Encrypt the other rows for the new one.
    Follow,
    /// Fail: it was followed already.
    RefuseAgain,
}

/// An answered vector: checked, still encrypted.
#[derive(Debug)]
pub(crate) struct Asked {
    model: Arc<Model>,
    pending: Pending,
    scores: EncryptedScores,
    check: Duration,
    /// Features that lay outside the calibrated range.
    pub(crate) clipped: usize,
    /// What its receipt is worth, once that was judged.
    pub(crate) receipt: Option<Judgement>,
    pub(crate) facts: Arc<Facts>,
}

/// What one request took.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) encrypt: Duration,
    pub(crate) roundtrip: Duration,
    pub(crate) evaluate_us: u64,
    pub(crate) request_bytes: usize,
    pub(crate) response_bytes: usize,
    /// The first element, which is all that the gateway saw of its row.
    pub(crate) element: Vec<u8>,
    /// What its receipt must say, where receipts are asked for.
    pub(crate) exchange: Option<Exchange>,
}

impl Asked {
    /// The model that it was asked of.
    pub(crate) fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// How usual the features are, where the card lets a client tell.
    pub(crate) fn drift(&self) -> Option<&Drift> {
        self.pending.drift.as_ref()
    }

    /// The digests of the elements that were sent and that came back.
    pub(crate) fn digests(&self) -> (Digest, Digest) {
        let answer = self.scores.to_bytes(&self.model.card().plan().response_shape());
        (self.pending.digest, EncryptedScores::digest(&answer))
    }

    /// Decrypts the answer by the card that it was asked for with. A key of the request's own is used up.
    pub(crate) fn read(
        self,
        index: usize,
        enrolled: Option<&LongLivedKey>,
    ) -> Result<(Diagnosis, Duration), Error> {
        let started = Instant::now();
        let diagnosis = self.model.read(index, self.pending, &self.scores, enrolled)?;
        Ok((diagnosis, self.check + started.elapsed()))
    }
}

/// Asks for every row, and stops at the first failure or when the user asks to. `enrolled` is the file of the long-lived
/// key, where the model needs one: an evaluation key that the gateway has no longer is sent to it again, once.
pub(crate) async fn ask_all(
    connection: &mut Connection,
    mut terms: Terms<'_>,
    mut enrolled: Option<&mut KeyFile>,
    rows: &[&[f64]],
) -> (Vec<Asked>, Result<(), Error>) {
    let progress = output::progress(rows.len());
    let mut asked = Vec::with_capacity(rows.len());
    let mut has_uploaded = false;
    let outcome = async {
        while let rest @ [_, ..] = &rows[asked.len()..] {
            connection.stop().check()?;
            let portion = &rest[..terms.batch.clamp(1, rest.len())];
            match ask(connection, &terms, enrolled.as_deref(), portion).await {
                Ok(answered) => {
                    progress.inc(answered.len() as u64);
                    asked.extend(answered);
                }
                Err(Error::Gateway(refusal)) if refusal.is_other_card() => {
                    terms = follow(connection, terms, Error::Gateway(refusal)).await?;
                }
                Err(Error::Gateway(refusal)) if refusal.is_missing_key() && !has_uploaded => {
                    let file = enrolled.as_deref_mut().ok_or(Error::Gateway(refusal))?;
                    output::note_upload(file.id());
                    let uploaded = enroll::upload(connection, file, None).await?;
                    has_uploaded = true;
                    if let (Some(ledger), Some(exchange)) = (terms.ledger, &uploaded.exchange) {
                        ledger.keep_receipt(exchange)?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    let outcome = outcome.await;
    progress.finish_and_clear();
    (asked, outcome)
}

/// The terms for the rest of the rows, now that the gateway serves another card.
async fn follow<'a>(connection: &mut Connection, old: Terms<'a>, refusal: Error) -> Result<Terms<'a>, Error> {
    match old.replaced {
        Replaced::Follow => {}
        Replaced::Refuse => return Err(Error::Pinned),
        Replaced::RefuseAgain => return Err(Error::Replaced("a second time: run the command again")),
    }
    let model = connection.fetch_model(old.model.card().name(), None).await?;
    if model.config() == old.model.config() {
        return Err(refusal);
    }
    if model.card().plan().shape().features != old.model.card().plan().shape().features {
        return Err(Error::Replaced("the new one takes another number of features"));
    }
    output::warn_replaced((old.model.card().version(), &old.model.config().to_string()), &model);
    let batch = limit_batch(connection, &model, old.batch).await?;
    Ok(Terms { model, batch, replaced: Replaced::RefuseAgain, ledger: old.ledger })
}

/// At most `batch`, and at most what the gateway takes.
pub(crate) async fn limit_batch(
    connection: &mut Connection,
    model: &Model,
    batch: usize,
) -> Result<usize, Error> {
    // One vector is always taken.
    if batch <= 1 { Ok(1) } else { Ok(batch.min(connection.maximum_batch(model).await?)) }
}

/// Has some rows scored in one request. Where the gateway refuses it for now, all are encrypted afresh under new keys.
async fn ask(
    connection: &mut Connection,
    terms: &Terms<'_>,
    enrolled: Option<&KeyFile>,
    rows: &[&[f64]],
) -> Result<Vec<Asked>, Error> {
    let mut patience = connection.patience();
    loop {
        match ask_once(connection, terms, enrolled, rows).await {
            Err(error) => patience.after(error, connection.stop()).await?,
            answered => return answered,
        }
    }
}

async fn ask_once(
    connection: &mut Connection,
    terms: &Terms<'_>,
    enrolled: Option<&KeyFile>,
    rows: &[&[f64]],
) -> Result<Vec<Asked>, Error> {
    let (model, started) = (&terms.model, Instant::now());
    let encrypted = rows.iter().map(|row| model.encrypt(row, enrolled.map(KeyFile::key)));
    let encrypted = encrypted.collect::<Result<Vec<_>, _>>()?;
    let elements: Vec<&[u8]> = encrypted.iter().map(|encrypted| encrypted.element.as_slice()).collect();
    let body = oip::request_body(model, enrolled.map(KeyFile::id), &elements);
    let (request_bytes, encrypt) = (body.bytes.len(), started.elapsed());
    let kept = terms.ledger.filter(|ledger| ledger.keeps()).map(|_| body.bytes.clone());

    let (started, sent) = (Instant::now(), clock::seconds());
    let answer = connection.infer(model, body, rows.len()).await?;
    let roundtrip = started.elapsed();
    // What came is kept before anything is made of it.
    let exchange = terms.ledger.map(|ledger| {
        let digests: Vec<Digest> = encrypted.iter().map(|encrypted| encrypted.pending.digest).collect();
        let exchange = Exchange::of_answer(model, enrolled.map(KeyFile::id), &digests, &answer, Some(sent));
        ledger.keep(&exchange, &kept.unwrap_or_default(), &answer.body)?;
        Ok::<_, Error>(exchange)
    });
    let exchange = exchange.transpose()?;
    if answer.elements.len() != rows.len() {
        return Err(Error::AnswerCount { got: answer.elements.len(), expected: rows.len() });
    }
    let facts = Arc::new(Facts {
        encrypt,
        roundtrip,
        evaluate_us: answer.evaluate_us.unwrap_or_default(),
        request_bytes,
        response_bytes: answer.body.len(),
        element: encrypted.first().map(|encrypted| encrypted.element.clone()).unwrap_or_default(),
        exchange,
    });
    let check = |(encrypted, element): (crate::diagnosis::Encrypted, Vec<u8>)| {
        let started = Instant::now();
        let scores = model.check(&encrypted.pending, &element)?;
        let check = started.elapsed();
        let (model, facts) = (Arc::clone(model), Arc::clone(&facts));
        let (pending, clipped) = (encrypted.pending, encrypted.clipped);
        Ok(Asked { model, pending, scores, check, clipped, receipt: None, facts })
    };
    encrypted.into_iter().zip(answer.elements).map(check).collect()
}
