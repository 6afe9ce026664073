//! The circuit of a head with hidden layers over ciphertexts. Start at [`PreparedMlp::evaluate`].

use tiresias_keys::{ConfigId, Digest, EncryptedFeatures, EncryptedScores, Seed, xof::SecretSeed};

use super::{QuantizedMlp, circle::twice_middle, quantized::Scaling};
use crate::{
    Error, Plan,
    bootstrap::{Backend, LweCiphertext, Table},
    evaluate::PreparedHead,
    label::{Decider, repeats},
};

/// A head with hidden layers, ready to be evaluated. Private to the model owner.
#[derive(Debug)]
pub struct PreparedMlp {
    first: PreparedHead,
    layers: Vec<PreparedLayer>,
    /// K rows of the last layer.
    output: Vec<OutputRow>,
    decider: Option<Decider>,
}

/// The bootstraps of a layer.
#[derive(Debug)]
struct PreparedLayer {
    neurons: Vec<PreparedNeuron>,
}

#[derive(Debug)]
struct PreparedNeuron {
    sum: Sum,
    /// What brings the middle of the thresholds to position 0, a residue.
    offset: u64,
    table: Table,
}

/// How a neuron's input is made of the layer's.
#[derive(Debug)]
enum Sum {
    /// The first layer's: its own leveled sum, times this.
    Scaled(u64),
    /// The results of the layer before, each times its weight.
    Combination(Vec<i8>),
}

#[derive(Debug)]
struct OutputRow {
    weights: Vec<i8>,
    offset: u64,
}

impl PreparedMlp {
    /// Prepares a head. `plan` must be a plan of the head's own numbers; errors where it is another's, or where a label's
    /// stages or zone are not those of the head.
    pub fn new(head: &QuantizedMlp, plan: Plan, config: ConfigId, gateway_seed: Seed) -> Result<Self, Error> {
        if plan.hidden() != Some(head.public()) || plan.shape() != head.shape() {
            return Err(Error::CardMismatch("hidden layers"));
        }
        let mut score_bits = head.public().score_bits;
        let decider = match plan.label_policy() {
            None => None,
            Some(&policy) => {
                score_bits += policy.room_bits();
                let ladder = policy.ladder(head.range(&policy))?;
                let rows: Vec<_> = head.output_rows().collect();
                Some(Decider::new(plan, policy, score_bits, &ladder, repeats(&rows)))
            }
        };
        let first = PreparedHead::new(&head.first_layer()?, plan, config, gateway_seed);
        let layers = (0..head.layers().len()).map(|index| prepare_layer(head, index, score_bits)).collect();
        let tops = head.tops();
        let q = plan.parameters().modulus() as i128;
        let output =
            head.output_rows().zip(head.weight().chunks_exact(tops.len())).map(|((row, bias), weights)| {
                // Results are worth (2a - n) half units: what is missing is half of the sum of w * n.
                let twice = 2 * bias + row.iter().zip(&tops).map(|(w, top)| w * top).sum::<i64>();
                let offset = rounded(i128::from(twice) * q, score_bits + 1).rem_euclid(q) as u64;
                OutputRow { weights: weights.to_vec(), offset }
            });
        Ok(Self { output: output.collect(), first, layers, decider })
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        self.first.plan()
    }

    /// Evaluates one encrypted feature vector, with bootstraps on a backend that has the evaluation key of the client that sent
    /// it. The other arguments and the guarantees are those of [`PreparedHead::evaluate`].
    ///
    /// Errors where the request was made for another card, or the key for other parameters.
    pub fn evaluate(
        &self,
        backend: &dyn Backend,
        request: &EncryptedFeatures,
        digest: Digest,
        response_seed: &SecretSeed,
        item: u32,
    ) -> Result<EncryptedScores, Error> {
        let scores = self.scores(&self.activations(backend, request)?);
        let results = match &self.decider {
            None => scores,
            Some(decider) => decider.decide(backend, &scores),
        };
        Ok(self.first.answer(request, digest, &results, response_seed, item))
    }

    /// The activations of the last hidden layer, encrypted: neither re-randomized nor flooded, for the gateway alone.
    pub(super) fn activations(
        &self,
        backend: &dyn Backend,
        request: &EncryptedFeatures,
    ) -> Result<Vec<LweCiphertext>, Error> {
        if Some(backend.parameters()) != self.plan().bootstrap() {
            return Err(Error::KeyParameters);
        }
        let mut values = self.first.leveled_scores(request)?;
        for layer in &self.layers {
            let inputs: Vec<LweCiphertext> = (layer.neurons.iter().enumerate())
                .map(|(index, neuron)| self.input(neuron, index, &values))
                .collect();
            let jobs: Vec<_> = inputs.iter().zip(layer.neurons.iter().map(|neuron| &neuron.table)).collect();
            values = backend.bootstrap(&jobs);
        }
        Ok(values)
    }

    fn input(&self, neuron: &PreparedNeuron, index: usize, values: &[LweCiphertext]) -> LweCiphertext {
        let mut input = match &neuron.sum {
            Sum::Scaled(multiplier) => values[index].scaled(*multiplier),
            Sum::Combination(weights) => self.combination(weights, values),
        };
        input.add_constant(neuron.offset);
        input
    }

    /// The scores of the last hidden layer's activations.
    pub(super) fn scores(&self, activations: &[LweCiphertext]) -> Vec<LweCiphertext> {
        let score = |row: &OutputRow| {
            let mut score = self.combination(&row.weights, activations);
            score.add_constant(row.offset);
            score
        };
        self.output.iter().map(score).collect()
    }

    fn combination(&self, weights: &[i8], values: &[LweCiphertext]) -> LweCiphertext {
        let terms = values.iter().zip(weights.iter().copied());
        LweCiphertext::combination(self.plan().parameters(), terms)
    }
}

fn prepare_layer(head: &QuantizedMlp, index: usize, score_bits: u32) -> PreparedLayer {
    let glwe = head.public().bootstrap.glwe();
    let q = glwe.modulus() as i128;
    // What half a level is worth to the layer behind.
    let half_height = |twice: i64| match head.layers().get(index + 1).map(|_| head.scaling(index + 1)) {
        Some(Scaling::Step(step)) => twice * (step / 2) as i64,
        _ => rounded(i128::from(twice) * q, score_bits + 1) as i64,
    };
    let tops = index.checked_sub(1).map(|before| head.layers()[before].tops());
    let neurons = head.neurons(index);
    let rows = neurons.iter().zip(head.layers()[index].rows());
    let prepared = rows.enumerate().map(|(place, (neuron, weights))| {
        let unit = head.unit(index, place);
        // Twice the sum's middle, less what inputs of (2a - n) half levels leave out.
        let twice = match &tops {
            None => -twice_middle(neuron.thresholds),
            Some(tops) => {
                weights.iter().zip(tops).map(|(&w, top)| i64::from(w) * top).sum::<i64>()
                    - twice_middle(neuron.thresholds)
            }
        };
        let sum = match head.scaling(index) {
            Scaling::Multipliers(multipliers) => Sum::Scaled(multipliers[place]),
            Scaling::Step(_) => Sum::Combination(weights.to_vec()),
        };
        let offset = rounded(i128::from(twice) * unit.numerator as i128, unit.bits + 1).rem_euclid(q) as u64;
        PreparedNeuron { sum, offset, table: neuron.table(glwe, unit, half_height) }
    });
    PreparedLayer { neurons: prepared.collect() }
}

/// value / 2^bits, rounded.
fn rounded(value: i128, bits: u32) -> i128 {
    (value + (1 << (bits - 1))) >> bits
}
