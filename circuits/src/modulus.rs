//! The modulus switch from q to 2^r: round(x * 2^r / q) mod 2^r, exactly, for q a prime or a product of two.
//!
//! With q = p1*p2, a residue x is k*p1 + x1 for x1 = x mod p1 and some k in \[0, p2) (Garner's form of the Chinese
//! remainder theorem), so x * 2^r / q = (k * 2^r + x1 * 2^r / p1) / p2: two divisions by constants, no wide integer.

use tiresias_keys::Parameters;

/// A switch between two fixed moduli, without division in its loop.
pub(crate) struct ModulusSwitch {
    bits: u32,
    first: Reciprocal,
    second: Option<Second>,
}

/// The second prime, and the inverse of the first modulo it.
struct Second {
    reciprocal: Reciprocal,
    /// p1^-1 mod p2
    inverse: u64,
    /// floor(inverse * 2^64 / p2), for a product without division (Shoup).
    inverse_shoup: u64,
}

impl ModulusSwitch {
    /// To 2^`bits`, at most 2^48.
    pub(crate) fn new(parameters: &Parameters, bits: u32) -> Self {
        debug_assert!(bits <= 48);
        let first = parameters.primes()[0];
        let second = parameters.primes().get(1).map(|&prime| {
            let inverse = power(first % prime, prime - 2, prime);
            Second {
                reciprocal: Reciprocal::new(prime, bits),
                inverse,
                inverse_shoup: ((u128::from(inverse) << 64) / u128::from(prime)) as u64,
            }
        });
        Self { bits, first: Reciprocal::new(first, bits), second }
    }

    /// Switches a polynomial, or a part of one, given by its residues for each prime: one word modulo 2^r for each
    /// coefficient. No tie exists, because q is odd.
    pub(crate) fn apply(&self, residues: &[u64]) -> Vec<u64> {
        let mask = (1 << self.bits) - 1;
        match &self.second {
            None => residues.iter().map(|&x| self.first.round(x) & mask).collect(),
            Some(second) => {
                let (low, high) = residues.split_at(residues.len() / 2);
                low.iter().zip(high).map(|(&x1, &x2)| self.round_two(second, x1, x2) & mask).collect()
            }
        }
    }

    fn round_two(&self, second: &Second, x1: u64, x2: u64) -> u64 {
        let prime = second.reciprocal.prime;
        // k = (x2 - x1) / p1 mod p2; the primes are within a factor 2 of each other.
        let x1_reduced = x1.min(x1.wrapping_sub(prime));
        let difference = x2.wrapping_sub(x1_reduced);
        let k = second.multiply_inverse(difference.min(difference.wrapping_add(prime)));

        let (quotient, remainder) = second.reciprocal.divide(k);
        let (carry, carry_remainder) = self.first.divide(x1);
        // The fraction is (sum + carry_remainder/p1) / p2, below 3/2 because carry < 2^r < p2/2.
        let sum = remainder + carry;
        let half = prime / 2;
        quotient + u64::from(sum > half || (sum == half && carry_remainder > self.first.prime / 2))
    }
}

impl Second {
    /// value * inverse mod p2, for value < p2.
    fn multiply_inverse(&self, value: u64) -> u64 {
        let prime = self.reciprocal.prime;
        let quotient = ((u128::from(value) * u128::from(self.inverse_shoup)) >> 64) as u64;
        let product = value.wrapping_mul(self.inverse).wrapping_sub(quotient.wrapping_mul(prime));
        product.min(product.wrapping_sub(prime))
    }
}

/// Division of x * 2^r by a prime, for x below it.
struct Reciprocal {
    prime: u64,
    bits: u32,
    /// floor(2^(64+r) / p)
    reciprocal: u64,
}

impl Reciprocal {
    fn new(prime: u64, bits: u32) -> Self {
        debug_assert!(prime >> bits > 0 && prime >> 62 == 0);
        let reciprocal = ((1_u128 << (64 + bits)) / u128::from(prime)) as u64;
        Self { prime, bits, reciprocal }
    }

    /// The floor of x * 2^r / p or one less, and the remainder that goes with it, below 2p.
    fn estimate(&self, x: u64) -> (u64, u64) {
        let estimate = ((u128::from(x) * u128::from(self.reciprocal)) >> 64) as u64;
        (estimate, (x << self.bits).wrapping_sub(estimate.wrapping_mul(self.prime)))
    }

    /// floor(x * 2^r / p) and the remainder.
    fn divide(&self, x: u64) -> (u64, u64) {
        let (estimate, remainder) = self.estimate(x);
        let is_short = remainder >= self.prime;
        (estimate + u64::from(is_short), remainder.min(remainder.wrapping_sub(self.prime)))
    }

    /// round(x * 2^r / p).
    fn round(&self, x: u64) -> u64 {
        let (estimate, remainder) = self.estimate(x);
        let (half, three_halves) = (self.prime / 2, self.prime + self.prime / 2);
        estimate + u64::from(remainder > half) + u64::from(remainder > three_halves)
    }
}

/// base^exponent mod modulus.
fn power(base: u64, mut exponent: u64, modulus: u64) -> u64 {
    let (mut base, wide, mut product) = (u128::from(base), u128::from(modulus), 1_u128);
    while exponent > 0 {
        if exponent & 1 == 1 {
            product = product * base % wide;
        }
        base = base * base % wide;
        exponent >>= 1;
    }
    product as u64
}

#[cfg(test)]
mod tests {
    use tiresias_keys::parameters::{N2048_Q50, N4096_Q100};

    use super::*;

    /// The definition: bit by bit, so that nothing overflows 128 bits.
    fn exact(x: u128, q: u128, bits: u32) -> u64 {
        let (mut quotient, mut remainder) = (0_u128, x);
        for _ in 0..bits {
            remainder <<= 1;
            quotient = quotient << 1 | u128::from(remainder >= q);
            remainder -= if remainder >= q { q } else { 0 };
        }
        (quotient + u128::from(2 * remainder > q)) as u64 & ((1 << bits) - 1)
    }

    fn switched(parameters: &Parameters, x: u128, bits: u32) -> u64 {
        let residues: Vec<u64> = parameters.primes().iter().map(|&p| (x % u128::from(p)) as u64).collect();
        ModulusSwitch::new(parameters, bits).apply(&residues)[0]
    }

    #[test]
    fn the_two_residues_nearest_to_a_half_round_to_their_own_sides() {
        // x * 2^r mod q = (q-1)/2 and (q+1)/2, one below the half, one above: x = (q -+ 1)/2 * 2^-r mod q.
        for parameters in [&N2048_Q50, &N4096_Q100] {
            let q = parameters.modulus();
            for bits in [16, 33, 37, 41, 48] {
                let halved = |x: u128| if x.is_multiple_of(2) { x / 2 } else { (x + q) / 2 };
                for start in [q / 2, q / 2 + 1] {
                    let x = (0..bits).fold(start, |x, _| halved(x));
                    assert_eq!(switched(parameters, x, bits), exact(x, q, bits));
                }
            }
        }
    }

    #[test]
    fn switching_is_exact_rounding() {
        for parameters in [&N2048_Q50, &N4096_Q100] {
            let q = parameters.modulus();
            for bits in [16, 21, 36, 41, 48] {
                for x in [0, 1, q / 2, q / 2 + 1, q - 2, q - 1] {
                    assert_eq!(switched(parameters, x, bits), exact(x, q, bits), "{x} at {bits}");
                }
                // A full-range sequence, and the neighbourhood of the rounding boundary next to each of its values.
                for i in 0..2000_u128 {
                    let x = i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) % q;
                    let step = q >> bits;
                    let boundary = (x / step) * step + step / 2;
                    for x in [x, boundary.saturating_sub(1), boundary, boundary + 1] {
                        assert_eq!(switched(parameters, x % q, bits), exact(x % q, q, bits), "{x} at {bits}");
                    }
                }
            }
        }
    }
}
