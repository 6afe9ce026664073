//! The figures of some rows: each group's rates, and how far groups are apart.

use serde::Serialize;

use super::Settings;
use crate::{
    Measure,
    calibration::Calibration,
    cells::{Partition, Patterns},
    compare::{Disparity, GAPS, Gap, Spread, compared, is_compared, spread},
    counts::{Counts, Rate},
    interval::{Estimate, newcombe, percentiles, wilson},
    resample::Resampler,
};

/// What was found in some rows.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    /// The groups, also those that are too small to be judged.
    pub groups: Vec<Group>,
    /// How far groups are apart, by measure; without those that fewer than two groups have enough rows for.
    pub disparities: Vec<Disparity>,
}

/// A group.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Whether they are too few for it to be judged.
    pub is_too_small: bool,
    /// What was counted.
    pub counts: Counts,
    /// Its rates; none of a group that is too small.
    pub rates: Vec<RateOf>,
    /// Its rates less those of the reference group, where both are compared.
    pub gaps: Vec<Gap>,
    /// The calibration of its scores, where they are probabilities; over all rows alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// A group's rate.
#[derive(Debug, Clone, Serialize)]
pub struct RateOf {
    /// Which.
    pub rate: Rate,
    /// Rows that have it.
    pub part: u64,
    /// Rows that it is of.
    pub whole: u64,
    /// The rate with Wilson's interval; `None` where it is of nothing.
    #[serde(flatten)]
    pub estimate: Option<Estimate>,
    /// Whether it is of enough rows to be compared.
    pub is_compared: bool,
}

impl Group {
    /// One of its rates.
    #[must_use]
    pub fn rate(&self, rate: Rate) -> Option<&RateOf> {
        self.rates.iter().find(|found| found.rate == rate)
    }

    /// Whether one of its rates is compared.
    #[must_use]
    pub fn is_compared(&self, rate: Rate) -> bool {
        self.rate(rate).is_some_and(|found| found.is_compared)
    }
}

impl Figures {
    pub(super) fn intervals(&self) -> usize {
        let of_group = |group: &Group| {
            let calibration = group.calibration.as_ref();
            group.rates.iter().filter(|rate| rate.estimate.is_some()).count()
                + group.gaps.len()
                + calibration.map_or(0, |found| found.bins.len() + usize::from(found.brier_score.is_some()))
        };
        let of_disparity = |disparity: &Disparity| {
            [disparity.difference_interval, disparity.ratio_interval].iter().flatten().count()
        };
        self.groups.iter().map(of_group).sum::<usize>()
            + self.disparities.iter().map(of_disparity).sum::<usize>()
    }
}

/// What rows are looked at for.
pub(super) struct Subject<'a> {
    pub(super) patterns: &'a Patterns,
    pub(super) partitions: &'a [Partition],
    pub(super) positives: &'a [u16],
    pub(super) references: &'a [usize],
    pub(super) settings: &'a Settings,
}

/// A measure of a partition, seen from a class, while rows are drawn again.
struct Followed {
    measure: Measure,
    groups: Vec<Vec<usize>>,
    found: Spread,
    differences: Vec<f64>,
    ratios: Vec<f64>,
}

impl Subject<'_> {
    /// The figures of rows, given by their patterns: for each class, for each partition.
    pub(super) fn figures(&self, patterns: &[u32]) -> Vec<Figures> {
        let mut weights = self.patterns.weights(patterns);
        let mut counted = Vec::new();
        self.each(&weights, |_, _, counts| counted.push(counts.to_vec()));
        let min_cell = self.settings.min_cell;
        let mut followed: Vec<Vec<Followed>> = counted
            .iter()
            .map(|counts| {
                Measure::ALL.iter().filter_map(|measure| Followed::new(*measure, counts, min_cell)).collect()
            })
            .collect();
        let mut resampler = Resampler::new(self.settings.seed);
        let resamples = if followed.iter().all(Vec::is_empty) { 0 } else { self.settings.resamples };
        for _ in 0..resamples {
            resampler.draw(patterns, &mut weights);
            self.each(&weights, |at, _, counts| {
                followed[at].iter_mut().for_each(|followed| followed.add(counts))
            });
        }
        let mut figures = Vec::new();
        for ((at, counts), followed) in counted.iter().enumerate().zip(followed) {
            let partition = at % self.partitions.len();
            let names = self.partitions[partition].groups();
            let groups = self.groups(names, counts, self.references[partition]);
            let disparities = followed.into_iter().map(|followed| followed.finish(names)).collect();
            figures.push(Figures { groups, disparities });
        }
        figures
    }

    /// Counts for each class, for each partition.
    fn each(&self, weights: &[u32], mut take: impl FnMut(usize, usize, &[Counts])) {
        let mut at = 0;
        for positive in self.positives {
            for (partition, groups) in self.partitions.iter().enumerate() {
                let mut counts = vec![Counts::default(); groups.groups().len()];
                self.patterns.count(weights, partition, *positive, &mut counts);
                take(at, partition, &counts);
                at += 1;
            }
        }
    }

    fn groups(&self, names: &[String], counts: &[Counts], reference: usize) -> Vec<Group> {
        let min_cell = self.settings.min_cell;
        let has_undecided = counts.iter().any(|counts| counts.decided() < counts.rows());
        let group = |(at, (name, counts)): (usize, (&String, &Counts))| {
            let is_too_small = counts.rows() < min_cell;
            let mut group = Group {
                name: name.clone(),
                rows: counts.rows(),
                is_too_small,
                counts: *counts,
                rates: Vec::new(),
                gaps: Vec::new(),
                calibration: None,
            };
            if !is_too_small {
                let rates = Rate::ALL.iter().filter(|rate| has_undecided || **rate != Rate::UndecidedRate);
                group.rates = rates.map(|rate| rate_of(*rate, counts, min_cell)).collect();
            }
            (at, group)
        };
        let mut groups: Vec<(usize, Group)> = names.iter().zip(counts).enumerate().map(group).collect();
        let reference_counts = &counts[reference];
        for (_, group) in groups.iter_mut().filter(|(at, _)| *at != reference) {
            let is_both =
                |rate: &&Rate| group.is_compared(**rate) && is_compared(**rate, reference_counts, min_cell);
            let gap = |rate: &Rate| {
                let estimate = newcombe(rate.of(&group.counts), rate.of(reference_counts))?;
                Some(Gap { rate: *rate, estimate })
            };
            group.gaps = GAPS.iter().filter(is_both).filter_map(gap).collect();
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }
}

fn rate_of(rate: Rate, counts: &Counts, min_cell: u64) -> RateOf {
    let (part, whole) = rate.of(counts);
    RateOf {
        rate,
        part,
        whole,
        estimate: wilson((part, whole)),
        is_compared: is_compared(rate, counts, min_cell),
    }
}

impl Followed {
    fn new(measure: Measure, counts: &[Counts], min_cell: u64) -> Option<Self> {
        let groups = compared(measure, counts, min_cell)?;
        let found = spread(measure, counts, &groups)?;
        Some(Self { measure, groups, found, differences: Vec::new(), ratios: Vec::new() })
    }

    /// A draw in which a group has no rows that a rate is of says nothing.
    fn add(&mut self, counts: &[Counts]) {
        if let Some(spread) = spread(self.measure, counts, &self.groups) {
            self.differences.push(spread.difference);
            self.ratios.extend(spread.ratio);
        }
    }

    fn finish(mut self, names: &[String]) -> Disparity {
        let mut compared: Vec<usize> = self.groups.concat();
        compared.sort_unstable();
        compared.dedup();
        let name = |group: usize| names[group].clone();
        Disparity {
            measure: self.measure,
            rate: self.found.rate,
            difference: self.found.difference,
            difference_interval: percentiles(&mut self.differences),
            ratio: self.found.ratio,
            ratio_interval: self.found.ratio.and_then(|_| percentiles(&mut self.ratios)),
            least: name(self.found.least),
            most: name(self.found.most),
            compared: compared.into_iter().map(name).collect(),
        }
    }
}
