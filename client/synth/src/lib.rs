//! Synthetic patients: rows of features and classes that are like those of real patients and are nobody's, for demos, load tests and
//! canaries; and how good they are.
//!
//! ```text
//! real rows -> split -> fit (perhaps with differential privacy) -> model -> sample -> synthetic rows
//!                 \-> held-out rows -> evaluate, beside the fitted and the synthetic ones -> figures
//! ```
//!
//! What this crate never does: it opens no file and no connection, reads no clock and draws no entropy (seeds come in). No
//! error and no `Debug` shows a value of a row. Without privacy it does not protect anyone: a model without noise is made of real
//! values, and what it makes can tell of them.
//!
//! Modules in reading order:
//!
//! 1. [`rows`]: the table. [`seed`]: where random numbers come from. [`mod@split`]: what is fitted and what is tested.
//! 2. [`model`]: a Gaussian copula for each class, fitted and sampled. `marginal`: one feature. `correlation`: how they hang
//!    together. `normal`, [`linear`]: the numbers under it.
//! 3. [`private`]: the same from answers with noise. [`bounds`]: what must be known beforehand. [`budget`]: what it costs.
//!    [`discrete`]: the noise. `eigen`: how correlations with noise become possible ones.
//! 4. [`mod@evaluate`]: train on synthetic rows and test on real ones, distances to real rows, shapes. [`classify`]: the classifier,
//!    [`lbfgs`] its learning. [`nearest`]: the distances.
//!
//! # Cost
//!
//! With n rows, d features and K classes: fitting takes n d² and K d³/3 multiplications, a synthetic row d²/2. The model
//! holds K d²/2 doubles and up to 1025 d for the features of each class. With privacy, a class takes 5 d³ more, and n d² / 64
//! in place of n d². Evaluating looks at all pairs of synthetic and fitted rows and at all pairs of features.
//!
//! # Privacy
//!
//! [`fit_private`] is (epsilon, delta)-differentially private for adding or removing one row among those fitted; [`budget`] has
//! the accounting and its sources. Its noise is discrete and exact, so that the attacks on noise in floating point
//! (Mironov 2012) have nothing to work on. Not protected: the bounds, the names of the classes, the number of features, the
//! number of rows asked for; who has several rows in the table (their protection is that of one, divided by how many); and all
//! that [`evaluate()`] says.
//! A model fitted anew spends anew. Small tables and small epsilons leave little: for d features, the rows of a class
//! should be far more than 5 d / epsilon. AIM, PrivSyn and MST choose their questions better for tables of categories.
#![forbid(unsafe_code)]

pub mod bounds;
pub mod budget;
pub mod classify;
mod correlation;
pub mod discrete;
mod eigen;
pub mod error;
pub mod evaluate;
pub mod lbfgs;
pub mod linear;
mod marginal;
pub mod model;
pub mod nearest;
mod normal;
pub mod private;
pub mod rows;
pub mod seed;
pub mod split;

pub use bounds::{Bound, Bounds};
pub use budget::{Budget, Spent};
pub use error::Error;
pub use evaluate::{Evaluation, evaluate};
pub use model::{Model, fit};
pub use private::fit_private;
pub use rows::Rows;
pub use seed::Seed;
pub use split::split;
