//! The definition of every kernel's results, in plain integers.

use super::{LANES, Q};

const LOW: u128 = (1 << 50) - 1;

/// `sum` modulo the prime, for sums below 2^104: 2^50 is 16383 modulo the prime, so the high part is folded down twice.
#[inline(always)]
pub(in crate::bootstrap) fn reduce(sum: u128) -> u64 {
    let once = (sum >> 50) * 16_383 + (sum & LOW);
    let twice = (once >> 50) as u64 * 16_383 + (once & LOW) as u64;
    twice.min(twice.wrapping_sub(Q))
}

pub(super) fn multiply_by(out: &mut [u64], values: &[u64], factor: u64) {
    for (out, &value) in out.iter_mut().zip(values) {
        *out = reduce(u128::from(value) * u128::from(factor));
    }
}

#[inline(always)]
pub(super) fn external_product<const GGSWS: usize, const ROWS: usize>(
    out: &mut [u64],
    key: &[u64],
    digits: &[u64],
    factors: &[u64],
) {
    let n = out.len() / 2;
    let (mask, body) = out.split_at_mut(n);
    for (index, (mask, body)) in mask.iter_mut().zip(body).enumerate() {
        let (vector, lane) = (index / LANES, index % LANES);
        let places = &key[vector * 2 * ROWS * GGSWS * LANES..][..2 * ROWS * GGSWS * LANES];
        for (component, result) in [mask, body].into_iter().enumerate() {
            let mut sum = 0;
            for row in 0..ROWS {
                let place = |ggsw: usize| {
                    u128::from(places[((component * ROWS + row) * GGSWS + ggsw) * LANES + lane])
                };
                let factor = |ggsw: usize| u128::from(factors[ggsw * n + index]);
                let bundle = if GGSWS == 1 {
                    place(0) * factor(0)
                } else {
                    place(0) + (1..GGSWS).map(|ggsw| place(ggsw) * factor(ggsw - 1)).sum::<u128>()
                };
                sum += u128::from(reduce(bundle)) * u128::from(digits[row * n + index]);
            }
            *result = reduce(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sums_are_reduced_to_their_residue(sum in 0..1_u128 << 104) {
            prop_assert_eq!(u128::from(reduce(sum)), sum % u128::from(Q));
        }
    }

    #[test]
    fn the_ends_of_the_range_are_reduced_too() {
        for sum in [0, 1, u128::from(Q) - 1, u128::from(Q), u128::from(Q) + 1, (1 << 104) - 1, LOW, LOW + 1] {
            assert_eq!(u128::from(reduce(sum)), sum % u128::from(Q));
        }
    }
}
