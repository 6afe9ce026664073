//! All rounds: counts, means, deviations, then steps until the objective is at its least or the rounds are over.

use serde::Serialize;
use tiresias_synth::{Bounds, lbfgs};

use crate::{
    Counts, Error, Head, Patients, Pool, Weighing,
    fixed::SUM_BOUND,
    newton,
    objective::{Design, Shape, Slopes},
    scaling::Scaling,
};

/// Up to so many parameters, second derivatives are summed too: as many as one question takes ([`crate::pool::PART`]).
pub const MAXIMUM_NEWTON: usize = 176;

/// Weights and biases that there may be.
pub const MAXIMUM_PARAMETERS: usize = 1 << 22;

/// Between what the strength of the penalty lies.
pub const STRENGTHS: std::ops::RangeInclusive<f64> = 1e-6..=1e6;

/// How a head is learned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// What weighs patients.
    pub weighing: Weighing,
    /// How strong the penalty on weights is: what scikit-learn calls 1 / C.
    pub strength: f64,
    /// Rounds, at most, beside those for counts, means and deviations.
    pub rounds: usize,
}

/// What was learned, and how.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The head.
    pub head: Head,
    /// Patients, by group and class.
    pub counts: Counts,
    /// How it went.
    pub run: Run,
}

/// How learning went.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Run {
    /// Rounds that were taken.
    pub rounds: usize,
    /// Whether the objective is at its least.
    pub is_converged: bool,
    /// Patients, of all clinics.
    pub patients: u64,
    /// How strong the penalty was.
    pub strength: f64,
}

impl Settings {
    /// Checks settings for patients.
    pub fn check(&self, patients: &Patients) -> Result<(), Error> {
        if !STRENGTHS.contains(&self.strength) {
            return Err(Error::Setting("--strength: a number between 1e-6 and 1e6"));
        }
        if self.rounds < 2 {
            return Err(Error::Setting("--rounds: at least two, for the first one takes no step"));
        }
        if Shape::of(patients).parameters() > MAXIMUM_PARAMETERS {
            return Err(Error::Setting("there are too many features and classes: at most 2^22 weights"));
        }
        if self.weighing.reweighed && patients.groups().len() < 2 {
            return Err(Error::Setting("--reweigh: at least two groups"));
        }
        Ok(())
    }
}

/// Learns a head of the patients of all clinics that are in the pool. All of them give the same bounds, which are public there, and the
/// same settings.
pub fn train<P: Pool>(
    patients: &Patients,
    bounds: &Bounds,
    settings: &Settings,
    pool: &mut P,
) -> Result<Trained, P::Error> {
    settings.check(patients)?;
    let counts = Counts::pooled(patients, pool)?;
    let scaling = Scaling::pooled(patients.rows(), bounds, counts.total(), pool)?;
    let design = Design::new(patients, &scaling, &counts, settings.weighing);
    let (shape, strength, total) = (design.shape, settings.strength, counts.total() as f64);
    let second = shape.parameters() <= MAXIMUM_NEWTON;
    let mut rounds = 0;
    let mut slopes = |parameters: &[f64]| -> Result<Slopes, P::Error> {
        rounds += 1;
        let sums = design.totals(parameters, second)?;
        let totals = pool.sum(&format!("round {rounds}"), &sums, SUM_BOUND)?;
        Ok(Slopes::of(&totals, shape, parameters, strength))
    };
    // What rounding of each patient's numbers leaves at most is far below both.
    let (tolerance, slack) = (1e-6 + 1e-9 * total, 1e-9 + 1e-9 * total);
    let found = match second {
        true => newton::minimize(shape.parameters(), tolerance, slack, settings.rounds, slopes)?,
        false => {
            let start = vec![0.0; shape.parameters()];
            lbfgs::minimize(start, tolerance, settings.rounds, |parameters, gradient| {
                let found = slopes(parameters)?;
                gradient.copy_from_slice(&found.gradient);
                Ok::<_, P::Error>(found.value)
            })?
        }
    };
    let run = Run { rounds, is_converged: found.is_found, patients: counts.total(), strength };
    Ok(Trained { head: Head::fold(shape, &found.at, &scaling), counts, run })
}
