//! A head and patients for it, a block at a time.

use tiresias_circuits::{HeadShape, Plan, Privacy, QuantizedHead, cohort::PreparedCohort, plan::CohortPlan};
use tiresias_keys::{CohortRun, ConfigId, EncryptedCohort, Seed};
use tiresias_secret_key::{CohortMasks, SecretKey};

use crate::value;

/// A head of 8 bits, and what a run over it begins with.
#[derive(Debug)]
pub struct Fixture {
    /// The head before it was prepared.
    pub quantized: QuantizedHead,
    /// Its plan.
    pub plan: CohortPlan,
    masks: CohortMasks,
}

impl Fixture {
    /// A head of this shape.
    ///
    /// # Panics
    /// Where no plan exists for the shape.
    #[must_use]
    pub fn new(features: usize, classes: usize, privacy: Privacy) -> Self {
        let shape = HeadShape { features, classes, feature_bits: 8, weight_bits: 8 };
        let plan = Plan::new(shape, privacy).expect("the benches plan valid shapes");
        let plan = CohortPlan::new(&plan).expect("the benches plan valid shapes");
        let weights = (0..features * classes).map(|i| value(i).max(-127) as i8).collect();
        let quantized = QuantizedHead::new(shape, weights, vec![0; classes]).expect("weights are in range");
        let (config, gateway_seed) = (ConfigId::of_card(b"bench"), Seed::from_bytes([1; 32]));
        let run = CohortRun { config, gateway_seed, seed: Seed::from_bytes([3; 32]) };
        let masks = CohortMasks::new(plan.parameters(), run, features);
        Self { quantized, plan, masks }
    }

    /// The head, ready to be evaluated.
    #[must_use]
    pub fn head(&self) -> PreparedCohort {
        let run = self.masks.run();
        PreparedCohort::new(&self.quantized, self.plan, run.config, run.gateway_seed)
    }

    /// The card's id.
    #[must_use]
    pub fn config(&self) -> &ConfigId {
        &self.masks.run().config
    }

    /// The quantized features of a patient.
    #[must_use]
    pub fn row(&self, patient: usize) -> Vec<i64> {
        let features = self.plan.shape().features;
        (0..features).map(|feature| value((1 << 32) + patient * features + feature).max(-127)).collect()
    }

    /// A fresh key.
    ///
    /// # Panics
    /// Where the operating system gives no entropy.
    #[must_use]
    pub fn key(&self) -> SecretKey {
        SecretKey::generate(self.plan.parameters().glwe()).expect("entropy")
    }

    /// Encrypts a block of so many patients under a fresh key.
    ///
    /// # Panics
    /// Where the operating system gives no entropy.
    #[must_use]
    pub fn block(&self, patients: usize) -> EncryptedCohort {
        let columns: Vec<i16> = (0..self.plan.shape().features * patients)
            .map(|i| value(i + (1 << 40)).max(-127) as i16)
            .collect();
        let (t, shape) = (self.plan.plaintext_bits(), self.plan.request_shape());
        self.key().encrypt_cohort(&columns, patients, t, &self.masks, &shape).expect("columns of the shape")
    }
}
