//! Integers to plaintext and back, and what a clinic reads off a score vector.

use tiresias_keys::Parameters;
use zeroize::Zeroizing;

use crate::{Error, Plan, plan::CohortPlan};

/// Encodes a quantized row as the plaintexts of its ciphertexts: round(x * q / 2^t) for feature i at coefficient
/// i mod D of ciphertext floor(i / D), where D is the block of the plan's layout.
///
/// Rounding each value is essential: x * floor(q / 2^t) would be off by nearly 1 for each unit of x, for a prime just
/// below a power of two, and so by nearly the whole half step in the widest scores at t = 25.
pub fn encode_features(plan: &Plan, row: &[i64]) -> Result<Vec<Zeroizing<Vec<u64>>>, Error> {
    let shape = plan.shape();
    if row.len() != shape.features {
        return Err(Error::Shape { what: "features per row", got: row.len(), expected: shape.features });
    }
    if row.iter().any(|x| x.abs() > shape.feature_limit()) {
        return Err(Error::OutOfRange { what: "a quantized feature", rule: "within its bit width" });
    }
    let parameters = plan.parameters();
    let plaintext = |part: &[i64]| {
        let mut encoded = Zeroizing::new(vec![0; parameters.polynomial_size()]);
        encoded.iter_mut().zip(part).for_each(|(slot, &x)| *slot = encode(plan, x));
        Zeroizing::new(parameters.ring().reduce(&encoded))
    };
    Ok(row.chunks(plan.layout().block).map(plaintext).collect())
}

/// round(value * q / 2^t), for |value| < 2^(t-1).
pub(crate) fn encode(plan: &Plan, value: i64) -> i128 {
    encode_in(plan.parameters(), plan.plaintext_bits(), value)
}

/// The same for a parameter set and t.
pub(crate) fn encode_in(parameters: &Parameters, t: u32, value: i64) -> i128 {
    let q = parameters.modulus() as i128;
    // value*q may take more than 127 bits: q is split at bit t.
    let (high, low) = (q >> t, q & ((1 << t) - 1));
    let value = i128::from(value);
    value * high + ((value * low + (1 << (t - 1))) >> t)
}

/// Decodes phases modulo 2^r to integers, for scores one a class: the nearest multiple of 2^(r-t), modulo 2^t, centred.
#[must_use]
pub fn decode_phases(plan: &Plan, phases: &[u64]) -> Vec<i64> {
    decode(plan.response_bits(), plan.answer_bits(), phases)
}

/// Decodes the phases of a cohort's answer, class by class, patient by patient.
#[must_use]
pub fn decode_cohort(plan: &CohortPlan, phases: &[u64]) -> Vec<i64> {
    decode(plan.response_bits(), plan.plaintext_bits(), phases)
}

fn decode(r: u32, t: u32, phases: &[u64]) -> Vec<i64> {
    phases
        .iter()
        .map(|phase| {
            let nearest = phase.wrapping_add(1 << (r - t - 1)) >> (r - t);
            let (shift, word) = (64 - t, nearest);
            (word << shift) as i64 >> shift
        })
        .collect()
}

/// The distance of each phase to the score it decodes to, in units of 2^-r: the noise of the answer. Compare with
/// [`Plan::switched_noise_bound`]. It must not leave the client's machine, because noise reveals the key.
#[must_use]
pub fn phase_noise(plan: &Plan, phases: &[u64]) -> Vec<i64> {
    let (r, t) = (plan.response_bits(), plan.answer_bits());
    let distance = |(phase, score): (&u64, i64)| {
        let noise = phase.wrapping_sub((score as u64) << (r - t));
        (noise << (64 - r)) as i64 >> (64 - r)
    };
    phases.iter().zip(decode_phases(plan, phases)).map(distance).collect()
}

/// What a score vector says: the class and how clearly.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The index of the highest score, the first of equals. For a head of one class: 0 where its score is
    /// 0 or more, else none.
    pub class: Option<usize>,
    /// Dequantized scores, one a class.
    pub scores: Vec<f64>,
    /// The highest score minus the second highest; for a head of one class the score's magnitude.
    pub margin: f64,
}

/// Dequantizes integer scores and picks the class.
#[must_use]
pub fn read(scores_q: &[i64], score_scale: f64) -> Reading {
    let scores: Vec<f64> = scores_q.iter().map(|&score| score as f64 * score_scale).collect();
    if let [score] = scores_q {
        let class = (*score >= 0).then_some(0);
        return Reading { class, margin: score.unsigned_abs() as f64 * score_scale, scores };
    }
    let best = scores_q.iter().enumerate().rev().max_by_key(|(_, score)| **score).map(|(class, _)| class);
    let margin = best.map_or(0, |best| {
        let runner_up =
            scores_q.iter().enumerate().filter(|(class, _)| *class != best).map(|(_, score)| *score);
        scores_q[best] - runner_up.max().unwrap_or_default()
    });
    Reading { class: best, margin: margin as f64 * score_scale, scores }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HeadShape, Privacy};

    #[test]
    fn encoding_is_rounding_to_nearest() {
        for privacy in Privacy::ALL {
            let shape = HeadShape { features: 1024, classes: 2, feature_bits: 8, weight_bits: 8 };
            let plan = Plan::new(shape, privacy).unwrap();
            let (q, t) = (plan.parameters().modulus() as i128, plan.plaintext_bits());
            let bias = shape.bias_limit();
            for x in (-127..=127_i64).chain([bias, -bias, (1 << (t - 1)) - 1, 1 - (1 << (t - 1))]) {
                // |2^t * encoded - x*q| <= 2^(t-1), and x*q < 2^127 here.
                let off = (encode(&plan, x) << t) - i128::from(x) * q;
                assert!(off.abs() <= 1 << (t - 1));
            }
        }
        // The tempting encoding x * floor(q / 2^t) is off by nearly 1 a unit (2^t after scaling): this is why it is
        // not used.
        let (q, t) = ((1_i128 << 50) - 16_383, 25);
        assert!(q - ((q >> t) << t) > (1 << t) * 99 / 100);
    }

    #[test]
    fn features_are_spread_over_the_ciphertexts_in_blocks() {
        let shape = HeadShape { features: 2560, classes: 14, feature_bits: 8, weight_bits: 8 };
        let plan = Plan::new(shape, Privacy::Flooded).unwrap();
        let row: Vec<i64> = (0..2560).map(|i| i % 255 - 127).collect();
        let plaintexts = encode_features(&plan, &row).unwrap();
        let block = plan.layout().block;
        assert_eq!((plaintexts.len(), block), (plan.layout().ciphertexts, 1280));
        for (i, &x) in row.iter().enumerate() {
            let expected = plan.parameters().ring().reduce(&[encode(&plan, x)]);
            assert_eq!(plaintexts[i / block][i % block], expected[0]);
        }
        assert!(plaintexts.iter().all(|plaintext| plaintext[block..].iter().all(|&residue| residue == 0)));
    }

    #[test]
    fn decoding_is_exact_up_to_half_a_step() {
        let shape = HeadShape { features: 30, classes: 2, feature_bits: 8, weight_bits: 8 };
        let plan = Plan::new(shape, Privacy::Flooded).unwrap();
        let (r, t) = (plan.response_bits(), plan.plaintext_bits());
        let half = 1_i64 << (r - t - 1);
        for score in [0, 1, -1, (1 << (t - 1)) - 1, -(1 << (t - 1))] {
            for noise in [-half, 1 - half, 0, half - 1] {
                let phase = ((score << (r - t)) + noise) as u64 & ((1 << r) - 1);
                assert_eq!(decode_phases(&plan, &[phase]), [score]);
                assert_eq!(phase_noise(&plan, &[phase]), [noise]);
            }
        }
    }

    #[test]
    fn readings_pick_the_first_best_class() {
        let reading = read(&[3, 9, 9, -1], 0.5);
        assert_eq!((reading.class, reading.margin), (Some(1), 0.0));
        assert_eq!(reading.scores, [1.5, 4.5, 4.5, -0.5]);
        assert_eq!(read(&[-5, -9], 0.5).margin, 2.0);
        assert_eq!(
            (read(&[4], 0.5).class, read(&[-4], 0.5).class, read(&[0], 1.0).class),
            (Some(0), None, Some(0))
        );
    }
}
