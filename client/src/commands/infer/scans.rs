//! `tiresias infer --scan`: scans to features here, encrypted to the gateway, and back to findings, maps and reports.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;
use tiresias_backbone::Backbone;
use tiresias_circuits::{Drift, Explanation, explain::MapShape, scores};
use tiresias_report::{Bar, Bars, HeatMap, ModelFacts, Outcome, Report, html, overlay_png};

use super::{
    ask::{Replaced, Terms, ask_all, limit_batch},
    canaries::{self, Canaries},
    open_model,
    receipts::{self, judge_receipts},
    warn_clipped,
};
use crate::{
    Diagnosis, Error, Model,
    cli::InferArgs,
    clock,
    evidence::{Judgement, Ledger},
    files,
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
struct Read {
    diagnosis: Diagnosis,
    /// Integer scores of each location, where a map was asked for.
    locations: Vec<Vec<i64>>,
    /// What its receipts are worth, where they are checked.
    receipt: Option<Judgement>,
}

/// Runs the command.
pub(super) async fn run(args: &InferArgs) -> Result<(), Error> {
    let path = args.scans.backbone.as_ref().ok_or(Error::Usage("--scan goes with --backbone"))?;
    let backbone = Backbone::open(path)?;
    let ledger = Ledger::open(&args.evidence)?;
    let (mut connection, model, is_pinned) = open_model(args, Stop::on_signals()).await?;
    let card = model.card();
    if card.backbone().is_some_and(|pinned| pinned.as_bytes() != backbone.digest()) {
        return Err(Error::OtherBackbone);
    }
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

    let rows: Vec<&[f64]> = cases.iter().flat_map(|case| &case.rows).map(Vec::as_slice).collect();
    let mix = canaries::mix(canaries.as_ref(), &rows)?;
    let vectors = mix.rows();
    // Maps and reports are drawn by one card, and canaries are of one.
    let is_pinned = is_pinned || map.is_some() || canaries.is_some();
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
    write(args, &model, &backbone, &cases, &read, map)?;
    for failure in &failures {
        output::scan_failed(failure);
    }
    receipts::both(outcome, judged)?;
    match failures.len() {
        0 => Ok(()),
        failed => Err(Error::SomeScans { failed, read: cases.len() }),
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

/// Prints findings, and writes maps and reports.
fn write(
    args: &InferArgs,
    model: &Model,
    backbone: &Backbone,
    cases: &[Case],
    read: &[Read],
    map: Option<MapShape>,
) -> Result<(), Error> {
    let names: Vec<String> = cases.iter().map(|case| case.name.clone()).collect();
    let found: Vec<Found<'_>> = (names.iter().zip(read))
        .map(|(name, read)| Found {
            file: Some(name),
            diagnosis: read.diagnosis.clone(),
            receipt: read.receipt.clone(),
        })
        .collect();
    if args.json {
        for (found, read) in found.iter().zip(read) {
            let map =
                map.map(|map| Map { height: map.height(), width: map.width(), scores_q: &read.locations });
            output::json(&Line { found, map })?;
        }
    } else if !found.is_empty() {
        output::diagnoses(&found, false)?;
    }
    let now = clock::now();
    for (case, read) in cases.iter().zip(read) {
        let heat = map.map(|map| heat_map(model, read, map));
        // A picture has no room for a warning, as a report has.
        let cam = args.scans.cam.as_ref().filter(|_| !read.diagnosis.canary_alarm);
        if let (Some(path), Some(heat)) = (cam, &heat) {
            save(path, cases.len(), &case.name, "png", &overlay_png(&case.picture, heat))?;
        }
        if let Some(path) = &args.scans.report {
            let report = report(args, model, backbone, case, read, heat, now.clone());
            save(path, cases.len(), &case.name, "html", html(&report).as_bytes())?;
        }
    }
    Ok(())
}

/// The map of the class that was found, or of the highest score where none was.
fn heat_map(model: &Model, read: &Read, map: MapShape) -> HeatMap {
    let sums = read.diagnosis.finding.scores_q();
    let best = sums.iter().enumerate().rev().max_by_key(|(_, sum)| **sum).map_or(0, |(class, _)| class);
    let scale = model.card().score_scale();
    let value = |scores: &Vec<i64>| scores.get(best).copied().unwrap_or(0) as f64 * scale;
    HeatMap {
        class: model.card().labels().get(best).cloned().unwrap_or_default(),
        height: map.height(),
        width: map.width(),
        values: read.locations.iter().map(value).collect(),
    }
}

fn report(
    args: &InferArgs,
    model: &Model,
    backbone: &Backbone,
    case: &Case,
    read: &Read,
    heat_map: Option<HeatMap>,
    computed_at: String,
) -> Report {
    let (card, plan, finding) = (model.card(), model.card().plan(), &read.diagnosis.finding);
    let (outcome, contributions) = match finding {
        Finding::Scores { label, scores, margin, contributions, .. } => {
            let scores = card.labels().iter().cloned().zip(scores.iter().copied()).collect();
            (Outcome::Scores { label: label.clone(), margin: *margin, scores }, contributions.as_slice())
        }
        Finding::Class { label } if finding.is_review() => {
            let _ = label;
            (Outcome::Class(None), [].as_slice())
        }
        Finding::Class { label } => (Outcome::Class(Some(label.clone())), [].as_slice()),
        Finding::Classes { label, review } => {
            let found = |class: &String| match (label.contains(class), review.contains(class)) {
                (_, true) => None,
                (found, false) => Some(found),
            };
            let findings = card.labels().iter().map(|class| (class.clone(), found(class))).collect();
            (Outcome::Findings(findings), [].as_slice())
        }
    };
    let is_far_out = read.diagnosis.drift.is_some_and(|drift| drift.is_far_out());
    let review = if read.diagnosis.canary_alarm {
        Some(
            "the gateway answered vectors with known answers wrongly in the same run: do not rely on this result.",
        )
    } else if read.receipt.as_ref().is_some_and(Judgement::is_invalid) {
        Some("the gateway's receipt of this answer is INVALID: do not rely on this result.")
    } else if is_far_out {
        Some("the scan is unlike those that the model was calibrated on.")
    } else {
        finding.is_review().then_some("the decision is too close for the computation.")
    };
    let review = review.map(str::to_owned);
    let security = plan.bootstrap().map_or(plan.parameters().security_bits(), |set| set.security_bits());
    let certainty = plan.log2_p_fail().map_or_else(
        || "always equal to the computation in the clear".to_owned(),
        |log2| format!("equal to the computation in the clear but for a chance of 2^{log2:.0}"),
    );
    Report {
        outcome,
        review,
        source: case.name.rsplit('/').next().unwrap_or_default().to_owned(),
        picture: Some(case.picture.clone()),
        heat_map,
        bars: contributions
            .iter()
            .map(|class| Bars {
                class: class.class.clone(),
                intercept: class.intercept,
                bars: (class.groups.iter())
                    .map(|group| Bar { name: group.group.clone(), value: group.value })
                    .collect(),
            })
            .collect(),
        drift: read.diagnosis.drift.map(|drift| tiresias_report::Drift {
            outside: drift.outside,
            values: drift.values,
            distance: drift.distance,
            limit: drift.limit,
            is_far_out,
        }),
        study: case.study.clone(),
        model: ModelFacts {
            name: card.name().to_owned(),
            version: card.version(),
            config_id: model.config().to_string(),
            gateway: args.gateway.gateway.clone(),
            backbone: Some(hex::encode(backbone.digest())),
            about: card.about().map(str::to_owned),
            facts: vec![
                ("Result", certainty),
                ("Encryption", format!("{}, {security} bits of security", plan.parameters().name())),
                ("Weights", plan.privacy().name().to_owned()),
            ],
        },
        computed_at,
    }
}

/// One scan's file as named; several scans' in a folder, by their names. Nothing is overwritten.
fn save(path: &Path, scans: usize, name: &str, ending: &str, bytes: &[u8]) -> Result<(), Error> {
    let is_file = scans == 1 && path.extension().is_some_and(|given| given == ending) && !path.is_dir();
    let path: PathBuf = if is_file {
        path.to_owned()
    } else {
        fs::create_dir_all(path).map_err(files::at(path))?;
        path.join(format!("{}.{ending}", scans::stem(name)))
    };
    let mut file = files::create_own(&path)?;
    std::io::Write::write_all(&mut file, bytes).map_err(files::at(&path))
}
