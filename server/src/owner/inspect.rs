//! `inspect`: what a stored model costs, protects and promises.

use std::io::Write;

use serde_json::{Value, json};
use tiresias_circuits::{Calibration, Explanation, Privacy};
use tiresias_keys::{BootstrapParameters, EvaluationKey};

use super::Error;
use crate::{
    cli::ModelArgs,
    repository::{Repository, StoredModel},
};

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
            "noise_bound_log2" | "score_noise" => format!("{:.2}", value.as_f64().unwrap_or_default()),
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
                _ if model.card.plan().bootstrap().is_some() => "noise of bootstraps",
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
        "security_bits": plan.bootstrap().map_or(plan.parameters().security_bits(), |set| set.security_bits()),
        "d": shape.features,
        "classes": card.labels().len(),
        "feature_bits": shape.feature_bits,
        "weight_bits": shape.weight_bits,
        "t": plan.plaintext_bits(),
        "r": plan.response_bits(),
        "ciphertexts": plan.layout().ciphertexts,
        "groups": plan.response_shape().groups(),
        "request_bytes": plan.request_shape().encoded_len(),
        "response_bytes": plan.response_shape().encoded_len(),
        "noise_bound_log2": (plan.noise_bound() as f64).log2(),
        "log2_p_fail": plan.log2_p_fail(),
        "policy": if label.is_some() { "label" } else { "scores" },
        "privacy": plan.privacy().name(),
        "leak": {
            "bits_per_score": leak.bits_per_score,
            "statistical_distance_log2": leak.statistical_distance_log2,
        },
        "vectors_to_determine": leak.vectors_to_determine,
        "vectors_for_any_client": leak.vectors_for_any_client,
        "bootstraps": plan.bootstraps(),
        "evaluation_key_bytes": plan.bootstrap().map_or(0, EvaluationKey::encoded_len),
    });
    match card.explanation() {
        Some(Explanation::Groups(groups)) => {
            facts["explain"] = "groups".into();
            facts["groups_of_features"] = groups.names().into();
        }
        Some(Explanation::Map(map)) => {
            facts["explain"] = "map".into();
            facts["locations"] = json!([map.height(), map.width()]);
            let scans = |vectors: usize| vectors.div_ceil(map.locations());
            facts["scans_to_determine"] = leak.vectors_to_determine.map(scans).into();
        }
        None => {}
    }
    if let Some(cohort) = card.cohort() {
        let (leak, patients) = (cohort.leak(), cohort.parameters().maximum_patients());
        facts["cohort"] = json!({
            "parameters": cohort.parameters().name(),
            "r": cohort.response_bits(),
            "patients_per_block": patients,
            "block_bytes": cohort.request_shape().encoded_len(patients),
            "answer_bytes": cohort.response_shape(patients).encoded_len(),
            "noise_bound_log2": (cohort.noise_bound() as f64).log2(),
            "leak": {
                "bits_per_score": leak.bits_per_score,
                "statistical_distance_log2": leak.statistical_distance_log2,
            },
            "vectors_for_any_client": leak.vectors_for_any_client,
        });
    }
    facts["drift_limit"] = card.calibration().map(Calibration::limit).into();
    facts["backbone"] = card.backbone().map(ToString::to_string).into();
    if let Some(policy) = label {
        facts["decision"] = policy.decision.name().into();
        facts["stages"] = policy.stages.into();
        facts["zone"] = policy.zone.into();
        facts["zone_score"] = (policy.zone as f64 * card.score_scale()).into();
    }
    if let Some(hidden) = plan.hidden() {
        let layers = hidden.layers();
        facts["hidden"] = hidden.neurons[..layers].into();
        facts["activation_bits"] = hidden.activation_bits.into();
        facts["inner_weight_bits"] = hidden.weight_bits[..layers].into();
        facts["range"] = hidden.range.name().into();
        facts["precision"] = hidden.precision().into();
        facts["score_bits"] = hidden.score_bits.into();
        let deviation =
            hidden.score_deviation() as f64 / (plan.parameters().modulus() >> hidden.score_bits) as f64;
        facts["score_noise"] = deviation.into();
    }
    if let Some(bootstrap) = plan.bootstrap() {
        facts["bootstrap_parameters"] = bootstrap.name().into();
        facts["predicted_core_seconds"] = predicted_core_seconds(bootstrap, plan.bootstraps()).into();
    }
    facts
}

/// Seconds of one core with AVX-512 IFMA, from the milliseconds of a bootstrap in benches/README.md.
fn predicted_core_seconds(parameters: &BootstrapParameters, bootstraps: usize) -> f64 {
    let milliseconds = match (parameters.group(), parameters.rotation().levels) {
        (1, 1) => 18.9,
        (1, _) => 26.0,
        (_, 1) => 9.8,
        _ => 15.5,
    };
    (bootstraps as f64 * milliseconds / 10.0).round() / 100.0
}
