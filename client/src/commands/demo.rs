//! `tiresias demo`, the main job: 171 held-out patients of the Wisconsin breast-cancer data, a gateway process of
//! its own on a loopback port, every patient encrypted, evaluated and decrypted.

pub(super) mod data;
pub(super) mod gateway;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use tiresias_keys::EvaluationKey;

use self::{
    data::{DIGITS, DataSet, Patient, WDBC},
    gateway::{ClearAnswer, GatewayProcess},
};
use super::infer::ask::{Asked, Facts, Replaced, Terms, ask_all};
use crate::{
    Diagnosis, Error, Model,
    cli::{DataArg, DemoArgs, GatewayArgs, HeadArg},
    enroll,
    http::Connection,
    key_file::{KeyFile, Protection},
    output,
};

/// The last line of `demo --json`. Times are medians in microseconds, sizes are HTTP bodies for one patient.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    patients: usize,
    correct: usize,
    accuracy: f64,
    clear_agreement: f64,
    request_bytes: usize,
    response_bytes: usize,
    encrypt_us: f64,
    evaluate_us: f64,
    decrypt_us: f64,
    roundtrip_us: f64,
}

/// One line of `demo --json` before the summary.
#[derive(Serialize)]
struct PatientLine<'a> {
    patient: usize,
    truth: &'a str,
    #[serde(flatten)]
    diagnosis: &'a Diagnosis,
}

/// A diagnosis and what it took.
struct Visit {
    diagnosis: Diagnosis,
    decrypt: Duration,
    clipped: usize,
    facts: Arc<Facts>,
}

/// Runs the command.
pub async fn run(args: &DemoArgs) -> Result<(), Error> {
    let data: &DataSet = match args.data {
        DataArg::Wdbc => &WDBC,
        DataArg::Digits => &DIGITS,
    };
    let (training, mut patients) = data.load()?;
    patients.truncate(args.patients.unwrap_or(usize::MAX));
    if patients.is_empty() {
        return Err(Error::Usage("--patients: at least one"));
    }

    let directory = tempfile::Builder::new().prefix("tiresias-demo-").tempdir();
    let directory = directory.map_err(|source| Error::Io { path: std::env::temp_dir(), source })?;
    let gateway = GatewayProcess::prepare(directory.path(), args.gateway_bin.as_deref())?;
    let head = match args.head {
        HeadArg::Linear => data.head,
        HeadArg::Mlp => data.mlp,
    };
    gateway.import(data.name, head, &data::to_csv(&training), args.policy).await?;
    let expected = gateway.clear_answers(data.name, &data::to_csv(&patients)).await?;

    let gateway = gateway.serve().await?;
    let options = GatewayArgs {
        gateway: gateway.url().to_owned(),
        ca: Some(gateway.certificate("ca.pem")),
        cert: Some(gateway.certificate("client.pem")),
        key: Some(gateway.certificate("client-key.pem")),
    };
    let mut connection = Connection::open(&options).await?;
    let model = connection.fetch_model(data.name, None).await?;

    let mut key_file = enroll_for(&mut connection, &model, directory.path()).await?;

    let rows = data::features(&patients)?;
    let started = Instant::now();
    let rows: Vec<&[f64]> = rows.iter().collect();
    // One patient a request, as a clinic asks during its day.
    let terms = Terms { model: Arc::clone(&model), batch: 1, replaced: Replaced::Refuse, ledger: None };
    let (asked, outcome) = ask_all(&mut connection, terms, key_file.as_mut(), &rows).await;
    drop(connection);
    outcome?;
    let key = key_file.as_ref().map(KeyFile::key);
    let read = |(index, asked): (usize, Asked)| {
        let (facts, clipped) = (Arc::clone(&asked.facts), asked.clipped);
        let (diagnosis, decrypt) = asked.read(index, key)?;
        Ok(Visit { diagnosis, decrypt, clipped, facts })
    };
    let visits = asked.into_iter().enumerate().map(read).collect::<Result<Vec<Visit>, Error>>()?;
    let elapsed = started.elapsed();
    gateway.stop().await?;

    let clipped = visits.iter().map(|visit| visit.clipped).sum();
    output::warn_clipped(clipped, patients.len() * model.card().plan().shape().features);
    output::warn_far_out(visits.iter().filter_map(|visit| visit.diagnosis.drift.as_ref()));
    let summary = summarize(&model, &patients, &visits, &expected)?;
    report(args, data, &model, &patients, &visits, &summary, elapsed)
}

/// A long-lived key for a model that bootstraps, and its evaluation key at the gateway.
async fn enroll_for(
    connection: &mut Connection,
    model: &Model,
    directory: &Path,
) -> Result<Option<KeyFile>, Error> {
    let Some(parameters) = model.card().plan().bootstrap() else { return Ok(None) };
    // A key for one run, in a directory of its owner that goes with it.
    let path = directory.join("clinic.key");
    let (mut file, frame) = KeyFile::create(&path, parameters, Protection::FileMode)?;
    enroll::enroll(connection, &mut file, Some(frame)).await?;
    Ok(Some(file))
}

fn summarize(
    model: &Model,
    patients: &[Patient],
    visits: &[Visit],
    expected: &[ClearAnswer],
) -> Result<Summary, Error> {
    if expected.len() != visits.len() {
        return Err(Error::AnswerCount { got: expected.len(), expected: visits.len() });
    }
    let share = |count: usize| count as f64 / visits.len() as f64;
    let is_correct = |(patient, visit): &(&Patient, &Visit)| visit.diagnosis.finding.label() == patient.truth;
    let correct = patients.iter().zip(visits).filter(is_correct).count();
    // Activations may be off by a level, and scores behind hidden layers with them: there labels are compared.
    let compares_scores = model.card().plan().hidden().is_none();
    let agreeing = visits.iter().zip(expected).filter(|(visit, clear)| {
        let finding = &visit.diagnosis.finding;
        (!compares_scores || finding.scores_q() == clear.scores_q) && finding.label() == clear.label
    });
    let microseconds = |pick: fn(&Visit) -> Duration| {
        quantile(visits.iter().map(|visit| pick(visit).as_secs_f64() * 1e6), 0.5)
    };
    Ok(Summary {
        patients: visits.len(),
        correct,
        accuracy: share(correct),
        clear_agreement: share(agreeing.count()),
        request_bytes: visits.first().map_or(0, |visit| visit.facts.request_bytes),
        response_bytes: visits.first().map_or(0, |visit| visit.facts.response_bytes),
        encrypt_us: microseconds(|visit| visit.facts.encrypt),
        evaluate_us: quantile(visits.iter().map(|visit| visit.facts.evaluate_us as f64), 0.5),
        decrypt_us: microseconds(|visit| visit.decrypt),
        roundtrip_us: microseconds(|visit| visit.facts.roundtrip),
    })
}

/// The value at share `q` of the sorted values.
fn quantile(values: impl Iterator<Item = f64>, q: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = (q * values.len().saturating_sub(1) as f64).round() as usize;
    values.get(at).copied().unwrap_or_default()
}

fn report(
    args: &DemoArgs,
    data: &DataSet,
    model: &Model,
    patients: &[Patient],
    visits: &[Visit],
    summary: &Summary,
    elapsed: Duration,
) -> Result<(), Error> {
    if args.json {
        if !args.quiet {
            for (patient, visit) in patients.iter().zip(visits) {
                let truth = patient.truth.as_str();
                output::json(&PatientLine { patient: patient.row, truth, diagnosis: &visit.diagnosis })?;
            }
        }
        return output::json(summary);
    }
    if !args.quiet {
        print_patients(patients, visits)?;
    }
    print_summary(data, model, summary, visits, elapsed)?;
    print_gateways_view(model, visits)
}

fn print_patients(patients: &[Patient], visits: &[Visit]) -> Result<(), Error> {
    let columns = ["patient", "truth", "diagnosis", "", "score", "margin"];
    let has_scores = visits.iter().any(|visit| visit.diagnosis.finding.score_and_margin().is_some());
    let mut table = output::table(&columns[..if has_scores { 6 } else { 4 }]);
    for (patient, visit) in patients.iter().zip(visits) {
        let finding = &visit.diagnosis.finding;
        let label = finding.label();
        let verdict = if label == patient.truth { "" } else { "wrong" };
        let cells = [patient.row.to_string(), patient.truth.clone(), label, verdict.to_owned()];
        let numbers = finding.score_and_margin().map(|(score, margin)| [score, margin]);
        let numbers = numbers.into_iter().flatten().map(|number| format!("{number:.3}"));
        table.add_row(cells.into_iter().chain(numbers));
    }
    output::line(&table.to_string())
}

fn print_summary(
    data: &DataSet,
    model: &Model,
    summary: &Summary,
    visits: &[Visit],
    elapsed: Duration,
) -> Result<(), Error> {
    let p99 = |pick: fn(&Visit) -> f64| quantile(visits.iter().map(pick), 0.99);
    let micro = |duration: Duration| duration.as_secs_f64() * 1e6;
    let mut table = output::table(&["", "median", "p99"]);
    for (name, median, p99) in [
        (
            "clinic: quantize, key, encrypt (us)",
            summary.encrypt_us,
            p99(|v| v.facts.encrypt.as_secs_f64() * 1e6),
        ),
        ("gateway: evaluate (us)", summary.evaluate_us, p99(|v| v.facts.evaluate_us as f64)),
        ("clinic: decrypt, read (us)", summary.decrypt_us, p99(|v| v.decrypt.as_secs_f64() * 1e6)),
        (
            "request to answer over TLS (us)",
            summary.roundtrip_us,
            p99(|v| v.facts.roundtrip.as_secs_f64() * 1e6),
        ),
    ] {
        table.add_row([name.to_owned(), format!("{median:.0}"), format!("{p99:.0}")]);
    }
    let patients = summary.patients;
    let plan = model.card().plan();
    let keys = match plan.bootstrap() {
        None => "no evaluation key".to_owned(),
        Some(parameters) => {
            let megabytes = EvaluationKey::encoded_len(parameters) as f64 / 1e6;
            format!("an evaluation key of {megabytes:.1} MB once, {} bootstraps a row", plan.bootstraps())
        }
    };
    output::line(&format!(
        "{patients} held-out {} in {:.2} s: {} correct ({:.2} %)\n\
         agreement with the clear twin, {}: {:.2} %\n\
         {} bytes up and {} bytes down a patient, {keys}\n\n{table}",
        data.rows,
        micro(elapsed) / 1e6,
        summary.correct,
        100.0 * summary.accuracy,
        if plan.hidden().is_none() { "to the last integer" } else { "label by label" },
        100.0 * summary.clear_agreement,
        summary.request_bytes,
        summary.response_bytes,
    ))
}

fn print_gateways_view(model: &Model, visits: &[Visit]) -> Result<(), Error> {
    let Some(visit) = visits.first() else { return Ok(()) };
    // The body of the ciphertext begins behind header, config id and seed.
    let shown = visit.facts.element.get(72..104).unwrap_or_default();
    output::line(&format!(
        "\nwhat the gateway saw of the first row: model {}, config id {}…, {} bytes that begin\n  {}…\n\
         and of the answer: nothing, it left encrypted. It never held a key that decrypts.",
        model.card().name(),
        &model.config().to_string()[..16],
        visit.facts.element.len(),
        hex::encode(shown),
    ))
}
