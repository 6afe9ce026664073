//! One block to the gateway, and its answer back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::{JoinError, spawn_blocking};
use zeroize::Zeroizing;

use crate::{
    Error, Model, clock,
    cohort::{Block, Cohort, PendingBlock, check},
    evidence::{Exchange, Ledger},
    http::Connection,
    oip,
};

/// What a run took.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Patients of this run, without those that an earlier one asked for.
    pub(crate) patients: u64,
    pub(crate) clipped: u64,
    pub(crate) far_out: u64,
    pub(crate) encrypt: Duration,
    /// From the first byte of requests to the last of their answers.
    pub(crate) roundtrip: Duration,
    pub(crate) evaluate_us: u64,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) decrypt: Duration,
}

/// A block to be sent, and the features in it.
pub(crate) struct Ready {
    pub(crate) block: Block,
    values: Zeroizing<Vec<f64>>,
    pub(crate) took: Duration,
}

impl Ready {
    /// Encrypts rows, one after the other.
    pub(crate) fn new(run: &Cohort, values: Zeroizing<Vec<f64>>) -> Result<Self, Error> {
        let started = Instant::now();
        Ok(Self { block: run.encrypt(&values)?, values, took: started.elapsed() })
    }
}

/// What another thread has done.
pub(crate) fn joined<T>(done: Result<Result<T, Error>, JoinError>) -> Result<T, Error> {
    done.map_err(|_| Error::Protocol("a block could not be encrypted"))?
}

/// A block that was answered. Nothing of it is decrypted.
pub(crate) struct Answered {
    pub(crate) pending: PendingBlock,
    pub(crate) element: Vec<u8>,
    pub(crate) exchange: Option<Exchange>,
}

/// Has one block scored. Where the gateway refuses it for now, it is encrypted afresh under a new key.
pub(crate) async fn ask(
    connection: &mut Connection,
    (model, run): (&Model, &Arc<Cohort>),
    mut ready: Ready,
    ledger: Option<&Ledger>,
    facts: &mut Facts,
) -> Result<Answered, Error> {
    let patients = ready.block.pending.far_out.len();
    let plan = model.card().cohort().ok_or(Error::NoCohorts)?;
    let limit = oip::maximum_response(1, plan.response_shape(patients).encoded_len());
    let mut patience = connection.patience();
    let (mut answer, body, sent, started) = loop {
        connection.stop().check()?;
        let body = oip::cohort_body(model, &ready.block.element);
        let (started, sent) = (Instant::now(), clock::seconds());
        match connection.infer_within(model, body.clone(), limit).await {
            Ok(answer) => break (answer, body, sent, started),
            Err(error) => patience.after(error, connection.stop()).await?,
        }
        let (run, values) = (Arc::clone(run), ready.values);
        ready = joined(spawn_blocking(move || Ready::new(&run, values)).await)?;
    };
    let Block { pending, clipped, .. } = ready.block;
    facts.roundtrip += started.elapsed();
    facts.evaluate_us += answer.evaluate_us.unwrap_or_default();
    facts.request_bytes += body.bytes.len() as u64;
    facts.response_bytes += answer.body.len() as u64;
    let exchange = ledger.map(|ledger| {
        let exchange = Exchange::of_answer(model, None, &[pending.digest], &answer, Some(sent));
        ledger.keep(&exchange, &body.bytes, &answer.body)?;
        Ok::<_, Error>(exchange)
    });
    let exchange = exchange.transpose()?;
    let got = answer.elements.len();
    let Some(element) = answer.elements.pop().filter(|_| got == 1) else {
        return Err(Error::AnswerCount { got, expected: 1 });
    };
    check(model, &pending.digest, patients, &element)?;
    facts.patients += patients as u64;
    facts.clipped += clipped as u64;
    Ok(Answered { pending, element, exchange })
}

/// What the receipts of a run's answers are worth, where they are checked.
pub(crate) async fn judge(
    ledger: Option<&mut Ledger>,
    connection: &mut Connection,
    exchanges: &[Exchange],
) -> Result<(), Error> {
    match ledger {
        Some(ledger) => ledger.judge(connection, &exchanges.iter().collect::<Vec<_>>()).await.outcome,
        None => Ok(()),
    }
}
