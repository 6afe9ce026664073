//! `tiresias canaries make`: vectors with known answers, to mix in between patients later.

use std::{path::Path, sync::Arc};

use serde::Deserialize;
use tiresias_circuits::{Features, card::MAXIMUM_CARD_BYTES};

use super::infer::ask::{Replaced, Terms, ask_all, limit_batch};
use crate::{
    Diagnosis, Error, Model,
    canaries::{Canary, CanaryFile, Expected, Source, in_order, is_exact},
    cli::{CanariesCommand, MakeCanariesArgs},
    files,
    http::Connection,
    inputs::read_features,
    key_file::KeyFile,
    output,
    stop::Stop,
};

/// Answers of ten thousand rows and 14 classes are a fiftieth of it.
const MAXIMUM_ANSWERS_BYTES: u64 = 256 << 20;

/// Runs the command.
pub async fn run(command: &CanariesCommand) -> Result<(), Error> {
    let CanariesCommand::Make(args) = command;
    let features = read_features(&args.features)?;
    let (model, source, expected) = match (&args.card, &args.answers) {
        (Some(card), Some(answers)) => {
            let model = Arc::new(Model::from_card(files::read(card, MAXIMUM_CARD_BYTES as u64)?)?);
            features.expect_columns(model.card().plan().shape().features)?;
            let expected = evaluated(answers, &model, features.rows())?;
            (model, Source::Evaluate, expected)
        }
        _ => {
            let (model, expected) = asked(args, &features).await?;
            (model, Source::Gateway, expected)
        }
    };
    let rows = features.iter().zip(expected);
    let canaries =
        rows.filter_map(|(row, expected)| Some(Canary { features: row.to_vec(), expected: expected? }));
    let file = CanaryFile::new(&model, source, canaries.collect());
    let file = file.map_err(|reason| Error::Canaries { path: args.features.clone(), reason })?;
    file.create(&args.out)?;
    output::line(&format!(
        "{} canaries for {} version {} written to {}: keep the file secret, the gateway above all must not have it",
        file.canaries().len(),
        model.card().name(),
        model.card().version(),
        args.out.display()
    ))
}

/// What the gateway answers today.
async fn asked(
    args: &MakeCanariesArgs,
    features: &Features,
) -> Result<(Arc<Model>, Vec<Option<Expected>>), Error> {
    let (Some(gateway), Some(name)) = (&args.gateway, &args.model) else {
        return Err(Error::Usage("name a gateway and a model, or a card and answers"));
    };
    let mut connection = Connection::open_with(gateway, &args.network, Stop::on_signals()).await?;
    let model = connection.fetch_model(name, args.version).await?;
    let plan = model.card().plan();
    features.expect_columns(plan.shape().features)?;
    if plan.hidden().is_some() && plan.label_policy().is_some() {
        return Err(Error::Usage(
            "labels behind hidden layers do not show how close they are: have the model owner evaluate them (--answers)",
        ));
    }
    let mut key_file = args.enrolled.open(&model)?;
    let rows: Vec<&[f64]> = features.iter().collect();
    let batch = limit_batch(&mut connection, &model, rows.len().min(args.batch.into())).await?;
    let terms = Terms { model: Arc::clone(&model), batch, replaced: Replaced::Refuse, ledger: None };
    let (asked, outcome) = ask_all(&mut connection, terms, key_file.as_mut(), &rows).await;
    drop(connection);
    outcome?;
    let key = key_file.as_ref().map(KeyFile::key);
    let read = asked.into_iter().enumerate().map(|(index, asked)| Ok(asked.read(index, key)?.0));
    let read = read.collect::<Result<Vec<Diagnosis>, Error>>()?;
    let margins: Vec<f64> =
        read.iter().map(|read| read.finding.score_and_margin().map_or(0.0, |(_, margin)| margin)).collect();
    let least = if plan.hidden().is_some() { median(&margins) } else { f64::NEG_INFINITY };
    let expected = read
        .iter()
        .zip(&margins)
        .map(|(read, margin)| Expected::of(&read.finding, &model).filter(|_| *margin >= least));
    let expected = expected.collect();
    Ok((model, expected))
}

/// The upper of the middle ones.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// A line of `tiresias-gateway evaluate --json`.
#[derive(Deserialize)]
struct Evaluated {
    index: usize,
    label: Option<Label>,
    scores_q: Option<Vec<i64>>,
    #[serde(default)]
    contributions: Vec<Contributions>,
    /// Of heads with hidden layers: whether the margin is one of the wider half.
    clear_cut: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Label {
    Class(String),
    Classes(Vec<String>),
}

#[derive(Deserialize)]
struct Contributions {
    groups: Vec<Contribution>,
}

#[derive(Deserialize)]
struct Contribution {
    value_q: i64,
}

/// What somebody who holds the model says: an answer for each of the rows.
fn evaluated(path: &Path, model: &Model, rows: usize) -> Result<Vec<Option<Expected>>, Error> {
    let fault = |reason| Error::Canaries { path: path.to_owned(), reason };
    let text = String::from_utf8(files::read(path, MAXIMUM_ANSWERS_BYTES)?);
    let text = text.map_err(|_| fault(NO_ANSWERS))?;
    let lines: Result<Vec<Evaluated>, _> = text.lines().map(serde_json::from_str).collect();
    let lines = lines.map_err(|_| fault(NO_ANSWERS))?;
    if !lines.iter().map(|line| line.index).eq(0..rows) {
        return Err(fault("the answers are not those of the features, row by row"));
    }
    let expected = |line: Evaluated| {
        if model.card().plan().hidden().is_some() && line.clear_cut != Some(true) {
            return None;
        }
        match (line.scores_q, line.label) {
            (Some(scores_q), _) if is_exact(model) => {
                let of = |class: usize| line.contributions.get(class).into_iter().flat_map(|of| &of.groups);
                let groups = |class: usize| of(class).map(|group| group.value_q).collect();
                Some(Expected::RowsQ(in_order(&scores_q, groups)))
            }
            (_, Some(Label::Class(label))) => Some(Expected::Class(label)),
            (_, Some(Label::Classes(labels))) => Some(Expected::Classes(labels)),
            (_, None) => None,
        }
    };
    Ok(lines.into_iter().map(expected).collect())
}

const NO_ANSWERS: &str = "these are not the lines of `tiresias-gateway evaluate --json`";
