//! Integers to plaintext and back, and what a clinic reads off a score vector.

use crate::{Error, Plan};

/// Encodes a quantized row as a plaintext of N residues: round(x * q / 2^t) at coefficients 0 to d-1.
///
/// Rounding each value is essential: x * floor(q / 2^t) would be off by nearly 1 for each unit of x, for a prime just
/// below a power of two, and so by nearly the whole half step in the widest scores at t = 25.
pub fn encode_features(plan: &Plan, row: &[i64]) -> Result<Vec<u64>, Error> {
    let shape = plan.shape();
    if row.len() != shape.features {
        return Err(Error::Shape { what: "features per row", got: row.len(), expected: shape.features });
    }
    if row.iter().any(|x| x.abs() > shape.feature_limit()) {
        return Err(Error::OutOfRange { what: "a quantized feature", rule: "within its bit width" });
    }
    let mut plaintext = vec![0; plan.parameters().polynomial_size()];
    for (residue, &x) in plaintext.iter_mut().zip(row) {
        *residue = encode(plan, x);
    }
    Ok(plaintext)
}

/// round(value * q / 2^t) mod q, for |value| < 2^(t-1).
pub(crate) fn encode(plan: &Plan, value: i64) -> u64 {
    let (q, t) = (i128::from(plan.parameters().modulus()), plan.plaintext_bits());
    let rounded = (i128::from(value) * q + (1 << (t - 1))) >> t;
    rounded.rem_euclid(q) as u64
}

/// Decodes phases modulo 2^r to K integers: the nearest multiple of 2^(r-t), modulo 2^t, centred.
#[must_use]
pub fn decode_phases(plan: &Plan, phases: &[u64]) -> Vec<i64> {
    let (r, t) = (plan.response_bits(), plan.plaintext_bits());
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
    let (r, t) = (plan.response_bits(), plan.plaintext_bits());
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
    /// positive, else none.
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
        let class = (*score > 0).then_some(0);
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
        let shape = HeadShape { features: 1024, classes: 2, feature_bits: 8, weight_bits: 8 };
        let plan = Plan::new(shape, Privacy::Flooded).unwrap();
        let q = i128::from(plan.parameters().modulus());
        for x in -127..=127_i64 {
            let encoded = i128::from(encode(&plan, x));
            // |2^t * encoded - x*q| <= 2^(t-1) modulo 2^t * q
            let t = plan.plaintext_bits();
            let off = ((encoded << t) - i128::from(x) * q).rem_euclid(q << t);
            let off = off.min((q << t) - off);
            assert!(off <= 1 << (t - 1));
        }
        // The tempting encoding x * floor(q / 2^t) is off by nearly 1 a unit (2^t after scaling): this is why it is not used.
        let t = plan.plaintext_bits();
        assert!(q - ((q >> t) << t) > (1 << t) * 99 / 100);
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
            (Some(0), None, None)
        );
    }
}
