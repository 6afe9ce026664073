//! The commands, one module each.

pub mod backbone;
pub mod decrypt;
pub mod demo;
pub mod encrypt;
pub mod enroll;
pub mod infer;
pub mod witness;
