//! Secret combinations: vectors x, c and x + c whose scores a linear head cannot give but as
//!
//! ```text
//! score(x) + score(c) - score(x + c) = bias
//! ```
//!
//! in exact integers, for each class. x is a patient's (or, where there are few, a canary), c is drawn at random for this combination, and nothing tells the
//! gateway which three of its vectors belong together. The bias is not known to the clinic, but it is the same for all.
//!
//! Where the model explains its scores, each group's contribution is such a sum with a bias of 0.

use tiresias_circuits::Quantizer;

use super::Lottery;
use crate::Error;

/// The two vectors that join an x: floats that become exactly these integers, features that are not clipped.
#[derive(Clone, PartialEq)]
pub struct Combination {
    /// c.
    pub mask: Vec<f64>,
    /// x + c.
    pub sum: Vec<f64>,
}

impl Combination {
    /// Draws one for the features of x. A feature whose steps floats cannot follow, as far as x + c needs, has a c of 0.
    pub fn draw(quantizer: &Quantizer, x: &[f64], lottery: &mut Lottery) -> Result<Self, Error> {
        let limit = (1_i64 << (quantizer.bits() - 1)) - 1;
        let quantized = quantizer.quantize(x)?.values;
        let (mut mask, mut sum) = (Vec::with_capacity(x.len()), Vec::with_capacity(x.len()));
        for (feature, (&x, &value)) in quantized.iter().zip(x).enumerate() {
            let c = lottery.between((-limit).max(-limit - x), limit.min(limit - x));
            let values = quantizer.value_of(feature, c).zip(quantizer.value_of(feature, x + c));
            let (c, x_and_c) = values.unwrap_or((quantizer.offset_of(feature), value));
            mask.push(c);
            sum.push(x_and_c);
        }
        Ok(Self { mask, sum })
    }
}

impl std::fmt::Debug for Combination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Combination").finish_non_exhaustive()
    }
}

/// What the answers to x, c and x + c say of the head's bias: the answer to a vector of zeros.
#[must_use]
pub(super) fn intercepts(x: &[i64], mask: &[i64], sum: &[i64]) -> Vec<i64> {
    // Answers are the peer's: a few million at most, if they are right.
    let intercept = |((x, c), sum): ((&i64, &i64), &i64)| x.wrapping_add(*c).wrapping_sub(*sum);
    x.iter().zip(mask).zip(sum).map(intercept).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tiresias_circuits::quantize::Scale;

    use super::*;

    /// Steps and offsets of all sizes, also such that floats cannot follow.
    fn quantizers() -> impl Strategy<Value = Quantizer> {
        let step = (-300.0..300.0_f64).prop_map(|exponent| 10_f64.powf(exponent));
        let usual = 1e-6..1e6_f64;
        let step = prop_oneof![usual, step];
        let offset = prop_oneof![
            Just(0.0),
            -1e3..1e3_f64,
            (-300.0..300.0_f64, any::<bool>())
                .prop_map(|(exponent, minus)| { 10_f64.powf(exponent) * if minus { -1.0 } else { 1.0 } }),
        ];
        let per_feature =
            (2_u32..=8, prop::collection::vec((step.clone(), offset), 1..20)).prop_map(|(bits, features)| {
                let (scales, offsets) = features.iter().copied().unzip();
                Quantizer::new(bits, features.len(), Scale::PerFeature { scales, offsets }).unwrap()
            });
        let per_tensor = (2_u32..=8, 1_usize..20, step).prop_map(|(bits, features, step)| {
            Quantizer::new(bits, features, Scale::PerTensor(step)).unwrap()
        });
        prop_oneof![per_feature, per_tensor]
    }

    proptest! {
        #[test]
        fn the_sum_is_the_sum_in_integers_and_nothing_is_clipped(
            quantizer in quantizers(),
            steps in prop::collection::vec(-300.0..300.0_f64, 20),
            seed: [u8; 32],
        ) {
            // Patients also lie outside the calibrated range, and between steps.
            let mut d = 1;
            while quantizer.quantize(&vec![0.0; d]).is_err() {
                d += 1;
            }
            let value = |at: usize| quantizer.offset_of(at) + steps[at] * quantizer.scale_of(at);
            let patient: Vec<f64> = (0..d).map(value).map(|value| value.clamp(f64::MIN, f64::MAX)).collect();
            let x = quantizer.quantize(&patient).unwrap();
            let drawn = Combination::draw(&quantizer, &patient, &mut Lottery::seeded(&seed)).unwrap();
            let c = quantizer.quantize(&drawn.mask).unwrap();
            let sum = quantizer.quantize(&drawn.sum).unwrap();
            prop_assert_eq!(c.clipped, 0);
            prop_assert!(sum.clipped <= x.clipped);
            let added: Vec<i64> = x.values.iter().zip(&c.values).map(|(x, c)| x + c).collect();
            prop_assert_eq!(&sum.values, &added);

            let weights: Vec<i64> = (0..d as i64).map(|at| at * 37 % 255 - 127).collect();
            let score = |row: &[i64]| row.iter().zip(&weights).map(|(x, w)| x * w).sum::<i64>() + 4711;
            let found = intercepts(&[score(&x.values)], &[score(&c.values)], &[score(&sum.values)]);
            prop_assert_eq!(found, [4711]);
        }
    }

    #[test]
    fn masks_reach_both_ends_and_leave_no_feature_out() {
        let quantizer = Quantizer::new(4, 3, Scale::PerTensor(0.5)).unwrap();
        let mut lottery = Lottery::seeded(&[5; 32]);
        let patient = [3.5, -3.5, 0.0];
        let masks = (0..400).map(|_| Combination::draw(&quantizer, &patient, &mut lottery).unwrap().mask);
        let masks: Vec<Vec<i64>> = masks.map(|mask| quantizer.quantize(&mask).unwrap().values).collect();
        for (feature, ends) in [(0, (-7, 0)), (1, (0, 7)), (2, (-7, 7))] {
            let values = || masks.iter().map(|mask| mask[feature]);
            assert_eq!((values().min(), values().max()), (Some(ends.0), Some(ends.1)));
        }
    }
}
