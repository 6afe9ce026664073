//! The integers of a head with hidden layers.

use tiresias_keys::{BootstrapParameters, Parameters};

use super::{
    MAXIMUM_HIDDEN_LAYERS,
    circle::{Neuron, Unit},
    layer::{QuantizedLayer, check_weights, extremes, squares, wide},
};
use crate::{
    Error, HeadShape, Plan, QuantizedHead,
    bootstrap::noise::{output_bound, position_margin, sum_margin},
    ladder::Range,
    plan::{ActivationRange, Decision, HiddenLayers, LabelPolicy},
};

/// How the sums of a layer are brought onto the circle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scaling {
    /// The first layer's: an integer for each neuron, times the step of the encoded features.
    Multipliers(Vec<u64>),
    /// The residue that one level of an input activation is worth, even.
    Step(u64),
}

/// A quantized head with hidden layers: the integers that are evaluated, in clear and encrypted. Private to the model owner.
#[derive(Clone, PartialEq)]
pub struct QuantizedMlp {
    shape: HeadShape,
    layers: Vec<QuantizedLayer>,
    weight: Vec<i8>,
    bias: Vec<i64>,
    public: HiddenLayers,
    scalings: Vec<Scaling>,
}

impl std::fmt::Debug for QuantizedMlp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "QuantizedMlp({:?}, {:?})", self.shape, self.public)
    }
}

impl QuantizedMlp {
    /// Checks integers against a shape, whose weight bits are those of the first layer, and finds the place of each
    /// neuron on the circle. `weight` (shape \[K, n\]) of `weight_bits` and `bias` give the scores of the last layer's
    /// activations.
    ///
    /// Errors with [`Error::HiddenDoNotFit`] where an activation could be off by more than one level or, under two levels,
    /// a score by anything.
    pub fn new(
        shape: HeadShape,
        activation_bits: u32,
        bootstrap: &'static BootstrapParameters,
        layers: Vec<QuantizedLayer>,
        (weight_bits, weight, bias): (u32, Vec<i8>, Vec<i64>),
    ) -> Result<Self, Error> {
        if !(1..=MAXIMUM_HIDDEN_LAYERS).contains(&layers.len()) {
            return Err(Error::OutOfRange { what: "the hidden layers of a head", rule: "1 to 3" });
        }
        let mut inputs = shape.features;
        let (mut neurons, mut bits) = ([0; MAXIMUM_HIDDEN_LAYERS], [0; MAXIMUM_HIDDEN_LAYERS]);
        for (index, layer) in layers.iter().enumerate() {
            layer.check(inputs, activation_bits)?;
            inputs = layer.neurons();
            neurons[index] = inputs;
            if index > 0 {
                bits[index - 1] = layer.weight_bits();
            } else if layer.weight_bits() != shape.weight_bits {
                return Err(Error::OutOfRange {
                    what: "weights of the first layer",
                    rule: "of the shape's width",
                });
            }
        }
        bits[layers.len() - 1] = weight_bits;
        if weight.len() != inputs * shape.classes || bias.len() != shape.classes {
            let got = weight.len();
            return Err(Error::Shape {
                what: "weights of the last layer",
                got,
                expected: inputs * shape.classes,
            });
        }
        check_weights(&weight, weight_bits)?;
        if bias.iter().any(|bias| bias.unsigned_abs() >= 1 << 32) {
            return Err(Error::OutOfRange { what: "a quantized bias", rule: "below 2^32" });
        }
        let public = HiddenLayers {
            neurons,
            activation_bits,
            weight_bits: bits,
            score_bits: 2,
            score_norm: 1,
            range: ActivationRange::Proved,
            bootstrap,
        };
        let mut mlp = Self { shape, layers, weight, bias, public, scalings: Vec::new() };
        mlp.place()?;
        mlp.measure_scores()?;
        Plan::mlp(mlp.shape, mlp.public, None)?;
        Ok(mlp)
    }

    /// The first layer as a linear head without biases: thresholds have them.
    pub(crate) fn first_layer(&self) -> Result<QuantizedHead, Error> {
        let shape = self.public.first_layer(&self.shape);
        QuantizedHead::new(shape, self.layers[0].weight().to_vec(), vec![0; shape.classes])
    }

    /// Finds the scaling of each layer, the largest under which each circle holds its range, and whether these ranges are
    /// all that the weights allow.
    fn place(&mut self) -> Result<(), Error> {
        let parameters = self.public.bootstrap;
        let q = parameters.glwe().modulus();
        for index in 0..self.layers.len() {
            let neurons = self.neurons(index);
            // Multiples of the features' step in the first layer, of 2 behind it, where the highest activation must fit too.
            let (bits, factor, most) = match index {
                0 => (self.public.plaintext_bits(&self.shape), q, u128::MAX),
                _ => (0, 2, q >> (self.public.activation_bits + 1)),
            };
            let least = |neuron: &Neuron<'_>| neuron.least_unit(parameters, bits).div_ceil(factor).max(1);
            let largest = |neuron: &Neuron<'_>| (neuron.largest_unit(parameters, bits) / factor).min(most);
            let rule = "the thresholds of a neuron are too close for its range: use fewer activation bits";
            let choose = |least: u128, largest: u128| match largest {
                unit if unit >= least && unit < 1 << 50 => Ok(unit as u64),
                unit if unit >= least => Ok(1 << 50),
                _ => Err(Error::HiddenDoNotFit(rule)),
            };
            let scaling = if index == 0 {
                let units = neurons.iter().map(|neuron| choose(least(neuron), largest(neuron)));
                Scaling::Multipliers(units.collect::<Result<_, _>>()?)
            } else {
                let least = neurons.iter().map(least).max().unwrap_or(1);
                let largest = neurons.iter().map(largest).min().unwrap_or(1);
                Scaling::Step(2 * choose(least, largest)?)
            };
            let possible = self.possible(index);
            let ranges = self.layers[index].ranges().iter().zip(possible);
            let is_proved =
                ranges.fold(true, |proved, (held, sums)| proved && held.0 <= sums.0 && sums.1 <= held.1);
            if !is_proved {
                self.public.range = ActivationRange::Calibrated;
            }
            self.scalings.push(scaling);
        }
        Ok(())
    }

    /// The least and the largest sum that each neuron of a layer can have.
    fn possible(&self, index: usize) -> Vec<(i64, i64)> {
        let limit = self.shape.feature_limit();
        let tops = index.checked_sub(1).map(|before| self.layers[before].tops());
        let sums = |row: &[i8]| {
            let row = wide(row);
            match &tops {
                Some(tops) => extremes(&row, tops),
                None => {
                    let most = row.iter().map(|w| w.abs()).sum::<i64>() * limit;
                    (-most, most)
                }
            }
        };
        self.layers[index].rows().map(sums).collect()
    }

    /// The bits of the widest score, and the norm of the weights behind its noise.
    fn measure_scores(&mut self) -> Result<(), Error> {
        let tops = self.tops();
        let (mut largest, mut norm) = (0, 1);
        for (row, bias) in self.output_rows() {
            let (low, high) = extremes(&row, &tops);
            largest = (low + bias).unsigned_abs().max((high + bias).unsigned_abs()).max(largest);
            norm = squares(row.into_iter()).max(norm);
        }
        let (root, q) = (norm.isqrt(), self.public.bootstrap.glwe().modulus());
        self.public.score_norm = (root + u128::from(root * root < norm)) as u64;
        let noise = output_bound(self.public.bootstrap, self.public.squares() as usize);
        let fits = |t: u32| {
            let unit = q >> t;
            let noise = if self.public.is_exact() { unit / 2 } else { noise };
            u128::from(largest) * unit + noise + (unit << self.public.coarse_bits_at(t)) / 2 < q / 2
        };
        let too_wide =
            Error::HiddenDoNotFit("the scores are too wide: use fewer weight bits in the last layer");
        self.public.score_bits = (2..=24).find(|&t| fits(t)).ok_or(too_wide)?;
        Ok(())
    }

    /// The neurons of a layer, as the circle sees them.
    pub(super) fn neurons(&self, index: usize) -> Vec<Neuron<'_>> {
        let layer = &self.layers[index];
        let margin = |row: &[i8]| match index {
            0 => position_margin(self.public.bootstrap),
            _ => sum_margin(self.public.bootstrap, squares(wide(row).into_iter())),
        };
        (layer.rows().zip(layer.thresholds()).zip(layer.ranges()))
            .map(|((row, thresholds), &sums)| Neuron { thresholds, sums, margin: margin(row) })
            .collect()
    }

    /// The unit of each neuron's sums.
    pub(super) fn unit(&self, index: usize, neuron: usize) -> Unit {
        match &self.scalings[index] {
            Scaling::Multipliers(multipliers) => Unit {
                numerator: u128::from(multipliers[neuron]) * self.glwe().modulus(),
                bits: self.public.plaintext_bits(&self.shape),
            },
            Scaling::Step(step) => Unit { numerator: u128::from(*step), bits: 0 },
        }
    }

    pub(super) fn scaling(&self, index: usize) -> &Scaling {
        &self.scalings[index]
    }

    /// The rows of the last layer with their biases.
    pub(super) fn output_rows(&self) -> impl Iterator<Item = (Vec<i64>, i64)> {
        let inputs = self.weight.len() / self.bias.len();
        let rows = self.weight.chunks_exact(inputs).map(wide);
        rows.zip(self.bias.iter().copied())
    }

    /// The largest activation of each neuron of the last hidden layer.
    pub(super) fn tops(&self) -> Vec<i64> {
        self.layers[self.layers.len() - 1].tops()
    }

    fn glwe(&self) -> &'static Parameters {
        self.public.bootstrap.glwe()
    }

    /// The range of the values whose signs decide, proved from the weights of the last layer.
    pub(crate) fn range(&self, policy: &LabelPolicy) -> Range {
        let tops = self.tops();
        let rows: Vec<(Vec<i64>, i64)> = self.output_rows().collect();
        let zeros = (vec![0; tops.len()], 0);
        let (mut largest, mut norm) = (0, 0);
        for (index, row) in rows.iter().enumerate() {
            let others = match policy.decision {
                Decision::Argmax => &rows[..index],
                Decision::Thresholds => std::slice::from_ref(&zeros),
            };
            for other in others {
                let weights: Vec<i64> = row.0.iter().zip(&other.0).map(|(a, b)| a - b).collect();
                let (low, high) = extremes(&weights, &tops);
                let bias = row.1 - other.1;
                largest = (low + bias).unsigned_abs().max((high + bias).unsigned_abs()).max(largest);
                norm = squares(weights.into_iter()).max(norm);
            }
        }
        let plaintext_bits = self.public.score_bits + policy.room_bits();
        let unit = self.glwe().modulus() >> plaintext_bits;
        let noise = output_bound(self.public.bootstrap, norm as usize);
        // Half a unit for each table value times its weight, and for two biases.
        let rounding = (tops.len() as u128) << 8;
        if self.public.is_exact() {
            return Range { plaintext_bits, largest, noise: noise + rounding };
        }
        // Approximate scores are decided as they are: their noise takes room, and moves no stage against another.
        Range { plaintext_bits, largest: largest + noise.div_ceil(unit) as u64, noise: rounding }
    }

    /// The public numbers of the head: its shape, with the weight bits of the first layer.
    #[must_use]
    pub fn shape(&self) -> &HeadShape {
        &self.shape
    }

    /// The public numbers of the hidden layers.
    #[must_use]
    pub fn public(&self) -> &HiddenLayers {
        &self.public
    }

    /// The hidden layers.
    #[must_use]
    pub fn layers(&self) -> &[QuantizedLayer] {
        &self.layers
    }

    /// K*n weights of the last layer in class order.
    #[must_use]
    pub fn weight(&self) -> &[i8] {
        &self.weight
    }

    /// K biases in score units.
    #[must_use]
    pub fn bias(&self) -> &[i64] {
        &self.bias
    }

    /// For a quantized row of d integers and the activations that follow, how many sums lie beyond the room of their
    /// circle: 0 where the range is proved. Their activations would be wrong.
    #[must_use]
    pub fn beyond(&self, row: &[i64], activations: &[Vec<i64>]) -> usize {
        let inputs = std::iter::once(row).chain(activations.iter().map(Vec::as_slice));
        let beyond = |(index, inputs): (usize, &[i64])| {
            let neurons = self.neurons(index);
            let sums = self.layers[index].sums(inputs).zip(&neurons).enumerate();
            let is_beyond = |(place, (sum, neuron)): &(usize, (i64, &Neuron<'_>))| {
                neuron.is_beyond(self.public.bootstrap, self.unit(index, *place), *sum)
            };
            sums.filter(is_beyond).count()
        };
        inputs.take(self.layers.len()).enumerate().map(beyond).sum()
    }
}
