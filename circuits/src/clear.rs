//! The clear twin: the same integers without encryption. It is the oracle of the tests and the definition of what
//! an encrypted evaluation returns.

use crate::{Error, QuantizedHead};

/// score_k = w_k . x + bias_k for a quantized row of d integers. Errors where the row has another length or a value
/// outside its bit width.
pub fn scores(head: &QuantizedHead, row: &[i64]) -> Result<Vec<i64>, Error> {
    let shape = head.shape();
    if row.len() != shape.features {
        return Err(Error::Shape { what: "features per row", got: row.len(), expected: shape.features });
    }
    if row.iter().any(|x| x.abs() > shape.feature_limit()) {
        return Err(Error::OutOfRange { what: "a quantized feature", rule: "within its bit width" });
    }
    let dot = |weights: &[i8]| weights.iter().zip(row).map(|(&w, &x)| i64::from(w) * x).sum::<i64>();
    Ok(head
        .weight()
        .chunks_exact(shape.features)
        .zip(head.bias())
        .map(|(weights, bias)| dot(weights) + bias)
        .collect())
}
