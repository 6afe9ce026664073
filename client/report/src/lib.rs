//! Reports of a diagnosis for the people who read and file it, and for the systems that they file it in.
//!
//! What this crate never does: it opens no connection, holds no key, and decides nothing. A report says what was computed, on
//! what, how sure the computation may be of it, and that a clinician decides.
//!
//! Modules in reading order:
//!
//! 1. [`report`]: what a report tells. [`evidence`]: what the answer's receipt says. [`moment`], [`id`]: when, and under
//!    which identifiers.
//! 2. [`mod@html`]: one page without anything from elsewhere, for the screen, the phone and the printer.
//! 3. [`heat`]: a class-activation map, laid over the scan. [`mask`]: the classes of a segmented one.
//! 4. [`mod@fhir`]: FHIR R4 resources.
//! 5. [`mod@sr`]: a DICOM structured report.
#![forbid(unsafe_code)]

mod error;
pub mod evidence;
pub mod fhir;
pub mod heat;
pub mod html;
pub mod id;
pub mod mask;
pub mod moment;
pub mod report;
pub mod sr;

#[cfg(test)]
#[path = "../tests/common/samples.rs"]
mod samples;

pub use error::Error;
pub use evidence::{Evidence, Verdict};
pub use fhir::fhir;
pub use heat::{HeatMap, overlay_png, picture_png};
pub use html::html;
pub use id::Id;
pub use mask::{class_colour, segmented_png};
pub use moment::Moment;
pub use report::{Bar, Bars, Drift, ModelFacts, Outcome, Report, Review};
pub use sr::{is_referable, sr};
