//! The inverse cosine transform of a block (T.81, A.3.3), in integers: columns, then rows, each as four sums of even and
//! four of odd frequencies. Its error is far below half a step, so a sample is the nearest one to the exact sum.

/// Bits of the fraction of a factor, and of what lies between columns and rows.
const FACTOR_BITS: u32 = 24;
const BETWEEN_BITS: u32 = 12;

/// cos(k pi / 16) / 2, for k from 1 to 7; the fourth is the factor of frequency 0 too.
const COSINES: [i64; 7] = [8_227_423, 7_750_063, 6_974_873, 5_931_642, 4_660_461, 3_210_181, 1_636_536];

/// The samples of a block's coefficients, row after row.
pub(super) fn samples(coefficients: &[i32; 64]) -> [u16; 64] {
    let mut between = [0_i64; 64];
    for column in 0..8 {
        let frequencies: [i64; 8] = std::array::from_fn(|row| {
            // Twice what 12 bits can need; more would only overflow.
            coefficients[8 * row + column].clamp(-1 << 17, 1 << 17).into()
        });
        if frequencies == [0; 8] {
            continue;
        }
        for (row, sum) in inverse(&frequencies).into_iter().enumerate() {
            between[8 * row + column] = rounded(sum, FACTOR_BITS - BETWEEN_BITS);
        }
    }
    let mut samples = [0; 64];
    for (row, places) in between.as_chunks().0.iter().zip(samples.as_chunks_mut::<8>().0) {
        for (sum, place) in inverse(row).into_iter().zip(places) {
            *place = (rounded(sum, FACTOR_BITS + BETWEEN_BITS) + 2048).clamp(0, 4095) as u16;
        }
    }
    samples
}

/// The inverse transform of eight frequencies, times two to the bits of a factor.
fn inverse(frequencies: &[i64; 8]) -> [i64; 8] {
    let [f0, f1, f2, f3, f4, f5, f6, f7] = *frequencies;
    let [c1, c2, c3, c4, c5, c6, c7] = COSINES;
    let (sum, difference) = (c4 * (f0 + f4), c4 * (f0 - f4));
    let (outer, inner) = (c2 * f2 + c6 * f6, c6 * f2 - c2 * f6);
    let even = [sum + outer, difference + inner, difference - inner, sum - outer];
    let odd = [
        c1 * f1 + c3 * f3 + c5 * f5 + c7 * f7,
        c3 * f1 - c7 * f3 - c1 * f5 - c5 * f7,
        c5 * f1 - c1 * f3 + c7 * f5 + c3 * f7,
        c7 * f1 - c5 * f3 + c3 * f5 - c1 * f7,
    ];
    std::array::from_fn(|at| if at < 4 { even[at] + odd[at] } else { even[7 - at] - odd[7 - at] })
}

fn rounded(number: i64, bits: u32) -> i64 {
    (number + (1 << (bits - 1))) >> bits
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{FRAC_1_SQRT_2, PI};

    use proptest::prelude::*;

    use super::*;

    /// The sum of T.81, A.3.3, as it stands there.
    fn exact(coefficients: &[i32; 64], x: usize, y: usize) -> f64 {
        let scale = |frequency| if frequency == 0 { FRAC_1_SQRT_2 } else { 1.0 };
        let cosine = |at: usize, frequency: usize| ((2 * at + 1) as f64 * frequency as f64 * PI / 16.0).cos();
        let term = |u: usize, v: usize| {
            scale(u) * scale(v) * f64::from(coefficients[8 * v + u]) * cosine(x, u) * cosine(y, v)
        };
        let sum: f64 = (0..64).map(|at| term(at % 8, at / 8)).sum();
        sum / 4.0 + 2048.0
    }

    #[test]
    fn factors_are_halves_of_cosines() {
        for (k, factor) in COSINES.into_iter().enumerate() {
            let cosine = ((k + 1) as f64 * PI / 16.0).cos() / 2.0 * f64::from(1 << FACTOR_BITS);
            assert_eq!(factor, cosine.round() as i64, "{k}");
        }
    }

    proptest! {
        #[test]
        fn samples_are_nearest_to_the_exact_sums(
            coefficients in prop::collection::vec(prop_oneof![3 => Just(0), 1 => -3000..3000_i32], 64)
        ) {
            let coefficients: [i32; 64] = coefficients.try_into().unwrap();
            for (at, sample) in samples(&coefficients).into_iter().enumerate() {
                let sum = exact(&coefficients, at % 8, at / 8).clamp(0.0, 4095.0);
                prop_assert!((f64::from(sample) - sum).abs() < 0.502, "{at}: {sample} and {sum}");
            }
        }

        #[test]
        fn no_coefficients_overflow(coefficients in prop::collection::vec(any::<i32>(), 64)) {
            samples(&coefficients.try_into().unwrap());
        }
    }
}
