//! What the benches share: figures, and fixtures: heads and rows from a fixed sequence, so that every run measures the same work.
#![forbid(unsafe_code)]

pub mod cohort;
pub mod nets;
pub mod stats;

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
    /// The head before it was prepared.
    pub quantized: QuantizedHead,
    /// The row.
    pub row: Vec<i64>,
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
        Self::with_bits(features, classes, 8, privacy)
    }

    /// A head and a row of so many bits.
    ///
    /// # Panics
    /// Where no plan exists for the shape.
    #[must_use]
    pub fn with_bits(features: usize, classes: usize, bits: u32, privacy: Privacy) -> Self {
        let shape = HeadShape { features, classes, feature_bits: bits, weight_bits: bits };
        let plan = Plan::new(shape, privacy).expect("the benches plan valid shapes");
        let value = |i| value(i) >> (8 - bits);
        let weight = (0..features * classes).map(|i| value(i).max(-shape.weight_limit()) as i8).collect();
        let bias = (0..classes as i64).map(|class| class * 9 - 50).collect();
        let quantized = QuantizedHead::new(shape, weight, bias).expect("weights are in range");
        let (config, gateway_seed) = (ConfigId::of_card(b"bench"), Seed::from_bytes([1; 32]));
        let row: Vec<i64> = (0..features).map(|i| value((1 << 32) + i).max(-shape.feature_limit())).collect();
        let plaintexts = scores::encode_features(&plan, &row).expect("the row is in range");
        let head = PreparedHead::new(&quantized, plan, config, gateway_seed);
        let request_shape = plan.request_shape();
        Self { head, request_shape, plaintexts, quantized, row, config, gateway_seed }
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

/// Place i of a fixed sequence in [-127, 127] without correlations, so that scores are as small as those of chance.
fn value(i: usize) -> i64 {
    let word = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (word >> 33) as i64 % 255 - 127
}
