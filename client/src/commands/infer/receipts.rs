//! The receipts of a run, between its last request and its first decryption.

use std::sync::Arc;

use super::ask::Asked;
use crate::{
    Error,
    evidence::{Exchange, Judgement, Ledger},
    http::Connection,
    output,
};

/// What the receipts of a run are worth.
pub(super) struct Receipts {
    /// One an answered vector; none where no receipt was checked.
    judgements: Vec<Judgement>,
    /// An error where one is INVALID.
    outcome: Result<(), Error>,
}

impl Receipts {
    /// Judges the receipts of all answers, where the options ask for it. Vectors of one request share theirs.
    pub(super) async fn judge(ledger: Option<Ledger>, connection: &mut Connection, asked: &[Asked]) -> Self {
        let requests: Vec<&[Asked]> =
            asked.chunk_by(|one, next| Arc::ptr_eq(&one.facts, &next.facts)).collect();
        let exchanges: Vec<&Exchange> =
            (requests.iter()).filter_map(|request| request.first()?.facts.exchange.as_ref()).collect();
        let Some(mut ledger) = ledger else { return Self { judgements: Vec::new(), outcome: Ok(()) } };
        let judged = ledger.judge(connection, &exchanges).await;
        let each = judged.judgements.into_iter().zip(&requests);
        let judgements = each.flat_map(|(judgement, request)| vec![judgement; request.len()]);
        Self { judgements: judgements.collect(), outcome: judged.outcome }
    }

    /// The judgement of an answered vector, by its place among them.
    pub(super) fn of(&self, place: usize) -> Option<Judgement> {
        self.judgements.get(place).cloned()
    }

    /// The worst of some that follow each other.
    pub(super) fn worst(&self, places: std::ops::Range<usize>) -> Option<Judgement> {
        self.judgements.get(places)?.iter().rev().max_by_key(|judgement| judgement.verdict).cloned()
    }

    /// The outcome of a run whose answers have been shown: its own, and that of its receipts.
    pub(super) fn after(self, run: Result<(), Error>) -> Result<(), Error> {
        match (run, self.outcome) {
            (Err(error), Err(also)) => {
                output::warn_also(&also);
                Err(error)
            }
            (run, receipts) => run.and(receipts),
        }
    }
}
