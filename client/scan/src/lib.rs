//! Reads scans. A file becomes a [`Picture`], or an error that names what can't be read.
//!
//! What this crate never does: it opens no connection, holds no key, and its errors quote neither pixels nor
//! identifiers.
#![forbid(unsafe_code)]

pub mod picture;

pub use picture::Picture;
