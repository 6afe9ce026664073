//! A model's cohorts: the prepared head, and the sums of the masks of the runs that were seen last. A run sends block after
//! block under the same masks, so their sums are computed by its first block and kept for the others.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tiresias_circuits::cohort::{MaskSums, PreparedCohort};
use tiresias_keys::{EncryptedCohort, EncryptedScores, Seed, xof::SecretSeed};

use crate::error::ApiError;

/// Memory for the mask sums of one model; those of one run are kept in any case.
const MAXIMUM_BYTES: usize = 64 << 20;

/// A run's sums, which its first block computes and others wait for.
type Sums = Arc<OnceLock<MaskSums>>;

pub(crate) struct Cohorts {
    head: PreparedCohort,
    /// The latest used last.
    runs: Mutex<VecDeque<(Seed, Sums)>>,
    most: usize,
}

impl Cohorts {
    pub(crate) fn new(head: PreparedCohort) -> Self {
        let shape = head.plan().shape();
        let bytes = shape.classes * head.plan().parameters().maximum_patients() * 8;
        Self { head, runs: Mutex::default(), most: (MAXIMUM_BYTES / bytes).max(1) }
    }

    /// The answer to one block: with the same seed the same, whenever and wherever it is computed.
    pub(crate) fn answer(
        &self,
        block: &EncryptedCohort,
        seed: &SecretSeed,
    ) -> Result<EncryptedScores, ApiError> {
        let sums = self.sums(block.run());
        let sums = sums.get_or_init(|| self.head.mask_sums(block.run()));
        self.head.evaluate(block, sums, seed).map_err(|_| ApiError::Internal)
    }

    /// Whether a run's sums are there, or about to be: a block of another one costs more.
    pub(crate) fn knows(&self, run: &Seed) -> bool {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.iter().any(|(known, _)| known == run)
    }

    fn sums(&self, run: &Seed) -> Sums {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let known = runs.iter().position(|(known, _)| known == run);
        let entry = known.and_then(|at| runs.remove(at)).unwrap_or_else(|| (*run, Sums::default()));
        let sums = Arc::clone(&entry.1);
        runs.push_back(entry);
        if runs.len() > self.most {
            runs.pop_front();
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use tiresias_circuits::{HeadShape, Plan, Privacy, QuantizedHead, plan::CohortPlan};
    use tiresias_keys::ConfigId;

    use super::*;

    #[test]
    fn the_runs_used_last_are_kept() {
        let shape = HeadShape { features: 1, classes: 2048, feature_bits: 8, weight_bits: 8 };
        let head = QuantizedHead::new(shape, vec![1; 2048], vec![0; 2048]).unwrap();
        let plan = CohortPlan::new(&Plan::new(shape, Privacy::Flooded).unwrap()).unwrap();
        let config = ConfigId::of_card(b"card");
        let cohorts = Cohorts::new(PreparedCohort::new(&head, plan, config, Seed::from_bytes([1; 32])));
        assert_eq!(cohorts.most, 2);
        let run = |byte| Seed::from_bytes([byte; 32]);
        assert!(!cohorts.knows(&run(1)));
        let first = cohorts.sums(&run(1));
        assert!(cohorts.knows(&run(1)));
        cohorts.sums(&run(2));
        assert!(Arc::ptr_eq(&first, &cohorts.sums(&run(1))), "seen again");
        cohorts.sums(&run(3));
        assert!(Arc::ptr_eq(&first, &cohorts.sums(&run(1))), "used later than the second");
        cohorts.sums(&run(2));
        cohorts.sums(&run(3));
        assert!(!Arc::ptr_eq(&first, &cohorts.sums(&run(1))), "two others came since");
    }
}
