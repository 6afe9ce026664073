//! `[joint]`: whose joint sums this gateway adds up.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tiresias_keys::joint::MAXIMUM_VALUES;

use super::Error;
use crate::joint::JointPolicy;

/// `[joint]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileJoint {
    rosters: Vec<PathBuf>,
    #[serde(default = "all_values")]
    values: usize,
    #[serde(default = "some_disk")]
    total_mib: u64,
}

fn all_values() -> usize {
    MAXIMUM_VALUES
}

fn some_disk() -> u64 {
    4096
}

impl FileJoint {
    /// Takes paths as relative to a directory.
    pub(super) fn resolve(&mut self, base: &Path) {
        self.rosters.iter_mut().for_each(|path| *path = base.join(&*path));
    }

    pub(super) fn check(self, has_data: bool) -> Result<JointPolicy, Error> {
        if !has_data {
            return Err(Error::Rule(
                "joint: what clinics send must outlive the process: name a data directory",
            ));
        }
        let in_range = !self.rosters.is_empty()
            && (1..=MAXIMUM_VALUES).contains(&self.values)
            && (1..=1 << 20).contains(&self.total_mib);
        if !in_range {
            return Err(Error::Rule("joint: one roster or more, values 1 to 65536, total_mib 1 to 1048576"));
        }
        Ok(JointPolicy { rosters: self.rosters, values: self.values, total_bytes: self.total_mib << 20 })
    }
}
