//! Weights changed behind their card's back: what a gateway that cheats serves. The record of a linear head is changed in
//! place (`server/src/repository/record.rs`: format, config id, weights behind their number, biases), so that it is still
//! bound to the card. The tests of the clinic's program include this file too.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the weights begin, behind the format and the config id.
const NUMBER_AT: usize = 1 + 32;

/// The stored weights of a linear head.
pub(crate) struct StoredWeights {
    path: PathBuf,
    record: Vec<u8>,
    at: usize,
    count: usize,
}

impl StoredWeights {
    /// Of version 1 of a model in a repository, with so many weights: features times classes.
    pub(crate) fn of(models: &Path, name: &str, count: usize) -> Self {
        let path = models.join(name).join("1").join("model.bin");
        let record = fs::read(&path).unwrap();
        // A number below 251 is one byte, others are the mark 251 and two.
        let number = match count {
            0..=250 => vec![count as u8],
            _ => [&[251], u16::try_from(count).unwrap().to_le_bytes().as_slice()].concat(),
        };
        assert_eq!(record[NUMBER_AT..][..number.len()], number, "not the record that this helper knows");
        Self { path, record, at: NUMBER_AT + number.len(), count }
    }

    /// The weights, class by class.
    pub(crate) fn values(&self) -> Vec<i8> {
        self.record[self.at..][..self.count].iter().map(|byte| byte.cast_signed()).collect()
    }

    /// Stores other weights under the same card, and the same biases. A gateway serves them from its next start.
    pub(crate) fn store(&self, weights: &[i8]) {
        assert_eq!(weights.len(), self.count);
        let mut record = self.record.clone();
        let stored = record[self.at..].iter_mut().zip(weights);
        stored.for_each(|(byte, weight)| *byte = weight.cast_unsigned());
        fs::write(&self.path, record).unwrap();
    }
}

/// Copies a repository: what a gateway serves that has the same card.
pub(crate) fn copy_repository(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_repository(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// A change of one class's weights that no score of these vectors shows: a short integer vector that is not zero and
/// orthogonal to all of them, and that keeps the weights within their range. `None` where none is as short as this.
pub(crate) fn orthogonal(vectors: &[Vec<i64>], weights: &[i8], limit: i64) -> Option<Vec<i64>> {
    const LONGEST: i64 = 3;
    let mut change = vec![0_i64; weights.len()];
    let mut sums = vec![0_i64; vectors.len()];
    search(vectors, weights, limit, LONGEST, 0, &mut change, &mut sums).then_some(change)
}

fn search(
    vectors: &[Vec<i64>],
    weights: &[i8],
    limit: i64,
    longest: i64,
    at: usize,
    change: &mut [i64],
    sums: &mut [i64],
) -> bool {
    if at == change.len() {
        return sums.iter().all(|sum| *sum == 0) && change.iter().any(|step| *step != 0);
    }
    // What the other coordinates can still take back.
    let rest = |vector: &Vec<i64>| longest * vector[at..].iter().map(|value| value.abs()).sum::<i64>();
    if sums.iter().zip(vectors).any(|(sum, vector)| sum.abs() > rest(vector)) {
        return false;
    }
    for step in -longest..=longest {
        if (i64::from(weights[at]) + step).abs() > limit {
            continue;
        }
        change[at] = step;
        sums.iter_mut().zip(vectors).for_each(|(sum, vector)| *sum += step * vector[at]);
        if search(vectors, weights, limit, longest, at + 1, change, sums) {
            return true;
        }
        sums.iter_mut().zip(vectors).for_each(|(sum, vector)| *sum -= step * vector[at]);
    }
    change[at] = 0;
    false
}
