//! From dimension N modulo q to dimension n modulo 2^32.

use super::{LweCiphertext, PreparedKey};

/// An LWE ciphertext of dimension n modulo 2^32: n mask words, then the body.
pub(super) type SmallLwe = Vec<u32>;

impl PreparedKey {
    /// Switches ciphertexts together, so that each row of the key is read once for all of them.
    pub(super) fn keyswitch(&self, inputs: &[&LweCiphertext]) -> Vec<SmallLwe> {
        let parameters = self.parameters;
        let q = parameters.glwe().primes()[0];
        let (gadget, columns) = (parameters.keyswitch(), parameters.lwe_dimension() + 1);
        let digits: Vec<Vec<[u32; LEVELS]>> = inputs
            .iter()
            .map(|input| {
                input.mask().iter().map(|&residue| digits(to_words(residue, q), gadget.base_log)).collect()
            })
            .collect();
        let mut sums: Vec<SmallLwe> = inputs
            .iter()
            .map(|input| {
                let mut sum = vec![0; columns];
                sum[columns - 1] = to_words(input.body(), q);
                sum
            })
            .collect();
        self.kernel.run(
            #[inline(always)]
            || {
                for (coefficient, rows) in self.keyswitch.chunks_exact(LEVELS * columns).enumerate() {
                    for (sum, digits) in sums.iter_mut().zip(&digits) {
                        subtract_rows(sum, rows, digits[coefficient]);
                    }
                }
            },
        );
        sums
    }
}

/// Levels of the keyswitch, the same in all parameter sets.
const LEVELS: usize = 4;

/// sum -= the rows, each times its digit, modulo 2^32.
#[inline(always)]
fn subtract_rows(sum: &mut [u32], rows: &[u32], [d0, d1, d2, d3]: [u32; LEVELS]) {
    let (row0, rest) = rows.split_at(sum.len());
    let (row1, rest) = rest.split_at(sum.len());
    let (row2, row3) = rest.split_at(sum.len());
    let rows = row0.iter().zip(row1).zip(row2.iter().zip(row3));
    for (sum, ((&a, &b), (&c, &d))) in sum.iter_mut().zip(rows) {
        let first = a.wrapping_mul(d0).wrapping_add(b.wrapping_mul(d1));
        let second = c.wrapping_mul(d2).wrapping_add(d.wrapping_mul(d3));
        *sum = sum.wrapping_sub(first.wrapping_add(second));
    }
}

/// round(residue * 2^32 / q) modulo 2^32, or in rare cases the next integer: floor(2^96 / q) stands for 2^96 / q.
fn to_words(residue: u64, q: u64) -> u32 {
    let ratio = (1_u128 << 96) / u128::from(q);
    ((u128::from(residue) * ratio + (1 << 63)) >> 64) as u32
}

/// The digits of the most significant bits of `word`, rounded, balanced in \[-base/2, base/2), the most significant
/// first, as two's complement words.
fn digits(word: u32, base_log: u32) -> [u32; LEVELS] {
    let dropped = 32 - base_log * LEVELS as u32;
    let (base, half) = (1_u32 << base_log, 1_u32 << (base_log - 1));
    let mut rest = word.wrapping_add(1 << (dropped - 1)) >> dropped;
    let mut digits = [0; LEVELS];
    for digit in digits.iter_mut().rev() {
        *digit = ((rest + half) & (base - 1)).wrapping_sub(half);
        // A carry out of the most significant digit is a multiple of 2^32.
        rest = rest.wrapping_sub(*digit) >> base_log;
    }
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn digits_recompose_to_the_rounded_word(word in any::<u32>()) {
            let digits = digits(word, 4);
            let mut sum = 0_u32;
            for (level, digit) in digits.into_iter().enumerate() {
                prop_assert!((-8..8).contains(&(digit as i32)));
                sum = sum.wrapping_add(digit << (32 - 4 * (level + 1)));
            }
            let difference = word.wrapping_sub(sum) as i32;
            prop_assert!((-(1 << 15)..1 << 15).contains(&difference));
        }

        #[test]
        fn residues_are_scaled_to_the_nearest_word(residue in 0..1_125_899_906_826_241_u64) {
            let q = 1_125_899_906_826_241_u64;
            let exact = (u128::from(residue) << 32) as f64 / q as f64;
            let difference = f64::from(to_words(residue, q)) - exact;
            prop_assert!(difference.abs() < 0.51 || difference.abs() > 4e9);
        }
    }
}
