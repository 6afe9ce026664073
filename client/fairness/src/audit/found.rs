//! What an audit finds.

use serde::Serialize;

use super::{Figures, Rule};
use crate::{diversity::Diversity, proposal::Proposal};

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Audit {
    /// Decisions.
    pub rows: usize,
    /// Of these, left to a human.
    pub undecided: usize,
    /// The first and the last day, where days are known.
    pub days: Option<(String, String)>,
    /// Rows that a group must have.
    pub min_cell: u64,
    /// How often rows were drawn again.
    pub resamples: usize,
    /// What fixes these draws.
    pub seed: u64,
    /// When to raise an alarm.
    pub alarm: Option<Rule>,
    /// The classes.
    pub classes: Vec<Class>,
    /// What is seen from each class that is looked for.
    pub views: Vec<View>,
    /// The differences that were too large.
    pub alarms: Vec<Alarm>,
    /// Intervals in all of this. Of 95 % intervals, one in twenty misses what it is for.
    pub intervals: usize,
}

/// A class.
#[derive(Debug, Clone, Serialize)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// Rows that have it.
    pub true_rows: usize,
    /// Rows that are said to.
    pub predicted_rows: usize,
}

/// What is seen from a class, all others taken together.
#[derive(Debug, Clone, Serialize)]
pub struct View {
    /// The class.
    pub positive: String,
    /// Whether its scores can be read as probabilities; `None` without scores.
    pub has_probabilities: Option<bool>,
    /// Each way to part rows into groups.
    pub comparisons: Vec<Comparison>,
}

/// A comparison of groups.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// The column, or all of them.
    pub by: String,
    /// The columns.
    pub columns: Vec<String>,
    /// The group that others are compared with.
    pub reference: String,
    /// Over all rows.
    #[serde(flatten)]
    pub all: Figures,
    /// How evenly rows are spread over groups.
    pub representation: Option<Diversity>,
    /// How evenly decisions for the class are.
    pub outcomes: Option<Diversity>,
    /// The Gini coefficient of the selection rates of groups that are large enough.
    pub selection_rate_gini: Option<f64>,
    /// Over time.
    pub windows: Vec<WindowFigures>,
    /// Thresholds that would bring odds together, where there are scores and groups large enough.
    pub proposal: Option<Proposal>,
    /// The groups that a proposal leaves out, as they have too few rows with the class, or without it.
    pub without_proposal: Vec<String>,
}

/// What was found in a window of time.
#[derive(Debug, Clone, Serialize)]
pub struct WindowFigures {
    /// The window.
    pub window: String,
    /// Its rows.
    pub rows: usize,
    /// What was found.
    #[serde(flatten)]
    pub figures: Figures,
}

/// A difference that is too large.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alarm {
    /// The class that is looked for.
    pub positive: String,
    /// The column, or all of them.
    pub by: String,
    /// The window; `None` for all rows.
    pub window: Option<String>,
    /// The difference.
    pub difference: f64,
}

impl Comparison {
    pub(super) fn intervals(&self) -> usize {
        self.all.intervals() + self.windows.iter().map(|window| window.figures.intervals()).sum::<usize>()
    }
}
