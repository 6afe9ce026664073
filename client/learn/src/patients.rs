//! Patients to learn from: features, a class, and perhaps a group such as a sex, an age band or a scanner.

use tiresias_synth::Rows;

use crate::Error;

/// Groups that there may be.
pub const MAXIMUM_GROUPS: usize = 64;

/// Rows of features with their classes, each in a group. `Debug` shows none of them.
#[derive(Clone)]
pub struct Patients {
    rows: Rows,
    groups: Vec<String>,
    of: Vec<usize>,
}

impl std::fmt::Debug for Patients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Patients({:?})", self.rows)
    }
}

impl Patients {
    /// Patients without groups.
    #[must_use]
    pub fn new(rows: Rows) -> Self {
        let of = vec![0; rows.len()];
        Self { rows, groups: vec![String::new()], of }
    }

    /// Puts each row into a group, counted from 0.
    pub fn with_groups(rows: Rows, groups: Vec<String>, of: Vec<usize>) -> Result<Self, Error> {
        let mut names: Vec<&String> = groups.iter().collect();
        names.sort_unstable();
        names.dedup();
        let is_right = (1..=MAXIMUM_GROUPS).contains(&groups.len())
            && names.len() == groups.len()
            && of.len() == rows.len()
            && of.iter().all(|&group| group < groups.len());
        match is_right {
            true => Ok(Self { rows, groups, of }),
            false => Err(Error::Groups),
        }
    }

    /// Features and classes.
    #[must_use]
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Names of the groups; a single empty one where there are none.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// The class and the group of each row.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = (usize, usize)> + '_ {
        self.rows.labels().iter().copied().zip(self.of.iter().copied())
    }

    /// Those that `keep` says, in order.
    pub fn filtered(&self, keep: impl Fn(usize) -> bool) -> Result<Self, Error> {
        let of = self.of.iter().enumerate().filter(|&(row, _)| keep(row)).map(|(_, &group)| group).collect();
        Ok(Self { rows: self.rows.filtered(&keep)?, groups: self.groups.clone(), of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_fit_their_rows() {
        let rows = || Rows::new(vec![1.5, 2.5], 1, vec![0, 1], vec!["a".into(), "b".into()]).unwrap();
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        for (groups, of) in [
            (names(&[]), vec![0, 0]),
            (names(&["f", "f"]), vec![0, 1]),
            (names(&["f"]), vec![0]),
            (names(&["f"]), vec![0, 1]),
        ] {
            assert_eq!(Patients::with_groups(rows(), groups, of).unwrap_err(), Error::Groups);
        }
        let patients = Patients::with_groups(rows(), names(&["f", "m"]), vec![1, 0]).unwrap();
        assert_eq!(patients.cells().collect::<Vec<_>>(), [(0, 1), (1, 0)]);
        let one = patients.filtered(|row| row == 1).unwrap();
        assert_eq!(one.cells().collect::<Vec<_>>(), [(1, 0)]);
        assert_eq!(format!("{patients:?}"), "Patients(Rows([2, 1]))");
    }
}
