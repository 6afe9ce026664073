//! `tiresias cohort`: block after block of patients is encrypted and sent, and when the last answer is here, all are decrypted.
//! While a block is at the gateway, the next one is encrypted. Neither side holds more than some blocks in memory.

pub(super) mod ask;
mod table;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::{JoinHandle, spawn_blocking};
use zeroize::Zeroizing;

use self::{
    ask::{Facts, Ready, ask, joined, judge},
    table::Table,
};
use super::infer::{open_served, receipts::both};
use crate::{
    Error, Model,
    cli::CohortArgs,
    cohort::{
        Cohort, decrypt,
        rows::{self, Rows},
        spool::{Header, Spool},
    },
    evidence::{Exchange, Ledger},
    files,
    http::Connection,
    output,
    stop::Stop,
};

/// Runs the command.
pub async fn run(args: &CohortArgs) -> Result<(), Error> {
    let started = Instant::now();
    let format = table::Format::of(&args.out)?;
    files::refuse_existing(&args.out)?;
    let mut ledger = Ledger::open(&args.evidence)?;
    let (mut connection, model) = open_served(
        (&args.gateway, &args.network),
        (&args.model, args.version),
        &args.approvers,
        Stop::on_signals(),
    )
    .await?;
    let plan = *model.card().cohort().ok_or(Error::NoCohorts)?;
    let features = plan.shape().features;
    let mut rows = Rows::open(&args.features, features)?;
    let most = connection.maximum_cohort(&model).await?.ok_or(Error::NoCohorts)?;
    let digest = rows::digest(&args.features)?;
    let header = Header::new(&model, &digest, most.min(args.block.into()));
    let (mut spool, block) = Spool::open(&args.out, &header)?;
    rows.skip(spool.patients())?;

    let mut facts = Facts::default();
    let mut exchanges = Vec::new();
    let run = Run { model: &model, block, ledger: ledger.as_ref() };
    let outcome = run.ask_all(&mut connection, rows, &mut spool, &mut exchanges, &mut facts).await;
    let receipts = judge(ledger.as_mut(), &mut connection, &exchanges).await;
    drop(connection);
    output::warn_clipped(facts.clipped as usize, facts.patients as usize * features);
    if let Err(error) = outcome {
        output::note_unfinished_cohort(spool.path(), spool.patients());
        return both(Err(error), receipts);
    }

    let patients = spool.patients();
    let reading = Instant::now();
    facts.far_out = write(&args.out, format, &model, &mut spool)?;
    facts.decrypt = reading.elapsed();
    spool.remove()?;
    report(args, &facts, patients, started.elapsed())?;
    receipts
}

/// What each request of a run has in common.
struct Run<'a> {
    model: &'a Arc<Model>,
    /// Patients of a block.
    block: usize,
    ledger: Option<&'a Ledger>,
}

impl Run<'_> {
    /// Asks for all rows that are left, and spools the answers. Nothing is decrypted.
    async fn ask_all(
        &self,
        connection: &mut Connection,
        rows: Rows,
        spool: &mut Spool,
        exchanges: &mut Vec<Exchange>,
        facts: &mut Facts,
    ) -> Result<(), Error> {
        let progress = output::progress(rows.count().unwrap_or_default() as usize);
        progress.set_position(spool.patients());
        let mut next = self.encrypt(Begun { rows, run: None });
        loop {
            let (begun, ready) = joined(next.await)?;
            let (Some(ready), Some(run)) = (ready, begun.run.clone()) else { break };
            facts.encrypt += ready.took;
            next = self.encrypt(begun);
            let asked = self.ask(connection, &run, ready, spool, facts).await;
            if asked.is_err() {
                next.abort();
            }
            exchanges.extend(asked?);
            progress.set_position(spool.patients());
        }
        progress.finish_and_clear();
        Ok(())
    }

    /// Reads and encrypts the next block on another thread.
    fn encrypt(&self, begun: Begun) -> JoinHandle<Result<(Begun, Option<Ready>), Error>> {
        let (model, most) = (Arc::clone(self.model), self.block);
        spawn_blocking(move || {
            let Begun { mut rows, run } = begun;
            let run = match run {
                Some(run) => run,
                None => Arc::new(Cohort::begin(model)?),
            };
            let values = Zeroizing::new(rows.next(most)?);
            let ready = if values.is_empty() { None } else { Some(Ready::new(&run, values)?) };
            Ok((Begun { rows, run: Some(run) }, ready))
        })
    }

    /// Has one block scored, and spools its answer.
    async fn ask(
        &self,
        connection: &mut Connection,
        run: &Arc<Cohort>,
        ready: Ready,
        spool: &mut Spool,
        facts: &mut Facts,
    ) -> Result<Option<Exchange>, Error> {
        let answered = ask(connection, (self.model, run), ready, self.ledger, facts).await?;
        spool.add(&answered.pending, &answered.element)?;
        Ok(answered.exchange)
    }
}

/// A run between two blocks.
struct Begun {
    rows: Rows,
    /// Its masks take a while to expand: they are made on the thread that needs them.
    run: Option<Arc<Cohort>>,
}

/// Decrypts all answers into the results file, which appears when it is whole. Returns how many patients lie far out.
fn write(path: &Path, format: table::Format, model: &Model, spool: &mut Spool) -> Result<u64, Error> {
    let mut table = Table::create(path, format, model)?;
    let mut all_far_out = 0;
    spool.each(model, |pending, answer| {
        let far_out = pending.far_out.clone();
        for (scores_q, &far_out) in decrypt(model, pending, answer)?.into_iter().zip(&far_out) {
            all_far_out += u64::from(far_out);
            table.add(scores_q, far_out)?;
        }
        Ok(())
    })?;
    table.finish()?;
    Ok(all_far_out)
}

fn report(args: &CohortArgs, facts: &Facts, patients: u64, wall: Duration) -> Result<(), Error> {
    output::warn_cohort_far_out(facts.far_out, patients);
    if args.json {
        let ms = |time: Duration| (time.as_secs_f64() * 1e4).round() / 10.0;
        return output::json(&json!({
            "patients": patients,
            "asked_now": facts.patients,
            "far_out": facts.far_out,
            "wall_ms": ms(wall),
            "encrypt_ms": ms(facts.encrypt),
            "roundtrip_ms": ms(facts.roundtrip),
            "evaluate_ms": facts.evaluate_us as f64 / 1000.0,
            "decrypt_ms": ms(facts.decrypt),
            "request_bytes": facts.request_bytes,
            "response_bytes": facts.response_bytes,
        }));
    }
    output::line(&format!("{patients} patients written to {}", args.out.display()))
}
