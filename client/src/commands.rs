//! The commands, one module each.

pub mod backbone;
pub mod canaries;
pub mod decrypt;
pub mod demo;
pub mod encrypt;
pub mod enroll;
pub mod fairness;
pub mod infer;
pub mod synth;
pub mod verify;
pub mod witness;
