//! The plan of cohorts: what follows from a head's public numbers where a block of patients is scored at once.
//!
//! Sums run modulo 2^52, on bodies of which the upper 48 bits came, and are switched to q. With B52 the largest noise of a sum,
//! (2^5 + 2^3) * d*2^(b_w-1), what is there before re-randomization is at most B52*q/2^52, the (N+1)/2 of the switch and 1 for
//! the rounded bias. From there on all is as for single requests, but for what a malformed request is told: a block returns up
//! to N coefficients under one u, more than the mask can keep from a client that reads t + 1 bits of u in each.

use tiresias_keys::{CohortParameters, CohortShape, ResponseShape, cohort::N2048_C52};

use super::{HeadShape, Leak, Plan, Policy, Privacy, Widths, search};
use crate::Error;

/// The plan of a head's cohorts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CohortPlan {
    shape: HeadShape,
    parameters: &'static CohortParameters,
    response_bits: u32,
    widths: Option<Widths>,
    noise_bound: u128,
}

impl CohortPlan {
    /// Plans cohorts for the head of a plan. Errors where that answers more or less than a linear head's scores, or is
    /// `statistical`, for which the modulus leaves no room.
    pub fn new(plan: &Plan) -> Result<Self, Error> {
        let is_linear = plan.hidden().is_none() && plan.grouping().is_none();
        if !is_linear || *plan.policy() != Policy::Scores || plan.privacy() == Privacy::Statistical {
            return Err(Error::OutOfRange {
                what: "a cohort",
                rule: "of a linear head's scores, flooded or open-weights",
            });
        }
        let (shape, parameters) = (*plan.shape(), &N2048_C52);
        let (glwe, t) = (parameters.glwe(), shape.plaintext_bits());
        let sums = sum_noise(parameters, &shape);
        let fits = |widths: Option<Widths>| {
            let added =
                widths.map_or(0, |widths| search::added_noise(glwe, &widths) + (1_u128 << widths.flood));
            let noise_bound = sums + added;
            let response_bits = (t + 1..=t + 16).find(|&r| search::is_exact(glwe, t, r, noise_bound))?;
            Some(Self { shape, parameters, response_bits, widths, noise_bound })
        };
        let found = if plan.privacy().protects_weights() {
            let base = search::base_widths(glwe, Privacy::Flooded, t);
            base.and_then(|base| {
                let floods = (glwe.noise_bits()..glwe.modulus_bits() - t).rev();
                floods.map(|flood| Widths { flood, ..base }).find_map(|widths| fits(Some(widths)))
            })
        } else {
            fits(None)
        };
        found.ok_or(Error::DoesNotFit { plaintext_bits: t })
    }

    /// The head's public numbers.
    #[must_use]
    pub fn shape(&self) -> &HeadShape {
        &self.shape
    }

    /// The parameter set.
    #[must_use]
    pub fn parameters(&self) -> &'static CohortParameters {
        self.parameters
    }

    /// Bits t of the plaintext: those of the widest score.
    #[must_use]
    pub fn plaintext_bits(&self) -> u32 {
        self.shape.plaintext_bits()
    }

    /// Bits r of the response modulus.
    #[must_use]
    pub fn response_bits(&self) -> u32 {
        self.response_bits
    }

    /// The widths of the gateway's randomness, where there is any.
    #[must_use]
    pub fn widths(&self) -> Option<&Widths> {
        self.widths.as_ref()
    }

    /// The proved bound of the noise before the last switch, flood included, in units of 1/q.
    #[must_use]
    pub fn noise_bound(&self) -> u128 {
        self.noise_bound
    }

    /// What blocks look like.
    #[must_use]
    pub fn request_shape(&self) -> CohortShape {
        CohortShape {
            parameters: self.parameters,
            features: self.shape.features,
            carries_zero: self.widths.is_some(),
        }
    }

    /// What the answer to a block of so many patients looks like: a group a class, a coefficient a patient.
    #[must_use]
    pub fn response_shape(&self, patients: usize) -> ResponseShape {
        ResponseShape {
            parameters: self.parameters.glwe(),
            rerandomized: self.widths.is_some(),
            modulus_bits: self.response_bits,
            classes: self.shape.classes * patients,
            classes_per_group: patients,
            block: 1,
        }
    }

    /// What an answer may tell about the weights beyond the scores themselves, for each patient.
    #[must_use]
    pub fn leak(&self) -> Leak {
        let Some(widths) = self.widths else {
            return Leak {
                statistical_distance_log2: None,
                bits_per_score: None,
                vectors_to_determine: Some(1),
                vectors_for_any_client: 1,
            };
        };
        let glwe = self.parameters.glwe();
        let told = search::told_bits(glwe, &widths);
        let shift = (sum_noise(self.parameters, &self.shape) * self.shape.classes as u128) as f64;
        let weights = (self.shape.features * self.shape.weight_bits as usize).div_ceil(told as usize);
        Leak {
            statistical_distance_log2: Some((shift.log2() - f64::from(widths.flood + 1)).min(0.0)),
            bits_per_score: Some(told),
            vectors_to_determine: Some(self.shape.features + 1),
            vectors_for_any_client: weights.min(search::hint_cap(&widths, told)),
        }
    }
}

/// The noise of a sum, switched to q.
fn sum_noise(parameters: &CohortParameters, shape: &HeadShape) -> u128 {
    let glwe = parameters.glwe();
    let weights = (shape.features as u128) << (shape.weight_bits - 1);
    let rounded = 1 << (parameters.modulus_bits() - parameters.body_bits() - 1);
    let noise = weights * ((1 << parameters.noise_bits()) + rounded);
    let switched = (noise * glwe.modulus()).div_ceil(1 << parameters.modulus_bits());
    switched + (glwe.polynomial_size() as u128 + 1).div_ceil(2) + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::LabelPolicy;

    fn shape(features: usize, classes: usize, bits: u32) -> HeadShape {
        HeadShape { features, classes, feature_bits: bits, weight_bits: bits }
    }

    #[test]
    fn bounds_hold_and_floods_are_as_large_as_they_can_be() {
        for features in [1, 30, 512, 1024, 2048, 16_384] {
            for bits in [2, 4, 8] {
                for privacy in [Privacy::Flooded, Privacy::OpenWeights] {
                    let Ok(plan) = Plan::new(shape(features, 3, bits), privacy) else { continue };
                    let Ok(cohort) = CohortPlan::new(&plan) else {
                        assert!(
                            features * 4_usize.pow(bits) > 4096 * 4_usize.pow(8) / 4,
                            "{features} {bits}"
                        );
                        continue;
                    };
                    let (t, r, q) =
                        (cohort.plaintext_bits(), cohort.response_bits(), (1_u128 << 50) - 16_383);
                    // (N+1)/2 + 2^r * B/q < 2^(r-t-1), times 2q.
                    assert!(2049 * q + (cohort.noise_bound() << (r + 1)) < q << (r - t));
                    if let Some(widths) = cohort.widths() {
                        let wider = cohort.noise_bound() + (1 << widths.flood);
                        assert!((t + 1..=t + 16).all(|r| 2049 * q + (wider << (r + 1)) >= q << (r - t)));
                    }
                }
            }
        }
    }

    #[test]
    fn what_answers_more_or_less_than_scores_has_no_cohorts() {
        let refused = |plan: Plan| CohortPlan::new(&plan).is_err();
        assert!(refused(Plan::new(shape(30, 2, 8), Privacy::Statistical).unwrap()));
        let grouping = crate::explain::Grouping { groups: 3, largest: 10 };
        assert!(refused(Plan::explained(shape(30, 2, 8), grouping, Privacy::Flooded).unwrap()));
        let policy = LabelPolicy {
            decision: crate::plan::Decision::Argmax,
            stages: 2,
            zone: 0,
            bootstrap: &tiresias_keys::bootstrap_parameters::N918_N2048_Q50_G2,
        };
        if let Ok(plan) = Plan::label(shape(30, 2, 4), policy) {
            assert!(refused(plan));
        }
    }
}
