//! The integers of a hidden layer.

use crate::Error;

/// A layer whose neurons count how many of their thresholds the sum weight . x reaches.
#[derive(Clone, PartialEq, Eq)]
pub struct QuantizedLayer {
    weight_bits: u32,
    weight: Vec<i8>,
    thresholds: Vec<Vec<i64>>,
    ranges: Vec<(i64, i64)>,
}

impl QuantizedLayer {
    /// Builds a layer of n neurons from `weight` in row order (shape \[n, inputs\]), n increasing lists of thresholds, and
    /// the least and largest sum of each neuron that its circle must hold. What does not fit is refused by
    /// [`super::QuantizedMlp::new`].
    #[must_use]
    pub fn new(
        weight_bits: u32,
        weight: Vec<i8>,
        thresholds: Vec<Vec<i64>>,
        ranges: Vec<(i64, i64)>,
    ) -> Self {
        Self { weight_bits, weight, thresholds, ranges }
    }

    /// Width of a weight.
    #[must_use]
    pub fn weight_bits(&self) -> u32 {
        self.weight_bits
    }

    /// Weights in row order.
    #[must_use]
    pub fn weight(&self) -> &[i8] {
        &self.weight
    }

    /// The thresholds of each neuron.
    #[must_use]
    pub fn thresholds(&self) -> &[Vec<i64>] {
        &self.thresholds
    }

    /// The sums that the circle of each neuron holds.
    #[must_use]
    pub fn ranges(&self) -> &[(i64, i64)] {
        &self.ranges
    }

    pub(crate) fn neurons(&self) -> usize {
        self.thresholds.len()
    }

    pub(crate) fn rows(&self) -> std::slice::ChunksExact<'_, i8> {
        self.weight.chunks_exact((self.weight.len() / self.neurons().max(1)).max(1))
    }

    /// The sum of each neuron over a layer's inputs.
    pub(crate) fn sums(&self, inputs: &[i64]) -> impl Iterator<Item = i64> {
        self.rows().map(move |weights| weights.iter().zip(inputs).map(|(&w, &x)| i64::from(w) * x).sum())
    }

    /// The number of thresholds that each neuron's sum over a layer's inputs reaches.
    pub(crate) fn activations(&self, inputs: &[i64]) -> Vec<i64> {
        let reached = |(sum, thresholds): (i64, &Vec<i64>)| {
            thresholds.iter().filter(|threshold| sum >= **threshold).count() as i64
        };
        self.sums(inputs).zip(&self.thresholds).map(reached).collect()
    }

    /// The largest activation of each neuron.
    pub(crate) fn tops(&self) -> Vec<i64> {
        self.thresholds.iter().map(|thresholds| thresholds.len() as i64).collect()
    }

    pub(super) fn check(&self, inputs: usize, activation_bits: u32) -> Result<(), Error> {
        let expected = inputs * self.neurons();
        if self.weight.len() != expected {
            return Err(Error::Shape { what: "weights of a hidden layer", got: self.weight.len(), expected });
        }
        check_weights(&self.weight, self.weight_bits)?;
        let is_list = |thresholds: &Vec<i64>| {
            thresholds.len() < 1 << activation_bits
                && thresholds.windows(2).all(|pair| pair[0] < pair[1])
                && thresholds.iter().all(|threshold| threshold.unsigned_abs() < 1 << 40)
        };
        let is_range =
            |(low, high): &(i64, i64)| low <= high && low.unsigned_abs().max(high.unsigned_abs()) < 1 << 40;
        if self.ranges.len() != self.neurons() || !self.ranges.iter().all(is_range) {
            return Err(Error::OutOfRange { what: "the range of a neuron", rule: "one of each, below 2^40" });
        }
        if !self.thresholds.iter().all(is_list) {
            return Err(Error::OutOfRange {
                what: "the thresholds of a neuron",
                rule: "fewer than 2^activation bits, increasing, below 2^40",
            });
        }
        Ok(())
    }
}

pub(super) fn check_weights(weight: &[i8], bits: u32) -> Result<(), Error> {
    if !(2..=8).contains(&bits) || weight.iter().any(|&w| i64::from(w).abs() >= 1 << (bits - 1)) {
        return Err(Error::OutOfRange { what: "a quantized weight", rule: "within its bit width, 2 to 8" });
    }
    Ok(())
}

/// The sums that a row of weights can have over inputs of 0 to their tops.
pub(super) fn extremes(weights: &[i64], tops: &[i64]) -> (i64, i64) {
    let products = || weights.iter().zip(tops).map(|(&w, &top)| w * top);
    (products().filter(|product| *product < 0).sum(), products().filter(|product| *product > 0).sum())
}

pub(super) fn wide(row: &[i8]) -> Vec<i64> {
    row.iter().map(|&w| i64::from(w)).collect()
}

pub(super) fn squares(weights: impl Iterator<Item = i64>) -> u128 {
    weights.map(|w| u128::from(w.unsigned_abs()).pow(2)).sum()
}
