//! A linear head: as its owner trained it, and quantized for evaluation.

use crate::{Error, HeadShape, Plan, Privacy, Quantizer};

/// A float head: scores = weight * x + bias, with a name for each class.
#[derive(Clone, PartialEq)]
pub struct LinearHead {
    weight: Vec<f64>,
    bias: Vec<f64>,
    labels: Vec<String>,
    features: usize,
}

impl std::fmt::Debug for LinearHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LinearHead([{}, {}])", self.bias.len(), self.features)
    }
}

impl LinearHead {
    /// Builds a head of K classes from `weight` in row order (shape \[K, d\]), `bias` (shape \[K\]) and K distinct
    /// labels. Errors where the shapes disagree or a number is not finite.
    pub fn new(weight: Vec<f64>, bias: Vec<f64>, labels: Vec<String>) -> Result<Self, Error> {
        let classes = bias.len();
        if classes == 0 || weight.is_empty() || !weight.len().is_multiple_of(classes) {
            return Err(Error::Shape {
                what: "weight rows and biases",
                got: weight.len(),
                expected: classes,
            });
        }
        let features = weight.len() / classes;
        if labels.len() != classes {
            return Err(Error::Shape { what: "labels", got: labels.len(), expected: classes });
        }
        check_labels(&labels)?;
        for (what, values, columns) in [("weights", &weight, features), ("biases", &bias, 1)] {
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                return Err(Error::NotFinite { what, row: at / columns, column: at % columns });
            }
        }
        Ok(Self { weight, bias, labels, features })
    }

    /// Features d.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// Classes K.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.bias.len()
    }

    /// One name a class.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The same head under other class names.
    pub fn with_labels(self, labels: Vec<String>) -> Result<Self, Error> {
        Self::new(self.weight, self.bias, labels)
    }

    /// The head whose scores are 0 or more where this one's are at least `thresholds`, one a class.
    pub fn with_thresholds(mut self, thresholds: &[f64]) -> Result<Self, Error> {
        if thresholds.len() != self.classes() {
            return Err(Error::Shape { what: "thresholds", got: thresholds.len(), expected: self.classes() });
        }
        self.bias.iter_mut().zip(thresholds).for_each(|(bias, threshold)| *bias -= threshold);
        Self::new(self.weight, self.bias, self.labels)
    }

    /// The rows of weights with their biases, one a class.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&[f64], f64)> {
        self.weight.chunks_exact(self.features).zip(self.bias.iter().copied())
    }

    /// The float scores of one row of d features.
    #[must_use]
    pub fn scores(&self, row: &[f64]) -> Vec<f64> {
        self.weight
            .chunks_exact(self.features)
            .zip(&self.bias)
            .map(|(weights, bias)| weights.iter().zip(row).map(|(w, x)| w * x).sum::<f64>() + bias)
            .collect()
    }
}

/// Labels are shown and stored: 1 to 256 bytes each, no control characters, all different.
pub(crate) fn check_labels(labels: &[String]) -> Result<(), Error> {
    let well_formed = |label: &String| (1..=256).contains(&label.len()) && !label.contains(char::is_control);
    let mut sorted: Vec<_> = labels.iter().collect();
    sorted.sort();
    let distinct = sorted.windows(2).all(|pair| pair[0] != pair[1]);
    if labels.iter().all(well_formed) && distinct {
        return Ok(());
    }
    Err(Error::OutOfRange {
        what: "labels",
        rule: "distinct, 1 to 256 bytes each, without control characters",
    })
}

/// A quantized head: the integers that are evaluated, in clear and encrypted. Private to the model owner.
#[derive(Clone, PartialEq, Eq)]
pub struct QuantizedHead {
    shape: HeadShape,
    weight: Vec<i8>,
    bias: Vec<i64>,
}

impl std::fmt::Debug for QuantizedHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "QuantizedHead({:?})", self.shape)
    }
}

/// What quantizing a head gives: the integers, and the float worth of one score unit.
#[derive(Debug, Clone)]
pub struct Quantization {
    /// The integers.
    pub head: QuantizedHead,
    /// score = scores_q * score_scale.
    pub score_scale: f64,
    /// Whether a large bias, rather than the largest weight, set the step of the weights. The weights then use
    /// fewer than their bits.
    pub limited_by_bias: bool,
}

impl QuantizedHead {
    /// Checks integers against a shape: K*d weights with |w| < 2^(bits-1), K biases within the shape's bias limit.
    pub fn new(shape: HeadShape, weight: Vec<i8>, bias: Vec<i64>) -> Result<Self, Error> {
        Plan::new(shape, Privacy::OpenWeights)?;
        let expected = shape.features * shape.classes;
        if weight.len() != expected {
            return Err(Error::Shape { what: "weights", got: weight.len(), expected });
        }
        if bias.len() != shape.classes {
            return Err(Error::Shape { what: "biases", got: bias.len(), expected: shape.classes });
        }
        if weight.iter().any(|&w| i64::from(w).abs() > shape.weight_limit()) {
            return Err(Error::OutOfRange { what: "a quantized weight", rule: "within its bit width" });
        }
        if bias.iter().any(|&bias| bias.abs() > shape.bias_limit()) {
            return Err(Error::OutOfRange {
                what: "a quantized bias",
                rule: "within the shape's bias limit",
            });
        }
        Ok(Self { shape, weight, bias })
    }

    /// Quantizes a float head for features quantized by `quantizer`. The feature scales are folded into the weights,
    /// the offsets into the biases, and all weights share one step, so that scores of different classes compare.
    pub fn quantize(
        head: &LinearHead,
        quantizer: &Quantizer,
        weight_bits: u32,
    ) -> Result<Quantization, Error> {
        let shape = HeadShape {
            features: head.features(),
            classes: head.classes(),
            feature_bits: quantizer.bits(),
            weight_bits,
        };
        Plan::new(shape, Privacy::OpenWeights)?;
        let folded: Vec<f64> = head
            .weight
            .iter()
            .enumerate()
            .map(|(at, weight)| weight * quantizer.scale_of(at % shape.features))
            .collect();
        let biases: Vec<f64> = (head.weight.chunks_exact(shape.features).zip(&head.bias))
            .map(|(weights, bias)| {
                let shifts = weights.iter().enumerate().map(|(feature, w)| w * quantizer.offset_of(feature));
                bias + shifts.sum::<f64>()
            })
            .collect();
        let largest = |values: &[f64]| values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        let weight_step = largest(&folded) / shape.weight_limit() as f64;
        let bias_step = largest(&biases) / shape.bias_limit() as f64;
        let step = weight_step.max(bias_step);
        let step = match step {
            _ if head.weight.iter().chain(&biases).all(|value| *value == 0.0) => 1.0,
            step if step.is_normal() => step,
            _ => {
                return Err(Error::OutOfRange {
                    what: "weights times feature scales, and biases plus weights times offsets,",
                    rule: "normal numbers",
                });
            }
        };
        let weight = folded.iter().map(|weight| (weight / step).round() as i8).collect();
        let bias = biases.iter().map(|bias| (bias / step).round() as i64).collect();
        let head = Self::new(shape, weight, bias)?;
        Ok(Quantization { head, score_scale: step, limited_by_bias: bias_step > weight_step })
    }

    /// The head's public numbers.
    #[must_use]
    pub fn shape(&self) -> &HeadShape {
        &self.shape
    }

    /// K*d weights in class order.
    #[must_use]
    pub fn weight(&self) -> &[i8] {
        &self.weight
    }

    /// K biases in score units.
    #[must_use]
    pub fn bias(&self) -> &[i64] {
        &self.bias
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Features, clear, quantize::Granularity};

    fn labels(classes: usize) -> Vec<String> {
        (0..classes).map(|class| format!("class {class}")).collect()
    }

    #[test]
    fn quantized_scores_approximate_the_float_scores() {
        let weight = vec![0.5, -1.0, 2.0, 0.25, 0.75, -0.125];
        let head = LinearHead::new(weight, vec![0.1, -0.2], labels(2)).unwrap();
        let rows = Features::new(vec![1.0, 2.0, -3.0, 0.5, -1.5, 2.5], 3).unwrap();
        let quantizer = Quantizer::calibrate(&rows, 8, Granularity::PerFeature).unwrap();
        let quantized = QuantizedHead::quantize(&head, &quantizer, 8).unwrap();
        assert!(!quantized.limited_by_bias);
        for row in &rows {
            let integers = clear::scores(&quantized.head, &quantizer.quantize(row).unwrap().values).unwrap();
            for (integer, float) in integers.iter().zip(head.scores(row)) {
                assert!((*integer as f64 * quantized.score_scale - float).abs() < 0.1);
            }
        }
    }

    #[test]
    fn a_bias_beyond_the_limit_coarsens_the_weights_and_says_so() {
        let head = LinearHead::new(vec![1.0, -1.0], vec![1e4], labels(1)).unwrap();
        let rows = Features::new(vec![1.0, 1.0], 2).unwrap();
        let quantizer = Quantizer::calibrate(&rows, 8, Granularity::PerTensor).unwrap();
        let quantized = QuantizedHead::quantize(&head, &quantizer, 8).unwrap();
        assert!(quantized.limited_by_bias);
        assert_eq!(quantized.head.bias(), [quantized.head.shape().bias_limit()]);
    }

    #[test]
    fn offsets_are_folded_into_biases_and_spare_their_room() {
        // Features around 1000: as exported from a pipeline with a standard scaler, the bias undoes the mean.
        let head = LinearHead::new(vec![1.0, -0.5], vec![-501.2], labels(1)).unwrap();
        let rows = Features::new(vec![999.0, 1001.0, 1003.0, 1000.0, 1002.0, 998.0], 2).unwrap();
        let error = |granularity| {
            let quantizer = Quantizer::calibrate(&rows, 8, granularity).unwrap();
            let quantized = QuantizedHead::quantize(&head, &quantizer, 8).unwrap();
            let worst = rows.iter().map(|row| {
                let integers =
                    clear::scores(&quantized.head, &quantizer.quantize(row).unwrap().values).unwrap();
                (integers[0] as f64 * quantized.score_scale - head.scores(row)[0]).abs()
            });
            worst.fold(0.0, f64::max)
        };
        assert!(error(Granularity::PerFeature) < 0.03);
        assert!(error(Granularity::PerTensor) > 0.3);
    }

    #[test]
    fn scales_that_overflow_or_vanish_are_refused() {
        for (weight, value) in [(1e300, 1e300), (1e-300, 1e-20)] {
            let head = LinearHead::new(vec![weight], vec![0.0], labels(1)).unwrap();
            let rows = Features::new(vec![value], 1).unwrap();
            let quantizer = Quantizer::calibrate(&rows, 8, Granularity::PerTensor).unwrap();
            assert!(matches!(QuantizedHead::quantize(&head, &quantizer, 8), Err(Error::OutOfRange { .. })));
        }
    }

    #[test]
    fn thresholds_are_taken_from_the_biases() {
        let head = LinearHead::new(vec![1.0, 2.0], vec![0.5, 0.5], labels(2)).unwrap();
        assert_eq!(head.clone().with_thresholds(&[0.5, -1.5]).unwrap().scores(&[3.0]), [3.0, 8.0]);
        assert!(head.clone().with_thresholds(&[0.5]).is_err());
        assert!(head.with_thresholds(&[0.5, f64::NAN]).is_err());
    }

    #[test]
    fn bad_heads_are_refused() {
        assert!(LinearHead::new(vec![1.0, 2.0, 3.0], vec![0.0, 0.0], labels(2)).is_err());
        assert!(LinearHead::new(vec![1.0, f64::NAN], vec![0.0], labels(1)).is_err());
        assert!(LinearHead::new(vec![1.0], vec![0.0], labels(2)).is_err());
        assert!(LinearHead::new(vec![1.0, 2.0], vec![0.0, 0.0], vec!["a".into(), "a".into()]).is_err());
        assert!(LinearHead::new(vec![1.0], vec![0.0], vec!["line\nbreak".into()]).is_err());
        let shape = HeadShape { features: 1, classes: 1, feature_bits: 4, weight_bits: 4 };
        assert!(QuantizedHead::new(shape, vec![8], vec![0]).is_err());
        assert!(QuantizedHead::new(shape, vec![-8], vec![0]).is_err());
        assert!(QuantizedHead::new(shape, vec![7], vec![shape.bias_limit() + 1]).is_err());
        assert!(QuantizedHead::new(shape, vec![7], vec![shape.bias_limit()]).is_ok());
    }
}
