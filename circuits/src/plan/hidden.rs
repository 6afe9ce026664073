//! The plan of a head with hidden layers: its public numbers, and what follows from them. The first layer is evaluated like
//! a linear head; each neuron is a bootstrap; what is returned comes from sums of their results.

use tiresias_keys::BootstrapParameters;

use super::{HeadShape, LabelPolicy, Leak, MAXIMUM_WEIGHTS, Plan, Policy, Widths, search};
use crate::{
    Error,
    bootstrap::noise::{log2_tail, margin_deviations, output_bound, output_variance},
    ladder,
    mlp::{MAXIMUM_HIDDEN_LAYERS, MAXIMUM_NEURONS},
};

/// Bits of the circle above the widest sum of the first layer: its neurons scale their sums by integers, and so to a
/// sixteenth.
const FIRST_LAYER_ROOM: u32 = 4;

/// How far the sums of a neuron may go before the circle of its bootstrap wraps around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivationRange {
    /// As far as the weights and the features' widths allow: never.
    Proved,
    /// Half as far again as on the calibration features, or farther. Beyond, an activation is wrong.
    Calibrated,
}

impl ActivationRange {
    /// The name in cards and command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::Calibrated => "calibrated",
        }
    }
}

impl std::str::FromStr for ActivationRange {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        [Self::Proved, Self::Calibrated]
            .into_iter()
            .find(|range| range.name() == name)
            .ok_or(Error::OutOfRange { what: "the range of activations", rule: "proved or calibrated" })
    }
}

/// The public numbers of hidden layers. The first layer's weights have the bits of the head's shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HiddenLayers {
    /// Neurons of each layer, in order; 0 behind the last.
    pub neurons: [usize; MAXIMUM_HIDDEN_LAYERS],
    /// Width of an activation, 2 to 4 bits: 0 to 2^bits - 1.
    pub activation_bits: u32,
    /// Width of the weights of each layer behind the first, the one that gives the scores included; 0 behind it.
    pub weight_bits: [u32; MAXIMUM_HIDDEN_LAYERS],
    /// Bits t of the widest score.
    pub score_bits: u32,
    /// A bound of the root of the sum of the squares of a class's weights: noise of a score, in noises of a result.
    pub score_norm: u64,
    /// How far sums may go.
    pub range: ActivationRange,
    /// The parameter set of the bootstraps.
    pub bootstrap: &'static BootstrapParameters,
}

impl HiddenLayers {
    /// Hidden layers, 1 to 3.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.neurons.iter().take_while(|neurons| **neurons > 0).count()
    }

    /// Neurons of all layers: as many bootstraps.
    #[must_use]
    pub fn bootstraps(&self) -> usize {
        self.neurons.iter().sum()
    }

    /// Whether scores are exact sums of the activations. Under one level the noise of results is above a score's unit, and
    /// scores are approximate.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.bootstrap.rotation().levels > 1
    }

    /// The name of the choice between exact and approximate sums.
    #[must_use]
    pub fn precision(&self) -> &'static str {
        if self.is_exact() { "exact" } else { "approximate" }
    }

    /// The standard deviation of a score's noise, in units of 1/q.
    #[must_use]
    pub fn score_deviation(&self) -> u128 {
        (output_variance(self.bootstrap) * self.squares()).isqrt() + 1
    }

    /// Bits c that an answer leaves out: it holds round(score / 2^c). 0 for exact scores; else 2^c is the first power of
    /// two above the noise's standard deviation.
    #[must_use]
    pub fn coarse_bits(&self) -> u32 {
        self.coarse_bits_at(self.score_bits)
    }

    /// As [`HiddenLayers::coarse_bits`], for scores of `t` bits.
    pub(crate) fn coarse_bits_at(&self, t: u32) -> u32 {
        let unit = self.bootstrap.glwe().modulus() >> t;
        match self.is_exact() {
            true => 0,
            false => (0..t).find(|&c| unit << c >= self.score_deviation()).unwrap_or(t),
        }
    }

    pub(crate) fn squares(&self) -> u128 {
        u128::from(self.score_norm).pow(2)
    }

    /// The first layer as a linear head.
    #[must_use]
    pub fn first_layer(&self, shape: &HeadShape) -> HeadShape {
        HeadShape { classes: self.neurons[0], ..*shape }
    }

    /// Bits t of an encoded feature.
    pub(crate) fn plaintext_bits(&self, shape: &HeadShape) -> u32 {
        self.first_layer(shape).plaintext_bits() + FIRST_LAYER_ROOM
    }

    fn check(&self, shape: &HeadShape) -> Result<(), Error> {
        self.first_layer(shape).check()?;
        let layers = self.layers();
        let is_width = |bits: &u32| (2..=8).contains(bits);
        // Of the last layer; the others have at most 2^20.
        let outputs = shape.classes.saturating_mul(self.neurons[layers.saturating_sub(1)]);
        for (what, rule, holds) in [
            (
                "the neurons of a hidden layer",
                "1 to 1024",
                layers > 0
                    && self.neurons.iter().all(|neurons| *neurons <= MAXIMUM_NEURONS)
                    && self.neurons[layers..].iter().all(|neurons| *neurons == 0),
            ),
            ("activation bits", "2 to 4", (2..=4).contains(&self.activation_bits)),
            (
                "weight bits of the layers",
                "2 to 8",
                self.weight_bits[..layers].iter().all(is_width)
                    && self.weight_bits[layers..].iter().all(|bits| *bits == 0),
            ),
            ("weights", "at most 8388608", outputs <= MAXIMUM_WEIGHTS),
            ("score bits", "2 to 24", (2..=24).contains(&self.score_bits)),
            ("the score norm", "1 to 1048576", (1..=1 << 20).contains(&self.score_norm)),
        ] {
            if !holds {
                return Err(Error::OutOfRange { what, rule });
            }
        }
        Ok(())
    }

    /// log2 of the probability that in one answer an activation is off by more than a level, an exact score by anything, or
    /// a label differs from what the activations give. A sum beyond a calibrated range is not counted.
    pub(super) fn log2_p_fail(&self, shape: &HeadShape, label: Option<&LabelPolicy>) -> f64 {
        let (bootstraps, inputs) = match label {
            Some(policy) => (policy.bootstraps(shape) + policy.answers(shape), ladder::MAXIMUM_INPUTS),
            None => (shape.classes, 0),
        };
        // Sums keep 15 deviations.
        let deviations = margin_deviations(self.bootstrap, inputs).min(15.0);
        log2_tail(deviations, self.bootstraps() + bootstraps)
    }

    fn weight_bits_of_all(&self, shape: &HeadShape) -> usize {
        let first = shape.features * self.neurons[0] * shape.weight_bits as usize;
        let inputs = &self.neurons[..self.layers()];
        let outputs = inputs.iter().skip(1).chain([&shape.classes]);
        let later = inputs.iter().zip(outputs).zip(&self.weight_bits);
        first + later.map(|((inputs, outputs), bits)| inputs * outputs * *bits as usize).sum::<usize>()
    }
}

/// The plan of scores, or of a label.
pub(super) fn plan(
    shape: HeadShape,
    hidden: HiddenLayers,
    label: Option<LabelPolicy>,
) -> Result<Plan, Error> {
    shape.check()?;
    hidden.check(&shape)?;
    let (policy, answer_bits, results) = match label {
        Some(policy) => {
            policy.check(&shape)?;
            if policy.bootstrap != hidden.bootstrap {
                return Err(Error::CardMismatch("parameter set of bootstraps"));
            }
            let results = output_bound(policy.bootstrap, policy.terms(&shape));
            (Policy::Label(policy), policy.answer_bits(&shape), results)
        }
        None => {
            let noise = output_bound(hidden.bootstrap, hidden.squares() as usize);
            let bits = hidden.score_bits.checked_sub(hidden.coarse_bits()).filter(|bits| *bits >= 2);
            let bits = bits.ok_or(Error::HiddenDoNotFit("their noise hides the scores"))?;
            // Half a unit for each table value times its weight, and for a bias.
            let rounding = (1 << 20) * MAXIMUM_NEURONS as u128;
            (Policy::Scores, bits, if hidden.is_exact() { noise + rounding } else { 0 })
        }
    };
    let parameters = hidden.bootstrap.glwe();
    let answer = search::Answer { parameters, bits: answer_bits, results };
    let fitted = search::bootstrapped(&answer).ok_or(Error::HiddenDoNotFit(
        "exact scores leave no room for noise: use fewer weight bits in the last layer",
    ))?;
    Ok(fitted.into_plan(shape, policy, Some(hidden), parameters))
}

/// Bits are all that is bounded: how many answers determine a head with hidden layers depends on the head.
pub(super) fn leak(plan: &Plan, hidden: &HiddenLayers, widths: &Widths) -> Leak {
    let (bits, answers) = (search::told_bits(plan.parameters(), widths), plan.answers());
    let noise = match plan.label_policy() {
        Some(policy) => output_bound(policy.bootstrap, policy.terms(plan.shape())),
        None => output_bound(hidden.bootstrap, hidden.squares() as usize),
    };
    let distance = (answers as f64 * noise as f64).log2() - f64::from(widths.flood + 1);
    Leak {
        statistical_distance_log2: Some(distance.min(0.0)),
        bits_per_score: Some(bits),
        vectors_to_determine: None,
        vectors_for_any_client: hidden.weight_bits_of_all(plan.shape()).div_ceil(answers * bits as usize),
    }
}
