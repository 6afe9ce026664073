//! The model owner's commands: `import`, `inspect`, `evaluate`. Each answers on standard output and touches no
//! network.

use std::{
    io::{self, Write},
    path::Path,
};

use serde_json::{Value, json};
use tiresias_circuits::{
    Card, Features, HeadShape, LinearHead, Plan, Privacy, QuantizedHead, Quantizer, clear,
    label::Label,
    plan::{Decision, LabelPolicy},
    quantize::Granularity,
    scores,
};
use tiresias_keys::{BootstrapParameters, EvaluationKey, Seed};

use crate::{
    cli::{DecisionArg, EvaluateArgs, ImportArgs, ModelArgs, PolicyArg, ScaleArg},
    import,
    repository::{self, Repository, StoredModel, read_file},
};

/// Features files of a model owner may be this large.
const MAXIMUM_FEATURES_BYTES: u64 = 1 << 30;
const MAXIMUM_HEAD_BYTES: u64 = 64 << 20;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The head's file was refused.
    #[error("{source}")]
    Import {
        /// Which rule it broke.
        source: import::ImportError,
    },
    /// Shapes, widths or features were refused.
    #[error(transparent)]
    Circuit(#[from] tiresias_circuits::Error),
    /// The repository or a file could not be read or written.
    #[error(transparent)]
    Repository(#[from] repository::Error),
    /// A label with another privacy than `flooded`.
    #[error("--privacy: a label is always flooded; leave the option out")]
    LabelPrivacy,
    /// Thresholds without a decision by thresholds.
    #[error("--thresholds goes with --policy label --decision thresholds")]
    Thresholds,
    /// A thresholds file that is not a number a line.
    #[error("the thresholds file is not text with one number a line")]
    ThresholdsFile,
    /// A labels file that is not UTF-8 text.
    #[error("the labels file is not UTF-8 text with one label a line")]
    Labels,
    /// The operating system gave no entropy.
    #[error("the operating system gave no entropy")]
    Entropy(#[from] getrandom::Error),
    /// Standard output is gone.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Import { source } => source.code(),
            Self::Circuit(error) => error.code(),
            Self::Repository(error) => error.code(),
            Self::LabelPrivacy => "label_privacy",
            Self::Thresholds => "thresholds",
            Self::ThresholdsFile => "bad_thresholds",
            Self::Labels => "bad_labels",
            Self::Entropy(_) => "entropy",
            Self::Output(_) => "output",
        }
    }
}

/// Reads, quantizes and stores a head.
pub fn import(args: &ImportArgs, out: &mut impl Write) -> Result<(), Error> {
    let name = args.head.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let imported = import::read_head(name, &read_file(&args.head, MAXIMUM_HEAD_BYTES)?)
        .map_err(|source| Error::Import { source })?;
    let head = match &args.labels {
        None => imported.head,
        Some(path) => imported.head.with_labels(read_labels(path)?)?,
    };
    let head = match &args.label.thresholds {
        None => head,
        Some(_) if decision(args, head.classes()) != Some(Decision::Thresholds) => {
            return Err(Error::Thresholds);
        }
        Some(path) => head.with_thresholds(&read_thresholds(path)?)?,
    };
    let calibration = read_features(&args.calibration, head.features())?;

    let granularity = match args.scale {
        ScaleArg::PerFeature => Granularity::PerFeature,
        ScaleArg::PerTensor => Granularity::PerTensor,
    };
    let quantizer = Quantizer::calibrate(&calibration, args.bits, granularity)?;
    let quantized = QuantizedHead::quantize(&head, &quantizer, args.weight_bits.unwrap_or(args.bits))?;
    let plan = match args.policy {
        PolicyArg::Scores => Plan::new(*quantized.head.shape(), args.privacy.parse()?)?,
        PolicyArg::Label => plan_label(args, &quantized.head)?,
    };
    let agreement =
        agreement(&head, &quantized.head, &quantizer, quantized.score_scale, &plan, &calibration)?;

    let repository = Repository::new(&args.repo);
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let card = Card::new(
        &args.name,
        repository.next_version(&args.name)?,
        head.labels().to_vec(),
        quantizer,
        quantized.score_scale,
        plan,
        Seed::from_bytes(seed),
    )?;
    let config = repository.store(&card, &quantized.head)?;

    if args.json {
        let line = json!({
            "name": card.name(),
            "version": card.version(),
            "config_id": config.to_string(),
            "calibration_rows": calibration.rows(),
            "calibration_label_agreement": agreement,
            "weights_limited_by_bias": quantized.limited_by_bias,
            "ignored_operators": imported.ignored,
            "stages": plan.label_policy().map(|policy| policy.stages),
            "zone": plan.label_policy().map(|policy| policy.zone),
        });
        writeln!(out, "{line}")?;
        return Ok(());
    }
    writeln!(out, "imported {} version {} (config id {config})", card.name(), card.version())?;
    writeln!(
        out,
        "labels of the quantized head agree with the float head on {:.2} % of {} calibration rows",
        100.0 * agreement,
        calibration.rows()
    )?;
    if let Some(policy) = plan.label_policy() {
        let bootstraps = policy.bootstraps(plan.shape());
        writeln!(out, "a label takes {bootstraps} bootstraps: {} stages a sign", policy.stages)?;
        if policy.zone > 0 {
            let zone = policy.zone as f64 * quantized.score_scale;
            writeln!(
                out,
                "decisions by less than {zone:.4} may be answered `review`; more stages leave none"
            )?;
        }
    }
    if quantized.limited_by_bias {
        writeln!(out, "note: a large bias sets the step of the weights, which use fewer than their bits")?;
    }
    if !imported.ignored.is_empty() {
        writeln!(out, "left to the client: {}", imported.ignored.join(", "))?;
    }
    Ok(())
}

/// What a label is, where the policy is label: by default what the number of classes suggests.
fn decision(args: &ImportArgs, classes: usize) -> Option<Decision> {
    let wanted = match args.label.decision {
        Some(DecisionArg::Argmax) => Decision::Argmax,
        Some(DecisionArg::Thresholds) => Decision::Thresholds,
        None if classes == 1 => Decision::Thresholds,
        None => Decision::Argmax,
    };
    (args.policy == PolicyArg::Label).then_some(wanted)
}

/// The plan of a label: as many stages as leave nothing undecided, or as the owner wants.
fn plan_label(args: &ImportArgs, head: &QuantizedHead) -> Result<Plan, Error> {
    if args.privacy.parse::<Privacy>()? != Privacy::Flooded {
        return Err(Error::LabelPrivacy);
    }
    let decision = decision(args, head.shape().classes).unwrap_or(Decision::Argmax);
    let bootstrap =
        BootstrapParameters::by_name(&args.label.bootstrap).map_err(tiresias_circuits::Error::from)?;
    let policy = LabelPolicy::for_head(head, decision, bootstrap, args.label.stages.map(usize::from))?;
    Ok(Plan::label(*head.shape(), policy)?)
}

/// The share of calibration rows whose label the quantized head keeps: the class, or with thresholds every finding.
fn agreement(
    head: &LinearHead,
    quantized: &QuantizedHead,
    quantizer: &Quantizer,
    score_scale: f64,
    plan: &Plan,
    rows: &Features,
) -> Result<f64, Error> {
    let decision = plan.label_policy().map(|policy| policy.decision);
    let mut same = 0;
    for row in rows {
        let integers = clear::scores(quantized, &quantizer.quantize(row)?.values)?;
        let class = scores::read(&integers, score_scale).class;
        let floats = head.scores(row);
        if decision == Some(Decision::Thresholds) {
            same += usize::from(
                integers.iter().zip(&floats).all(|(integer, float)| (*integer >= 0) == (*float >= 0.0)),
            );
            continue;
        }
        let float_class = match floats.as_slice() {
            [score] => (*score > 0.0).then_some(0),
            _ => floats.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1)).map(|(class, _)| class),
        };
        same += usize::from(class == float_class);
    }
    Ok(same as f64 / rows.rows() as f64)
}

/// Shows a stored model.
pub fn inspect(args: &ModelArgs, out: &mut impl Write) -> Result<(), Error> {
    let model = Repository::new(&args.repo).load(&args.name, args.version)?;
    let facts = facts(&model);
    if args.json {
        writeln!(out, "{facts}")?;
        return Ok(());
    }
    let leak = model.card.plan().leak();
    let words = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for (key, value) in facts.as_object().into_iter().flatten().filter(|(key, _)| *key != "leak") {
        let value = match key.as_str() {
            "log2_p_fail" if value.is_null() => "none: the answer is always exact".into(),
            "log2_p_fail" => format!("{:.1}", value.as_f64().unwrap_or_default()),
            "noise_bound_log2" => format!("{:.1}", value.as_f64().unwrap_or_default()),
            _ => words(value),
        };
        writeln!(out, "{key:>22}  {value}")?;
    }
    match (leak.bits_per_score, leak.statistical_distance_log2) {
        (Some(bits), Some(distance)) => {
            let what = if model.card.plan().label_policy().is_some() { "coefficient" } else { "score" };
            writeln!(out, "{:>22}  at most {bits} bits per returned {what}, for any client", "leak")?;
            let hidden = match model.card.plan().privacy() {
                Privacy::Statistical => "all noise",
                _ if model.card.plan().label_policy().is_some() => "noise of bootstraps",
                _ => "weight noise, not all of it: see SECURITY.md,",
            };
            writeln!(
                out,
                "{:>22}  {hidden} moves the flood by a distance of 2^{distance:.1} a vector, for clients that encrypt \
                 as specified",
                ""
            )?;
        }
        _ => writeln!(out, "{:>22}  the weights are open: one answer may give them away", "leak")?,
    }
    Ok(())
}

fn facts(model: &StoredModel) -> Value {
    let (card, plan) = (&model.card, model.card.plan());
    let (shape, leak, label) = (plan.shape(), plan.leak(), plan.label_policy());
    let mut facts = json!({
        "name": card.name(),
        "version": card.version(),
        "config_id": model.config.to_string(),
        "parameters": plan.parameters().name(),
        "security_bits": plan.parameters().security_bits(),
        "d": shape.features,
        "classes": shape.classes,
        "feature_bits": shape.feature_bits,
        "weight_bits": shape.weight_bits,
        "t": plan.plaintext_bits(),
        "r": plan.response_bits(),
        "ciphertexts": plan.layout().ciphertexts,
        "groups": plan.response_shape().groups(),
        "request_bytes": plan.request_shape().encoded_len(),
        "response_bytes": plan.response_shape().encoded_len(),
        "noise_bound_log2": (plan.noise_bound() as f64).log2(),
        "log2_p_fail": label.map(|policy| policy.log2_p_fail(shape)),
        "policy": if label.is_some() { "label" } else { "scores" },
        "privacy": plan.privacy().name(),
        "leak": {
            "bits_per_score": leak.bits_per_score,
            "statistical_distance_log2": leak.statistical_distance_log2,
        },
        "vectors_to_determine": leak.vectors_to_determine,
        "vectors_for_any_client": leak.vectors_for_any_client,
        "bootstraps": label.map_or(0, |policy| policy.bootstraps(shape)),
        "evaluation_key_bytes": label.map_or(0, |policy| EvaluationKey::encoded_len(policy.bootstrap)),
    });
    if let Some(policy) = label {
        facts["decision"] = policy.decision.name().into();
        facts["stages"] = policy.stages.into();
        facts["zone"] = policy.zone.into();
        facts["zone_score"] = (policy.zone as f64 * card.score_scale()).into();
        facts["bootstrap_parameters"] = policy.bootstrap.name().into();
        facts["predicted_core_seconds"] = predicted_core_seconds(policy, shape).into();
    }
    facts
}

/// Seconds of one core with AVX-512 IFMA, from the milliseconds of a bootstrap in benches/README.md.
fn predicted_core_seconds(policy: &LabelPolicy, shape: &HeadShape) -> f64 {
    let milliseconds = match (policy.bootstrap.group(), policy.bootstrap.rotation().levels) {
        (1, 1) => 18.9,
        (1, _) => 26.0,
        (_, 1) => 9.8,
        _ => 15.5,
    };
    (policy.bootstraps(shape) as f64 * milliseconds / 10.0).round() / 100.0
}

/// Scores features in the clear.
pub fn evaluate(args: &EvaluateArgs, out: &mut impl Write) -> Result<(), Error> {
    let model = Repository::new(&args.model.repo).load(&args.model.name, args.model.version)?;
    let card = &model.card;
    let rows = read_features(&args.features, card.plan().shape().features)?;
    for (index, row) in rows.iter().enumerate() {
        let row = card.quantizer().quantize(row)?.values;
        if let Some(policy) = card.plan().label_policy() {
            let label = named(card, &clear::label(&model.head, policy.decision, &row)?);
            match args.model.json {
                true => writeln!(out, "{}", json!({"index": index, "label": label}))?,
                false => writeln!(out, "{index:>6}  {label}")?,
            }
            continue;
        }
        let scores_q = clear::scores(&model.head, &row)?;
        let reading = scores::read(&scores_q, card.score_scale());
        let label = reading.class.and_then(|class| card.labels().get(class));
        if args.model.json {
            let line = json!({
                "index": index,
                "label": label,
                "scores_q": scores_q,
                "scores": reading.scores,
                "margin": reading.margin,
            });
            writeln!(out, "{line}")?;
        } else {
            let label = label.map_or("none", String::as_str);
            writeln!(out, "{index:>6}  {label:<24} margin {:.4}", reading.margin)?;
        }
    }
    Ok(())
}

/// A label in the card's words: a class, or the list of classes whose score is 0 or more.
fn named(card: &Card, label: &Label) -> Value {
    match label {
        Label::Class(class) => class.and_then(|class| card.labels().get(class)).cloned().into(),
        Label::Findings(findings) => {
            let found = card.labels().iter().zip(findings).filter(|(_, finding)| **finding == Some(true));
            found.map(|(label, _)| Value::from(label.as_str())).collect()
        }
    }
}

fn read_features(path: &Path, columns: usize) -> Result<Features, Error> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let features = Features::from_named(name, &read_file(path, MAXIMUM_FEATURES_BYTES)?)?;
    features.expect_columns(columns)?;
    Ok(features)
}

fn read_thresholds(path: &Path) -> Result<Vec<f64>, Error> {
    let text = String::from_utf8(read_file(path, 2 << 20)?).map_err(|_| Error::ThresholdsFile)?;
    let numbers: Result<Vec<f64>, _> = text.lines().map(|line| line.trim().parse()).collect();
    numbers.map_err(|_| Error::ThresholdsFile)
}

fn read_labels(path: &Path) -> Result<Vec<String>, Error> {
    let text = String::from_utf8(read_file(path, 2 << 20)?).map_err(|_| Error::Labels)?;
    Ok(text.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect())
}
