//! Reports of a diagnosis for the people who read and file it.
//!
//! What this crate never does: it opens no connection, holds no key, and decides nothing. A report says what was computed, on
//! what, how sure the computation may be of it, and that a clinician decides.
//!
//! Modules in reading order:
//!
//! 1. [`report`]: what a report tells.
//! 2. [`mod@html`]: one page without anything from elsewhere, for the screen, the phone and the printer.
//! 3. [`heat`]: a class-activation map, laid over the scan.
#![forbid(unsafe_code)]

pub mod heat;
pub mod html;
pub mod report;

pub use heat::{HeatMap, overlay_png, picture_png};
pub use html::html;
pub use report::{Bar, Bars, Drift, ModelFacts, Outcome, Report};
