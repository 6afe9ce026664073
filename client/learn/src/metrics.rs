//! How often a head is right, and for whom.

use serde::Serialize;

use crate::{Error, Head, Patients, Pool, counts::signed, fixed::COUNT_BOUND};

/// Figures of fewer patients are not given: they tell of single ones, and are hardly more than chance.
pub const FEWEST: u64 = 10;

/// Patients by group, by what they have and by what was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: Vec<String>,
    groups: Vec<String>,
    cells: Vec<u64>,
}

/// A figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// Of what.
    pub name: String,
    /// The group it is of; all patients where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subgroup: Option<String>,
    /// How much.
    pub value: f64,
    /// Of how many patients.
    pub samples: u64,
}

impl Confusion {
    /// Without patients yet.
    #[must_use]
    pub fn new(patients: &Patients) -> Self {
        let (classes, groups) = (patients.rows().classes().to_vec(), patients.groups().to_vec());
        let cells = vec![0; groups.len() * classes.len() * classes.len()];
        Self { classes, groups, cells }
    }

    /// Adds what a head says of patients with the same classes and groups.
    pub fn add(&mut self, head: &Head, patients: &Patients) {
        let classes = self.classes.len();
        for (row, (class, group)) in patients.rows().iter().zip(patients.cells()) {
            let at = (group * classes + class) * classes + head.classify(row);
            if let Some(cell) = self.cells.get_mut(at) {
                *cell += 1;
            }
        }
    }

    /// That of all clinics.
    pub fn pooled<P: Pool>(mut self, pool: &mut P) -> Result<Self, P::Error> {
        let totals = pool.sum("right and wrong", &signed(&self.cells), COUNT_BOUND)?;
        let cells = totals.iter().map(|&total| u64::try_from(total).map_err(|_| Error::Totals));
        self.cells = cells.collect::<Result<_, _>>()?;
        Ok(self)
    }

    fn count(&self, is_counted: impl Fn(usize, usize, usize) -> bool) -> u64 {
        let classes = self.classes.len();
        let counted = self
            .cells
            .iter()
            .enumerate()
            .filter(|(at, _)| is_counted(at / (classes * classes), at / classes % classes, at % classes));
        counted.map(|(_, count)| count).sum()
    }

    /// The share that is right.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        self.count(|_, truth, said| truth == said) as f64 / self.count(|_, _, _| true) as f64
    }

    /// Accuracy and the share of each class that is found, of all patients and of each group; and how many figures are left out, for they
    /// would be of fewer than [`FEWEST`] patients.
    #[must_use]
    pub fn metrics(&self) -> (Vec<Metric>, usize) {
        let mut metrics = Vec::new();
        let mut left_out = 0;
        let has_groups = self.groups.len() > 1;
        let groups = (0..self.groups.len()).filter(|_| has_groups).map(Some);
        for group in [None].into_iter().chain(groups) {
            let is_in = |of: usize| group.is_none_or(|group| group == of);
            let subgroup = group.map(|group| self.groups[group].clone());
            let mut add = |name: String, right: u64, samples: u64| match samples {
                0..FEWEST => left_out += 1,
                _ => {
                    let value = right as f64 / samples as f64;
                    metrics.push(Metric { name, subgroup: subgroup.clone(), value, samples });
                }
            };
            let right = self.count(|of, truth, said| is_in(of) && truth == said);
            add("accuracy".to_owned(), right, self.count(|of, _, _| is_in(of)));
            for (class, name) in self.classes.iter().enumerate() {
                let right = self.count(|of, truth, said| is_in(of) && truth == class && said == class);
                let samples = self.count(|of, truth, _| is_in(of) && truth == class);
                add(format!("sensitivity for {name}"), right, samples);
            }
        }
        (metrics, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Alone, objective::tests::example};

    #[test]
    fn a_table_written_out() {
        let mut confusion = Confusion::new(&example(2, 20));
        confusion.groups = vec!["f".into(), "m".into()];
        // By group, truth, said.
        confusion.cells = vec![20, 5, 3, 12, 6, 0, 1, 4];
        let confusion = confusion.pooled(&mut Alone).unwrap();
        assert!((confusion.accuracy() - 42.0 / 51.0).abs() < 1e-15);
        let (metrics, left_out) = confusion.metrics();
        let told: Vec<_> = metrics
            .iter()
            .map(|metric| (&*metric.name, metric.subgroup.as_deref(), metric.value, metric.samples))
            .collect();
        assert_eq!(
            told,
            [
                ("accuracy", None, 42.0 / 51.0, 51),
                ("sensitivity for class 0", None, 26.0 / 31.0, 31),
                ("sensitivity for class 1", None, 16.0 / 20.0, 20),
                ("accuracy", Some("f"), 32.0 / 40.0, 40),
                ("sensitivity for class 0", Some("f"), 20.0 / 25.0, 25),
                ("sensitivity for class 1", Some("f"), 12.0 / 15.0, 15),
                ("accuracy", Some("m"), 10.0 / 11.0, 11),
            ]
        );
        // Of six and of five patients.
        assert_eq!(left_out, 2);
    }
}
