//! Steps that scale and shift each number of a row, whichever operator wrote them.

use super::ImportError;
use super::operator::Operator;
use super::proto::Tensor;
use super::tensor::row;

/// y = scale * x + shift. A scale or shift of one number holds for every number of the row.
pub(super) struct Affine {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Default for Affine {
    /// The step that changes nothing.
    fn default() -> Self {
        Self { scale: vec![1.0], shift: vec![0.0] }
    }
}

impl Affine {
    fn new(scale: Vec<f64>, shift: Vec<f64>) -> Result<Self, ImportError> {
        // A division by zero ends here too.
        if let Some(column) = scale.iter().chain(&shift).position(|value| !value.is_finite()) {
            let what = "scales and shifts";
            return Err(tiresias_circuits::Error::NotFinite { what, row: 0, column }.into());
        }
        Ok(Self { scale, shift })
    }

    /// (x - offset) * scale.
    pub(super) fn scaler(operator: &Operator<'_>) -> Result<Self, ImportError> {
        let (offset, scale) = (operator.floats("offset")?, operator.floats("scale")?);
        let shift = join(&offset, &scale, |offset, scale| -offset * scale)?;
        Self::new(scale, shift)
    }

    /// The inference form of a batch normalization: gamma * (x - mean) / sqrt(variance + epsilon) + beta.
    pub(super) fn batch_normalization(
        operator: &Operator<'_>,
        opset: i64,
        [gamma, beta, mean, variance]: [&Tensor; 4],
    ) -> Result<Self, ImportError> {
        if opset < 7 {
            return Err(operator.breaks("is read from operator set 7 on, where inference is the default"));
        }
        if operator.int("training_mode", 0)? != 0 {
            return Err(operator.breaks("training_mode must be 0: export the model for inference"));
        }
        if operator.int("spatial", 1)? != 1 {
            return Err(operator.breaks("spatial must be 1"));
        }
        let epsilon = operator.float("epsilon", 1e-5)?;
        let [gamma, beta, mean, variance] = [row(gamma)?, row(beta)?, row(mean)?, row(variance)?];
        let expected = gamma.len();
        if let Some(other) = [&beta, &mean, &variance].into_iter().find(|other| other.len() != expected) {
            let what = "numbers of a batch normalization";
            return Err(ImportError::ShapeMismatch { what, got: other.len(), expected });
        }
        let scale: Vec<f64> =
            gamma.iter().zip(variance).map(|(gamma, variance)| gamma / (variance + epsilon).sqrt()).collect();
        let shift = beta.iter().zip(mean).zip(&scale).map(|((beta, mean), scale)| beta - mean * scale);
        Self::new(scale.clone(), shift.collect())
    }

    /// Add, Sub, Mul or Div with one constant.
    pub(super) fn arithmetic(
        operator: &Operator<'_>,
        constant: &Tensor,
        constant_first: bool,
    ) -> Result<Self, ImportError> {
        let numbers = row(constant)?;
        let negative = |numbers: Vec<f64>| numbers.into_iter().map(|number| -number).collect();
        match (operator.name(), constant_first) {
            ("Add", _) => Self::new(vec![1.0], numbers),
            ("Sub", false) => Self::new(vec![1.0], negative(numbers)),
            ("Sub", true) => Self::new(vec![-1.0], numbers),
            ("Mul", _) => Self::new(numbers, vec![0.0]),
            ("Div", false) => Self::new(numbers.into_iter().map(f64::recip).collect(), vec![0.0]),
            _ => Err(operator.breaks("must divide by a constant")),
        }
    }

    /// This step, and `next` behind it.
    pub(super) fn then(self, next: &Self) -> Result<Self, ImportError> {
        let shift = join(&self.shift, &next.scale, |shift, scale| shift * scale)?;
        Ok(Self {
            scale: join(&self.scale, &next.scale, |first, second| first * second)?,
            shift: join(&shift, &next.shift, |first, second| first + second)?,
        })
    }

    /// Scales and shifts for a row of `width` numbers.
    pub(super) fn spread(&self, width: usize) -> Result<(Vec<f64>, Vec<f64>), ImportError> {
        Ok((spread(&self.scale, width)?, spread(&self.shift, width)?))
    }
}

/// Combines two rows number by number; a single number is combined with each of the others.
fn join(left: &[f64], right: &[f64], combine: fn(f64, f64) -> f64) -> Result<Vec<f64>, ImportError> {
    let width = if left.len() == 1 { right.len() } else { left.len() }.max(1);
    let (left, right) = (spread(left, width)?, spread(right, width)?);
    Ok(left.into_iter().zip(right).map(|(left, right)| combine(left, right)).collect())
}

fn spread(values: &[f64], width: usize) -> Result<Vec<f64>, ImportError> {
    match *values {
        [value] => Ok(vec![value; width]),
        _ if !values.is_empty() && values.len() == width => Ok(values.to_vec()),
        _ => {
            let what = "scales or shifts of a row";
            Err(ImportError::ShapeMismatch { what, got: values.len(), expected: width })
        }
    }
}
