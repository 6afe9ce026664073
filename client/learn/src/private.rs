//! The same with differential privacy: each clinic adds noise to what it gives, in every round.
//!
//! Two tables of a clinic are neighbours where one is the other and one patient more. Each clinic adds the whole noise that its own patients
//! need, so (epsilon, delta) hold for them against everybody who sees totals and head, **also where all other clinics and the gateway
//! show each other all they have**: what the others add is not needed. The price is noise of n clinics in a total of n.
//!
//! Asked is how many patients there are (a patient moves it by 1, `COUNT_SHARE` of the budget), then in each round for the gradient. Features
//! are moved into their public bounds, centred and scaled so that the bounds are at -2 and 2, and each patient's row (with its 1 for the bias) is
//! drawn to a length of at most sqrt(d + 1). The gradient of a patient is then at most that long, times sqrt(2) for more than two classes.
//! Its entries are multiples of 2^-`STEP`, rounded towards zero, so it does not get longer. The noise is the discrete Gaussian, drawn exactly;
//! costs add up in zero-concentrated differential privacy ([`tiresias_synth::budget`] has the sources), also for questions that depend on
//! earlier answers.
//!
//! Gradients are followed by steps of 1 / L, L being the most that the objective can bend, and the head is the mean over the second half of the
//! rounds. Not protected: the classes, the bounds, the settings; who has several rows (their protection is that of one, divided by how many).

use tiresias_synth::{
    Bounds, Budget, Rows, Spent,
    budget::{Question, epsilon},
    discrete::{MAXIMUM_VARIANCE, Noise},
    linear::{add, dot},
};

use crate::{
    Error, Head, Patients, Pool,
    objective::{Shape, penalty, residuals},
    scaling::Scaling,
    train::{Run, STRENGTHS},
};

/// The part of the budget for the number of patients.
const COUNT_SHARE: f64 = 0.05;

/// Bits behind the point of what is summed.
const STEP: u32 = 10;

/// No sum of a clinic is larger, with its noise.
const BOUND: u64 = 1 << 46;

/// Rounds, at most.
pub const MAXIMUM_ROUNDS: usize = 200;

/// What noise is added and what it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    spent: Spent,
    rounds: usize,
    strength: f64,
}

/// What was learned.
#[derive(Debug, Clone)]
pub struct Private {
    /// The head.
    pub head: Head,
    /// How it went; the number of patients is one with noise.
    pub run: Run,
}

impl Plan {
    /// Shares a budget out, for features and classes that are public.
    pub fn new(
        budget: Budget,
        features: usize,
        classes: usize,
        rounds: usize,
        strength: f64,
    ) -> Result<Self, Error> {
        if !(2..=MAXIMUM_ROUNDS).contains(&rounds) {
            return Err(Error::Setting("--rounds: between 2 and 200 with --epsilon"));
        }
        if !STRENGTHS.contains(&strength) {
            return Err(Error::Setting("--strength: a number between 1e-6 and 1e6"));
        }
        let rho = budget.rho();
        let question = |what, sensitivity_squared: u64, rho: f64| {
            let variance = (sensitivity_squared as f64 / (2.0 * rho)).ceil();
            if variance > MAXIMUM_VARIANCE as f64 {
                return Err(Error::Setting("--epsilon is too small for so many features and rounds"));
            }
            let variance = (variance as u64).max(1);
            Ok(Question {
                what,
                sensitivity_squared,
                variance,
                rho: sensitivity_squared as f64 / (2.0 * variance as f64),
            })
        };
        let shape = Shape { columns: features + 1, classes };
        let each = (1.0 - COUNT_SHARE) * rho / rounds as f64;
        let mut round = question("gradients, of all rounds", sensitivity_squared(shape), each)?;
        round.rho *= rounds as f64;
        let questions = vec![question("number of patients", 1, COUNT_SHARE * rho)?, round];
        let rho = questions.iter().map(|question| question.rho).sum();
        let delta = budget.delta();
        let spent = Spent {
            asked: budget,
            epsilon: epsilon(rho, delta),
            delta,
            rho,
            neighbours: "one patient more or one less at one clinic, whatever the other clinics show each other",
            questions,
            public: [
                "the bounds",
                "the names of the classes",
                "the number and names of the features",
                "strength and rounds",
            ],
        };
        Ok(Self { spent, rounds, strength })
    }

    /// What it costs.
    #[must_use]
    pub fn spent(&self) -> &Spent {
        &self.spent
    }

    fn variance(&self, question: usize) -> u64 {
        self.spent.questions.get(question).map_or(MAXIMUM_VARIANCE, |question| question.variance)
    }
}

/// The square of how long the gradient of one patient can be, in steps.
fn sensitivity_squared(shape: Shape) -> u64 {
    let several = if shape.outputs() == 1 { 1 } else { 2 };
    (shape.columns as u64 * several) << (2 * STEP)
}

/// Learns a head. `noise` is of fresh entropy that nobody else has, and used for nothing else.
pub fn train_private<P: Pool>(
    rows: &Rows,
    bounds: &Bounds,
    plan: &Plan,
    noise: &mut Noise,
    pool: &mut P,
) -> Result<Private, P::Error> {
    let shape = Shape::of(&Patients::new(rows.clone()));
    let (scaling, design) = bounded(rows, bounds)?;
    let mut ask = |question: &str, own: Vec<i64>, variance| -> Result<Vec<f64>, P::Error> {
        let noisy: Vec<i64> = own.iter().map(|sum| sum.saturating_add(noise.gaussian(variance))).collect();
        let totals = pool.sum(question, &noisy, BOUND)?;
        Ok(totals.into_iter().map(|total| total as f64).collect())
    };
    let counted = ask("counts", vec![rows.len() as i64], plan.variance(0))?;
    let patients = counted.first().copied().unwrap_or(1.0).max(1.0);
    let bend = shape.columns as f64 / if shape.outputs() == 1 { 4.0 } else { 2.0 } + plan.strength / patients;
    let mut at = vec![0.0; shape.parameters()];
    let mut mean = at.clone();
    for round in 0..plan.rounds {
        let own = clipped_sums(shape, &design, rows.labels(), &at);
        let sums = ask(&format!("round {}", round + 1), own, plan.variance(1))?;
        let step = f64::from(1 << STEP);
        let mut gradient: Vec<f64> = sums.iter().map(|sum| sum / step).collect();
        penalty(shape, &at, plan.strength, &mut gradient);
        add(&mut at, -1.0 / (bend * patients), &gradient);
        let first = plan.rounds / 2;
        if round >= first {
            add(&mut mean, 1.0 / (plan.rounds - first) as f64, &at);
        }
    }
    let run =
        Run { rounds: plan.rounds, is_converged: false, patients: patients as u64, strength: plan.strength };
    Ok(Private { head: Head::fold(shape, &mean, &scaling), run })
}

/// Rows moved into their bounds, scaled by them, and drawn to a length of at most sqrt(d + 1).
fn bounded(rows: &Rows, bounds: &Bounds) -> Result<(Scaling, Vec<f64>), Error> {
    let scaling = Scaling::of_bounds(rows, bounds)?;
    let bounds = bounds.as_slice();
    let mut design = Vec::with_capacity(rows.len() * (rows.columns() + 1));
    // A hair less than what is allowed, for roundings.
    let longest = ((rows.columns() + 1) as f64).sqrt() * (1.0 - 1e-9);
    for row in rows.iter() {
        let start = design.len();
        design.push(1.0);
        let scaled = row.iter().zip(bounds).zip(scaling.as_slice());
        design.extend(scaled.map(|((value, bound), (mean, deviation))| {
            (value.clamp(bound.lower, bound.upper) - mean) / deviation
        }));
        let row = &mut design[start..];
        let length = dot(row, row).sqrt();
        if length > longest {
            row.iter_mut().for_each(|value| *value *= longest / length);
        }
    }
    Ok((scaling, design))
}

/// The sum of the patients' gradients, in steps. No patient adds more than the sensitivity allows.
fn clipped_sums(shape: Shape, design: &[f64], labels: &[usize], at: &[f64]) -> Vec<i64> {
    let mut sums = vec![0i64; shape.parameters()];
    let mut own = sums.clone();
    let mut scores = vec![0.0; shape.classes];
    for (row, &class) in design.chunks_exact(shape.columns).zip(labels) {
        shape.scores(at, row, &mut scores);
        residuals(&mut scores, class);
        let residuals = &scores[shape.classes - shape.outputs()..];
        for (part, residual) in own.chunks_exact_mut(shape.columns).zip(residuals) {
            for (own, value) in part.iter_mut().zip(row) {
                // Towards zero.
                *own = (residual * value * f64::from(1 << STEP)) as i64;
            }
        }
        let length: u64 = own.iter().map(|own| own.unsigned_abs().pow(2)).sum();
        // Never more, whatever floating point did: the proof rests on integers.
        if length <= sensitivity_squared(shape) {
            sums.iter_mut().zip(&own).for_each(|(sum, own)| *sum += own);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use tiresias_synth::{Bound, Seed};

    use super::*;
    use crate::{Alone, objective::tests::example};

    fn bounds(lower: f64, upper: f64) -> Bounds {
        Bounds::new(vec![Bound { lower, upper, whole: false }; 3]).unwrap()
    }

    #[test]
    fn a_plan_written_out() {
        let budget = Budget::new(1.0, 1e-5).unwrap();
        let plan = Plan::new(budget, 30, 2, 10, 1.0).unwrap();
        // rho is 0.0208199; 1 / (2 0.05 rho); 31 2^20 / (2 0.95 rho / 10): rounded up.
        let variances: Vec<u64> = plan.spent.questions.iter().map(|question| question.variance).collect();
        assert_eq!(variances[0], 481);
        let expected = 31.0 * 1_048_576.0 * 10.0 / (2.0 * 0.95 * budget.rho());
        assert_eq!(variances[1], expected.ceil() as u64);
        assert!(plan.spent.epsilon <= 1.0 && plan.spent.epsilon > 0.999, "{}", plan.spent.epsilon);
        // The questions together cost what is said.
        let rounds = 10.0 * 31.0 * 1_048_576.0 / (2.0 * variances[1] as f64);
        assert!((plan.spent.rho - rounds - 1.0 / 962.0).abs() < 1e-12);
        assert!(Plan::new(budget, 30, 2, 1, 1.0).is_err() && Plan::new(budget, 30, 2, 10, 0.0).is_err());
        assert!(Plan::new(Budget::new(0.01, 1e-12).unwrap(), 2048, 14, 200, 1.0).is_err());
    }

    #[test]
    fn no_patient_moves_a_sum_by_more_than_is_said() {
        for classes in [2, 3] {
            let patients = example(classes, 40);
            let shape = Shape::of(&patients);
            // Bounds that many values are outside of.
            let (_, design) = bounded(patients.rows(), &bounds(-1.0, 1.0)).unwrap();
            let most = sensitivity_squared(shape);
            for scale in [0.0, 1.0, 30.0] {
                let at: Vec<f64> = (0..shape.parameters()).map(|at| scale * (at as f64).cos()).collect();
                let mut largest = 0;
                for (row, label) in design.chunks(4).zip(patients.rows().labels()) {
                    let moved = clipped_sums(shape, row, &[*label], &at);
                    let length: u64 = moved.iter().map(|entry| entry.unsigned_abs().pow(2)).sum();
                    assert!(length <= most);
                    largest = largest.max(length);
                }
                // The bound is met, or nearly: a patient whom the head is sure of, and wrong about.
                assert!(scale < 30.0 || largest > most * 9 / 10, "{classes}: {largest} of {most}");
            }
            let all = clipped_sums(shape, &design, patients.rows().labels(), &vec![0.0; shape.parameters()]);
            let without = clipped_sums(
                shape,
                &design[4..],
                &patients.rows().labels()[1..],
                &vec![0.0; shape.parameters()],
            );
            let first = clipped_sums(
                shape,
                &design[..4],
                &patients.rows().labels()[..1],
                &vec![0.0; shape.parameters()],
            );
            assert!(all.iter().zip(without).zip(first).all(|((all, less), one)| all - less == one));
        }
    }

    #[test]
    fn what_is_summed_has_the_noise_that_is_planned() {
        struct Kept(Vec<i64>);
        impl Pool for Kept {
            type Error = Error;
            fn sum(&mut self, question: &str, values: &[i64], _: u64) -> Result<Vec<i64>, Error> {
                if question == "round 1" {
                    self.0.extend(values);
                }
                Ok(values.to_vec())
            }
        }
        let patients = example(2, 40);
        let plan = Plan::new(Budget::new(2.0, 1e-5).unwrap(), 3, 2, 4, 1.0).unwrap();
        let (_, design) = bounded(patients.rows(), &bounds(-10.0, 25.0)).unwrap();
        let clear = clipped_sums(Shape::of(&patients), &design, patients.rows().labels(), &[0.0; 4]);
        let mut kept = Kept(Vec::new());
        for seed in 0..2000 {
            let mut noise = Noise::new(&Seed::from(seed));
            train_private(patients.rows(), &bounds(-10.0, 25.0), &plan, &mut noise, &mut kept).unwrap();
        }
        let variance = plan.variance(1) as f64;
        let off: Vec<f64> = kept
            .0
            .chunks(4)
            .flat_map(|sums| sums.iter().zip(&clear).map(|(a, &b)| *a as f64 - b as f64))
            .collect();
        let count = off.len() as f64;
        let (mean, square) =
            (off.iter().sum::<f64>() / count, off.iter().map(|off| off * off).sum::<f64>() / count);
        // Five standard errors.
        assert!(mean.abs() < 5.0 * (variance / count).sqrt(), "{mean}");
        assert!((square / variance - 1.0).abs() < 5.0 * (2.0 / count).sqrt(), "{square} for {variance}");
    }

    #[test]
    fn with_a_wide_budget_a_signal_is_found() {
        let values: Vec<f64> =
            (0..600).map(|at| f64::from((at * 7919 + at * at) % 101) / 50.0 - 1.0).collect();
        let labels: Vec<usize> = values.chunks(3).map(|row| usize::from(row[1] > 0.0)).collect();
        let rows = Rows::new(values, 3, labels, vec!["a".into(), "b".into()]).unwrap();
        let plan = Plan::new(Budget::new(50.0, 1e-5).unwrap(), 3, 2, 40, 0.1).unwrap();
        let mut noise = Noise::new(&Seed::from(5));
        let found = train_private(&rows, &bounds(-1.0, 1.0), &plan, &mut noise, &mut Alone).unwrap();
        let right = rows.iter().zip(rows.labels()).filter(|&(row, &label)| found.head.classify(row) == label);
        assert!(right.count() > 180 && (190..210).contains(&found.run.patients), "{:?}", found.run);
        let wrong = Bounds::new(vec![Bound { lower: 0.0, upper: 1.0, whole: false }]).unwrap();
        let error = train_private(&rows, &wrong, &plan, &mut noise, &mut Alone).unwrap_err();
        assert_eq!(error.code(), "bounds");
    }
}
