//! From a picture to features: preprocessing and an ONNX model, run on this machine.
//!
//! What this crate never does: it opens no connection, holds no key, and its errors quote neither pixels nor features.
#![forbid(unsafe_code)]
