//! The clinic's side. One diagnosis, step by step:
//!
//! ```text
//! features -> quantize -> encrypt under a fresh key -> bytes -> gateway
//! diagnosis <- dequantize <- decrypt, the key is gone <- bytes <-
//! ```
//!
//! What this crate never does: it sends nothing that derives from a decryption (no retry, code or timing of a
//! request depends on one), it sends no request for inference twice once a byte of it was written, it accepts no
//! parameters from a card that it does not recompute, and it writes a secret key nowhere but into the state file of
//! `encrypt`, the spool of `cohort`, the key file that `enroll` was asked to make and the state directory of `joint`.
//!
//! Modules in reading order:
//!
//! 1. [`diagnosis`]: [`Model::encrypt`] and [`Model::decrypt`], the two halves. [`finding`]: what is read. [`cohort`]: the same for blocks of patients.
//! 2. [`oip`]: Open Inference Protocol bodies.
//! 3. [`http`]: connections to a gateway, retries, proxies, evaluation keys.
//! 4. [`inputs`]: features files, `labelled` those with classes. [`scans`]: features of scans, by a backbone. [`results`]: a results file that a later run can complete.
//! 5. [`state`]: what `encrypt` keeps for `decrypt`, perhaps under a [`passphrase`].
//! 6. [`key_file`]: a long-lived key and its evaluation key; [`enroll`]: a gateway gets the latter.
//! 7. [`approvers`]: whose approval of a model a clinic asks for. [`canaries`]: vectors with known answers among those of patients.
//! 8. [`evidence`]: receipts of answers, and the log that they are of.
//! 9. [`witness`]: a second party's part, which cosigns a gateway's log.
//! 10. [`joint`]: sums over clinics, of vectors that nobody sees; `harmony`: features of different scanners.
//! 11. [`review`]: the record of decisions as a file, and the page that shows it; `about`: what is known of patients.
//! 12. [`commands`]: `infer`, `cohort`, `segment`, `encrypt`, `decrypt`, `enroll`, `verify`, `audit`, `canaries`, `backbone`, `fairness`, `harmonize`, `joint`, `learn`, `review`, `synth`, `witness`, `demo`.
//! 13. [`privacy_ledger`]: how much may still be told of a clinic's patients with noise; `privacy_noise`: the noise of joint sums. [`audit`]: how `audit` looks for what must not have left.
//! 14. [`stop`], [`dumps`], [`files`], [`output`], [`cli`], [`error`].
#![forbid(unsafe_code)]

mod about;
pub mod approvers;
pub mod audit;
pub mod canaries;
pub mod cli;
mod clock;
pub mod cohort;
pub mod commands;
pub mod diagnosis;
pub mod dumps;
pub mod enroll;
pub mod error;
pub mod evidence;
pub mod files;
pub mod finding;
pub mod harmony;
pub mod http;
pub mod inputs;
pub mod joint;
pub mod key_file;
mod labelled;
mod npy;
pub mod oip;
pub mod output;
pub mod passphrase;
pub mod privacy_ledger;
mod privacy_noise;
pub mod results;
pub mod review;
pub mod scans;
mod sealed;
pub mod state;
pub mod stop;
pub mod witness;

pub use diagnosis::Model;
pub use error::Error;
pub use finding::Diagnosis;
