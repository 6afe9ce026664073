//! Fixtures of the benches: heads and rows from a fixed sequence, so that every run measures the same work.
#![forbid(unsafe_code)]

use tiresias_circuits::{HeadShape, Plan, Privacy, QuantizedHead, evaluate::PreparedHead, scores};
use tiresias_keys::{ConfigId, EncryptedFeatures, RequestShape, Seed};
use tiresias_secret_key::{RequestContext, SecretKey};
use zeroize::Zeroizing;

/// A prepared head with a row for it.
#[derive(Debug)]
pub struct Fixture {
    /// The head, ready to be evaluated.
    pub head: PreparedHead,
    /// Its request shape.
    pub request_shape: RequestShape,
    /// The plaintexts of one row.
    pub plaintexts: Vec<Zeroizing<Vec<u64>>>,
    config: ConfigId,
    gateway_seed: Seed,
}

impl Fixture {
    /// A head of 8-bit weights and an 8-bit row.
    ///
    /// # Panics
    /// Where no plan exists for the shape.
    #[must_use]
    pub fn new(features: usize, classes: usize, privacy: Privacy) -> Self {
        let shape = HeadShape { features, classes, feature_bits: 8, weight_bits: 8 };
        let plan = Plan::new(shape, privacy).expect("the benches plan valid shapes");
        let sequence = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) % 255;
        let weight = (0..features * classes).map(|i| (sequence(i) as i64 - 127) as i8).collect();
        let head = QuantizedHead::new(shape, weight, vec![0; classes]).expect("weights are in range");
        let (config, gateway_seed) = (ConfigId::of_card(b"bench"), Seed::from_bytes([1; 32]));
        let row: Vec<i64> = (0..features).map(|i| sequence(i + 7) as i64 - 127).collect();
        let plaintexts = scores::encode_features(&plan, &row).expect("the row is in range");
        let head = PreparedHead::new(&head, plan, config, gateway_seed);
        Self { head, request_shape: plan.request_shape(), plaintexts, config, gateway_seed }
    }

    /// Encrypts the row under `key`.
    ///
    /// # Panics
    /// Without entropy.
    #[must_use]
    pub fn encrypt(&self, key: &SecretKey) -> EncryptedFeatures {
        let context = RequestContext {
            config: &self.config,
            gateway_seed: &self.gateway_seed,
            shape: &self.request_shape,
        };
        key.encrypt(&self.plaintexts, &context).expect("the operating system has entropy")
    }

    /// The card's id.
    #[must_use]
    pub fn config(&self) -> &ConfigId {
        &self.config
    }

    /// A fresh key.
    ///
    /// # Panics
    /// Without entropy.
    #[must_use]
    pub fn key(&self) -> SecretKey {
        SecretKey::generate(self.head.plan().parameters()).expect("the operating system has entropy")
    }
}
