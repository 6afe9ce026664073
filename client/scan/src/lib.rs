//! Reads scans on the clinic's machine: DICOM, PNG, JPEG and NumPy arrays. A file becomes [`Scan`]s, a scan a
//! [`Picture`], or there is an error that names what can't be read.
//!
//! What this crate never does: it opens no connection, holds no key, and its errors quote neither pixels nor
//! identifiers. A damaged or hostile file ends in an error, within stated limits of memory.
//!
//! Modules in reading order:
//!
//! 1. [`mod@file`]: what a file is, by its first bytes; the files of a folder.
//! 2. [`scan`]: values, windows, and the picture that a reader or a model sees.
//! 3. `dicom`: DICOM objects, their lengths, pixels and lookup tables. [`study`]: whose scan it is.
//! 4. `jpeg`: JPEG-LS and JPEG with 12 bits, of DICOM objects.
//! 5. `raster`: PNG and JPEG. `npy`: NumPy arrays.
//! 6. [`picture`]: pixels between black and white. `guard`: decoders that panic.
#![forbid(unsafe_code)]

mod dicom;
mod error;
pub mod file;
mod guard;
mod jpeg;
mod npy;
pub mod picture;
mod raster;
pub mod scan;
pub mod study;

pub use error::Error;
pub use file::{Found, Kind, ScanFile, find};
pub use picture::Picture;
pub use scan::{Scan, Window};
pub use study::Study;
