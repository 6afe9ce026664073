//! One simple classifier: multinomial logistic regression.
//!
//! Features are standardized by the rows that it learns from. Minimized is the mean over n rows of -ln p(class), plus |W|² / 2n, where W
//! has a weight for each class and feature and biases are free: with two classes what scikit-learn calls C = 2, with more C =
//! 1. L-BFGS from zero until no entry of the gradient is above [`TOLERANCE`]: nothing is random.

use std::convert::Infallible;

use serde::Serialize;

use crate::{
    Rows, correlation,
    lbfgs::minimize,
    linear::{add, dot},
};

/// Where learning stops.
pub const TOLERANCE: f64 = 1e-6;

/// How often value and gradient are asked for, at most.
const EVALUATIONS: usize = 2000;

/// What was learned.
pub(crate) struct Classifier {
    scaling: Scaling,
    /// Of each class: the bias, then the weights.
    weights: Vec<f64>,
    classes: usize,
    is_converged: bool,
}

/// How often a classifier is right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// Rows that are right, of all.
    pub accuracy: f64,
    /// The mean over the classes that are tested of how many of its rows are right.
    pub balanced_accuracy: f64,
    /// Whether learning came to its end; otherwise it stopped after 2000 evaluations.
    pub is_converged: bool,
}

/// Means and deviations that standardize features; features that do not vary are centred alone.
pub(crate) struct Scaling(Vec<(f64, f64)>);

impl Scaling {
    pub(crate) fn of(rows: &Rows) -> Self {
        let of = |column| match correlation::moments(&rows.column(column)) {
            (mean, deviation) if deviation > 0.0 => (mean, deviation),
            (mean, _) => (mean, 1.0),
        };
        Self((0..rows.columns()).map(of).collect())
    }

    /// All rows, one after the other.
    pub(crate) fn apply(&self, rows: &Rows) -> Vec<f64> {
        let scaled = |row: &[f64]| {
            row.iter().zip(&self.0).map(|(value, (mean, deviation))| (value - mean) / deviation).collect()
        };
        rows.iter().flat_map::<Vec<f64>, _>(scaled).collect()
    }
}

impl Classifier {
    /// Learns from rows.
    pub(crate) fn learn(rows: &Rows) -> Self {
        let scaling = Scaling::of(rows);
        let scaled = scaling.apply(rows);
        let (columns, classes) = (rows.columns(), rows.classes().len());
        let n = rows.len() as f64;
        let mut scores = vec![0.0; classes];
        let start = vec![0.0; classes * (columns + 1)];
        let Ok(found) = minimize(start, TOLERANCE, EVALUATIONS, |weights, gradient| {
            gradient.fill(0.0);
            let mut value = 0.0;
            for (row, &label) in scaled.chunks_exact(columns).zip(rows.labels()) {
                score(weights, row, &mut scores);
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let right = scores[label];
                let mut sum = 0.0;
                for score in &mut scores {
                    *score = libm::exp(*score - most);
                    sum += *score;
                }
                value += libm::log(sum) + most - right;
                for (class, part) in gradient.chunks_exact_mut(columns + 1).enumerate() {
                    let off = scores[class] / sum - f64::from(u8::from(class == label));
                    part[0] += off;
                    add(&mut part[1..], off, row);
                }
            }
            for (part, weights) in
                gradient.chunks_exact_mut(columns + 1).zip(weights.chunks_exact(columns + 1))
            {
                value += dot(&weights[1..], &weights[1..]) / 2.0;
                add(&mut part[1..], 1.0, &weights[1..]);
            }
            gradient.iter_mut().for_each(|entry| *entry /= n);
            Ok::<_, Infallible>(value / n)
        });
        Self { scaling, weights: found.at, classes, is_converged: found.is_found }
    }

    /// The class of each row.
    pub(crate) fn classify(&self, rows: &Rows) -> Vec<usize> {
        let mut scores = vec![0.0; self.classes];
        let best = |row: &[f64]| {
            score(&self.weights, row, &mut scores);
            let better = |best: usize, class: usize| if scores[class] > scores[best] { class } else { best };
            (0..self.classes).reduce(better).unwrap_or(0)
        };
        self.scaling.apply(rows).chunks_exact(rows.columns()).map(best).collect()
    }

    /// How often it is right on these rows.
    pub(crate) fn test(&self, rows: &Rows) -> Score {
        let mut right = vec![0usize; self.classes];
        for (class, &label) in self.classify(rows).into_iter().zip(rows.labels()) {
            right[label] += usize::from(class == label);
        }
        let counts = rows.counts();
        let tested: Vec<f64> = right
            .iter()
            .zip(&counts)
            .filter(|&(_, &count)| count > 0)
            .map(|(&right, &count)| right as f64 / count as f64)
            .collect();
        Score {
            accuracy: right.iter().sum::<usize>() as f64 / rows.len() as f64,
            balanced_accuracy: tested.iter().sum::<f64>() / tested.len() as f64,
            is_converged: self.is_converged,
        }
    }
}

fn score(weights: &[f64], row: &[f64], scores: &mut [f64]) {
    for (score, weights) in scores.iter_mut().zip(weights.chunks_exact(row.len() + 1)) {
        *score = weights[0] + dot(&weights[1..], row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_of_one_feature() {
        // Where the gradient vanishes, written out by hand.
        let rows = Rows::new(vec![-1.0, -1.0, 1.0, 1.0], 1, vec![0, 1, 1, 1], vec!["a".into(), "b".into()]);
        let learned = Classifier::learn(rows.as_ref().unwrap());
        assert!(learned.is_converged);
        let [b0, w0, b1, w1] = learned.weights[..] else { panic!() };
        let p = |x: f64| 1.0 / (1.0 + (-(b1 - b0) - (w1 - w0) * x).exp());
        let (low, high) = (p(-1.0), p(1.0));
        assert!((2.0 * low + 2.0 * high - 3.0).abs() < 1e-5);
        // d/dw1: -(p(-1) - y) summed, and w1 itself.
        assert!((-(2.0 * low - 1.0) + 2.0 * (high - 1.0) + w1).abs() < 1e-5 && (w0 + w1).abs() < 1e-5);
        assert_eq!(learned.classify(rows.as_ref().unwrap())[2..], [1, 1]);
    }

    #[test]
    fn balanced_accuracy_leaves_out_what_is_not_tested() {
        let names = || vec!["a".into(), "b".into(), "c".into()];
        let labels = vec![0, 0, 1, 1, 2, 2];
        let learned =
            Classifier::learn(&Rows::new(vec![0.0, 0.1, 5.0, 5.1, 9.0, 9.1], 1, labels, names()).unwrap());
        let score = learned.test(&Rows::new(vec![0.0, 0.0, 0.0, 9.0], 1, vec![0, 0, 0, 1], names()).unwrap());
        assert_eq!((score.accuracy, score.balanced_accuracy), (0.75, 0.5));
    }
}
