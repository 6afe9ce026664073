//! What is learned: weights and biases for features as they are, the standardization folded in.

use safetensors::{Dtype, tensor::TensorView};

use crate::{Error, objective::Shape, scaling::Scaling};

/// A linear head: a score for each class.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    features: usize,
    /// Class by class.
    weights: Vec<f64>,
    biases: Vec<f64>,
}

impl Head {
    /// Folds the standardization into parameters. Of two classes each gets half of the one score, with its sign.
    pub(crate) fn fold(shape: Shape, parameters: &[f64], scaling: &Scaling) -> Self {
        let features = shape.columns - 1;
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for part in parameters.chunks_exact(shape.columns) {
            let mut bias = part[0];
            for (weight, (mean, deviation)) in part[1..].iter().zip(scaling.as_slice()) {
                weights.push(weight / deviation);
                bias -= weight / deviation * mean;
            }
            biases.push(bias);
        }
        if shape.outputs() == 1 {
            let both = |values: &[f64]| {
                let second: Vec<f64> = values.iter().map(|value| value / 2.0).collect();
                second.iter().map(|value| -value).chain(second.iter().copied()).collect()
            };
            (weights, biases) = (both(&weights), both(&biases));
        }
        Self { features, weights, biases }
    }

    /// How many features it takes.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// The weights, class by class.
    #[must_use]
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The bias of each class.
    #[must_use]
    pub fn biases(&self) -> &[f64] {
        &self.biases
    }

    /// The class with the highest score, the first of several.
    #[must_use]
    pub fn classify(&self, row: &[f64]) -> usize {
        let score = |(weights, bias): (&[f64], &f64)| tiresias_synth::linear::dot(weights, row) + bias;
        let scores = self.weights.chunks_exact(self.features).zip(&self.biases).map(score);
        let better = |best: (usize, f64), (class, score)| if score > best.1 { (class, score) } else { best };
        scores.enumerate().fold((0, f64::NEG_INFINITY), better).0
    }

    /// A safetensors file with `weight` \[K, d\] and `bias` \[K\], as `tiresias-gateway import` takes it.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, Error> {
        let bytes = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let (weights, biases) = (bytes(&self.weights), bytes(&self.biases));
        let classes = self.biases.len();
        let view =
            |shape: Vec<usize>, bytes| TensorView::new(Dtype::F64, shape, bytes).map_err(|_| Error::Written);
        let tensors = [
            ("weight", view(vec![classes, self.features], &weights)?),
            ("bias", view(vec![classes], &biases)?),
        ];
        safetensors::serialize(tensors, None).map_err(|_| Error::Written)
    }
}
