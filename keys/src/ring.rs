//! Exact arithmetic in Z_q\[X\]/(X^N + 1), where q is a product of primes that are 1 mod 2N.
//!
//! A polynomial is held by its residues (Chinese remainder theorem): a slice of N words for each prime, one prime
//! after the other, each word in \[0, prime). Whether it holds coefficients or transform values is the caller's to
//! know, as with every in-place transform. A *part* of a polynomial, some of its coefficients, has the same form.
//! Products are exact integers modulo q: there is no floating point anywhere.
//!
//! Two kernels compute the same products: `tfhe-ntt` where the processor has its vector units, plain Rust elsewhere.
//! Transform values are in an order of the kernel's own and leave no process.

pub mod integers;
mod portable;

use std::sync::OnceLock;

use portable::Portable;
use tfhe_ntt::prime64::Plan;

use crate::vectorized;

/// A ring with its number-theoretic transform tables.
#[derive(Debug)]
pub struct Ring {
    polynomial_size: usize,
    factors: Vec<Factor>,
}

/// Z_p\[X\]/(X^N + 1) for one prime p.
#[derive(Debug)]
struct Factor {
    prime: u64,
    kernel: Kernel,
}

/// What computes transforms.
#[derive(Debug)]
enum Kernel {
    Vector(Plan),
    Portable(Portable),
}

/// Whether this process computes with the portable kernel: decided once.
static IS_PORTABLE: OnceLock<bool> = OnceLock::new();

/// Computes with the portable kernel from now on, whatever the processor has: for tests, and for who wants to compare.
/// Returns whether it does; once a ring was built with the other kernel the choice is made.
pub fn use_portable_kernel() -> bool {
    *IS_PORTABLE.get_or_init(|| true)
}

/// tfhe-ntt has vector kernels for AVX2 and AVX-512. Without them ours is used, on every processor alike.
fn has_vector_kernel() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

impl Kernel {
    fn new(n: usize, prime: u64) -> Self {
        if *IS_PORTABLE.get_or_init(|| !has_vector_kernel()) {
            return Self::Portable(Portable::new(n, prime));
        }
        Self::Vector(Plan::try_new(n, prime).expect("the parameter table holds NTT-friendly primes only"))
    }

    fn forward(&self, residues: &mut [u64]) {
        match self {
            Self::Vector(plan) => plan.fwd(residues),
            Self::Portable(portable) => portable.forward(residues),
        }
    }

    fn inverse(&self, residues: &mut [u64]) {
        match self {
            Self::Vector(plan) => plan.inv(residues),
            Self::Portable(portable) => portable.inverse(residues),
        }
    }

    fn normalize(&self, residues: &mut [u64]) {
        match self {
            Self::Vector(plan) => plan.normalize(residues),
            Self::Portable(portable) => portable.normalize(residues),
        }
    }

    fn multiply_add(&self, sum: &mut [u64], left: &[u64], right: &[u64]) {
        match self {
            Self::Vector(plan) => plan.mul_accumulate(sum, left, right),
            Self::Portable(portable) => portable.multiply_add(sum, left, right),
        }
    }
}

impl Ring {
    /// Builds the tables for polynomial size `n` and these primes. Only [`crate::Parameters::ring`] calls this, with
    /// constants whose validity its tests check.
    pub(crate) fn new(n: usize, primes: &[u64]) -> Self {
        let factor = |&prime| Factor { prime, kernel: Kernel::new(n, prime) };
        Self { polynomial_size: n, factors: primes.iter().map(factor).collect() }
    }

    /// The polynomial size N.
    #[must_use]
    pub fn polynomial_size(&self) -> usize {
        self.polynomial_size
    }

    /// Zero: N words for each prime.
    #[must_use]
    pub fn zero(&self) -> Vec<u64> {
        vec![0; self.polynomial_size * self.factors.len()]
    }

    /// Transforms a polynomial in place.
    pub fn forward(&self, polynomial: &mut [u64]) {
        self.each(polynomial, |factor, residues| factor.kernel.forward(residues));
    }

    /// Transforms back in place, leaving a factor N in the result: one factor of each product must have passed
    /// through [`Ring::normalize`].
    pub fn inverse(&self, transformed: &mut [u64]) {
        self.each(transformed, |factor, residues| factor.kernel.inverse(residues));
    }

    /// Divides by N.
    pub fn normalize(&self, transformed: &mut [u64]) {
        self.each(transformed, |factor, residues| factor.kernel.normalize(residues));
    }

    /// `sum += left * right`, value by value, on transformed polynomials.
    pub fn multiply_add(&self, sum: &mut [u64], left: &[u64], right: &[u64]) {
        let n = self.polynomial_size;
        let factors = left.chunks_exact(n).zip(right.chunks_exact(n));
        for ((factor, sum), (left, right)) in self.factors.iter().zip(sum.chunks_exact_mut(n)).zip(factors) {
            factor.kernel.multiply_add(sum, left, right);
        }
    }

    /// `sum += addend` on polynomials or equal parts of them.
    pub fn add(&self, sum: &mut [u64], addend: &[u64]) {
        let count = sum.len() / self.factors.len();
        let parts = sum.chunks_exact_mut(count.max(1)).zip(addend.chunks_exact(count.max(1)));
        for (factor, (sum, addend)) in self.factors.iter().zip(parts) {
            vectorized(
                #[inline(always)]
                || {
                    for (residue, &addend) in sum.iter_mut().zip(addend) {
                        *residue = add(*residue, addend, factor.prime);
                    }
                },
            );
        }
    }

    /// Adds one signed integer to each coefficient of a polynomial or of a part of one; |addend| < 2^49.
    pub fn add_signed(&self, sum: &mut [u64], addends: &[i64]) {
        for (factor, sum) in self.factors.iter().zip(sum.chunks_exact_mut(addends.len().max(1))) {
            vectorized(
                #[inline(always)]
                || {
                    for (residue, &addend) in sum.iter_mut().zip(addends) {
                        *residue = add(*residue, reduce_signed(addend, factor.prime), factor.prime);
                    }
                },
            );
        }
    }

    /// The residues of signed integers of any size.
    #[must_use]
    pub fn reduce(&self, values: &[i128]) -> Vec<u64> {
        let mut residues = Vec::with_capacity(values.len() * self.factors.len());
        for factor in &self.factors {
            let prime = i128::from(factor.prime);
            // Most values are far below the prime, and 128-bit division is slow.
            residues.extend(values.iter().map(|&value| match i64::try_from(value) {
                Ok(small) if i128::from(small.unsigned_abs()) < prime => reduce_signed(small, factor.prime),
                _ => value.rem_euclid(prime) as u64,
            }));
        }
        residues
    }

    /// The residues of signed integers below 2^49 in magnitude.
    #[must_use]
    pub fn reduce_small(&self, values: &[i64]) -> Vec<u64> {
        let mut residues = vec![0; values.len() * self.factors.len()];
        for (factor, residues) in self.factors.iter().zip(residues.chunks_exact_mut(values.len().max(1))) {
            vectorized(
                #[inline(always)]
                || {
                    for (residue, &value) in residues.iter_mut().zip(values) {
                        *residue = reduce_signed(value, factor.prime);
                    }
                },
            );
        }
        residues
    }

    fn each(&self, polynomial: &mut [u64], change: impl Fn(&Factor, &mut [u64])) {
        for (factor, residues) in self.factors.iter().zip(polynomial.chunks_exact_mut(self.polynomial_size)) {
            change(factor, residues);
        }
    }
}

/// `a + b mod p` for a, b in \[0, p).
#[inline(always)]
fn add(a: u64, b: u64, prime: u64) -> u64 {
    let sum = a + b;
    sum.min(sum.wrapping_sub(prime))
}

/// The representative in \[0, p) of a signed integer with |value| < p.
#[inline(always)]
fn reduce_signed(value: i64, prime: u64) -> u64 {
    let word = value as u64;
    word.min(word.wrapping_add(prime))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{add, reduce_signed};
    use crate::{
        Parameters,
        parameters::{N2048_Q50, N4096_Q100},
    };

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

    fn product(parameters: &Parameters, a: &[u64], b: &[u64]) -> Vec<u64> {
        let ring = parameters.ring();
        let (mut a, mut b) = (a.to_vec(), b.to_vec());
        ring.forward(&mut a);
        ring.forward(&mut b);
        ring.normalize(&mut b);
        let mut out = ring.zero();
        ring.multiply_add(&mut out, &a, &b);
        ring.inverse(&mut out);
        out
    }

    /// A fixed multiplicative sequence with full-range and extreme values.
    fn polynomial(parameters: &Parameters, seed: u64) -> Vec<u64> {
        let n = parameters.polynomial_size() as u64;
        let residue = |prime: u64, i: u64| match i % 97 {
            0 => prime - 1,
            1 => 0,
            _ => (i + 1).wrapping_mul(seed | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) % prime,
        };
        parameters.primes().iter().flat_map(|&prime| (0..n).map(move |i| residue(prime, i))).collect()
    }

    #[test]
    fn products_are_those_of_the_definition_and_of_an_independent_transform() {
        for parameters in [&N2048_Q50, &N4096_Q100] {
            let n = parameters.polynomial_size();
            let (a, b) = (polynomial(parameters, 3), polynomial(parameters, 11));
            let ours = product(parameters, &a, &b);
            for (factor, &prime) in parameters.primes().iter().enumerate() {
                let part = factor * n..(factor + 1) * n;
                let (mut a, mut b) = (a[part.clone()].to_vec(), b[part.clone()].to_vec());
                assert_eq!(ours[part.clone()], schoolbook(&a, &b, prime));

                let oracle = concrete_ntt::prime64::Plan::try_new(n, prime).unwrap();
                oracle.fwd(&mut a);
                oracle.fwd(&mut b);
                oracle.mul_assign_normalize(&mut a, &b);
                oracle.inv(&mut a);
                assert_eq!(ours[part], a);
            }
        }
    }

    #[test]
    fn residues_of_integers_of_every_size_agree_with_wide_arithmetic() {
        let ring = N4096_Q100.ring();
        let q = N4096_Q100.modulus() as i128;
        let values = [0, 1, -1, 1 << 49, -(1 << 49), 1 << 50, -(1 << 51), 1 << 75, -(1 << 99), q - 1, -q];
        let residues = ring.reduce(&values);
        for (factor, &prime) in N4096_Q100.primes().iter().enumerate() {
            for (i, value) in values.iter().enumerate() {
                assert_eq!(
                    i128::from(residues[factor * values.len() + i]),
                    value.rem_euclid(i128::from(prime))
                );
            }
        }
        let small = [5, -5, 0, (1 << 49) - 1];
        assert_eq!(ring.reduce_small(&small), ring.reduce(&small.map(i128::from)));
        let mut sum = ring.reduce(&[-5, 5, 1, 1 - (1 << 49)]);
        ring.add_signed(&mut sum, &small);
        assert_eq!(sum, ring.reduce(&[0, 0, 1, 0]));
        let mut sum = ring.reduce(&[q - 1, 7]);
        ring.add(&mut sum, &ring.reduce(&[2, -8]));
        assert_eq!(sum, ring.reduce(&[1, -1]));
    }

    proptest! {
        #[test]
        fn modular_helpers_agree_with_wide_arithmetic(a in 0..(1_u64 << 50) - 16_383, b in 0..(1_u64 << 50) - 16_383) {
            let prime = N2048_Q50.primes()[0];
            let q = i128::from(prime);
            prop_assert_eq!(i128::from(add(a, b, prime)), (i128::from(a) + i128::from(b)).rem_euclid(q));
            let signed = a as i64 - b as i64;
            prop_assert_eq!(i128::from(reduce_signed(signed, prime)), i128::from(signed).rem_euclid(q));
        }
    }
}
