//! The whole audit: each class that is looked for, each way to part rows into groups, all rows and windows of time.

mod figures;
mod found;

use std::collections::BTreeMap;

use serde::Serialize;

use self::figures::Subject;
pub use self::{
    figures::{Figures, Group, RateOf},
    found::{Alarm, Audit, Class, Comparison, View, WindowFigures},
};
use crate::{
    Error, Measure, Rows, Window,
    calibration::{are_probabilities, calibration},
    cells::{Partition, Patterns, partitions},
    counts::{Counts, Rate},
    diversity::{diversity, gini},
    proposal::{Proposal, Scored, propose},
};

/// Windows that are taken.
pub const MAXIMUM_WINDOWS: usize = 600;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The class that is looked for; with more than two classes, all of them by default, each against the others.
    pub positive: Option<String>,
    /// Groups that others are compared with, by column; the largest by default.
    pub reference: Vec<(String, String)>,
    /// Rows that a group, and what a rate of it is of, must have to be judged.
    pub min_cell: u64,
    /// Bins of scores.
    pub bins: usize,
    /// How often rows are drawn again.
    pub resamples: usize,
    /// What fixes these draws.
    pub seed: u64,
    /// How rows with dates are gathered.
    pub window: Window,
    /// How far apart the proposal leaves rates.
    pub tolerance: f64,
    /// When to raise an alarm.
    pub alarm: Option<Rule>,
}

/// When to raise an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rule {
    /// What is watched.
    pub measure: Measure,
    /// The difference above which it is an alarm.
    pub above: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            positive: None,
            reference: Vec::new(),
            min_cell: 20,
            bins: 10,
            resamples: 1000,
            seed: 1,
            window: Window::Month,
            tolerance: 0.05,
            alarm: None,
        }
    }
}

/// Audits decisions.
pub fn audit(rows: &Rows, settings: &Settings) -> Result<Audit, Error> {
    settings.check()?;
    let positives = positives(rows, settings)?;
    let partitions = partitions(rows)?;
    let references = references(rows, &partitions, settings)?;
    let patterns = Patterns::new(rows, &partitions);
    let subject = Subject {
        patterns: &patterns,
        partitions: &partitions,
        positives: &positives,
        references: &references,
        settings,
    };
    let windows = windows(rows, settings.window)?;
    let mut whole = subject.figures(patterns.of_rows()).into_iter();
    let mut over_time: Vec<(String, usize, _)> = windows
        .iter()
        .map(|(name, rows)| {
            let of_window: Vec<u32> = rows.iter().map(|row| patterns.of_rows()[*row]).collect();
            (name.clone(), rows.len(), subject.figures(&of_window).into_iter())
        })
        .collect();

    let mut views = Vec::new();
    for &positive in &positives {
        let name = &rows.classes()[usize::from(positive)];
        let scores = rows.scores(name);
        let has_probabilities = scores.map(are_probabilities);
        let mut comparisons = Vec::new();
        for (partition, reference) in partitions.iter().zip(&references) {
            let mut all = whole.next().unwrap_or_default();
            let scored = scores.map(|scores| scored(rows, partition, scores, positive));
            if let (Some(scored), Some(true)) = (&scored, has_probabilities) {
                for (group, scored) in
                    all.groups.iter_mut().zip(scored).filter(|(group, _)| !group.is_too_small)
                {
                    let pairs: Scored = scored.iter().map(|row| (row.score, row.is_true)).collect();
                    group.calibration = calibration(&pairs, settings.bins);
                }
            }
            let (proposal, without_proposal) = match scored {
                Some(scored) => proposal(&all.groups, &scored, settings),
                None => (None, Vec::new()),
            };
            let windows = over_time.iter_mut().map(|(window, rows, figures)| WindowFigures {
                window: window.clone(),
                rows: *rows,
                figures: figures.next().unwrap_or_default(),
            });
            comparisons.push(Comparison {
                by: partition.name().to_owned(),
                columns: partition
                    .columns()
                    .iter()
                    .map(|at| rows.attributes()[*at].name().to_owned())
                    .collect(),
                reference: partition.groups()[*reference].clone(),
                representation: diversity(&all.groups.iter().map(|group| group.rows).collect::<Vec<_>>()),
                outcomes: diversity(
                    &all.groups
                        .iter()
                        .map(|group| Rate::SelectionRate.of(&group.counts).0)
                        .collect::<Vec<_>>(),
                ),
                selection_rate_gini: selection_rate_gini(&all.groups),
                windows: windows.collect(),
                proposal,
                without_proposal,
                all,
            });
        }
        views.push(View { positive: name.clone(), has_probabilities, comparisons });
    }
    let intervals = views.iter().flat_map(|view| &view.comparisons).map(Comparison::intervals).sum();
    let alarms = settings.alarm.map_or_else(Vec::new, |rule| alarms(&views, rule));
    let count = |is_counted: &dyn Fn(usize) -> bool| (0..rows.len()).filter(|row| is_counted(*row)).count();
    let class = |(number, name): (u16, &String)| Class {
        name: name.clone(),
        true_rows: count(&|row| rows.truths()[row] == number),
        predicted_rows: count(&|row| rows.predictions()[row] == Some(number)),
    };
    let days = rows.days().unwrap_or_default();
    Ok(Audit {
        rows: rows.len(),
        undecided: count(&|row| rows.predictions()[row].is_none()),
        days: days
            .iter()
            .min()
            .zip(days.iter().max())
            .map(|(first, last)| (first.to_string(), last.to_string())),
        min_cell: settings.min_cell,
        resamples: settings.resamples,
        seed: settings.seed,
        alarm: settings.alarm,
        classes: (0..).zip(rows.classes()).map(class).collect(),
        views,
        alarms,
        intervals,
    })
}

impl Settings {
    fn check(&self) -> Result<(), Error> {
        let is_share = |share: f64| (0.0..=1.0).contains(&share);
        for (option, rule, is_kept) in [
            ("--min-cell", "give at least 1", self.min_cell >= 1),
            ("--bins", "give between 1 and 100", (1..=100).contains(&self.bins)),
            ("--resamples", "give at most 100000", self.resamples <= 100_000),
            ("--tolerance", "give a difference between 0 and 1", is_share(self.tolerance)),
            (
                "--threshold",
                "give a difference between 0 and 1",
                self.alarm.is_none_or(|rule| is_share(rule.above)),
            ),
        ] {
            if !is_kept {
                return Err(Error::Setting { option, rule });
            }
        }
        Ok(())
    }
}

fn positives(rows: &Rows, settings: &Settings) -> Result<Vec<u16>, Error> {
    let classes = rows.classes();
    match &settings.positive {
        Some(positive) => {
            let found = (0..).zip(classes).find(|(_, class)| *class == positive);
            Ok(vec![found.ok_or(Error::NoSuchClass("--positive"))?.0])
        }
        None if classes.len() == 2 => Err(Error::NoPositive),
        None => Ok((0..classes.len() as u16).collect()),
    }
}

/// The group of each partition that others are compared with.
fn references(rows: &Rows, partitions: &[Partition], settings: &Settings) -> Result<Vec<usize>, Error> {
    const UNKNOWN: Error = Error::NoSuchGroup("--reference");
    let mut named = vec![None; rows.attributes().len()];
    for (column, group) in &settings.reference {
        let at = rows.attributes().iter().position(|groups| groups.name() == column).ok_or(UNKNOWN)?;
        let groups = rows.attributes()[at].names();
        named[at] = Some(groups.iter().position(|name| name == group).ok_or(UNKNOWN)?);
    }
    let reference = |partition: &Partition| {
        let columns = partition.columns().iter();
        let named = columns.map(|at| named[*at].map(|group| (group, rows.attributes()[*at].names().len())));
        let cell = named.collect::<Option<Vec<_>>>();
        cell.map_or_else(
            || largest(partition),
            |columns| columns.into_iter().fold(0, |cell, (group, groups)| cell * groups + group),
        )
    };
    Ok(partitions.iter().map(reference).collect())
}

fn largest(partition: &Partition) -> usize {
    let mut rows = vec![0usize; partition.groups().len()];
    partition.of_rows().iter().for_each(|group| rows[usize::from(*group)] += 1);
    // Of equals, the first.
    rows.iter().enumerate().rev().max_by_key(|(_, rows)| **rows).map_or(0, |(group, _)| group)
}

/// The rows of each window, in order.
fn windows(rows: &Rows, window: Window) -> Result<BTreeMap<String, Vec<usize>>, Error> {
    let mut windows: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (row, day) in rows.days().unwrap_or_default().into_iter().enumerate() {
        windows.entry(window.name(day)).or_default().push(row);
        if windows.len() > MAXIMUM_WINDOWS {
            return Err(Error::TooManyWindows(MAXIMUM_WINDOWS));
        }
    }
    Ok(windows)
}

/// A row's score and what became of it.
struct ScoredRow {
    score: f64,
    is_true: bool,
    is_decided: bool,
}

/// The scores of each group.
fn scored(rows: &Rows, partition: &Partition, scores: &[f64], positive: u16) -> Vec<Vec<ScoredRow>> {
    let mut groups: Vec<Vec<ScoredRow>> = partition.groups().iter().map(|_| Vec::new()).collect();
    for (row, group) in partition.of_rows().iter().enumerate() {
        groups[usize::from(*group)].push(ScoredRow {
            score: scores[row],
            is_true: rows.truths()[row] == positive,
            is_decided: rows.predictions()[row].is_some(),
        });
    }
    groups
}

/// Thresholds, from rows with decisions, and the groups that have too few of them.
fn proposal(
    groups: &[Group],
    scored: &[Vec<ScoredRow>],
    settings: &Settings,
) -> (Option<Proposal>, Vec<String>) {
    let is_large = |group: &Group| {
        group.is_compared(Rate::TruePositiveRate) && group.is_compared(Rate::FalsePositiveRate)
    };
    let small = groups.iter().filter(|group| !is_large(group)).map(|group| group.name.clone()).collect();
    let large: Vec<(&str, Scored, Counts)> = groups
        .iter()
        .zip(scored)
        .filter(|(group, _)| is_large(group))
        .map(|(group, rows)| {
            let decided = rows.iter().filter(|row| row.is_decided).map(|row| (row.score, row.is_true));
            (group.name.as_str(), decided.collect(), group.counts)
        })
        .collect();
    let proposal = (large.len() > 1).then(|| propose(&large, settings.tolerance)).flatten();
    (proposal, small)
}

fn selection_rate_gini(groups: &[Group]) -> Option<f64> {
    let compared = groups.iter().filter(|group| group.is_compared(Rate::SelectionRate));
    let rates: Vec<f64> = compared.filter_map(|group| Rate::SelectionRate.value(&group.counts)).collect();
    (rates.len() > 1).then(|| gini(&rates)).flatten()
}

fn alarms(views: &[View], rule: Rule) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    for view in views {
        for comparison in &view.comparisons {
            let windows = comparison.windows.iter().map(|window| (Some(&window.window), &window.figures));
            for (window, figures) in [(None, &comparison.all)].into_iter().chain(windows) {
                let found = figures.disparities.iter().find(|disparity| disparity.measure == rule.measure);
                if let Some(disparity) = found.filter(|disparity| disparity.difference > rule.above) {
                    alarms.push(Alarm {
                        positive: view.positive.clone(),
                        by: comparison.by.clone(),
                        window: window.cloned(),
                        difference: disparity.difference,
                    });
                }
            }
        }
    }
    alarms
}

#[cfg(test)]
mod tests;
