//! How many patients there are of each group and class, and the weights that follow from it.
//!
//! - Balanced classes: n / (K n_k), so that each class weighs the same.
//! - Reweighing (Kamiran and Calders 2012, "Data preprocessing techniques for classification without discrimination"): n_g n_k / (n n_gk), so
//!   that group and class are independent among the weighted patients, and no row or label is changed.
//!
//! Both together multiply: groups and classes are independent then, and the classes weigh the same.

use crate::{Error, Patients, Pool, fixed::COUNT_BOUND};

/// Patients of each group and class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    classes: usize,
    /// By group, then by class.
    cells: Vec<u64>,
}

/// What weights patients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weighing {
    /// Each class weighs the same.
    pub balanced: bool,
    /// Group and class are independent.
    pub reweighed: bool,
}

impl Counts {
    /// Counts patients.
    #[must_use]
    pub fn of(patients: &Patients) -> Self {
        let classes = patients.rows().classes().len();
        let mut cells = vec![0; classes * patients.groups().len()];
        for (class, group) in patients.cells() {
            cells[group * classes + class] += 1;
        }
        Self { classes, cells }
    }

    /// Those of all clinics.
    pub(crate) fn pooled<P: Pool>(patients: &Patients, pool: &mut P) -> Result<Self, P::Error> {
        let own = Self::of(patients);
        let totals = pool.sum("counts", &signed(&own.cells), COUNT_BOUND)?;
        let cells = totals.iter().map(|&total| u64::try_from(total).map_err(|_| Error::Totals));
        let all = Self { classes: own.classes, cells: cells.collect::<Result<_, _>>()? };
        if let Some(class) = (0..all.classes).find(|&class| all.class(class) == 0) {
            return Err(Error::NoPatients { class: class + 1 }.into());
        }
        Ok(all)
    }

    /// All patients.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.cells.iter().sum()
    }

    /// Those of a class.
    #[must_use]
    pub fn class(&self, class: usize) -> u64 {
        self.cells.iter().skip(class).step_by(self.classes).sum()
    }

    /// Those of a group.
    #[must_use]
    pub fn group(&self, group: usize) -> u64 {
        self.cells.iter().skip(group * self.classes).take(self.classes).sum()
    }

    /// What a patient of a class and a group weighs.
    #[must_use]
    pub fn weight(&self, class: usize, group: usize, weighing: Weighing) -> f64 {
        let cell = self.cells.get(group * self.classes + class).copied().unwrap_or(0) as f64;
        let (all, class, group) = (self.total() as f64, self.class(class) as f64, self.group(group) as f64);
        let balanced = if weighing.balanced { all / (self.classes as f64 * class) } else { 1.0 };
        let reweighed = if weighing.reweighed { class * group / (all * cell) } else { 1.0 };
        balanced * reweighed
    }
}

/// Counts as what is summed.
pub(crate) fn signed(counts: &[u64]) -> Vec<i64> {
    counts.iter().map(|&count| i64::try_from(count).unwrap_or(i64::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use tiresias_synth::Rows;

    use super::*;

    /// 3 and 1 of the classes in group f, 2 and 6 in group m.
    fn example() -> Counts {
        let cells = [(0, 0, 3), (1, 0, 1), (0, 1, 2), (1, 1, 6)];
        let each = cells.iter().flat_map(|&(class, group, count)| vec![(class, group); count]);
        let (labels, of): (Vec<usize>, Vec<usize>) = each.unzip();
        let rows = Rows::new(vec![0.0; 12], 1, labels, vec!["a".into(), "b".into()]).unwrap();
        Counts::of(&Patients::with_groups(rows, vec!["f".into(), "m".into()], of).unwrap())
    }

    #[test]
    fn the_weights_of_a_worked_example() {
        let counts = example();
        assert_eq!((counts.total(), counts.class(0), counts.class(1), counts.group(1)), (12, 5, 7, 8));
        let reweighed = Weighing { reweighed: true, ..Weighing::default() };
        // 4 of 12 are f, 5 of 12 are a, 3 of 12 are both: 4 5 / (12 3).
        assert!((counts.weight(0, 0, reweighed) - 20.0 / 36.0).abs() < 1e-15);
        assert!((counts.weight(1, 0, reweighed) - 28.0 / 12.0).abs() < 1e-15);
        let balanced = Weighing { balanced: true, ..Weighing::default() };
        assert!((counts.weight(0, 1, balanced) - 12.0 / 10.0).abs() < 1e-15);
        assert!((counts.weight(0, 1, Weighing::default()) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn reweighing_makes_group_and_class_independent() {
        let counts = example();
        for balanced in [false, true] {
            let weighing = Weighing { balanced, reweighed: true };
            let mass = |class: usize, group: usize| {
                counts.cells[group * 2 + class] as f64 * counts.weight(class, group, weighing)
            };
            let rate = |group| mass(1, group) / (mass(0, group) + mass(1, group));
            assert!((rate(0) - rate(1)).abs() < 1e-12);
            assert!((rate(0) - if balanced { 0.5 } else { 7.0 / 12.0 }).abs() < 1e-12);
        }
    }
}
