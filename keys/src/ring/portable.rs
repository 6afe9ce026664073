//! The negacyclic transform in plain Rust, for processors without the vector units that `tfhe-ntt` has kernels for.
//!
//! It computes the same products, to the bit. Its transform values stand in an order of their own and never leave
//! the ring. It never divides in a loop, never branches on a value and needs no `unsafe`.
//!
//! Sources: P. Longa, M. Naehrig, "Speeding up the Number Theoretic Transform for Faster Ideal Lattice-Based
//! Cryptography" (2016, <https://eprint.iacr.org/2016/504>), for the powers of psi merged into the twiddles;
//! D. Harvey, "Faster arithmetic for number-theoretic transforms" (2014, <https://arxiv.org/abs/1205.2926>), for the
//! lazy butterflies and Shoup's product; P. Barrett (CRYPTO '86) for the reduction of pointwise products.

/// A ring Z_q\[X\]/(X^N + 1) with its tables. q is a prime below 2^62 with q = 1 mod 2N, N a power of two.
#[derive(Debug)]
pub(crate) struct Portable {
    modulus: u64,
    /// Powers of a primitive 2N-th root psi: place i holds psi^(bit reversal of i).
    forward: Vec<Factor>,
    /// Their inverses, in the same places.
    inverse: Vec<Factor>,
    /// 1 / N.
    scale: Factor,
    barrett: Barrett,
}

/// A constant factor modulo q, with Shoup's quotient.
#[derive(Debug, Clone, Copy)]
struct Factor {
    value: u64,
    /// floor(value * 2^64 / q)
    quotient: u64,
}

impl Factor {
    fn new(value: u64, modulus: u64) -> Self {
        Self { value, quotient: ((u128::from(value) << 64) / u128::from(modulus)) as u64 }
    }

    /// `self * x mod q` in \[0, 2q), for any word x: the quotient is too small by less than 1 + x / 2^64.
    #[inline(always)]
    fn times(self, x: u64, modulus: u64) -> u64 {
        let quotient = high_word(self.quotient, x);
        self.value.wrapping_mul(x).wrapping_sub(quotient.wrapping_mul(modulus))
    }
}

/// Barrett's constants.
#[derive(Debug, Clone, Copy)]
struct Barrett {
    /// Bits of q, less one.
    shift: u32,
    /// floor(2^(shift + 64) / q), a word because q > 2^shift.
    quotient: u64,
}

impl Portable {
    /// Builds the tables for polynomial size `n` and prime `modulus`.
    pub(crate) fn new(n: usize, modulus: u64) -> Self {
        debug_assert!(n.is_power_of_two() && modulus < 1 << 62 && modulus % (2 * n as u64) == 1);
        let psi = primitive_root(n as u64, modulus);
        let shift = modulus.ilog2();
        Self {
            modulus,
            forward: powers(psi, n, modulus),
            inverse: powers(invert(psi, modulus), n, modulus),
            scale: Factor::new(invert(n as u64, modulus), modulus),
            barrett: Barrett { shift, quotient: ((1_u128 << (shift + 64)) / u128::from(modulus)) as u64 },
        }
    }

    /// Transforms N coefficients in \[0, q) in place, to values in \[0, q).
    pub(crate) fn forward(&self, polynomial: &mut [u64]) {
        let (q, n) = (self.modulus, self.forward.len());
        let polynomial = &mut polynomial[..n];
        let mut blocks = 1;
        // An odd number of layers begins with a single one; the others go by two, which halves the memory traffic.
        if n.ilog2() % 2 == 1 {
            let (left, right) = polynomial.split_at_mut(n / 2);
            for (x, y) in left.iter_mut().zip(right) {
                (*x, *y) = split(*x, *y, self.forward[1], q);
            }
            blocks = 2;
        }
        while blocks < n {
            let (outer, inner) = layers(&self.forward, blocks);
            for ((block, &w), inner) in polynomial.chunks_exact_mut(n / blocks).zip(outer).zip(inner) {
                for [a, b, c, d] in quarters(block) {
                    let (a0, c0) = split(*a, *c, w, q);
                    let (b0, d0) = split(*b, *d, w, q);
                    (*a, *b) = split(a0, b0, inner[0], q);
                    (*c, *d) = split(c0, d0, inner[1], q);
                }
            }
            blocks *= 4;
        }
        for x in polynomial {
            *x = below(below(*x, 2 * q), q);
        }
    }

    /// Transforms N values in \[0, q) back in place, leaving a factor N in the coefficients, which are in \[0, q).
    pub(crate) fn inverse(&self, transformed: &mut [u64]) {
        let (q, n) = (self.modulus, self.inverse.len());
        let transformed = &mut transformed[..n];
        let mut blocks = n;
        while blocks >= 4 {
            blocks /= 4;
            let (outer, inner) = layers(&self.inverse, blocks);
            for ((block, &w), inner) in transformed.chunks_exact_mut(n / blocks).zip(outer).zip(inner) {
                for [a, b, c, d] in quarters(block) {
                    let (a0, b0) = join(*a, *b, inner[0], q);
                    let (c0, d0) = join(*c, *d, inner[1], q);
                    (*a, *c) = join(a0, c0, w, q);
                    (*b, *d) = join(b0, d0, w, q);
                }
            }
        }
        if blocks == 2 {
            let (left, right) = transformed.split_at_mut(n / 2);
            for (x, y) in left.iter_mut().zip(right) {
                (*x, *y) = join(*x, *y, self.inverse[1], q);
            }
        }
        for x in transformed {
            *x = below(*x, q);
        }
    }

    /// Divides by N.
    pub(crate) fn normalize(&self, transformed: &mut [u64]) {
        for x in transformed {
            *x = below(self.scale.times(*x, self.modulus), self.modulus);
        }
    }

    /// `sum += left * right`, value by value; all in \[0, q).
    pub(crate) fn multiply_add(&self, sum: &mut [u64], left: &[u64], right: &[u64]) {
        let (q, Barrett { shift, quotient }) = (self.modulus, self.barrett);
        for ((sum, &left), &right) in sum.iter_mut().zip(left).zip(right) {
            let wide = u128::from(left) * u128::from(right) + u128::from(*sum);
            // wide < q^2 < 2^(2 shift + 2), so that its top fits a word; 1 <= shift <= 61.
            let top = ((wide >> 64) as u64) << (64 - shift) | (wide as u64) >> shift;
            // Too small by less than 1 (the bits cut off) + 1/2 (the quotient's) + 1 (the product's).
            let estimate = high_word(top, quotient);
            let rest = (wide as u64).wrapping_sub(estimate.wrapping_mul(q));
            *sum = below(below(rest, 2 * q), q);
        }
    }
}

/// The factors of two layers: that of `blocks` blocks, and the pairs that its halves meet in the next one.
#[inline(always)]
fn layers(factors: &[Factor], blocks: usize) -> (&[Factor], impl Iterator<Item = &[Factor; 2]>) {
    let (pairs, _) = factors[2 * blocks..4 * blocks].as_chunks();
    (&factors[blocks..2 * blocks], pairs.iter())
}

/// The places of a block that two layers combine: a quarter of the block apart.
#[inline(always)]
fn quarters(block: &mut [u64]) -> impl Iterator<Item = [&mut u64; 4]> {
    let (left, right) = block.split_at_mut(block.len() / 2);
    let (a, b) = left.split_at_mut(left.len() / 2);
    let (c, d) = right.split_at_mut(right.len() / 2);
    a.iter_mut().zip(b).zip(c.iter_mut().zip(d)).map(|((a, b), (c, d))| [a, b, c, d])
}

/// The forward butterfly: x + w y and x - w y, for x, y in \[0, 4q), both in \[0, 4q).
#[inline(always)]
fn split(x: u64, y: u64, w: Factor, q: u64) -> (u64, u64) {
    let (x, y) = (below(x, 2 * q), w.times(y, q));
    (x + y, x + 2 * q - y)
}

/// The inverse butterfly: x + y and w (x - y), for x, y in \[0, 2q), both in \[0, 2q).
#[inline(always)]
fn join(x: u64, y: u64, w: Factor, q: u64) -> (u64, u64) {
    (below(x + y, 2 * q), w.times(x + 2 * q - y, q))
}

/// x in \[0, 2 `bound`) less `bound` where it is not below: without a branch.
#[inline(always)]
fn below(x: u64, bound: u64) -> u64 {
    x.min(x.wrapping_sub(bound))
}

#[inline(always)]
fn high_word(x: u64, y: u64) -> u64 {
    ((u128::from(x) * u128::from(y)) >> 64) as u64
}

/// The powers of `root` with their exponents in bit-reversed order.
fn powers(root: u64, n: usize, modulus: u64) -> Vec<Factor> {
    let mut factors = vec![Factor::new(1, modulus); n];
    let mut power = 1;
    for i in 0..n {
        let place = if n == 1 { 0 } else { i.reverse_bits() >> (usize::BITS - n.ilog2()) };
        factors[place] = Factor::new(power, modulus);
        power = multiply(power, root, modulus);
    }
    factors
}

/// The first g^((q - 1) / 2N), g = 2, 3, ..., whose N-th power is -1: then its order is exactly 2N.
fn primitive_root(n: u64, modulus: u64) -> u64 {
    (2..modulus)
        .map(|g| power(g, (modulus - 1) / (2 * n), modulus))
        .find(|&root| power(root, n, modulus) == modulus - 1)
        .expect("a prime modulus of 1 mod 2N has the root")
}

fn multiply(x: u64, y: u64, modulus: u64) -> u64 {
    (u128::from(x) * u128::from(y) % u128::from(modulus)) as u64
}

fn power(base: u64, mut exponent: u64, modulus: u64) -> u64 {
    let (mut result, mut square) = (1, base);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = multiply(result, square, modulus);
        }
        square = multiply(square, square, modulus);
        exponent >>= 1;
    }
    result
}

/// 1 / x, by Fermat.
fn invert(x: u64, modulus: u64) -> u64 {
    power(x, modulus - 2, modulus)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The prime of `N2048_Q50`.
    const Q50: u64 = 1_125_899_906_826_241;
    /// The largest prime below 2^62 that is 1 mod 2^14.
    const Q62: u64 = 4_611_686_018_427_322_369;

    /// Schoolbook negacyclic product, the definition.
    fn schoolbook(a: &[u64], b: &[u64], q: u64) -> Vec<u64> {
        let n = a.len();
        let mut out = vec![0; n];
        for (i, &x) in a.iter().enumerate() {
            for (j, &y) in b.iter().enumerate() {
                let (k, product) = ((i + j) % n, multiply(x, y, q));
                out[k] = if i + j < n { (out[k] + product) % q } else { (out[k] + q - product) % q };
            }
        }
        out
    }

    fn product(ring: &Portable, a: &[u64], b: &[u64]) -> Vec<u64> {
        let (mut a, mut b) = (a.to_vec(), b.to_vec());
        ring.forward(&mut a);
        ring.forward(&mut b);
        ring.normalize(&mut b);
        let mut out = vec![0; a.len()];
        ring.multiply_add(&mut out, &a, &b);
        ring.inverse(&mut out);
        out
    }

    fn vendor_product(plan: &tfhe_ntt::prime64::Plan, a: &[u64], b: &[u64]) -> Vec<u64> {
        let (mut a, mut b) = (a.to_vec(), b.to_vec());
        plan.fwd(&mut a);
        plan.fwd(&mut b);
        plan.normalize(&mut b);
        let mut out = vec![0; a.len()];
        plan.mul_accumulate(&mut out, &a, &b);
        plan.inv(&mut out);
        out
    }

    /// Random words below q, with extremes among them.
    fn mixed(n: usize, seed: u64, q: u64) -> Vec<u64> {
        let word =
            |i: u64| (i + 1).wrapping_mul(seed | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        let extreme = |i: u64| match i % 13 {
            0 => q - 1,
            1 => 0,
            2 => q / 2,
            _ => word(i).wrapping_mul(0xd6e8_feb8_6659_fd93) % q,
        };
        (0..n as u64).map(extreme).collect()
    }

    #[test]
    fn products_are_those_of_the_definition() {
        // 3, 17 and 97 are the smallest moduli of their sizes, where reductions have the least room.
        for (n, q) in [(1, 3), (1, Q62), (2, 5), (4, 17), (8, 17), (16, 97), (64, Q50), (128, Q50), (64, Q62)]
        {
            let ring = Portable::new(n, q);
            for seed in 1..6 {
                let (a, b) = (mixed(n, seed, q), mixed(n, seed + 77, q));
                assert_eq!(product(&ring, &a, &b), schoolbook(&a, &b, q), "n = {n}, q = {q}");
            }
        }
    }

    #[test]
    fn products_are_those_of_the_vendor_at_full_size() {
        for (n, q) in [(2048, Q50), (4096, Q50), (2048, Q62), (4096, Q62)] {
            let ring = Portable::new(n, q);
            let plan = tfhe_ntt::prime64::Plan::try_new(n, q).unwrap();
            let mut unit = vec![0; n];
            unit[n - 1] = q - 1;
            let inputs = [mixed(n, 3, q), mixed(n, 1_234_567, q), vec![q - 1; n], vec![0; n], unit];
            for a in &inputs {
                for b in &inputs {
                    assert_eq!(product(&ring, a, b), vendor_product(&plan, a, b), "n = {n}, q = {q}");
                }
            }
        }
    }

    #[test]
    fn the_root_is_primitive_and_the_tables_hold_its_powers() {
        let ring = Portable::new(2048, Q50);
        let psi = ring.forward[1024].value;
        assert_eq!(power(psi, 2048, Q50), Q50 - 1);
        assert_eq!(ring.forward[1].value, power(psi, 1024, Q50));
        assert!(ring.forward.iter().zip(&ring.inverse).all(|(w, v)| multiply(w.value, v.value, Q50) == 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_inverse_undoes_the_transform(
            exponent in 0..9_u32,
            q in prop::sample::select(vec![12_289, Q50, Q62]),
            words in prop::collection::vec(any::<u64>(), 256),
        ) {
            let n = 1 << exponent;
            let ring = Portable::new(n, q);
            let input: Vec<u64> = words[..n].iter().map(|word| word % q).collect();
            let mut values = input.clone();
            ring.forward(&mut values);
            prop_assert!(values.iter().all(|&value| value < q));
            ring.inverse(&mut values);
            prop_assert!(values.iter().all(|&value| value < q));
            ring.normalize(&mut values);
            prop_assert_eq!(values, input);
        }

        #[test]
        fn pointwise_products_agree_with_division(
            q in prop::sample::select(vec![3, 5, 17, 12_289, Q50, Q62]),
            words in prop::array::uniform3(prop_oneof![any::<u64>(), Just(u64::MAX), Just(0)]),
        ) {
            // The largest word stands for q - 1, the extreme of every operand.
            let [sum, left, right] = words.map(|word| if word == u64::MAX { q - 1 } else { word % q });
            let mut out = [sum];
            Portable::new(1, q).multiply_add(&mut out, &[left], &[right]);
            prop_assert_eq!(out[0], (multiply(left, right, q) + sum) % q);
        }
    }
}
