//! What privacy costs, in zero-concentrated differential privacy (zCDP; Bun and Steinke 2016).
//!
//! Two tables are neighbours where one is the other and one row more. For integer queries that one row moves by at most Δ in the
//! Euclidean norm, independent discrete Gaussian noise of parameter σ² on each is Δ²/2σ²-zCDP (Canonne, Kamath and Steinke 2020,
//! theorem 14). Costs ρ add up, also where a query depends on earlier answers (Bun and Steinke, lemma 1.7), and ρ-zCDP
//! implies (ρ + 2 sqrt(ρ ln(1/δ)), δ)-differential privacy (their proposition 1.3). A row belongs to one class, and each
//! class is asked the same questions with noise of its own: one row moves the answers for its class alone, so the classes
//! together cost what one costs.
//!
//! Of each class three things are asked: how many rows it has (Δ² = 1); a histogram of each of the v features that vary
//! within their bounds (Δ² = v: one count in each); and, for each pair of these, how many rows lie on the same side of both
//! medians less how many do not (Δ² = v(v-1)/2: each sum moves by 1). Given to them are `SPLIT` of ρ; without pairs,
//! histograms get theirs. σ² is rounded up to a whole number.

use serde::Serialize;

use crate::{Error, discrete::MAXIMUM_VARIANCE};

/// Shares of ρ: of counts of rows, of histograms, of pairs.
pub(crate) const SPLIT: [f64; 3] = [0.05, 0.45, 0.5];

/// What may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Budget {
    epsilon: f64,
    delta: f64,
}

/// What was spent, and on what.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spent {
    /// What was allowed.
    pub asked: Budget,
    /// Epsilon of what was spent, at the delta that was allowed: no larger than that allowed.
    pub epsilon: f64,
    /// The delta that was allowed.
    pub delta: f64,
    /// The same in zCDP.
    pub rho: f64,
    /// Which tables cannot be told apart.
    pub neighbours: &'static str,
    /// What each question cost.
    pub questions: Vec<Question>,
    /// What is taken to be known, and not protected.
    pub public: [&'static str; 4],
}

/// A question, of each class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Question {
    /// What is asked.
    pub what: &'static str,
    /// The square of how far one row moves the answers together.
    pub sensitivity_squared: u64,
    /// The parameter σ² of the discrete Gaussian noise on each answer.
    pub variance: u64,
    /// The cost.
    pub rho: f64,
}

impl Budget {
    /// Checks a budget.
    pub fn new(epsilon: f64, delta: f64) -> Result<Self, Error> {
        match (0.01..=100.0).contains(&epsilon) && (1e-15..=1e-3).contains(&delta) {
            true => Ok(Self { epsilon, delta }),
            false => Err(Error::Budget),
        }
    }

    /// The delta.
    #[must_use]
    pub fn delta(&self) -> f64 {
        self.delta
    }

    /// The largest ρ that implies this budget, and a hair less for rounding.
    #[must_use]
    pub fn rho(&self) -> f64 {
        let log = -libm::log(self.delta);
        // sqrt(log + epsilon) - sqrt(log), without cancellation.
        let root = self.epsilon / (libm::sqrt(log + self.epsilon) + libm::sqrt(log));
        root * root * (1.0 - 1e-9)
    }

    /// How the budget is spent on features of which `varying` vary.
    #[must_use]
    pub fn plan(self, varying: usize) -> Spent {
        let v = varying as u64;
        let pairs = v * v.saturating_sub(1) / 2;
        let [counts, histograms, rest] = SPLIT;
        let histograms = if pairs == 0 { histograms + rest } else { histograms };
        let asked = [
            ("rows of each class", 1, counts),
            ("histograms of features", v, histograms),
            ("signs of pairs of features", pairs, rest),
        ];
        let question = |(what, sensitivity_squared, share): (&'static str, u64, f64)| {
            let variance = sensitivity_squared as f64 / (2.0 * share * self.rho());
            let variance = (variance.ceil() as u64).clamp(1, MAXIMUM_VARIANCE);
            let rho = sensitivity_squared as f64 / (2.0 * variance as f64);
            Question { what, sensitivity_squared, variance, rho }
        };
        let questions = asked.into_iter().map(question).filter(|question| question.sensitivity_squared > 0);
        let questions: Vec<Question> = questions.collect();
        let rho = questions.iter().map(|question| question.rho).sum();
        Spent {
            asked: self,
            epsilon: epsilon(rho, self.delta),
            delta: self.delta,
            rho,
            neighbours: "one row more or one less among the rows that are fitted",
            questions,
            public: [
                "the bounds",
                "the names of the classes",
                "the number and names of the features",
                "the rows asked for",
            ],
        }
    }
}

/// What ρ-zCDP implies.
#[must_use]
pub fn epsilon(rho: f64, delta: f64) -> f64 {
    rho + 2.0 * libm::sqrt(rho * -libm::log(delta))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_worked_example() {
        // ln(1e5) = 11.5129; sqrt(12.5129) - sqrt(11.5129) = 0.144291; its square.
        let budget = Budget::new(1.0, 1e-5).unwrap();
        assert!((budget.rho() - 0.020_819_9).abs() < 1e-6, "{}", budget.rho());
        assert!((epsilon(0.1, 1e-6) - 2.450_79).abs() < 1e-4);
        let spent = budget.plan(30);
        let told: Vec<_> = spent.questions.iter().map(|q| (q.sensitivity_squared, q.variance)).collect();
        // 1/(2 0.05 rho), 30/(2 0.45 rho), 435/(2 0.5 rho), rounded up.
        assert_eq!(told, [(1, 481), (30, 1602), (435, 20_894)]);
    }

    #[test]
    fn budgets_out_of_range_are_refused() {
        for (epsilon, delta) in [
            (0.0, 1e-6),
            (f64::NAN, 1e-6),
            (101.0, 1e-6),
            (1.0, 0.0),
            (1.0, 0.1),
            (1.0, f64::NAN),
            (-1.0, 1e-6),
        ] {
            assert_eq!(Budget::new(epsilon, delta).unwrap_err(), Error::Budget);
        }
    }

    #[test]
    fn the_widest_noise_is_within_what_can_be_drawn() {
        let spent = Budget::new(0.01, 1e-15).unwrap().plan(2048);
        assert!(spent.questions.iter().all(|question| question.variance < MAXIMUM_VARIANCE));
    }

    proptest! {
        #[test]
        fn no_more_is_spent_than_allowed(allowed in 0.01f64..100.0, exponent in 3.0f64..15.0, varying in 0usize..2049) {
            let budget = Budget::new(allowed, 10f64.powf(-exponent)).unwrap();
            let spent = budget.plan(varying);
            prop_assert!(spent.epsilon <= allowed);
            prop_assert!(spent.rho <= budget.rho());
            prop_assert!((epsilon(budget.rho(), budget.delta) - allowed).abs() < 1e-6 * allowed);
        }
    }
}
