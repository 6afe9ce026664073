//! The receipts of a run, between its last request and its first decryption.

use std::sync::Arc;

use super::ask::Asked;
use crate::{
    Error,
    evidence::{Exchange, Judgement, Ledger},
    http::Connection,
    output,
};

/// Judges the receipts of all answers, where the options ask for it, and tells each answered vector of its own. Vectors of one
/// request share theirs. An error where one is INVALID, to be returned when the answers were shown.
pub(super) async fn judge_receipts(
    ledger: Option<Ledger>,
    connection: &mut Connection,
    asked: &mut [Asked],
) -> Result<(), Error> {
    let Some(mut ledger) = ledger else { return Ok(()) };
    let is_shared = |one: &Asked, next: &Asked| Arc::ptr_eq(&one.facts, &next.facts);
    let requests = asked.chunk_by(is_shared).filter_map(<[Asked]>::first);
    let exchanges: Vec<&Exchange> = requests.filter_map(|asked| asked.facts.exchange.as_ref()).collect();
    let judged = ledger.judge(connection, &exchanges).await;
    for (request, judgement) in asked.chunk_by_mut(is_shared).zip(judged.judgements) {
        request.iter_mut().for_each(|asked| asked.receipt = Some(judgement.clone()));
    }
    judged.outcome
}

/// The worst of some judgements, the first of equals.
pub(super) fn worst(judgements: impl Iterator<Item = Option<Judgement>>) -> Option<Judgement> {
    judgements.flatten().reduce(|worst, next| if next.verdict > worst.verdict { next } else { worst })
}

/// The outcome of a run whose answers have been shown: its own, and that of its receipts.
pub(crate) fn both(run: Result<(), Error>, receipts: Result<(), Error>) -> Result<(), Error> {
    match (run, receipts) {
        (Err(error), Err(also)) => {
            output::also_failed(&also);
            Err(error)
        }
        (run, receipts) => run.and(receipts),
    }
}
