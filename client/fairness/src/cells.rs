//! Groups of one column, and of all columns together, and what is counted of them.

use std::collections::HashMap;

use crate::{Error, Rows, counts::Counts};

/// Combinations of groups that are taken.
pub const MAXIMUM_CELLS: usize = 1024;

/// A way to part rows into groups.
#[derive(Debug, Clone)]
pub struct Partition {
    name: String,
    columns: Vec<usize>,
    groups: Vec<String>,
    of_rows: Vec<u16>,
}

impl Partition {
    /// The column, or all of them.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The columns that it is made of.
    #[must_use]
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// The groups, also those that no row has.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// The group of each row.
    #[must_use]
    pub fn of_rows(&self) -> &[u16] {
        &self.of_rows
    }
}

/// Each column of groups, and where there are several, all combinations of them.
pub fn partitions(rows: &Rows) -> Result<Vec<Partition>, Error> {
    let columns = rows.attributes();
    let single = |(at, groups): (usize, &crate::rows::Groups)| Partition {
        name: groups.name().to_owned(),
        columns: vec![at],
        groups: groups.names().to_vec(),
        of_rows: groups.of_rows().to_vec(),
    };
    let mut partitions: Vec<_> = columns.iter().enumerate().map(single).collect();
    if columns.len() > 1 {
        let mut groups = vec![String::new()];
        let mut of_rows = vec![0; rows.len()];
        for column in columns {
            let names = column.names();
            if groups.len() * names.len() > MAXIMUM_CELLS {
                return Err(Error::TooManyCells(MAXIMUM_CELLS));
            }
            let join = |before: &String, name: &String| match before.is_empty() {
                true => name.clone(),
                false => format!("{before}, {name}"),
            };
            groups =
                groups.iter().flat_map(|before| names.iter().map(move |name| join(before, name))).collect();
            for (cell, group) in of_rows.iter_mut().zip(column.of_rows()) {
                *cell = *cell * names.len() as u16 + group;
            }
        }
        let names: Vec<&str> = columns.iter().map(crate::rows::Groups::name).collect();
        let columns = (0..columns.len()).collect();
        partitions.push(Partition { name: names.join(" x "), columns, groups, of_rows });
    }
    Ok(partitions)
}

/// Rows that agree in everything that is counted are one pattern: what is drawn and counted is patterns.
#[derive(Debug)]
pub struct Patterns {
    of_rows: Vec<u32>,
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    /// By partition.
    groups: Vec<u16>,
    truth: u16,
    prediction: Option<u16>,
}

impl Patterns {
    /// The patterns of all rows.
    #[must_use]
    pub fn new(rows: &Rows, partitions: &[Partition]) -> Self {
        let mut numbers = HashMap::new();
        let (mut of_rows, mut patterns) = (Vec::with_capacity(rows.len()), Vec::new());
        for (row, (&truth, &prediction)) in rows.truths().iter().zip(rows.predictions()).enumerate() {
            // The last partition is the finest.
            let cell = partitions.last().map_or(0, |finest| finest.of_rows[row]);
            let number = *numbers.entry((cell, truth, prediction)).or_insert_with(|| {
                let groups = partitions.iter().map(|partition| partition.of_rows[row]).collect();
                patterns.push(Pattern { groups, truth, prediction });
                patterns.len() as u32 - 1
            });
            of_rows.push(number);
        }
        Self { of_rows, patterns }
    }

    /// The pattern of each row.
    #[must_use]
    pub fn of_rows(&self) -> &[u32] {
        &self.of_rows
    }

    /// How often each pattern is among some rows.
    #[must_use]
    pub fn weights(&self, patterns: &[u32]) -> Vec<u32> {
        let mut weights = vec![0; self.patterns.len()];
        patterns.iter().for_each(|pattern| weights[*pattern as usize] += 1);
        weights
    }

    /// What weighted patterns count for the groups of a partition, seen from one class. `counts` has an entry a group.
    pub fn count(&self, weights: &[u32], partition: usize, positive: u16, counts: &mut [Counts]) {
        counts.fill(Counts::default());
        for (pattern, weight) in self.patterns.iter().zip(weights) {
            counts[usize::from(pattern.groups[partition])].add(
                pattern.truth == positive,
                pattern.prediction.map(|class| class == positive),
                u64::from(*weight),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Layout, Record,
        rows::{Attribute, Builder},
    };

    fn rows(columns: usize, records: &[(&str, &str, &[&str])]) -> Rows {
        let attributes = (0..columns).map(|at| Attribute { name: format!("g{at}"), bands: None }).collect();
        let mut builder = Builder::new(Layout { attributes, ..Layout::default() }).unwrap();
        for (truth, prediction, groups) in records {
            let prediction = Some(*prediction);
            builder.push(Record { truth, prediction, scores: &[], groups, day: None }).unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn all_combinations_are_cells() {
        let records: [(&str, &str, &[&str]); 4] = [
            ("a", "a", &["f", "x"]),
            ("b", "a", &["m", "y"]),
            ("b", "b", &["m", "z"]),
            ("b", "b", &["m", "z"]),
        ];
        let rows = rows(2, &records);
        let partitions = partitions(&rows).unwrap();
        let names: Vec<&str> = partitions.iter().map(Partition::name).collect();
        assert_eq!(names, ["g0", "g1", "g0 x g1"]);
        assert_eq!(partitions[2].groups(), ["f, x", "f, y", "f, z", "m, x", "m, y", "m, z"]);
        assert_eq!(partitions[2].of_rows(), [0, 4, 5, 5]);
        let patterns = Patterns::new(&rows, &partitions);
        assert_eq!(patterns.of_rows(), [0, 1, 2, 2]);
        let weights = patterns.weights(patterns.of_rows());
        let mut counts = [Counts::default(); 2];
        patterns.count(&weights, 0, 0, &mut counts);
        assert_eq!(counts[0], Counts { true_positives: 1, ..Counts::default() });
        assert_eq!(counts[1], Counts { false_positives: 1, true_negatives: 2, ..Counts::default() });
        let mut counts = [Counts::default(); 6];
        patterns.count(&patterns.weights(&[2, 2, 2]), 2, 1, &mut counts);
        assert_eq!(counts[5], Counts { true_positives: 3, ..Counts::default() });
    }

    #[test]
    fn too_many_combinations_are_refused() {
        let names: Vec<String> = (0..33).map(|name| format!("{name}")).collect();
        let groups: Vec<[&str; 2]> = names.iter().map(|name| [name.as_str(); 2]).collect();
        let records: Vec<(&str, &str, &[&str])> =
            (0..33).map(|at| (["a", "b"][at % 2], "a", groups[at].as_slice())).collect();
        assert_eq!(partitions(&rows(2, &records)).err(), Some(Error::TooManyCells(MAXIMUM_CELLS)));
    }
}
