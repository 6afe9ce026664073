//! A float head becomes integers and a plan, as the options say.

use tiresias_circuits::{
    Explanation, Features, Plan, Privacy, QuantizedHead, Quantizer,
    mlp::{MlpOptions, QuantizedMlp},
    plan::{ActivationRange, Decision, LabelPolicy},
};
use tiresias_keys::BootstrapParameters;

use super::Error;
use crate::{
    cli::{CircuitArgs, DecisionArg, PolicyArg, PrecisionArg, RangeArg},
    import::ImportedHead,
    repository::StoredHead,
};

/// The fastest parameter set of bootstraps, and the fastest under which sums of activations are exact.
const FASTEST: &str = "N918_N2048_Q50_G2";
const FASTEST_EXACT: &str = "N918_N2048_Q50_L2_G2";

/// A quantized head and what its card says.
pub(super) struct Quantized {
    pub(super) head: StoredHead,
    pub(super) plan: Plan,
    pub(super) score_scale: f64,
    pub(super) limited_by_bias: bool,
}

/// What a label is, where the policy is label: by default what the number of classes suggests.
pub(super) fn decision(args: &CircuitArgs, classes: usize) -> Option<Decision> {
    let wanted = match args.label.decision {
        Some(DecisionArg::Argmax) => Decision::Argmax,
        Some(DecisionArg::Thresholds) => Decision::Thresholds,
        None if classes == 1 => Decision::Thresholds,
        None => Decision::Argmax,
    };
    (args.policy == PolicyArg::Label).then_some(wanted)
}

/// Quantizes a head and plans its circuit.
pub(super) fn quantize(
    args: &CircuitArgs,
    head: &ImportedHead,
    quantizer: &Quantizer,
    calibration: &Features,
    explanation: Option<&Explanation>,
) -> Result<Quantized, Error> {
    let privacy: Privacy = args.privacy.parse()?;
    let decision = decision(args, head.labels().len());
    let is_bootstrapped = decision.is_some() || matches!(head, ImportedHead::Mlp(_));
    if is_bootstrapped && privacy != Privacy::Flooded {
        return Err(Error::LabelPrivacy);
    }
    if is_bootstrapped && explanation.is_some() {
        return Err(Error::Explanation);
    }
    let weight_bits = args.weight_bits.unwrap_or(args.bits);
    let stages = args.label.stages.map(usize::from);
    match head {
        ImportedHead::Linear(head) => {
            for (option, given) in [
                ("--activation-bits", args.hidden.activation_bits.is_some()),
                ("--inner-weight-bits", args.hidden.inner_weight_bits.is_some()),
                ("--range", args.hidden.range.is_some()),
                ("--precision", args.hidden.precision.is_some()),
            ] {
                if given {
                    return Err(Error::NoHiddenLayers(option));
                }
            }
            let quantized = QuantizedHead::quantize(head, quantizer, weight_bits)?;
            let shape = *quantized.head.shape();
            let (head, plan) = match (decision, explanation.and_then(Explanation::groups)) {
                (None, Some(groups)) => {
                    (groups.expand(&quantized.head)?, Plan::explained(shape, groups.grouping(), privacy)?)
                }
                (None, None) => (quantized.head, Plan::new(shape, privacy)?),
                (Some(decision), _) => {
                    let bootstrap = bootstrap(args, FASTEST)?;
                    let policy = LabelPolicy::for_head(&quantized.head, decision, bootstrap, stages)?;
                    (quantized.head, Plan::label(shape, policy)?)
                }
            };
            Ok(Quantized {
                head: StoredHead::Linear(head),
                plan,
                score_scale: quantized.score_scale,
                limited_by_bias: quantized.limited_by_bias,
            })
        }
        ImportedHead::Mlp(head) => {
            let set = match args.hidden.precision {
                Some(PrecisionArg::Approximate) => FASTEST,
                Some(PrecisionArg::Exact) | None => FASTEST_EXACT,
            };
            let range = match args.hidden.range {
                Some(RangeArg::Proved) | None => ActivationRange::Proved,
                Some(RangeArg::Calibrated) => ActivationRange::Calibrated,
            };
            let options = MlpOptions {
                weight_bits,
                inner_weight_bits: args.hidden.inner_weight_bits,
                activation_bits: args.hidden.activation_bits.unwrap_or(4),
                bootstrap: bootstrap(args, set)?,
                range,
                decision,
                stages,
            };
            let quantized = QuantizedMlp::quantize(head, quantizer, calibration, &options)?;
            Ok(Quantized {
                plan: quantized.plan()?,
                score_scale: quantized.score_scale,
                head: StoredHead::Mlp(Box::new(quantized.head)),
                limited_by_bias: false,
            })
        }
    }
}

fn bootstrap(args: &CircuitArgs, default: &str) -> Result<&'static BootstrapParameters, Error> {
    let name = args.label.bootstrap.as_deref().unwrap_or(default);
    Ok(BootstrapParameters::by_name(name).map_err(tiresias_circuits::Error::from)?)
}
