//! The one linear layer, whichever operator wrote it, as scores = weight * x + bias in 64-bit floats.

use tiresias_circuits::LinearHead;

use super::operator::Operator;
use super::proto::Tensor;
use super::tensor::{Matrix, bias};
use super::{ImportError, check_classes, numbered_labels};

/// The layer before its numbers are checked by `LinearHead`.
pub(super) struct Linear {
    /// Shape \[classes, features\].
    weight: Matrix,
    bias: Vec<f64>,
    labels: Vec<String>,
}

impl Linear {
    /// alpha * x * weight + beta * bias, where the weight may be stored transposed.
    pub(super) fn gemm(
        operator: &Operator<'_>,
        weight: &Tensor,
        offset: Option<&Tensor>,
    ) -> Result<Self, ImportError> {
        if operator.int("transA", 0)? != 0 {
            return Err(operator.breaks("transA must be 0"));
        }
        let (alpha, beta) = (operator.float("alpha", 1.0)?, operator.float("beta", 1.0)?);
        let mut layer = match operator.int("transB", 0)? {
            0 => Self::without_bias(Matrix::read(weight)?.transposed())?,
            1 => Self::without_bias(Matrix::read(weight)?)?,
            _ => return Err(operator.breaks("transB must be 0 or 1")),
        };
        layer.weight.values.iter_mut().for_each(|weight| *weight *= alpha);
        if let Some(offset) = offset {
            layer.add(offset)?;
            layer.bias.iter_mut().for_each(|bias| *bias *= beta);
        }
        Ok(layer)
    }

    /// x * weight.
    pub(super) fn matmul(weight: &Tensor) -> Result<Self, ImportError> {
        Self::without_bias(Matrix::read(weight)?.transposed())
    }

    /// A layer whose numbers and class names are attributes.
    pub(super) fn classifier(operator: &Operator<'_>) -> Result<Self, ImportError> {
        let (coefficients, mut bias) = (operator.floats("coefficients")?, operator.floats("intercepts")?);
        let rows = bias.len();
        if rows == 0 {
            return Err(operator.breaks("intercepts must have one number for each class"));
        }
        if coefficients.is_empty() || !coefficients.len().is_multiple_of(rows) {
            let got = coefficients.len();
            return Err(ImportError::ShapeMismatch { what: "coefficients, in rows", got, expected: rows });
        }
        let mut weight = Matrix { rows, columns: coefficients.len() / rows, values: coefficients };
        let labels = classifier_labels(operator)?;
        if rows == 1 && labels.len() == 2 {
            // The one row scores the second class; the first has the opposite score.
            let opposite = |values: &[f64]| values.iter().map(|value| -value).collect::<Vec<_>>();
            let values = [opposite(&weight.values), weight.values].concat();
            weight = Matrix { rows: 2, columns: weight.columns, values };
            bias = [opposite(&bias), bias].concat();
        }
        if labels.len() != weight.rows {
            let got = labels.len();
            return Err(ImportError::ShapeMismatch { what: "class names", got, expected: weight.rows });
        }
        Ok(Self { weight, bias, labels })
    }

    fn without_bias(weight: Matrix) -> Result<Self, ImportError> {
        Ok(Self { bias: vec![0.0; weight.rows], labels: numbered_labels(weight.rows)?, weight })
    }

    /// Adds a bias to the scores.
    pub(super) fn add(&mut self, offset: &Tensor) -> Result<(), ImportError> {
        let offset = bias(offset, self.weight.rows)?;
        self.bias.iter_mut().zip(offset).for_each(|(bias, offset)| *bias += offset);
        Ok(())
    }

    /// Takes in a scaler that stands in front: weight * ((x - offset) * scale) + bias.
    pub(super) fn fold(&mut self, scaler: &Scaler) -> Result<(), ImportError> {
        let features = self.features();
        let offsets = spread(&scaler.offset, features, "offsets of the Scaler")?;
        let scales = spread(&scaler.scale, features, "scales of the Scaler")?;
        for (row, bias) in self.weight.values.chunks_exact_mut(features).zip(&mut self.bias) {
            for ((weight, offset), scale) in row.iter_mut().zip(&offsets).zip(&scales) {
                *weight *= scale;
                *bias -= *weight * offset;
            }
        }
        Ok(())
    }

    /// Features d, at least one.
    pub(super) fn features(&self) -> usize {
        self.weight.columns
    }

    pub(super) fn into_head(self) -> Result<LinearHead, ImportError> {
        Ok(LinearHead::new(self.weight.values, self.bias, self.labels)?)
    }
}

/// y = (x - offset) * scale.
pub(super) struct Scaler {
    offset: Vec<f64>,
    scale: Vec<f64>,
}

impl Scaler {
    pub(super) fn new(operator: &Operator<'_>) -> Result<Self, ImportError> {
        Ok(Self { offset: operator.floats("offset")?, scale: operator.floats("scale")? })
    }
}

/// One value a feature; a single one holds for all.
fn spread(values: &[f64], features: usize, what: &'static str) -> Result<Vec<f64>, ImportError> {
    match *values {
        [value] => Ok(vec![value; features]),
        _ if values.len() == features => Ok(values.to_vec()),
        _ => Err(ImportError::ShapeMismatch { what, got: values.len(), expected: features }),
    }
}

fn classifier_labels(operator: &Operator<'_>) -> Result<Vec<String>, ImportError> {
    let (texts, ints) = (operator.strings("classlabels_strings")?, operator.ints("classlabels_ints")?);
    if !texts.is_empty() && !ints.is_empty() {
        return Err(operator.breaks("class names must be either text or integers"));
    }
    check_classes(texts.len().max(ints.len()))?;
    let text =
        |text: &Vec<u8>| String::from_utf8(text.clone()).map_err(|_| ImportError::BadLabels("must be UTF-8"));
    if ints.is_empty() {
        texts.iter().map(text).collect()
    } else {
        Ok(ints.iter().map(i64::to_string).collect())
    }
}
