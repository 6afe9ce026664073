//! How alike a model treats groups of patients.
//!
//! ```text
//! decisions with their truth and the patients' groups -> counts by group -> rates, each with its interval
//!     -> differences between groups, over all rows and over windows of time -> a page, or JSON
//! ```
//!
//! What this crate never does: it opens no file and no connection, holds no key, reads no clock and draws no entropy (the
//! seed of the bootstrap comes in). It changes no decision: thresholds that would equalize odds are a proposal. No error
//! quotes a value.
//!
//! Modules in reading order:
//!
//! 1. [`rows`]: decisions, truths and groups, checked. [`table`] reads them from CSV, [`day`] dates and windows.
//! 2. [`counts`]: what is counted of a group, and the rates. [`interval`]: how sure a rate is.
//! 3. [`cells`]: groups of one column, and of all columns together, counted. [`compare`]: how far groups are apart.
//!    [`resample`]: how sure that is.
//!    [`tally`]: counts that several clinics add up without showing them.
//! 4. [`calibration`]: scores against what came true. [`diversity`]: who is represented. [`proposal`]: thresholds.
//! 5. [`audit`](mod@audit): all of it.
//! 6. [`mod@html`]: the page.
#![forbid(unsafe_code)]

pub mod audit;
pub mod calibration;
pub mod cells;
pub mod compare;
pub mod counts;
pub mod day;
pub mod diversity;
pub mod error;
pub mod html;
pub mod interval;
pub mod proposal;
pub mod resample;
pub mod rows;
pub mod table;
pub mod tally;

pub use audit::{Audit, Settings, audit};
pub use compare::Measure;
pub use day::{Day, Window};
pub use error::Error;
pub use html::html;
pub use rows::{Layout, Record, Rows};
