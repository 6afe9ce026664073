//! Vectors of the clinic's own among those of its patients, whose answers it can check: a gateway that computes wrongly
//! and does not know which ones they are gets caught.
//!
//! - **Canaries** are vectors with known answers, from a file that is made beforehand.
//! - **Secret combinations**, where exact scores are answered, need no known answer: the scores of three vectors x, c and
//!   x + c hang together, and x is a patient's.
//!
//! Both go into the same requests as patients, under the same kind of key and in the same form, at places that are drawn
//! for each run. They are judged after the last request, and nothing of the verdict goes back to the gateway.
//!
//! What they cannot show: that the served model is the registered one. Weights changed so that all canaries keep their
//! answers pass, and pass the combinations too, because those hold for every linear head. Replay shows that.
//!
//! Modules in reading order: `expected`, what an answer must be; `file`; `lottery`; `combination`; `mix`, a run's vectors;
//! `judge`; `evidence`, what is kept of an alarm.

mod combination;
mod evidence;
mod expected;
mod file;
mod judge;
mod lottery;
mod mix;

pub use combination::Combination;
pub use evidence::{Alarm, Place};
pub(crate) use expected::in_order;
pub use expected::{Expected, is_exact};
pub use file::{Canary, CanaryFile, Source};
pub use judge::{Verdict, judge};
pub use lottery::Lottery;
pub use mix::{Mix, Role};
