//! Post-training quantization of a head with hidden layers, on calibration features.
//!
//! Every neuron has a step of its own: its activation a of 0 to n says that ReLU's output is nearest to a * step, n steps
//! being the largest that was seen in calibration. What stands behind the ReLU makes scale * step * a + shift of it. So a
//! batch normalization's scales, however far apart, leave every neuron all of its levels; the layer behind is quantized
//! for inputs in units of these levels.
//!
//! A neuron's n is the largest, up to 2^bits - 1, for which its circle holds its range and a margin between thresholds: with
//! 4 bits sums may go about as far below 0 as the largest above it.

use tiresias_keys::BootstrapParameters;

use super::{
    HiddenLayer, MlpHead, QuantizedLayer, QuantizedMlp,
    layer::{squares, wide},
    ramp::{FloatNeuron, Inputs, Ramp},
};
use crate::{
    Error, Features, HeadShape, Plan, Quantizer,
    bootstrap::noise::{position_margin, sum_margin},
    plan::{ActivationRange, Decision, LabelPolicy},
};

/// What the owner of a head with hidden layers chooses.
#[derive(Debug, Clone, Copy)]
pub struct MlpOptions {
    /// Weights of the first layer, 2 to 8 bits.
    pub weight_bits: u32,
    /// Weights of the other layers, 2 to 8 bits; by default as many as noise leaves room for.
    pub inner_weight_bits: Option<u32>,
    /// The most bits of an activation, 2 to 4.
    pub activation_bits: u32,
    /// The parameter set: two levels for exact sums, one for approximate ones.
    pub bootstrap: &'static BootstrapParameters,
    /// How far sums may go.
    pub range: ActivationRange,
    /// What a label is, where one is answered.
    pub decision: Option<Decision>,
    /// Bootstraps of a sign, where the owner wants fewer than decide.
    pub stages: Option<usize>,
}

/// What quantizing gives.
#[derive(Debug, Clone)]
pub struct MlpQuantization {
    /// The integers.
    pub head: QuantizedMlp,
    /// score = score_q * score_scale, score_q being what an answer holds.
    pub score_scale: f64,
    /// The label's numbers, where one is answered.
    pub label: Option<LabelPolicy>,
}

impl MlpQuantization {
    /// The plan of the answers.
    pub fn plan(&self) -> Result<Plan, Error> {
        Plan::mlp(*self.head.shape(), *self.head.public(), self.label)
    }
}

impl QuantizedMlp {
    /// Quantizes a head for features quantized by `quantizer`, calibrated on `rows`.
    ///
    /// Errors where no number of activation levels or weight bits fits.
    pub fn quantize(
        head: &MlpHead,
        quantizer: &Quantizer,
        rows: &Features,
        options: &MlpOptions,
    ) -> Result<MlpQuantization, Error> {
        let shape = HeadShape {
            features: head.features(),
            classes: head.classes(),
            feature_bits: quantizer.bits(),
            weight_bits: options.weight_bits,
        };
        rows.expect_columns(shape.features)?;
        let is_exact = options.bootstrap.rotation().levels > 1;
        let hidden_bits = options.inner_weight_bits.unwrap_or(if is_exact { 8 } else { 4 });
        let limit = shape.feature_limit();
        let mut inputs = Inputs {
            rows: rows.iter().map(|row| Ok(quantizer.quantize(row)?.values)).collect::<Result<_, Error>>()?,
            steps: (0..shape.features).map(|feature| quantizer.scale_of(feature)).collect(),
            offsets: (0..shape.features).map(|feature| quantizer.offset_of(feature)).collect(),
            ends: vec![(-limit, limit); shape.features],
        };
        let mut layers = Vec::new();
        for layer in head.hidden() {
            let is_first = layers.is_empty();
            let bits = if is_first { options.weight_bits } else { hidden_bits };
            let (quantized, outputs) = quantize_layer(layer, &inputs, options, is_first, bits)?;
            layers.push(quantized);
            inputs = outputs;
        }

        // The last layer's weights are as wide as noise allows.
        let widths = match (options.inner_weight_bits, is_exact) {
            (Some(bits), _) => vec![bits],
            (None, true) => (2..=8).rev().collect(),
            (None, false) => vec![4, 3, 2],
        };
        let mut best: Option<MlpQuantization> = None;
        let mut refused = Error::HiddenDoNotFit("no width of the last layer's weights fits");
        for bits in widths {
            let (weight, bias, step) = quantize_output(head, &inputs, bits)?;
            let attempt = Self::new(
                shape,
                options.activation_bits,
                options.bootstrap,
                layers.clone(),
                (bits, weight, bias),
            );
            let quantization = attempt.and_then(|head| {
                let label =
                    options.decision.map(|decision| label_policy(&head, decision, options)).transpose()?;
                let score_scale = step * f64::from(1_u32 << head.public().coarse_bits());
                let quantization = MlpQuantization { head, score_scale, label };
                quantization.plan()?;
                Ok(quantization)
            });
            match quantization {
                Err(error) => refused = error,
                Ok(found) if found.zone() == 0.0 => return Ok(found),
                Ok(found) if best.as_ref().is_none_or(|best| found.zone() < best.zone()) => {
                    best = Some(found)
                }
                Ok(_) => {}
            }
        }
        best.ok_or(refused)
    }
}

impl MlpQuantization {
    /// The width of the label's undecided zone in scores; 0 where there is none.
    fn zone(&self) -> f64 {
        self.label.map_or(0.0, |label| label.zone as f64 * self.score_scale)
    }
}

/// The fewest stages that decide every label, or as many as help.
fn label_policy(head: &QuantizedMlp, decision: Decision, options: &MlpOptions) -> Result<LabelPolicy, Error> {
    let mut policy = LabelPolicy { decision, stages: 1, zone: 0, bootstrap: options.bootstrap };
    let range = head.range(&policy);
    let decided = policy.fit(range, options.stages);
    if decided.is_err() && options.stages.is_none() {
        // Noise hides the last bits: each stage until then makes the zone smaller.
        let most = (1..=12).take_while(|&stages| policy.fit(range, Some(stages)).is_ok()).last();
        policy.fit(range, Some(most.unwrap_or(1)))?;
        return Ok(policy);
    }
    decided.map(|()| policy)
}

/// Integers for a layer, and the inputs of the next.
fn quantize_layer(
    layer: &HiddenLayer,
    inputs: &Inputs,
    options: &MlpOptions,
    is_first: bool,
    bits: u32,
) -> Result<(QuantizedLayer, Inputs), Error> {
    if !(2..=8).contains(&bits) {
        return Err(Error::OutOfRange { what: "weight bits", rule: "2 to 8" });
    }
    if !(2..=4).contains(&options.activation_bits) {
        return Err(Error::OutOfRange { what: "activation bits", rule: "2 to 4" });
    }
    let neurons: Vec<FloatNeuron> =
        layer.rows().zip(layer.bias()).map(|(row, bias)| FloatNeuron::new(row, *bias, inputs)).collect();
    if neurons.iter().any(|neuron| !neuron.is_finite()) {
        let what = "weights times input steps, and biases plus weights times offsets,";
        return Err(Error::OutOfRange { what, rule: "normal numbers" });
    }
    let Weights { weight, steps, margin } = quantize_weights(&neurons, options, is_first, bits);

    // From here on with the sums that the integers have.
    let rows = || weight.chunks_exact(layer.inputs());
    let neurons: Vec<FloatNeuron> = (neurons.iter().zip(rows()).zip(&steps))
        .map(|((neuron, row), step)| neuron.rounded(row, *step, inputs))
        .collect();
    let ramps: Vec<Ramp> = neurons.iter().map(|neuron| neuron.ramp(options, margin)).collect();
    let places = ramps.iter().zip(&steps).map(|(ramp, step)| ramp.places * step);
    let shared = places.clone().fold(f64::INFINITY, f64::min);
    let (mut thresholds, mut ranges, mut output_steps) = (Vec::new(), Vec::new(), Vec::new());
    for (index, places) in places.enumerate() {
        let (ramp, step, bias) = (&ramps[index], steps[index], neurons[index].bias);
        let sum = |value: f64| (value - bias) / step;
        let apart = (margin as f64 + 2.0) / if is_first { places } else { shared };
        let cut = |levels: usize| -> Vec<i64> {
            let level = ramp.top / levels as f64;
            (0..levels).map(|below| sum((below as f64 + 0.5) * level).ceil() as i64).collect()
        };
        let is_apart = |list: &Vec<i64>| list.windows(2).all(|pair| (pair[1] - pair[0]) as f64 >= apart);
        let list = (1..=ramp.levels).rev().map(cut).find(is_apart).unwrap_or_default();
        ranges.push((sum(ramp.held.0).floor() as i64, sum(ramp.held.1).ceil() as i64));
        output_steps.push(layer.scale()[index] * ramp.top / list.len().max(1) as f64);
        thresholds.push(list);
    }

    let ends = thresholds.iter().map(|list| (0, list.len() as i64)).collect();
    let quantized = QuantizedLayer::new(bits, weight, thresholds, ranges);
    let outputs = Inputs {
        rows: inputs.rows.iter().map(|row| quantized.activations(row)).collect(),
        steps: output_steps,
        offsets: layer.shift().to_vec(),
        ends,
    };
    Ok((quantized, outputs))
}

/// The weights of a layer, and what a unit of each row is worth.
struct Weights {
    weight: Vec<i8>,
    steps: Vec<f64>,
    /// What the position of a sum may err by.
    margin: usize,
}

fn quantize_weights(neurons: &[FloatNeuron], options: &MlpOptions, is_first: bool, bits: u32) -> Weights {
    let limit = f64::from((1_i32 << (bits - 1)) - 1);
    let round = |steps: &[f64]| -> Vec<i8> {
        let rows = neurons.iter().zip(steps);
        rows.flat_map(|(neuron, step)| neuron.weights.iter().map(move |w| (w / step).round() as i8)).collect()
    };
    let mut margin = position_margin(options.bootstrap);
    if is_first {
        // Neurons scale their sums by themselves.
        let steps: Vec<f64> = neurons.iter().map(|neuron| or_one(neuron.largest() / limit)).collect();
        return Weights { weight: round(&steps), steps, margin };
    }
    // All rows share the worth of their inputs, so rows differ by what a circle makes of their sums. The margin, which
    // says how many levels that is, holds the noise of the sums, and this follows from the weights: a few rounds agree.
    let mut weights = Weights { weight: Vec::new(), steps: Vec::new(), margin };
    for _ in 0..3 {
        let places: Vec<f64> = neurons.iter().map(|neuron| neuron.ramp(options, margin).places).collect();
        let worth = neurons.iter().zip(&places).map(|(neuron, places)| neuron.largest() * places);
        let largest = worth.fold(0.0, f64::max);
        let steps: Vec<f64> = places.iter().map(|places| or_one(largest / limit / places)).collect();
        let weight = round(&steps);
        let rows = neurons.first().map_or(1, |neuron| neuron.weights.len());
        let norms = weight.chunks_exact(rows).map(|row| squares(wide(row).into_iter()));
        margin = sum_margin(options.bootstrap, norms.max().unwrap_or(0));
        weights = Weights { weight, steps, margin };
    }
    weights
}

/// Weights, biases and the worth of a score's unit.
fn quantize_output(head: &MlpHead, inputs: &Inputs, bits: u32) -> Result<(Vec<i8>, Vec<i64>, f64), Error> {
    let output = head.output();
    let rows = output.rows().map(|(row, bias)| FloatNeuron::new(row, bias, inputs));
    let rows: Vec<FloatNeuron> = rows.collect();
    if rows.iter().any(|row| !row.is_finite()) {
        let what = "weights of the last layer times input steps, and biases,";
        return Err(Error::OutOfRange { what, rule: "normal numbers" });
    }
    let limit = f64::from((1_i32 << (bits.clamp(2, 8) - 1)) - 1);
    let step = or_one(rows.iter().map(FloatNeuron::largest).fold(0.0, f64::max) / limit);
    let weight = rows.iter().flat_map(|row| row.weights.iter().map(|w| (w / step).round() as i8)).collect();
    let bias = rows.iter().map(|row| (row.bias / step).round() as i64).collect();
    Ok((weight, bias, step))
}

/// A step; 1 where all that it measures is 0.
fn or_one(step: f64) -> f64 {
    if step.is_normal() { step } else { 1.0 }
}
