//! Exact arithmetic in Z_q\[X\]/(X^N + 1) for a prime q = 1 mod 2N.
//!
//! Coefficients are kept in \[0, q). A polynomial is a slice of N words; whether it holds coefficients or transform
//! values is the caller's to know, as with every in-place transform. Products are exact integers modulo q: there is
//! no floating point anywhere.

use tfhe_ntt::prime64::Plan;

/// A ring with its number-theoretic transform tables.
#[derive(Debug)]
pub struct Ring {
    plan: Plan,
    polynomial_size: usize,
    modulus: u64,
}

impl Ring {
    /// Builds the tables for polynomial size `n` and prime `modulus`. Only [`crate::Parameters::ring`] calls this,
    /// with constants whose validity its tests check.
    pub(crate) fn new(n: usize, modulus: u64) -> Self {
        let plan = Plan::try_new(n, modulus).expect("the parameter table holds NTT-friendly primes only");
        Self { plan, polynomial_size: n, modulus }
    }

    /// The polynomial size N.
    #[must_use]
    pub fn polynomial_size(&self) -> usize {
        self.polynomial_size
    }

    /// The modulus q.
    #[must_use]
    pub fn modulus(&self) -> u64 {
        self.modulus
    }

    /// Transforms N coefficients in place.
    pub fn forward(&self, polynomial: &mut [u64]) {
        self.plan.fwd(polynomial);
    }

    /// Transforms back in place, leaving a factor N in the result: one factor of each product must have passed
    /// through [`Ring::normalize`].
    pub fn inverse(&self, transformed: &mut [u64]) {
        self.plan.inv(transformed);
    }

    /// Divides by N.
    pub fn normalize(&self, transformed: &mut [u64]) {
        self.plan.normalize(transformed);
    }

    /// `sum += left * right`, value by value, on transformed polynomials.
    pub fn multiply_add(&self, sum: &mut [u64], left: &[u64], right: &[u64]) {
        self.plan.mul_accumulate(sum, left, right);
    }

    /// `a + b mod q` for a, b in \[0, q).
    #[must_use]
    pub fn add(&self, a: u64, b: u64) -> u64 {
        let sum = a + b;
        sum.min(sum.wrapping_sub(self.modulus))
    }

    /// `a - b mod q` for a, b in \[0, q).
    #[must_use]
    pub fn sub(&self, a: u64, b: u64) -> u64 {
        let difference = a.wrapping_sub(b);
        difference.min(difference.wrapping_add(self.modulus))
    }

    /// The representative in \[0, q) of a signed integer with |value| < q.
    #[must_use]
    pub fn reduce_signed(&self, value: i64) -> u64 {
        let word = value as u64;
        word.min(word.wrapping_add(self.modulus))
    }

    /// The representative in (-q/2, q/2\] of a residue.
    #[must_use]
    pub fn center(&self, residue: u64) -> i64 {
        if residue > self.modulus / 2 { residue as i64 - self.modulus as i64 } else { residue as i64 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::parameters::N2048_Q50;

    /// Schoolbook negacyclic product, the definition.
    fn schoolbook(a: &[u64], b: &[u64], q: u64) -> Vec<u64> {
        let n = a.len();
        let mut out = vec![0_u64; n];
        for (i, &x) in a.iter().enumerate() {
            for (j, &y) in b.iter().enumerate() {
                let product = (u128::from(x) * u128::from(y) % u128::from(q)) as u64;
                let k = (i + j) % n;
                out[k] = if i + j < n { (out[k] + product) % q } else { (out[k] + q - product) % q };
            }
        }
        out
    }

    fn product(a: &[u64], b: &[u64]) -> Vec<u64> {
        let ring = N2048_Q50.ring();
        let (mut a, mut b) = (a.to_vec(), b.to_vec());
        ring.forward(&mut a);
        ring.forward(&mut b);
        ring.normalize(&mut b);
        let mut out = vec![0; a.len()];
        ring.multiply_add(&mut out, &a, &b);
        ring.inverse(&mut out);
        out
    }

    fn polynomial(seed: u64) -> Vec<u64> {
        // A fixed multiplicative sequence with full-range and extreme values.
        let q = N2048_Q50.modulus();
        (0..2048_u64)
            .map(|i| match i % 97 {
                0 => q - 1,
                1 => 0,
                _ => (i + 1).wrapping_mul(seed | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) % q,
            })
            .collect()
    }

    #[test]
    fn products_are_those_of_the_definition_and_of_an_independent_transform() {
        let q = N2048_Q50.modulus();
        let (a, b) = (polynomial(3), polynomial(11));
        let ours = product(&a, &b);
        assert_eq!(ours, schoolbook(&a, &b, q));

        let oracle = concrete_ntt::prime64::Plan::try_new(2048, q).unwrap();
        let (mut a, mut b) = (a, b);
        oracle.fwd(&mut a);
        oracle.fwd(&mut b);
        oracle.mul_assign_normalize(&mut a, &b);
        oracle.inv(&mut a);
        assert_eq!(ours, a);
    }

    proptest! {
        #[test]
        fn modular_helpers_agree_with_wide_arithmetic(a in 0..N2048_Q50.modulus(), b in 0..N2048_Q50.modulus()) {
            let (ring, q) = (N2048_Q50.ring(), i128::from(N2048_Q50.modulus()));
            prop_assert_eq!(i128::from(ring.add(a, b)), (i128::from(a) + i128::from(b)).rem_euclid(q));
            prop_assert_eq!(i128::from(ring.sub(a, b)), (i128::from(a) - i128::from(b)).rem_euclid(q));
            let signed = a as i64 - b as i64;
            prop_assert_eq!(i128::from(ring.reduce_signed(signed)), i128::from(signed).rem_euclid(q));
            prop_assert_eq!(ring.reduce_signed(ring.center(a)), a);
        }
    }
}
