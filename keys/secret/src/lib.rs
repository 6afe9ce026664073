//! The only crate that can encrypt or decrypt.
//!
//! Life of a secret key: [`SecretKey::generate`] draws N bits from the operating system into locked pages;
//! [`SecretKey::encrypt`] makes one request; the key waits in memory, or in a state file written through
//! [`SecretKey::export`], until the answer arrives; [`SecretKey::decrypt`] *consumes* it, so that each
//! request-scoped key decrypts once; drop wipes and unlocks its pages.
//!
//! What this crate never does: it has no `Clone`, no `Serialize` and no `Debug` that shows a bit; it does no I/O; it
//! never sends anything; and nothing it returns depends on a decryption in shape, error or time.
//!
//! Modules in reading order: [`SecretKey`] in `secret_key`, then `encrypt`, `cohort`, `decrypt`, [`LongLivedKey`] in
//! `long_lived` for models that need bootstrapping, [`JointSecret`] in `joint` for sums over clinics with its `prover`, and
//! `locked`, the one module with `unsafe`.

mod cohort;
mod decrypt;
mod encrypt;
mod error;
mod joint;
mod locked;
mod long_lived;
mod prover;
mod secret_key;
#[cfg(test)]
mod vectors;

pub use cohort::CohortMasks;
pub use decrypt::{Phases, danger};
pub use encrypt::RequestContext;
pub use error::Error;
pub use joint::{JointSecret, encrypt_for_joint_sum, open_joint_sum};
pub use long_lived::LongLivedKey;
pub use secret_key::SecretKey;
