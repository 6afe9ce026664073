//! Thresholds by group that would bring odds together, and what they cost: a proposal, never applied.
//!
//! The idea is that of Hardt, Price and Srebro (2016), which Fairlearn's `ThresholdOptimizer` implements: on scores that
//! exist already, choose for each group where "positive" begins. Theirs mixes two thresholds at random to meet exactly;
//! here each group gets one threshold and the same patient always the same answer, so odds meet within a tolerance only.
//! Among all choices within the tolerance, the one with the most right decisions is taken: exact over the thresholds looked
//! at, which are all distinct scores of a group where there are few, evenly many of them by rank otherwise.

use serde::Serialize;

use crate::{
    compare::{Measure, spread},
    counts::{Counts, Rate},
};

/// Thresholds of all groups that are looked at together.
const THRESHOLDS: usize = 2000;

/// Scores of a group, each with whether its row has the class, in the order of rows.
pub type Scored = Vec<(f64, bool)>;

/// Thresholds that would bring odds together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proposal {
    /// How far apart true and false positive rates may be.
    pub tolerance: f64,
    /// One a group.
    pub thresholds: Vec<Threshold>,
    /// What the decisions of the same rows do now.
    pub now: Effect,
    /// What the thresholds would do on the rows that they were chosen on.
    pub proposed: Effect,
    /// The same on rows that they were not chosen on: chosen on every second row with and without the class in each group, measured on the others, and
    /// the other way round. `None` where a half has a group without rows of both kinds.
    pub held_out: Option<Effect>,
}

/// A group's threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Threshold {
    /// The group.
    pub group: String,
    /// Positive from this score on; `None` for never.
    pub from: Option<f64>,
    /// The true positive rate on the rows that it was chosen on.
    pub true_positive_rate: f64,
    /// The false positive rate on these.
    pub false_positive_rate: f64,
}

/// What decisions do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Effect {
    /// How many are right.
    pub accuracy: f64,
    /// How far true positive rates or false positive rates are apart.
    pub equalized_odds_difference: f64,
}

/// Thresholds for named groups; each with its scores and what its decisions count now. `None` where a group has no rows of a kind.
#[must_use]
pub fn propose(groups: &[(&str, Scored, Counts)], tolerance: f64) -> Option<Proposal> {
    let scored: Vec<&Scored> = groups.iter().map(|(_, scored, _)| scored).collect();
    let now: Vec<Counts> = groups.iter().map(|(_, _, counts)| *counts).collect();
    let chosen = choose(&scored, tolerance)?;
    let counts: Vec<Counts> = scored.iter().zip(&chosen).map(|(scored, from)| count(scored, *from)).collect();
    let thresholds = groups.iter().zip(&chosen).zip(&counts).map(|(((name, ..), from), counts)| {
        Some(Threshold {
            group: (*name).to_owned(),
            from: *from,
            true_positive_rate: Rate::TruePositiveRate.value(counts)?,
            false_positive_rate: Rate::FalsePositiveRate.value(counts)?,
        })
    });
    Some(Proposal {
        tolerance,
        thresholds: thresholds.collect::<Option<_>>()?,
        now: effect(&now)?,
        proposed: effect(&counts)?,
        held_out: held_out(&scored, tolerance),
    })
}

fn effect(counts: &[Counts]) -> Option<Effect> {
    let groups: Vec<usize> = (0..counts.len()).collect();
    let (right, all) = counts
        .iter()
        .map(|counts| Rate::Accuracy.of(counts))
        .fold((0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
    let spread = spread(Measure::EqualizedOdds, counts, &[groups.clone(), groups])?;
    (all > 0)
        .then(|| Effect { accuracy: right as f64 / all as f64, equalized_odds_difference: spread.difference })
}

fn held_out(scored: &[&Scored], tolerance: f64) -> Option<Effect> {
    let halves: Vec<[Scored; 2]> = scored.iter().map(|scored| halve(scored)).collect();
    let mut counts = vec![Counts::default(); scored.len()];
    for side in 0..2 {
        let chosen_on: Vec<&Scored> = halves.iter().map(|halves| &halves[side]).collect();
        for ((counts, halves), from) in counts.iter_mut().zip(&halves).zip(choose(&chosen_on, tolerance)?) {
            add(counts, &halves[1 - side], from);
        }
    }
    effect(&counts)
}

/// Every second row of each kind.
fn halve(scored: &Scored) -> [Scored; 2] {
    let (mut halves, mut seen) = ([Scored::new(), Scored::new()], [0, 0]);
    for row in scored {
        let seen = &mut seen[usize::from(row.1)];
        halves[*seen % 2].push(*row);
        *seen += 1;
    }
    halves
}

fn count(scored: &Scored, from: Option<f64>) -> Counts {
    let mut counts = Counts::default();
    add(&mut counts, scored, from);
    counts
}

fn add(counts: &mut Counts, scored: &Scored, from: Option<f64>) {
    for (score, is_true) in scored {
        counts.add(*is_true, Some(from.is_some_and(|from| *score >= from)), 1);
    }
}

/// What a threshold does to its group.
#[derive(Debug, Clone, Copy)]
struct Point {
    from: Option<f64>,
    false_positive_rate: f64,
    true_positive_rate: f64,
    right: u64,
}

/// The points of a group, from no positives to all; rates only rise.
fn curve(scored: &Scored, limit: usize) -> Option<Vec<Point>> {
    let positives = scored.iter().filter(|(_, is_true)| *is_true).count() as u64;
    let negatives = scored.len() as u64 - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let mut sorted = scored.clone();
    sorted.sort_unstable_by(|one, two| two.0.total_cmp(&one.0));
    let (mut hits, mut alarms) = (0, 0);
    let mut points = vec![(None, 0, 0)];
    for tied in sorted.chunk_by(|one, two| one.0 == two.0) {
        let here = tied.iter().filter(|(_, is_true)| *is_true).count() as u64;
        (hits, alarms) = (hits + here, alarms + tied.len() as u64 - here);
        points.push((Some(tied[0].0), hits, alarms));
    }
    let last = points.len() - 1;
    let kept = limit.min(points.len());
    let at = (0..kept).map(|rank| rank * last / (kept - 1));
    let point = |(from, hits, alarms): (Option<f64>, u64, u64)| Point {
        from,
        false_positive_rate: alarms as f64 / negatives as f64,
        true_positive_rate: hits as f64 / positives as f64,
        right: hits + negatives - alarms,
    };
    Some(at.map(|at| point(points[at])).collect())
}

/// The thresholds with the most right decisions whose rates all lie in one square of the tolerance's size. Such a square
/// can be moved up and right until its lower left corner has a rate of some group on both sides.
fn choose(scored: &[&Scored], tolerance: f64) -> Option<Vec<Option<f64>>> {
    // What rounding takes from the difference of two rates must not close a square.
    let side = tolerance + 1e-12;
    let limit = (THRESHOLDS / scored.len().max(1)).clamp(16, 200);
    let curves: Vec<Vec<Point>> = scored.iter().map(|scored| curve(scored, limit)).collect::<Option<_>>()?;
    let corners = |rate: fn(&Point) -> f64| {
        let mut corners: Vec<f64> = curves.iter().flatten().map(rate).collect();
        corners.sort_unstable_by(f64::total_cmp);
        corners.dedup();
        corners
    };
    let (lefts, bottoms) =
        (corners(|point| point.false_positive_rate), corners(|point| point.true_positive_rate));
    let mut best: Option<(u64, Vec<Option<f64>>)> = None;
    for left in &lefts {
        // The points of each group between the square's left and right.
        let columns = curves.iter().map(|curve| {
            let first = curve.partition_point(|point| point.false_positive_rate < *left);
            let end = curve.partition_point(|point| point.false_positive_rate <= left + side);
            &curve[first..end]
        });
        let columns: Vec<&[Point]> = columns.collect();
        if columns.iter().any(|column| column.is_empty()) {
            continue;
        }
        for bottom in &bottoms {
            let choice = columns.iter().map(|column| {
                let first = column.partition_point(|point| point.true_positive_rate < *bottom);
                let end = column.partition_point(|point| point.true_positive_rate <= bottom + side);
                // Of equals, the first: the higher threshold.
                column[first..end].iter().rev().max_by_key(|point| point.right)
            });
            let Some(choice) = choice.collect::<Option<Vec<&Point>>>() else { continue };
            let right = choice.iter().map(|point| point.right).sum();
            if best.as_ref().is_none_or(|best| right > best.0) {
                best = Some((right, choice.iter().map(|point| point.from).collect()));
            }
        }
    }
    best.map(|(_, thresholds)| thresholds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All choices, one by one.
    fn exhaustive(scored: &[&Scored], tolerance: f64) -> u64 {
        let curves: Vec<Vec<Point>> = scored.iter().map(|scored| curve(scored, 200).unwrap()).collect();
        let mut choices: Vec<Vec<Point>> = vec![vec![]];
        for curve in &curves {
            let longer = |choice: &Vec<Point>| {
                curve.iter().map(|point| [choice.as_slice(), &[*point]].concat()).collect::<Vec<_>>()
            };
            choices = choices.iter().flat_map(longer).collect();
        }
        let width = |choice: &[Point], rate: fn(&Point) -> f64| {
            let rates = choice.iter().map(rate);
            rates.clone().fold(0.0, f64::max) - rates.fold(1.0, f64::min)
        };
        let within = choices.iter().filter(|choice| {
            width(choice, |point| point.true_positive_rate) <= tolerance + 1e-12
                && width(choice, |point| point.false_positive_rate) <= tolerance + 1e-12
        });
        within.map(|choice| choice.iter().map(|point| point.right).sum()).max().unwrap()
    }

    fn group() -> impl Strategy<Value = Scored> {
        prop::collection::vec((0u8..12, any::<bool>()), 2..14).prop_map(|rows| {
            let mut rows: Scored =
                rows.into_iter().map(|(score, is_true)| (f64::from(score), is_true)).collect();
            rows.extend([(3.0, true), (8.0, false)]);
            rows
        })
    }

    proptest! {
        #[test]
        fn no_choice_within_the_tolerance_is_better(groups in prop::collection::vec(group(), 2..4), tolerance in 0.0f64..0.5) {
            let scored: Vec<&Scored> = groups.iter().collect();
            let chosen = choose(&scored, tolerance).unwrap();
            let counts: Vec<Counts> = scored.iter().zip(&chosen).map(|(scored, from)| count(scored, *from)).collect();
            let right: u64 = counts.iter().map(|counts| Rate::Accuracy.of(counts).0).sum();
            prop_assert_eq!(right, exhaustive(&scored, tolerance));
            prop_assert!(effect(&counts).unwrap().equalized_odds_difference <= tolerance + 1e-9);
        }
    }

    #[test]
    fn a_shifted_group_gets_a_shifted_threshold() {
        let scores = |shift: f64| -> Scored {
            (0..200).map(|at| (f64::from(at) / 200.0 - shift, at >= 100)).collect()
        };
        let now = |scored: &Scored| count(scored, Some(0.5));
        let (one, two) = (scores(0.0), scores(0.25));
        let groups = [("one", one.clone(), now(&one)), ("two", two.clone(), now(&two))];
        let found = propose(&groups, 0.05).unwrap();
        assert_eq!(
            found.thresholds.iter().map(|threshold| threshold.from).collect::<Vec<_>>(),
            [Some(0.5), Some(0.25)]
        );
        assert_eq!((found.proposed.accuracy, found.proposed.equalized_odds_difference), (1.0, 0.0));
        assert_eq!(found.now, Effect { accuracy: 0.875, equalized_odds_difference: 0.5 });
        assert!(found.held_out.unwrap().accuracy > 0.95, "{found:?}");
    }

    #[test]
    fn groups_of_one_kind_have_no_proposal() {
        let groups = [
            ("one", vec![(0.5, true)], Counts::default()),
            ("two", vec![(0.5, true), (0.4, false)], Counts::default()),
        ];
        assert_eq!(propose(&groups, 0.1), None);
    }
}
