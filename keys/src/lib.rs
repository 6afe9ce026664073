//! Everything public about Tiresias keys: parameter sets, the ring they live in, the ciphertexts that cross the
//! wire, their ids, and the codec that turns bytes into checked values.
//!
//! This crate has no secret key type: it cannot encrypt and it cannot decrypt. What it wipes are the seeds and
//! keystreams of [`xof`], from which the secret-key crate draws noise and the gateway its randomness. It does no I/O.
//!
//! The formats are specified in `keys/WIRE.md`; the code here is one implementation of that page.
//!
//! Modules in reading order:
//!
//! 1. [`parameters`]: named parameter sets with their security figures.
//! 2. [`bootstrap_parameters`]: named sets of programmable bootstrapping.
//! 3. [`ring`]: exact arithmetic in Z_q\[X\]/(X^N + 1).
//! 4. [`vector`]: loops for the processor's vectors.
//! 5. [`id`]: 32-byte identifiers (`ConfigId`, `KeyId`, digests and seeds).
//! 6. [`xof`]: one expandable hash for masks, randomness and noise, keyed by role.
//! 7. [`bits`]: packed bit strings.
//! 8. [`ciphertext`]: `EncryptedFeatures` and `EncryptedScores`.
//! 9. [`evaluation_key`]: what a gateway needs to bootstrap.
//! 10. [`cohort`]: blocks of patients, a feature a ciphertext.
//! 11. [`joint`]: sums over clinics, under a key that none holds alone.
//! 12. [`codec`]: their bytes, decoded against an expected shape.
#![forbid(unsafe_code)]

pub mod bits;
pub mod bootstrap_parameters;
pub mod ciphertext;
pub mod codec;
pub mod cohort;
mod error;
pub mod evaluation_key;
pub mod id;
pub mod joint;
pub mod parameters;
pub mod ring;
pub mod vector;
pub mod xof;

pub use bootstrap_parameters::BootstrapParameters;
pub use ciphertext::{EncryptedFeatures, EncryptedScores, RequestShape, ResponseGroup, ResponseShape};
pub use cohort::{CohortParameters, CohortRun, CohortShape, EncryptedCohort};
pub use error::Error;
pub use evaluation_key::EvaluationKey;
pub use id::{ConfigId, Digest, KeyId, Seed};
pub use parameters::Parameters;
pub use ring::Ring;
pub use vector::vectorized;
