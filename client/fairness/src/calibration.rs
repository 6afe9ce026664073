//! Scores against what came true: whether of those who get a score of 0.8, eight in ten have the class.

use serde::Serialize;

use crate::interval::{self, Estimate, wilson};

/// How a group's scores agree with what came true.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// Bins of equal width with at least one row.
    pub bins: Vec<Bin>,
    /// The expected calibration error: the mean distance of a bin's scores from what came true, weighted by its rows.
    pub expected_calibration_error: f64,
    /// The mean squared distance of scores from what came true (1 or 0), with a normal interval.
    pub brier_score: Option<Estimate>,
    /// How often a row with the class has a higher score than one without, ties counted half: the area under the ROC
    /// curve. `None` where all rows are of one kind.
    pub area_under_curve: Option<f64>,
}

/// Rows with similar scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Scores above this, in the first bin from this on.
    pub above: f64,
    /// Scores up to this.
    pub up_to: f64,
    /// Rows.
    pub rows: u64,
    /// Their mean score.
    pub mean_score: f64,
    /// How many of them have the class, with Wilson's interval.
    pub observed: Estimate,
}

/// Whether scores can be read as probabilities.
#[must_use]
pub fn are_probabilities(scores: &[f64]) -> bool {
    scores.iter().all(|score| (0.0..=1.0).contains(score))
}

/// The calibration of scores between 0 and 1, each with whether its row has the class; `None` of no rows.
#[must_use]
pub fn calibration(scored: &[(f64, bool)], bins: usize) -> Option<Calibration> {
    if scored.is_empty() {
        return None;
    }
    let edges: Vec<f64> = (0..=bins).map(|edge| edge as f64 * (1.0 / bins as f64)).collect();
    let mut sums = vec![(0u64, 0u64, 0.0); bins];
    for &(score, is_true) in scored {
        // A score on an edge is in the bin below.
        let bin = edges[1..bins].iter().filter(|edge| **edge < score).count();
        let (rows, positives, sum) = &mut sums[bin];
        (*rows, *positives, *sum) = (*rows + 1, *positives + u64::from(is_true), *sum + score);
    }
    let bins: Vec<Bin> = sums
        .iter()
        .enumerate()
        .filter_map(|(at, &(rows, positives, sum))| {
            let observed = wilson((positives, rows))?;
            let (above, up_to) = (edges[at], if at + 1 == bins { 1.0 } else { edges[at + 1] });
            Some(Bin { above, up_to, rows, mean_score: sum / rows as f64, observed })
        })
        .collect();
    let error = |bin: &Bin| bin.rows as f64 * (bin.observed.value - bin.mean_score).abs();
    let squares: Vec<f64> =
        scored.iter().map(|(score, is_true)| (score - f64::from(u8::from(*is_true))).powi(2)).collect();
    Some(Calibration {
        expected_calibration_error: bins.iter().map(error).sum::<f64>() / scored.len() as f64,
        brier_score: interval::mean(&squares),
        area_under_curve: area_under_curve(scored),
        bins,
    })
}

/// Mann and Whitney's statistic.
fn area_under_curve(scored: &[(f64, bool)]) -> Option<f64> {
    let mut sorted = scored.to_vec();
    sorted.sort_unstable_by(|one, two| one.0.total_cmp(&two.0));
    let (mut below, mut positives, mut wins) = (0.0, 0.0, 0.0);
    // Zero has two signs that are equal.
    for tied in sorted.chunk_by(|one, two| one.0 == two.0) {
        let true_here = tied.iter().filter(|(_, is_true)| *is_true).count() as f64;
        let false_here = tied.len() as f64 - true_here;
        wins += true_here * (below + false_here / 2.0);
        (below, positives) = (below + false_here, positives + true_here);
    }
    (below > 0.0 && positives > 0.0).then(|| wins / below / positives)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_their_upper_edge() {
        let scored = [(0.0, false), (0.5, true), (0.5000001, true), (1.0, false)];
        let found = calibration(&scored, 2).unwrap();
        let rows: Vec<_> = found.bins.iter().map(|bin| (bin.above, bin.up_to, bin.rows)).collect();
        assert_eq!(rows, [(0.0, 0.5, 2), (0.5, 1.0, 2)]);
        assert_eq!((found.bins[0].mean_score, found.bins[0].observed.value), (0.25, 0.5));
        assert!((found.expected_calibration_error - 0.25).abs() < 1e-6);
        assert!((found.brier_score.unwrap().value - (0.25 + 0.25 + 1.0) / 4.0).abs() < 1e-6);
    }

    #[test]
    fn empty_bins_are_left_out() {
        let found = calibration(&[(0.05, true), (0.95, true)], 10).unwrap();
        assert_eq!((found.bins.len(), found.area_under_curve), (2, None));
        assert_eq!(calibration(&[], 10), None);
        assert!(are_probabilities(&[0.0, 1.0]) && !are_probabilities(&[0.5, 1.5]));
        assert!(!are_probabilities(&[-0.1]));
    }

    #[test]
    fn the_area_counts_pairs() {
        let scored = [(0.1, false), (0.4, true), (0.4, false), (0.8, true), (-0.0, false), (0.0, true)];
        // Of nine pairs five are won and two tied.
        assert_eq!(area_under_curve(&scored), Some(6.0 / 9.0));
    }
}
