//! `tiresias infer`: card, encrypt, send, and when the last answer is here: decrypt, record, print.

pub(crate) mod ask;
mod canaries;
pub(crate) mod receipts;
mod report;
mod scans;

use std::sync::Arc;

use tiresias_circuits::card::MAXIMUM_CARD_BYTES;

use self::{
    ask::{Asked, Replaced, Terms, ask_all, limit_batch},
    canaries::Canaries,
    receipts::judge_receipts,
};
use super::record::{self, Answered, Recorder};
use crate::{
    Error, Model,
    approvers::{Approved, Approvers},
    cli::{ApproverArgs, GatewayArgs, InferArgs, NetworkArgs},
    evidence::Ledger,
    files,
    http::Connection,
    inputs::Inputs,
    key_file::KeyFile,
    output::{self, Found},
    results::{Header, Results},
    stop::Stop,
};

/// Runs the command.
pub async fn run(args: &InferArgs) -> Result<(), Error> {
    if !args.scans.scan.is_empty() {
        return scans::run(args).await;
    }
    let inputs = Inputs::read(&args.features)?;
    if let Some(path) = &args.out {
        Results::refuse_finished(path)?;
    }
    let places = record::places(inputs.sources());
    let mut recorder = Recorder::open(&args.record, &places)?;
    let ledger = Ledger::open(&args.evidence)?;
    let Opened { mut connection, model, is_pinned, approved } = open_model(args, Stop::on_signals()).await?;
    let mut key_file = args.enrolled.open(&model)?;
    inputs.expect_columns(model.card().plan().shape().features)?;
    let results = args.out.as_ref().map(|path| Results::open(path, Header::new(&model, &inputs), &inputs));
    let results = results.transpose()?;
    if let Some(results) = &results {
        expect_same_model(results, &model, is_pinned)?;
    }

    let canaries = Canaries::open(args, &model)?;
    let calibration = model.card().calibration().cloned();
    let all = inputs.rows();
    let missing = |row: &usize| results.as_ref().is_none_or(|results| !results.has(*row));
    let wanted: Vec<usize> = (0..all.len()).filter(missing).collect();
    let rows: Vec<&[f64]> = wanted.iter().filter_map(|&row| all.get(row).copied()).collect();
    let mix = canaries::mix(canaries.as_ref(), &rows)?;
    let vectors = mix.rows();
    // Canaries are of one card.
    let replaced = if is_pinned || canaries.is_some() { Replaced::Refuse } else { Replaced::Follow };
    let batch = vectors.len().min(args.batch.into());
    let (mut asked, mut outcome) = match limit_batch(&mut connection, &model, batch).await {
        Ok(batch) => {
            let terms = Terms { model: Arc::clone(&model), batch, replaced, ledger: ledger.as_ref() };
            ask_all(&mut connection, terms, key_file.as_mut(), &vectors).await
        }
        Err(error) => (Vec::new(), Err(error)),
    };
    let receipts = judge_receipts(ledger, &mut connection, &mut asked).await;
    drop(connection);
    let (asked, own) = canaries::part(&mix, asked);
    warn_clipped(&asked, rows.iter().map(|row| row.len()).next().unwrap_or_default());
    output::warn_far_out(asked.iter().filter_map(Asked::drift));
    if let Some(shift) = calibration.and_then(|calibration| calibration.shift(&rows[..asked.len()])) {
        output::warn_shift(shift, asked.len());
    }

    let key = key_file.as_ref().map(KeyFile::key);
    let answered: Vec<Answered> = asked.iter().map(Answered::of).collect();
    // What was answered before a failure is kept too: the model owner has counted it.
    let mut found = wanted
        .into_iter()
        .zip(asked)
        .map(|(row, mut asked)| {
            let (file, index) = inputs.sources().place(row);
            let receipt = asked.receipt.take();
            Ok((
                row,
                Found { file, diagnosis: asked.read(index, key)?.0, receipt, approval: approved.clone() },
            ))
        })
        .collect::<Result<Vec<(usize, Found<'_>)>, Error>>()?;
    if let Some(canaries) = &canaries {
        let diagnoses = found.iter_mut().map(|(_, found)| &mut found.diagnosis).collect();
        outcome = canaries.judge(&mix, own, diagnoses, key, outcome);
    }
    if let Some(recorder) = &mut recorder {
        let read = found.iter().map(|(row, found)| (&places[*row], &found.diagnosis, found.receipt.as_ref()));
        outcome = recorder.write(read.zip(&answered), outcome)?;
    }
    let outcome = match results {
        Some(results) => write(results, found, all.len(), outcome),
        None => {
            let found: Vec<_> = found.into_iter().map(|(_, found)| found).collect();
            if outcome.is_ok() || !found.is_empty() {
                output::diagnoses(&found, args.json)?;
            }
            outcome
        }
    };
    receipts::both(outcome, receipts)
}

/// What a run begins with.
struct Opened {
    connection: Connection,
    model: Arc<Model>,
    /// Whether the command pins the model.
    is_pinned: bool,
    /// Who has approved it, where that was asked.
    approved: Option<Approved>,
}

/// Connects, and fetches and checks the model. One that must be approved is not followed to another version.
async fn open_model(args: &InferArgs, stop: Stop) -> Result<Opened, Error> {
    let approvers = Approvers::read(&args.approvers)?;
    let card = args.card.as_ref().map(|path| read_card(path, args)).transpose()?;
    let mut connection = Connection::open_with(&args.gateway, &args.network, stop).await?;
    let is_pinned = card.is_some() || args.version.is_some() || approvers.is_some();
    let model = match card {
        Some(card) => connection.expect_model(card).await?,
        None => {
            let name = args.model.as_ref().ok_or(Error::Usage("name a model, or a card"))?;
            connection.fetch_model(name, args.version).await?
        }
    };
    let approved = approve(approvers, &mut connection, &model).await?;
    Ok(Opened { connection, model, is_pinned, approved })
}

/// Connects, and fetches and checks a model by its name, which is not followed to another version.
pub(crate) async fn open_served(
    (gateway, network): (&GatewayArgs, &NetworkArgs),
    (name, version): (&str, Option<u32>),
    approvers: &ApproverArgs,
    stop: Stop,
) -> Result<(Connection, Arc<Model>), Error> {
    let approvers = Approvers::read(approvers)?;
    let mut connection = Connection::open_with(gateway, network, stop).await?;
    let model = connection.fetch_model(name, version).await?;
    approve(approvers, &mut connection, &model).await?;
    Ok((connection, model))
}

/// Who has approved the model, where that is asked; says so.
async fn approve(
    approvers: Option<Approvers>,
    connection: &mut Connection,
    model: &Model,
) -> Result<Option<Approved>, Error> {
    let Some(approvers) = approvers else { return Ok(None) };
    let approved = approvers.check(connection.fetch_approval(model).await?.as_ref(), model)?;
    output::note_approved(&approved);
    Ok(Some(approved))
}

/// The card that the run is pinned to.
fn read_card(path: &std::path::Path, args: &InferArgs) -> Result<Model, Error> {
    let model = Model::from_card(files::read(path, MAXIMUM_CARD_BYTES as u64)?)?;
    let card = model.card();
    let other_name = args.model.as_ref().is_some_and(|name| name != card.name());
    if other_name || args.version.is_some_and(|version| version != card.version()) {
        return Err(Error::Usage("--card is of another model than --model and --version say"));
    }
    Ok(model)
}

/// Earlier results may be of another model, unless the command names one.
fn expect_same_model(results: &Results, model: &Arc<Model>, is_pinned: bool) -> Result<(), Error> {
    let header = results.header();
    if header.config_id == model.config().to_string() {
        return Ok(());
    }
    if is_pinned {
        return Err(results.refuse("its results are of another version of the model than the pinned one"));
    }
    output::warn_replaced((header.version, &header.config_id), model);
    Ok(())
}

fn write(
    mut results: Results,
    found: Vec<(usize, Found<'_>)>,
    rows: usize,
    outcome: Result<(), Error>,
) -> Result<(), Error> {
    results.add(found)?;
    if let Err(error) = outcome {
        output::note_unfinished(results.part(), results.done(), rows);
        return Err(error);
    }
    let path = results.finish()?;
    output::line(&format!("{rows} diagnoses written to {}", path.display()))
}

fn warn_clipped(asked: &[Asked], columns: usize) {
    output::warn_clipped(asked.iter().map(|asked| asked.clipped).sum(), asked.len() * columns);
}
