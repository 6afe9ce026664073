//! `tiresias cohort`: block after block of patients is encrypted and sent, and when the last answer is here, all are decrypted.
//! While a block is at the gateway, the next one is encrypted. Neither side holds more than some blocks in memory.

mod table;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use zeroize::Zeroizing;

use self::table::Table;
use super::infer::{open_served, receipts::both};
use crate::{
    Error, Model,
    cli::CohortArgs,
    clock,
    cohort::{
        Block, Cohort, check, decrypt,
        rows::{self, Rows},
        spool::{Header, Spool},
    },
    evidence::{Exchange, Ledger},
    files,
    http::Connection,
    oip, output,
    stop::Stop,
};

/// What a run took.
#[derive(Debug, Default)]
struct Facts {
    /// Patients of this run, without those that an earlier one asked for.
    patients: u64,
    clipped: u64,
    far_out: u64,
    encrypt: Duration,
    /// From the first byte of requests to the last of their answers.
    roundtrip: Duration,
    evaluate_us: u64,
    request_bytes: u64,
    response_bytes: u64,
    decrypt: Duration,
}

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
    let receipts = match &mut ledger {
        Some(ledger) => ledger.judge(&mut connection, &exchanges.iter().collect::<Vec<_>>()).await.outcome,
        None => Ok(()),
    };
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

    /// Has one block scored. Where the gateway refuses it for now, it is encrypted afresh under a new key.
    async fn ask(
        &self,
        connection: &mut Connection,
        run: &Arc<Cohort>,
        mut ready: Ready,
        spool: &mut Spool,
        facts: &mut Facts,
    ) -> Result<Option<Exchange>, Error> {
        let patients = ready.block.pending.far_out.len();
        let plan = self.model.card().cohort().ok_or(Error::NoCohorts)?;
        let limit = oip::maximum_response(1, plan.response_shape(patients).encoded_len());
        let mut patience = connection.patience();
        let (answer, body, sent, started) = loop {
            connection.stop().check()?;
            let body = oip::cohort_body(self.model, &ready.block.element);
            let (started, sent) = (Instant::now(), clock::seconds());
            match connection.infer_within(self.model, body.clone(), limit).await {
                Ok(answer) => break (answer, body, sent, started),
                Err(error) => patience.after(error, connection.stop()).await?,
            }
            let (run, values) = (Arc::clone(run), ready.values);
            ready = joined(spawn_blocking(move || Ready::new(&run, values)).await)?;
        };
        let block = ready.block;
        facts.roundtrip += started.elapsed();
        facts.evaluate_us += answer.evaluate_us.unwrap_or_default();
        facts.request_bytes += body.bytes.len() as u64;
        facts.response_bytes += answer.body.len() as u64;
        let exchange = self.ledger.map(|ledger| {
            let exchange =
                Exchange::of_answer(self.model, None, &[block.pending.digest], &answer, Some(sent));
            ledger.keep(&exchange, &body.bytes, &answer.body)?;
            Ok::<_, Error>(exchange)
        });
        let exchange = exchange.transpose()?;
        let [element] = answer.elements.as_slice() else {
            return Err(Error::AnswerCount { got: answer.elements.len(), expected: 1 });
        };
        check(self.model, &block.pending.digest, patients, element)?;
        spool.add(&block.pending, element)?;
        facts.patients += patients as u64;
        facts.clipped += block.clipped as u64;
        Ok(exchange)
    }
}

/// A block to be sent, and the features in it.
struct Ready {
    block: Block,
    values: Zeroizing<Vec<f64>>,
    took: Duration,
}

impl Ready {
    fn new(run: &Cohort, values: Zeroizing<Vec<f64>>) -> Result<Self, Error> {
        let started = Instant::now();
        Ok(Self { block: run.encrypt(&values)?, values, took: started.elapsed() })
    }
}

/// What another thread has done.
fn joined<T>(done: Result<Result<T, Error>, JoinError>) -> Result<T, Error> {
    done.map_err(|_| Error::Protocol("a block could not be encrypted"))?
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
