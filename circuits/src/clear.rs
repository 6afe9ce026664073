//! The clear twin: the same integers without encryption. It is the oracle of the tests and the definition of what
//! an encrypted evaluation returns.

use crate::{Error, HeadShape, QuantizedHead, label::Label, mlp::QuantizedMlp, plan::Decision};

/// score_k = w_k . x + bias_k for a quantized row of d integers. Errors where the row has another length or a value
/// outside its bit width.
pub fn scores(head: &QuantizedHead, row: &[i64]) -> Result<Vec<i64>, Error> {
    let shape = head.shape();
    check(shape, row)?;
    let rows = head.weight().chunks_exact(shape.features);
    Ok(rows.zip(head.bias()).map(|(weights, bias)| dot(weights, row) + bias).collect())
}

/// The activations of each hidden layer for a quantized row of d integers, each the number of its thresholds that its sum
/// reaches, and the scores. Errors as [`scores`].
pub fn mlp(head: &QuantizedMlp, row: &[i64]) -> Result<(Vec<Vec<i64>>, Vec<i64>), Error> {
    check(head.shape(), row)?;
    let mut activations: Vec<Vec<i64>> = Vec::with_capacity(head.layers().len());
    for layer in head.layers() {
        let reached = layer.activations(activations.last().map_or(row, Vec::as_slice));
        activations.push(reached);
    }
    let scores = last_layer(head, activations.last().map_or(row, Vec::as_slice));
    Ok((activations, scores))
}

/// The scores that given activations of the last hidden layer have.
#[must_use]
pub fn last_layer(head: &QuantizedMlp, activations: &[i64]) -> Vec<i64> {
    let rows = head.weight().chunks_exact(activations.len().max(1));
    rows.zip(head.bias()).map(|(weights, bias)| dot(weights, activations) + bias).collect()
}

/// What an answer of scores holds: approximate scores are rounded to the steps that their noise leaves.
#[must_use]
pub fn answer(head: &QuantizedMlp, scores: &[i64]) -> Vec<i64> {
    let bits = head.public().coarse_bits();
    scores.iter().map(|score| (score + ((1 << bits) >> 1)) >> bits).collect()
}

fn dot(weights: &[i8], row: &[i64]) -> i64 {
    weights.iter().zip(row).map(|(&w, &x)| i64::from(w) * x).sum()
}

fn check(shape: &HeadShape, row: &[i64]) -> Result<(), Error> {
    if row.len() != shape.features {
        return Err(Error::Shape { what: "features per row", got: row.len(), expected: shape.features });
    }
    if row.iter().any(|x| x.abs() > shape.feature_limit()) {
        return Err(Error::OutOfRange { what: "a quantized feature", rule: "within its bit width" });
    }
    Ok(())
}

/// The label of a quantized row: the class with the highest score, the first of equals, or for each class whether its
/// score is 0 or more. Never `review`. Errors as [`scores`].
pub fn label(head: &QuantizedHead, decision: Decision, row: &[i64]) -> Result<Label, Error> {
    Ok(decide(decision, &scores(head, row)?))
}

/// The label that integer scores have.
#[must_use]
pub fn decide(decision: Decision, scores: &[i64]) -> Label {
    match decision {
        Decision::Argmax => {
            let best = scores.iter().enumerate().rev().max_by_key(|(_, score)| **score);
            Label::Class(best.map(|(class, _)| class))
        }
        Decision::Thresholds => Label::Findings(scores.iter().map(|score| Some(*score >= 0)).collect()),
    }
}
