//! The clear twin: the same integers without encryption. It is the oracle of the tests and the definition of what
//! an encrypted evaluation returns.

use crate::{Error, QuantizedHead, label::Label, plan::Decision};

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

/// The label of a quantized row: the class with the highest score, the first of equals, or for each class whether its
/// score is 0 or more. Never `review`. Errors as [`scores`].
pub fn label(head: &QuantizedHead, decision: Decision, row: &[i64]) -> Result<Label, Error> {
    let scores = scores(head, row)?;
    Ok(match decision {
        Decision::Argmax => {
            let best = scores.iter().enumerate().rev().max_by_key(|(_, score)| **score);
            Label::Class(best.map(|(class, _)| class))
        }
        Decision::Thresholds => Label::Findings(scores.iter().map(|score| Some(*score >= 0)).collect()),
    })
}
