//! A linear layer, whichever operator wrote it, as y = weight * x + bias in 64-bit floats.

use tiresias_circuits::LinearHead;

use super::affine::Affine;
use super::operator::Operator;
use super::proto::Tensor;
use super::tensor::{Matrix, bias};
use super::{ImportError, check_classes, numbered_labels};

/// The layer before its numbers are checked by `LinearHead` or `HiddenLayer`.
pub(super) struct Linear {
    /// Shape \[classes or neurons, inputs\].
    weight: Matrix,
    bias: Vec<f64>,
    /// Class names, if the file has any.
    labels: Option<Vec<String>>,
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

    /// A 1 x 1 convolution: the same layer at each location of a map. Steps and margins of any other kind would change which
    /// locations there are.
    pub(super) fn pointwise(
        operator: &Operator<'_>,
        weight: &Tensor,
        offset: Option<&Tensor>,
    ) -> Result<Self, ImportError> {
        if operator.int("group", 1)? != 1
            || !matches!(operator.string("auto_pad", "NOTSET")?, b"NOTSET" | b"VALID")
        {
            return Err(operator.breaks("must have one group and no padding"));
        }
        for (name, expected) in [("kernel_shape", 1), ("strides", 1), ("dilations", 1), ("pads", 0)] {
            if operator.ints(name)?.iter().any(|&side| side != expected) {
                return Err(
                    operator.breaks("must be 1 x 1, with strides and dilations of 1 and without padding")
                );
            }
        }
        let mut layer = Self::without_bias(Matrix::read_pointwise(weight)?)?;
        offset.map_or(Ok(()), |offset| layer.add(offset))?;
        Ok(layer)
    }

    /// A layer whose numbers and class names are attributes.
    pub(super) fn classifier(operator: &Operator<'_>) -> Result<Self, ImportError> {
        let (coefficients, bias) = (operator.floats("coefficients")?, operator.floats("intercepts")?);
        let rows = bias.len();
        if rows == 0 {
            return Err(operator.breaks("intercepts must have one number for each class"));
        }
        if coefficients.is_empty() || !coefficients.len().is_multiple_of(rows) {
            let got = coefficients.len();
            return Err(ImportError::ShapeMismatch { what: "coefficients, in rows", got, expected: rows });
        }
        let weight = Matrix { rows, columns: coefficients.len() / rows, values: coefficients };
        let mut layer = Self { weight, bias, labels: None };
        layer.name(classifier_labels(operator)?)?;
        Ok(layer)
    }

    fn without_bias(weight: Matrix) -> Result<Self, ImportError> {
        // Hidden layers have a lower limit, which is checked at their ReLU.
        check_classes(weight.rows)?;
        Ok(Self { bias: vec![0.0; weight.rows], labels: None, weight })
    }

    /// Adds a bias to the scores.
    fn add(&mut self, offset: &Tensor) -> Result<(), ImportError> {
        let offset = bias(offset, self.weight.rows)?;
        self.bias.iter_mut().zip(offset).for_each(|(bias, offset)| *bias += offset);
        Ok(())
    }

    /// Takes in a step that stands in front: weight * (scale * x + shift) + bias.
    pub(super) fn fold_front(&mut self, affine: &Affine) -> Result<(), ImportError> {
        let (scales, shifts) = affine.spread(self.inputs())?;
        for (row, bias) in self.weight.values.chunks_exact_mut(scales.len()).zip(&mut self.bias) {
            for ((weight, scale), shift) in row.iter_mut().zip(&scales).zip(&shifts) {
                *bias += *weight * shift;
                *weight *= scale;
            }
        }
        Ok(())
    }

    /// Takes in a step that stands behind: scale * (weight * x + bias) + shift.
    pub(super) fn fold_behind(&mut self, affine: &Affine) -> Result<(), ImportError> {
        let (scales, shifts) = affine.spread(self.rows())?;
        let rows = self.weight.values.chunks_exact_mut(self.weight.columns).zip(&mut self.bias);
        for ((row, bias), (scale, shift)) in rows.zip(scales.into_iter().zip(shifts)) {
            row.iter_mut().for_each(|weight| *weight *= scale);
            *bias = *bias * scale + shift;
        }
        Ok(())
    }

    /// Inputs, at least one.
    pub(super) fn inputs(&self) -> usize {
        self.weight.columns
    }

    /// Classes or neurons, at least one.
    pub(super) fn rows(&self) -> usize {
        self.weight.rows
    }

    pub(super) fn has_labels(&self) -> bool {
        self.labels.is_some()
    }

    /// Names the classes. The one row of a layer with two names scores the second class; the first gets the opposite
    /// score.
    pub(super) fn name(&mut self, labels: Vec<String>) -> Result<(), ImportError> {
        if self.weight.rows == 1 && labels.len() == 2 {
            let opposite = |values: &[f64]| values.iter().map(|value| -value).collect::<Vec<_>>();
            self.weight.values = [opposite(&self.weight.values), self.weight.values.clone()].concat();
            self.weight.rows = 2;
            self.bias = [opposite(&self.bias), self.bias.clone()].concat();
        }
        if labels.len() != self.weight.rows {
            let (got, expected) = (labels.len(), self.weight.rows);
            return Err(ImportError::ShapeMismatch { what: "class names", got, expected });
        }
        self.labels = Some(labels);
        Ok(())
    }

    pub(super) fn into_numbers(self) -> (Vec<f64>, Vec<f64>) {
        (self.weight.values, self.bias)
    }

    pub(super) fn into_head(self) -> Result<LinearHead, ImportError> {
        let labels = match self.labels {
            Some(labels) => labels,
            None => numbered_labels(self.weight.rows)?,
        };
        Ok(LinearHead::new(self.weight.values, self.bias, labels)?)
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
