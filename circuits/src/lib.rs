//! What is computed: a linear head over encrypted features, exactly, and its label alone where that is all to be told.
//!
//! A head maps d features to K scores, score_k = w_k . x + bias_k. The clinic quantizes x to small integers and
//! encrypts them in the coefficients of one GLWE ciphertext (mask a, body b). The gateway packs c classes into one
//! weight polynomial w_g and computes, for each response group,
//!
//! ```text
//! mask_g = a*w_g + u*a' + e1          all N coefficients
//! body_g = b*w_g + u*b' + e2 + flood  the c score coefficients alone
//! ```
//!
//! where (a', b') is an encryption of zero that the client sent along, u, e1, e2 and flood are fresh for each
//! response, and both lines are then switched to the modulus 2^r. The proved bound of [`plan`] makes the decrypted
//! integers equal to those of [`clear`], always.
//!
//! Where a label is answered, the sums stay here. Bootstraps under the client's evaluation key find the signs that decide
//! ([`label`]), and only the label's bits go back in this way.
//!
//! What this crate never does: it has no secret key and cannot decrypt, does no I/O, reads no clock, draws no
//! entropy (randomness comes in as a seed), and uses no floating point between `quantize` and `dequantize`.
//!
//! Modules in reading order:
//!
//! 1. [`plan`]: from public numbers (d, K, bits, privacy) to moduli, layout, noise widths, sizes and bounds.
//! 2. [`features`]: rows of floats from `.npy` and `.csv` bytes.
//! 3. [`quantize`]: floats to integers, calibrated scales.
//! 4. [`head`]: a float head, and the quantized head made of it.
//! 5. [`clear`]: the circuit without encryption, the oracle.
//! 6. [`evaluate`]: the circuit over ciphertexts.
//! 7. [`scores`]: integers to plaintext and back, labels and margins. [`cohort`]: the circuit for many patients at once.
//! 8. [`bootstrap`]: programmable bootstrapping, its kernels and its noise.
//! 9. [`label`], and `ladder`: the circuit of a label.
//! 10. [`explain`]: contributions of feature groups, class-activation maps. [`drift`]: how far features lie from the
//!     calibration.
//! 11. [`card`]: the circuit card, the public description that a client checks before it encrypts.
#![forbid(unsafe_code)]

pub mod bootstrap;
pub mod card;
pub mod clear;
pub mod cohort;
pub mod drift;
mod error;
pub mod evaluate;
pub mod explain;
pub mod features;
pub mod head;
pub mod label;
mod ladder;
pub mod mlp;
mod modulus;
pub mod plan;
pub mod quantize;
pub mod scores;

pub use card::Card;
pub use drift::{Calibration, Drift};
pub use error::Error;
pub use explain::{Explanation, Groups};
pub use features::Features;
pub use head::{LinearHead, QuantizedHead};
pub use mlp::MlpHead;
pub use plan::{HeadShape, Plan, Privacy};
pub use quantize::Quantizer;
