//! Named parameter sets. A set is chosen by name from this table and from nowhere else, so that no card, file or
//! message can weaken it.

use std::sync::OnceLock;

use crate::{Error, Ring};

/// No set below this many bits of classical security can be constructed outside tests.
pub const MINIMUM_SECURITY_BITS: f64 = 128.0;

/// Bits of one residue on the wire: every modulus here is a product of primes just below 2^50.
pub const RESIDUE_BITS: u32 = 50;

/// One GLWE parameter set: ring Z_q\[X\]/(X^N + 1), k = 1, binary secret, bounded TUniform noise. The modulus q is a
/// product of distinct primes, and a polynomial is held as its residues modulo each of them (see [`Ring`]).
///
/// Security figures come from the lattice estimator (MATZOV cost model, cheapest attack), see SECURITY.md.
#[derive(Debug)]
pub struct Parameters {
    name: &'static str,
    code: u8,
    polynomial_size: usize,
    primes: &'static [u64],
    noise_bits: u32,
    security_bits: f64,
    ring: OnceLock<Ring>,
}

/// `N2048_Q50`: N = 2048, q = 2^50 - 16383 (prime, q = 1 mod 4096), TUniform(3), 134.8 bits (dual hybrid).
///
/// The noise is 2^-47.8 of the modulus, the ratio of tfhe's N = 2048 sets.
pub static N2048_Q50: Parameters = Parameters {
    name: "N2048_Q50",
    code: 1,
    polynomial_size: 2048,
    primes: &[1_125_899_906_826_241],
    noise_bits: 3,
    security_bits: 134.8,
    ring: OnceLock::new(),
};

/// `N4096_Q100`: N = 4096, q = (2^50 - 16383) * (2^50 - 212991), the two largest primes below 2^50 that are 1 mod
/// 8192, TUniform(3), 136.4 bits (dual hybrid).
///
/// Twice the modulus leaves room for a flood that hides all noise statistically.
pub static N4096_Q100: Parameters = Parameters {
    name: "N4096_Q100",
    code: 2,
    polynomial_size: 4096,
    primes: &[1_125_899_906_826_241, 1_125_899_906_629_633],
    noise_bits: 3,
    security_bits: 136.4,
    ring: OnceLock::new(),
};

/// For tests of circuits: small, fast, and without any security. [`Parameters::by_name`] does not know it.
pub static INSECURE_N256_Q50: Parameters = Parameters {
    name: "INSECURE_N256_Q50",
    code: 0,
    polynomial_size: 256,
    primes: &[1_125_899_906_826_241],
    noise_bits: 3,
    security_bits: 0.0,
    ring: OnceLock::new(),
};

impl Parameters {
    /// Finds a set by its name. Errors with [`Error::UnknownParameters`] for any other name, and for a set that is
    /// estimated below [`MINIMUM_SECURITY_BITS`].
    pub fn by_name(name: &str) -> Result<&'static Self, Error> {
        [&N2048_Q50, &N4096_Q100]
            .into_iter()
            .find(|set| set.name == name && set.security_bits >= MINIMUM_SECURITY_BITS)
            .ok_or(Error::UnknownParameters)
    }

    /// The set's name in cards and messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The set's one-byte code in frames and hash inputs.
    #[must_use]
    pub fn code(&self) -> u8 {
        self.code
    }

    /// The polynomial size N, a power of two.
    #[must_use]
    pub fn polynomial_size(&self) -> usize {
        self.polynomial_size
    }

    /// The primes whose product is the modulus q, in the order of their residues on the wire: one or two.
    #[must_use]
    pub fn primes(&self) -> &'static [u64] {
        self.primes
    }

    /// The modulus q.
    #[must_use]
    pub fn modulus(&self) -> u128 {
        self.primes.iter().map(|&prime| u128::from(prime)).product()
    }

    /// Bits of q: [`RESIDUE_BITS`] a prime.
    #[must_use]
    pub fn modulus_bits(&self) -> u32 {
        RESIDUE_BITS * self.primes.len() as u32
    }

    /// Words of a polynomial: N residues for each prime.
    #[must_use]
    pub fn polynomial_words(&self) -> usize {
        self.polynomial_size * self.primes.len()
    }

    /// Encryption noise is TUniform(b): every sample lies in \[-2^b, 2^b\].
    #[must_use]
    pub fn noise_bits(&self) -> u32 {
        self.noise_bits
    }

    /// Estimated bits of classical security.
    #[must_use]
    pub fn security_bits(&self) -> f64 {
        self.security_bits
    }

    /// The ring of this set; its transform tables are built once per process.
    #[must_use]
    pub fn ring(&self) -> &Ring {
        self.ring.get_or_init(|| Ring::new(self.polynomial_size, self.primes))
    }
}

/// Sets are equal where their names are: the table has one of each.
impl PartialEq for Parameters {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_found_by_name_alone() {
        assert_eq!(Parameters::by_name("N2048_Q50").unwrap(), &N2048_Q50);
        assert_eq!(Parameters::by_name("N4096_Q100").unwrap(), &N4096_Q100);
        for name in ["", "n2048_q50", "N2048_Q54", "N2048_Q50 ", INSECURE_N256_Q50.name] {
            assert_eq!(Parameters::by_name(name), Err(Error::UnknownParameters));
        }
    }

    #[test]
    fn the_moduli_are_products_of_primes_with_the_roots_the_ring_needs() {
        for set in [&N2048_Q50, &N4096_Q100, &INSECURE_N256_Q50] {
            for &prime in set.primes {
                assert_eq!(prime % (2 * set.polynomial_size as u64), 1);
                assert!((1..1 << 25).step_by(2).skip(1).all(|divisor| !prime.is_multiple_of(divisor)));
                assert_eq!(64 - prime.leading_zeros(), RESIDUE_BITS);
            }
            assert_eq!(128 - set.modulus().leading_zeros(), set.modulus_bits());
        }
        assert_eq!(N2048_Q50.primes, [(1 << 50) - 16_383]);
        assert_eq!(N4096_Q100.primes, [(1 << 50) - 16_383, (1 << 50) - 212_991]);
    }
}
