//! `import`: reads, quantizes and stores a head.

use std::io::Write;

use serde_json::json;
use tiresias_circuits::{
    Calibration, Card, Explanation, Features, Groups, Quantizer,
    card::CardParts,
    clear,
    explain::MapShape,
    plan::{ActivationRange, CohortPlan, Decision},
    quantize::Granularity,
    scores,
};
use tiresias_keys::Seed;

use super::{
    Error,
    model::{Backbone, read_model},
    quantize::{Quantized, decision, quantize},
    read_features, read_labels, read_text, read_thresholds,
};
use crate::{
    cli::{ImportArgs, ScaleArg},
    import::ImportedHead,
    repository::Repository,
};

/// Reads, quantizes and stores a head.
pub fn import(args: &ImportArgs, out: &mut impl Write) -> Result<(), Error> {
    let (imported, backbone) = read_model(args)?;
    let head = match &args.labels {
        None => imported.head,
        Some(path) => imported.head.with_labels(read_labels(path)?)?,
    };
    let head = match &args.thresholds {
        None => head,
        Some(_) if decision(&args.circuit, head.labels().len()) != Some(Decision::Thresholds) => {
            return Err(Error::Thresholds);
        }
        Some(path) => head.with_thresholds(&read_thresholds(path)?)?,
    };
    let calibration = read_features(&args.calibration, head.features())?;
    let granularity = match args.scale {
        ScaleArg::PerFeature => Granularity::PerFeature,
        ScaleArg::PerTensor => Granularity::PerTensor,
    };
    let quantizer = Quantizer::calibrate(&calibration, args.circuit.bits, granularity)?;
    let explanation = explanation(args)?;
    let quantized = quantize(&args.circuit, &head, &quantizer, &calibration, explanation.as_ref())?;
    let pooled = match explanation.as_ref().and_then(Explanation::map) {
        Some(map) => pooled(&calibration, map)?,
        None => calibration.clone(),
    };
    let agreement = agreement(&head, &quantized, &quantizer, (&calibration, explanation.as_ref()))?;

    let repository = Repository::new(&args.repo);
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let version = repository.next_version(&args.name)?;
    let labels = head.labels().to_vec();
    let (plan, scale, seed) = (quantized.plan, quantized.score_scale, Seed::from_bytes(seed));
    let card = Card::new(CardParts {
        explanation,
        cohort: args.card.cohort,
        calibration: if args.card.no_drift_guard { None } else { Calibration::of(&pooled) },
        backbone: backbone.as_ref().and_then(Backbone::digest).or(args.card.backbone),
        about: args.card.about.as_deref().map(|path| read_text(path, "--about")).transpose()?,
        ..CardParts::new(&args.name, version, labels, quantizer, scale, plan, seed)
    })?;
    if let Some(backbone) = &backbone {
        backbone.write()?;
    }
    let config = repository.store(&card, &quantized.head)?;

    let (plan, rows) = (&quantized.plan, pooled.rows());
    if args.json {
        let line = json!({
            "name": card.name(),
            "version": card.version(),
            "config_id": config.to_string(),
            "calibration_rows": rows,
            "calibration_label_agreement": agreement,
            "weights_limited_by_bias": quantized.limited_by_bias,
            "drift_limit": card.calibration().map(Calibration::limit),
            "backbone": card.backbone().map(ToString::to_string),
            "ignored_operators": imported.ignored,
            "stages": plan.label_policy().map(|policy| policy.stages),
            "zone": plan.label_policy().map(|policy| policy.zone),
            "range": plan.hidden().map(|hidden| hidden.range.name()),
            "precision": plan.hidden().map(|hidden| hidden.precision()),
            "mean_levels": quantized.head.mean_levels(),
            "inner_weight_bits": plan.hidden().map(|hidden| &hidden.weight_bits[..hidden.layers()]),
        });
        writeln!(out, "{line}")?;
        return Ok(());
    }
    writeln!(out, "imported {} version {} (config id {config})", card.name(), card.version())?;
    let share = 100.0 * agreement;
    writeln!(
        out,
        "labels of the quantized head agree with the float head on {share:.2} % of {rows} calibration rows"
    )?;
    describe(&quantized, out)?;
    if let Some(leak) = card.cohort().map(CohortPlan::leak).filter(|leak| leak.bits_per_score.is_some()) {
        let vectors = leak.vectors_for_any_client;
        writeln!(
            out,
            "cohorts are scored: a client that keeps to no protocol may know the head after {vectors} patients"
        )?;
    }
    if card.calibration().is_none() && !args.card.no_drift_guard {
        writeln!(out, "note: too few calibration rows for a drift guard: 8 are needed")?;
    }
    if !imported.ignored.is_empty() {
        writeln!(out, "left to the client: {}", imported.ignored.join(", "))?;
    }
    Ok(())
}

fn describe(quantized: &Quantized, out: &mut impl Write) -> Result<(), Error> {
    let plan = &quantized.plan;
    if let Some(hidden) = plan.hidden() {
        let reach = match hidden.range {
            ActivationRange::Proved => "for any features",
            ActivationRange::Calibrated => "for sums up to half as large again as in calibration, or more",
        };
        writeln!(
            out,
            "activations are right to one level, {reach}; scores of them are {}",
            hidden.precision()
        )?;
        if let Some(levels) = quantized.head.mean_levels() {
            let is_coarse = hidden.range == ActivationRange::Proved && levels < 4.0;
            let more = if is_coarse { ": --range calibrated leaves more" } else { "" };
            writeln!(out, "a neuron has {levels:.1} levels on average{more}")?;
        }
    }
    if plan.bootstrap().is_some() {
        let what = if plan.label_policy().is_some() { "a label" } else { "a score vector" };
        let stages = plan.label_policy().map(|policy| format!(", {} stages a sign", policy.stages));
        writeln!(out, "{what} takes {} bootstraps{}", plan.bootstraps(), stages.unwrap_or_default())?;
    }
    if let Some(policy) = plan.label_policy().filter(|policy| policy.zone > 0) {
        let zone = policy.zone as f64 * quantized.score_scale;
        writeln!(
            out,
            "decisions by less than {zone:.4} may be answered `review`; more stages leave fewer or none"
        )?;
    }
    if let (Some(grouping), Some(vectors)) = (plan.grouping(), plan.leak().vectors_to_determine) {
        writeln!(
            out,
            "contributions of {} groups are answered: they give the head away after {vectors} vectors",
            grouping.groups
        )?;
    }
    if quantized.limited_by_bias {
        writeln!(out, "note: a large bias sets the step of the weights, which use fewer than their bits")?;
    }
    Ok(())
}

/// What clients may see besides scores.
fn explanation(args: &ImportArgs) -> Result<Option<Explanation>, Error> {
    if let Some(path) = &args.card.explain_groups {
        let groups = Groups::from_lines(&read_text(path, "--explain-groups")?)?;
        return Ok(Some(Explanation::Groups(groups)));
    }
    Ok(args.card.explain_map.map(Explanation::Map))
}

/// The mean of each map's locations: what the head scores of a scan.
fn pooled(locations: &Features, map: MapShape) -> Result<Features, Error> {
    let columns = locations.columns();
    let rows: Vec<&[f64]> = locations.iter().collect();
    if !rows.len().is_multiple_of(map.locations()) {
        return Err(Error::PartialMap);
    }
    let mean = |scan: &[&[f64]], column: usize| {
        scan.iter().map(|row| row[column] / map.locations() as f64).sum::<f64>()
    };
    let scans = rows.chunks_exact(map.locations());
    let means = scans.flat_map(|scan| (0..columns).map(move |column| mean(scan, column)));
    Ok(Features::new(means.collect(), columns)?)
}

/// The share of calibration rows, or whole maps of them, whose label the quantized head keeps: the class, or with
/// thresholds every finding.
fn agreement(
    head: &ImportedHead,
    quantized: &Quantized,
    quantizer: &Quantizer,
    (rows, explanation): (&Features, Option<&Explanation>),
) -> Result<f64, Error> {
    let decision = quantized.plan.label_policy().map(|policy| policy.decision);
    let map = explanation.and_then(Explanation::map);
    let rows: Vec<&[f64]> = rows.iter().collect();
    let scans = rows.chunks_exact(map.map_or(1, |map| map.locations()));
    let (mut same, all) = (0, scans.len());
    for scan in scans {
        let integers = scan
            .iter()
            .map(|row| Ok(quantized.head.scores(&quantizer.quantize(row)?.values)?))
            .collect::<Result<Vec<_>, Error>>()?;
        let integers = sums(&integers);
        let integers = match explanation.and_then(Explanation::groups) {
            Some(groups) => groups.split(&integers).scores_q,
            None => integers,
        };
        let floats = sums(&scan.iter().map(|row| head.scores(row)).collect::<Vec<_>>());
        if decision == Some(Decision::Thresholds) {
            let label = clear::decide(Decision::Thresholds, &integers);
            let float_label = floats.iter().map(|float| Some(*float >= 0.0)).collect();
            same += usize::from(label == tiresias_circuits::label::Label::Findings(float_label));
            continue;
        }
        let class = scores::read(&integers, quantized.score_scale).class;
        let float_class = match floats.as_slice() {
            [score] => (*score >= 0.0).then_some(0),
            _ => floats.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1)).map(|(class, _)| class),
        };
        same += usize::from(class == float_class);
    }
    Ok(same as f64 / all.max(1) as f64)
}

/// Sums over rows, class by class.
fn sums<T: Copy + std::ops::AddAssign>(rows: &[Vec<T>]) -> Vec<T> {
    let mut sums = rows.first().cloned().unwrap_or_default();
    for row in rows.iter().skip(1) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += *value);
    }
    sums
}
