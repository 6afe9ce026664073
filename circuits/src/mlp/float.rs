//! A head with hidden layers, as its owner trained it.

use crate::{Error, LinearHead};

/// The most hidden layers of a head.
pub const MAXIMUM_HIDDEN_LAYERS: usize = 3;

/// The most neurons of a hidden layer.
pub const MAXIMUM_NEURONS: usize = 1024;

/// One hidden layer: y = scale * ReLU(weight * x + bias) + shift, neuron by neuron.
#[derive(Clone, PartialEq)]
pub struct HiddenLayer {
    weight: Vec<f64>,
    bias: Vec<f64>,
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl std::fmt::Debug for HiddenLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HiddenLayer([{}, {}])", self.neurons(), self.inputs())
    }
}

impl HiddenLayer {
    /// Builds a layer of n neurons from `weight` in row order (shape \[n, inputs\]) and n numbers each of `bias`, `scale`
    /// and `shift`. A batch normalization behind the ReLU is scale and shift; without one they are 1 and 0.
    ///
    /// Errors where the shapes disagree or a number is not finite.
    pub fn new(weight: Vec<f64>, bias: Vec<f64>, scale: Vec<f64>, shift: Vec<f64>) -> Result<Self, Error> {
        let neurons = bias.len();
        if !(1..=MAXIMUM_NEURONS).contains(&neurons) {
            return Err(Error::OutOfRange { what: "the neurons of a hidden layer", rule: "1 to 1024" });
        }
        if weight.is_empty() || !weight.len().is_multiple_of(neurons) {
            let got = weight.len();
            return Err(Error::Shape {
                what: "weight rows and biases of a hidden layer",
                got,
                expected: neurons,
            });
        }
        let columns = weight.len() / neurons;
        for (what, values, columns) in [
            ("weights of a hidden layer", &weight, columns),
            ("biases of a hidden layer", &bias, 1),
            ("scales behind a ReLU", &scale, 1),
            ("shifts behind a ReLU", &shift, 1),
        ] {
            if values.len() != neurons * columns {
                return Err(Error::Shape { what, got: values.len(), expected: neurons * columns });
            }
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                return Err(Error::NotFinite { what, row: at / columns, column: at % columns });
            }
        }
        Ok(Self { weight, bias, scale, shift })
    }

    /// Neurons n.
    #[must_use]
    pub fn neurons(&self) -> usize {
        self.bias.len()
    }

    /// Inputs of each neuron.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.weight.len() / self.bias.len()
    }

    /// The rows of weights, one a neuron.
    pub(crate) fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.weight.chunks_exact(self.inputs())
    }

    /// One bias a neuron.
    pub(crate) fn bias(&self) -> &[f64] {
        &self.bias
    }

    /// One scale behind the ReLU a neuron.
    pub(crate) fn scale(&self) -> &[f64] {
        &self.scale
    }

    /// One shift behind the ReLU a neuron.
    pub(crate) fn shift(&self) -> &[f64] {
        &self.shift
    }

    fn apply(&self, row: &[f64]) -> Vec<f64> {
        let affine = self.scale.iter().zip(&self.shift);
        (self.rows().zip(&self.bias).zip(affine))
            .map(|((weights, bias), (scale, shift))| {
                let sum = weights.iter().zip(row).map(|(w, x)| w * x).sum::<f64>() + bias;
                scale * sum.max(0.0) + shift
            })
            .collect()
    }
}

/// A float head with one to three hidden layers in front of a linear one.
#[derive(Debug, Clone, PartialEq)]
pub struct MlpHead {
    hidden: Vec<HiddenLayer>,
    output: LinearHead,
}

impl MlpHead {
    /// Builds a head. Errors where there are no hidden layers or more than three, or where a layer's inputs are not what
    /// the one before gives.
    pub fn new(hidden: Vec<HiddenLayer>, output: LinearHead) -> Result<Self, Error> {
        if !(1..=MAXIMUM_HIDDEN_LAYERS).contains(&hidden.len()) {
            return Err(Error::OutOfRange { what: "the hidden layers of a head", rule: "1 to 3" });
        }
        let inputs = hidden.iter().skip(1).map(HiddenLayer::inputs).chain([output.features()]);
        for (layer, expected) in hidden.iter().zip(inputs) {
            if layer.neurons() != expected {
                return Err(Error::Shape {
                    what: "neurons of a layer and inputs of the next",
                    got: layer.neurons(),
                    expected,
                });
            }
        }
        Ok(Self { hidden, output })
    }

    /// Features d.
    #[must_use]
    pub fn features(&self) -> usize {
        self.hidden[0].inputs()
    }

    /// Classes K.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.output.classes()
    }

    /// One name a class.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        self.output.labels()
    }

    /// The hidden layers, in order.
    #[must_use]
    pub fn hidden(&self) -> &[HiddenLayer] {
        &self.hidden
    }

    /// The last layer.
    #[must_use]
    pub fn output(&self) -> &LinearHead {
        &self.output
    }

    /// The same head under other class names.
    pub fn with_labels(self, labels: Vec<String>) -> Result<Self, Error> {
        Ok(Self { output: self.output.with_labels(labels)?, ..self })
    }

    /// The head whose scores are 0 or more where this one's are at least `thresholds`, one a class.
    pub fn with_thresholds(self, thresholds: &[f64]) -> Result<Self, Error> {
        Ok(Self { output: self.output.with_thresholds(thresholds)?, ..self })
    }

    /// The float scores of one row of d features.
    #[must_use]
    pub fn scores(&self, row: &[f64]) -> Vec<f64> {
        let values = self.hidden.iter().fold(row.to_vec(), |values, layer| layer.apply(&values));
        self.output.scores(&values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(classes: usize) -> Vec<String> {
        (0..classes).map(|class| format!("class {class}")).collect()
    }

    #[test]
    fn layers_follow_each_other() {
        let first =
            HiddenLayer::new(vec![1.0, -1.0, 0.5, 2.0], vec![0.0, -1.0], vec![2.0, 1.0], vec![0.5, 0.0])
                .unwrap();
        let output = LinearHead::new(vec![1.0, 1.0, -1.0, 3.0], vec![0.0, 0.25], labels(2)).unwrap();
        let head = MlpHead::new(vec![first.clone()], output.clone()).unwrap();
        // [3, 1] -> [2, 2.5] -> [4.5, 2.5] -> [7, 3.25]
        assert_eq!(head.scores(&[3.0, 1.0]), [7.0, 3.25]);
        // [0, 1] -> [-1, 1] -> [0.5, 1] -> [1.5, 2.75]
        assert_eq!(head.scores(&[0.0, 1.0]), [1.5, 2.75]);
        assert_eq!((head.features(), head.classes()), (2, 2));
        let thresholds = head.with_thresholds(&[1.0, -1.0]).unwrap();
        assert_eq!(thresholds.scores(&[3.0, 1.0]), [6.0, 4.25]);
        assert!(MlpHead::new(Vec::new(), output.clone()).is_err());
        assert!(MlpHead::new(vec![first.clone(); 4], output).is_err());
        let narrow = LinearHead::new(vec![1.0], vec![0.0], labels(1)).unwrap();
        assert!(MlpHead::new(vec![first], narrow).is_err());
    }

    #[test]
    fn bad_layers_are_refused() {
        let one = || vec![1.0];
        assert!(HiddenLayer::new(one(), one(), one(), one()).is_ok());
        assert!(HiddenLayer::new(vec![], one(), one(), one()).is_err());
        assert!(HiddenLayer::new(one(), vec![], vec![], vec![]).is_err());
        assert!(HiddenLayer::new(vec![1.0; 3], vec![1.0; 2], vec![1.0; 2], vec![1.0; 2]).is_err());
        assert!(HiddenLayer::new(one(), one(), vec![f64::NAN], one()).is_err());
        assert!(HiddenLayer::new(one(), one(), one(), vec![1.0; 2]).is_err());
    }
}
