//! `tiresias infer --scan`: scans to features here, encrypted to the gateway, and back to findings, maps and reports.

use std::sync::Arc;

use serde::Serialize;
use tiresias_backbone::Backbone;
use tiresias_circuits::{Drift, Explanation, explain::MapShape, scores};

use super::{
    Opened,
    ask::{Replaced, Terms, ask_all, limit_batch},
    canaries::{self, Canaries},
    open_model,
    receipts::{self, judge_receipts},
    report::Author,
    warn_clipped,
};
use crate::{
    Diagnosis, Error, Model,
    approvers::Approved,
    cli::InferArgs,
    commands::record::{Answered, Place, Recorder},
    evidence::{Judgement, Ledger},
    finding::Finding,
    key_file::KeyFile,
    output::{self, Found},
    scans::{self, Case, Rows},
    stop::Stop,
};

/// What is printed of a scan.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    found: &'a Found<'a>,
    /// Integer scores, class by class, of each location.
    #[serde(skip_serializing_if = "Option::is_none")]
    map: Option<Map<'a>>,
}

#[derive(Serialize)]
struct Map<'a> {
    height: usize,
    width: usize,
    scores_q: &'a [Vec<i64>],
}

/// A diagnosed scan.
pub(super) struct Read {
    pub(super) diagnosis: Diagnosis,
    /// Integer scores of each location, where a map was asked for.
    pub(super) locations: Vec<Vec<i64>>,
    /// What its receipts are worth, where they are checked.
    pub(super) receipt: Option<Judgement>,
}

/// Runs the command.
pub(super) async fn run(args: &InferArgs) -> Result<(), Error> {
    let path = args.scans.backbone.as_ref().ok_or(Error::Usage("--scan goes with --backbone"))?;
    let backbone = Backbone::open(path)?;
    let ledger = Ledger::open(&args.evidence)?;
    let Opened { mut connection, model, is_pinned, approved } = open_model(args, Stop::on_signals()).await?;
    let card = model.card();
    scans::expect_backbone(card, &backbone)?;
    let map = card.explanation().and_then(Explanation::map);
    if args.scans.cam.is_some() && map.is_none() {
        return Err(Error::NoMaps);
    }
    let map = map.filter(|_| args.scans.cam.is_some());
    let mut key_file = args.enrolled.open(&model)?;
    let canaries = Canaries::open(args, &model)?;

    let rows = map.map_or(Rows::Whole, |map| Rows::Locations(Some(map)));
    let progress = output::files_progress();
    let (cases, failures) = scans::read(&args.scans.scan, &backbone, rows, || progress.inc(1))?;
    progress.finish_and_clear();
    let features = card.plan().shape().features;
    if let Some(row) = cases.iter().find_map(|case| case.rows.first()).filter(|row| row.len() != features) {
        return Err(Error::BackboneFeatures { got: row.len(), expected: features });
    }

    let places: Vec<Place> = cases.iter().map(|case| Place::of_scan(&case.name)).collect();
    let mut recorder = Recorder::open(&args.record, &places)?;
    let rows: Vec<&[f64]> = cases.iter().flat_map(|case| &case.rows).map(Vec::as_slice).collect();
    let author = Author { args, model: &model, backbone: &backbone, map, approved: approved.as_ref() };
    author.check(&cases)?;
    let mix = canaries::mix(canaries.as_ref(), &rows)?;
    let vectors = mix.rows();
    // Maps and reports are drawn by one card, and canaries are of one.
    let is_pinned = is_pinned || author.is_wanted() || canaries.is_some();
    let replaced = if is_pinned { Replaced::Refuse } else { Replaced::Follow };
    let batch = vectors.len().min(args.batch.into());
    let (mut asked, mut outcome) = match limit_batch(&mut connection, &model, batch).await {
        _ if rows.is_empty() => (Vec::new(), Ok(())),
        Ok(batch) => {
            let ledger = ledger.as_ref();
            let terms = Terms { model: Arc::clone(&model), batch, replaced, ledger };
            ask_all(&mut connection, terms, key_file.as_mut(), &vectors).await
        }
        Err(error) => (Vec::new(), Err(error)),
    };
    let judged = judge_receipts(ledger, &mut connection, &mut asked).await;
    drop(connection);
    let (asked, own) = canaries::part(&mix, asked);
    warn_clipped(&asked, features);

    let key = key_file.as_ref().map(KeyFile::key);
    let receipts = asked.iter().map(|asked| asked.receipt.clone()).collect();
    let answered = Answered::of_scans(&asked, &cases);
    let found = asked.into_iter().map(|asked| Ok(asked.read(0, key)?.0));
    let mut found = found.collect::<Result<Vec<Diagnosis>, Error>>()?;
    if let Some(canaries) = &canaries {
        outcome = canaries.judge(&mix, own, found.iter_mut().collect(), key, outcome);
    }
    let read = diagnose(&model, &cases, found, receipts, map)?;
    output::warn_far_out(read.iter().filter_map(|read| read.diagnosis.drift.as_ref()));
    let pooled: Vec<&[f64]> = cases[..read.len()].iter().map(|case| case.pooled.as_slice()).collect();
    if let Some(shift) = card.calibration().and_then(|calibration| calibration.shift(&pooled)) {
        output::warn_shift(shift, pooled.len());
    }
    if let Some(recorder) = &mut recorder {
        let read =
            places.iter().zip(&read).map(|(place, read)| (place, &read.diagnosis, read.receipt.as_ref()));
        outcome = recorder.write(read.zip(&answered), outcome)?;
    }
    print(args, &cases, &read, map, approved.as_ref())?;
    let unreported = author.write(&cases, &read)?;
    for failure in failures.iter().chain(&unreported) {
        output::scan_failed(failure);
    }
    receipts::both(outcome, judged)?;
    match (failures.len(), unreported.len()) {
        (0, 0) => Ok(()),
        (0, failed) => Err(Error::SomeReports { failed, read: cases.len() }),
        (failed, _) => Err(Error::SomeScans { failed, read: cases.len() }),
    }
}

/// Puts diagnoses of vectors together, scan by scan. A scan of which not every location was answered is left out.
fn diagnose(
    model: &Model,
    cases: &[Case],
    found: Vec<Diagnosis>,
    receipts: Vec<Option<Judgement>>,
    map: Option<MapShape>,
) -> Result<Vec<Read>, Error> {
    let (mut found, mut receipts) = (found.into_iter(), receipts.into_iter());
    let mut read = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        let found: Vec<Diagnosis> = found.by_ref().take(case.rows.len()).collect();
        if found.len() < case.rows.len() {
            break;
        }
        let receipt = receipts::worst(receipts.by_ref().take(case.rows.len()));
        read.push(match map {
            Some(map) => Read { receipt, ..whole(model, index, case, &found, map)? },
            None => match found.into_iter().next() {
                Some(found) => {
                    Read { diagnosis: Diagnosis { index, ..found }, locations: Vec::new(), receipt }
                }
                None => break,
            },
        });
    }
    Ok(read)
}

/// The diagnosis of a scan from those of its locations: a score is the mean of theirs.
fn whole(
    model: &Model,
    index: usize,
    case: &Case,
    found: &[Diagnosis],
    map: MapShape,
) -> Result<Read, Error> {
    let card = model.card();
    let locations: Vec<Vec<i64>> = found.iter().map(|found| found.finding.scores_q().to_vec()).collect();
    let slices: Vec<&[i64]> = locations.iter().map(Vec::as_slice).collect();
    let scores_q = map.sum(&slices)?;
    let reading = scores::read(&scores_q, card.score_scale() / map.locations() as f64);
    let label = reading.class.and_then(|class| card.labels().get(class)).cloned();
    let outside = found.iter().filter_map(|found| found.drift).map(|drift| drift.outside).sum();
    let drift = card.calibration().map(|calibration| {
        let values = case.rows.len() * case.pooled.len();
        Drift::new(calibration, calibration.distance(&case.pooled), outside, values)
    });
    let (scores, margin) = (reading.scores, reading.margin);
    let finding = Finding::Scores { label, scores_q, scores, margin, contributions: Vec::new() };
    let canary_alarm = found.iter().any(|found| found.canary_alarm);
    Ok(Read { diagnosis: Diagnosis { index, finding, drift, canary_alarm }, locations, receipt: None })
}

/// Prints findings.
fn print(
    args: &InferArgs,
    cases: &[Case],
    read: &[Read],
    map: Option<MapShape>,
    approved: Option<&Approved>,
) -> Result<(), Error> {
    let found: Vec<Found<'_>> = (cases.iter().zip(read))
        .map(|(case, read)| Found {
            file: Some(&case.name),
            diagnosis: read.diagnosis.clone(),
            receipt: read.receipt.clone(),
            approval: approved.cloned(),
        })
        .collect();
    if !args.json {
        return if found.is_empty() { Ok(()) } else { output::diagnoses(&found, false) };
    }
    for (found, read) in found.iter().zip(read) {
        let map = map.map(|map| Map { height: map.height(), width: map.width(), scores_q: &read.locations });
        output::json(&Line { found, map })?;
    }
    Ok(())
}
