//! From a picture to features: preprocessing and an ONNX model, run on this machine's processor.
//!
//! What this crate never does: it opens no connection, holds no key, and its errors quote neither pixels nor features.
//!
//! A backbone is two files: the model, and beside it a preprocessing card (`resnet.onnx`, `resnet.toml`), because other
//! preprocessing gives other features. Its digest covers both, and a model owner can pin it in a circuit card.
//!
//! Modules in reading order:
//!
//! 1. [`preprocessing`]: the card; from a picture to the model's input.
//! 2. [`backbone`]: the model, and features or feature maps out of it.
#![forbid(unsafe_code)]

pub mod backbone;
mod error;
pub mod preprocessing;

pub use backbone::{Backbone, FeatureMap};
pub use error::Error;
pub use preprocessing::Preprocessing;
