//! Exact products of integer polynomials modulo X^N + 1: one with coefficients below 2^52, the other binary.
//!
//! The product is computed modulo the two primes of `N4096_Q100`. A coefficient x is r1 + p1*k for its residue r1 and some
//! k of at most 14 bits, and r2 - r1 = (p1 - p2)*k modulo p2: a number far smaller than p2, so k is a plain quotient.

use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::Ring;
use crate::parameters::N4096_Q100;

/// The polynomial size N of these products.
const SIZE: usize = 2048;

/// Coefficients of the left factor are below 2^52: with 2,048 binary ones, no sum leaves 64 bits.
pub const LEFT_BITS: u32 = 52;

/// 3 * this = 1 modulo 2^32.
const INVERSE_OF_3: i32 = 0xaaaa_aaab_u32.cast_signed();

/// Products of polynomials of 2,048 coefficients, with their transform tables.
#[derive(Debug)]
pub struct Integers {
    ring: Ring,
    primes: [u64; 2],
}

impl Integers {
    /// The one there is; its tables are built once per process.
    #[must_use]
    pub fn get() -> &'static Self {
        static INTEGERS: OnceLock<Integers> = OnceLock::new();
        INTEGERS.get_or_init(|| {
            let primes = [N4096_Q100.primes()[0], N4096_Q100.primes()[1]];
            debug_assert!(primes[0] - primes[1] == 3 << 16 && primes[0] == (1 << 50) - (1 << 14) + 1);
            Self { ring: Ring::new(SIZE, &primes), primes }
        })
    }

    /// Words of a transform.
    #[must_use]
    pub fn words(&self) -> usize {
        2 * SIZE
    }

    /// The left factor of a product, transformed: N coefficients below 2^52.
    #[must_use]
    pub fn left(&self, coefficients: &[u64]) -> Vec<u64> {
        debug_assert!(coefficients.iter().all(|&coefficient| coefficient >> LEFT_BITS == 0));
        let residues =
            self.primes.iter().flat_map(|&prime| coefficients.iter().map(move |&value| value % prime));
        let mut transformed: Vec<u64> = residues.collect();
        self.ring.forward(&mut transformed);
        self.ring.normalize(&mut transformed);
        transformed
    }

    /// Transforms a binary polynomial in place: its N coefficients, twice.
    pub fn right(&self, twice: &mut [u64]) {
        self.ring.forward(twice);
    }

    /// The product of two transformed factors: N integers.
    #[must_use]
    pub fn product(&self, left: &[u64], right: &[u64]) -> Vec<i64> {
        // The product of a mask and a secret gives the secret away.
        let mut residues = Zeroizing::new(self.ring.zero());
        self.ring.multiply_add(&mut residues, left, right);
        self.ring.inverse(&mut residues);
        let second = self.primes[1];
        let (low, high) = residues.split_at(SIZE);
        let coefficients = low.iter().zip(high).map(|(&r1, &r2)| {
            let difference = r2.wrapping_sub(r1.min(r1.wrapping_sub(second)));
            let difference = difference.min(difference.wrapping_add(second));
            let is_negative = u64::from(difference > second / 2);
            let centred = (difference as i64).wrapping_sub((second & is_negative.wrapping_neg()) as i64);
            // An exact division by p1 - p2 = 3 * 2^16, and the product with p1 = 2^50 - 2^14 + 1.
            let k = i64::from(((centred >> 16) as i32).wrapping_mul(INVERSE_OF_3));
            (r1 as i64).wrapping_add(k << 50).wrapping_sub(k << 14).wrapping_add(k)
        });
        coefficients.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(left: &[u64], right: &[u64]) -> Vec<i64> {
        let integers = Integers::get();
        let mut twice = [right, right].concat();
        integers.right(&mut twice);
        integers.product(&integers.left(left), &twice)
    }

    #[test]
    fn the_widest_product_is_exact() {
        let widest = vec![(1 << LEFT_BITS) - 1; SIZE];
        let ones = vec![1; SIZE];
        let found = product(&widest, &ones);
        // Coefficient i has i + 1 terms of one sign and N - 1 - i of the other.
        for (i, found) in found.into_iter().enumerate() {
            assert_eq!(i128::from(found), (2 * i as i128 + 2 - SIZE as i128) * ((1 << LEFT_BITS) - 1));
        }
    }

    #[test]
    fn products_are_those_of_the_definition() {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 12
        };
        let left: Vec<u64> = (0..SIZE).map(|_| next()).collect();
        let right: Vec<u64> = (0..SIZE).map(|_| next() & 1).collect();
        let found = product(&left, &right);
        for i in (0..SIZE).step_by(97) {
            let (low, high) = right.split_at(i + 1);
            let plus: i128 = low.iter().enumerate().map(|(j, &s)| i128::from(left[i - j] * s)).sum();
            let minus: i128 = high.iter().zip((0..SIZE).rev()).map(|(&s, j)| i128::from(left[j] * s)).sum();
            assert_eq!(i128::from(found[i]), plus - minus);
        }
    }
}
