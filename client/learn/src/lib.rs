//! Linear heads learned from few patients: multinomial logistic regression on features, on one machine or among clinics that open
//! only sums.
//!
//! ```text
//! patients -> counts -> weights      \
//!          -> means -> deviations     >  rounds: sums over patients -> a step  ->  head
//!                                    /
//! ```
//!
//! Every number that one clinic gives another is a sum over its patients of integers: what a patient adds is rounded before it is
//! summed. So the totals of several clinics are those of one clinic with all the patients, to the last bit, however the
//! patients are spread, and so is the head: every clinic makes the same step of the same totals.
//!
//! What this crate never does: it opens no file and no connection, reads no clock and draws no entropy (seeds come in). No error and
//! no `Debug` shows a value of a patient. Without privacy, totals and head tell of the patients.
//!
//! Modules in reading order:
//!
//! 1. [`patients`]: the table, with groups. [`counts`]: how many there are, and weights that follow (classes, fairness). [`scaling`]: means
//!    and deviations.
//! 2. [`pool`]: whose sums are opened. [`fixed`]: numbers as integers.
//! 3. `objective`: what is minimized. `newton`: how. [`mod@train`]: all rounds. [`head`]: what comes out.
//! 4. [`mod@choose`]: how strong the penalty is, by cross-validation. [`metrics`]: how often the head is right, and for whom.
//! 5. [`private`]: the same rounds with differential privacy.
//!
//! # Cost
//!
//! With n patients, d features and K classes there are P = K (d + 1) parameters, half as many for two classes. Up to [`train::MAXIMUM_NEWTON`]
//! of them a round sums P²/2 + P + 1 numbers, and five to ten rounds are enough; above, P + 1 numbers, and some hundred rounds.
#![forbid(unsafe_code)]

pub mod choose;
pub mod counts;
pub mod error;
pub mod fixed;
pub mod head;
pub mod metrics;
mod newton;
mod objective;
pub mod patients;
pub mod pool;
pub mod private;
pub mod scaling;
pub mod train;

pub use choose::{Choice, choose};
pub use counts::{Counts, Weighing};
pub use error::Error;
pub use head::Head;
pub use metrics::{Confusion, Metric};
pub use patients::Patients;
pub use pool::{Alone, Joint, Pool};
pub use train::{Settings, Trained, train};
