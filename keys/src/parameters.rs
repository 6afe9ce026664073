//! Named parameter sets. A set is chosen by name from this table and from nowhere else, so that no card, file or
//! message can weaken it.

use std::sync::OnceLock;

use crate::{Error, Ring};

/// No set below this many bits of classical security can be constructed outside tests.
pub const MINIMUM_SECURITY_BITS: f64 = 128.0;

/// One GLWE parameter set: ring Z_q\[X\]/(X^N + 1), k = 1, binary secret, bounded TUniform noise.
///
/// Security figures come from the lattice estimator (MATZOV cost model, cheapest attack), see SECURITY.md.
#[derive(Debug, PartialEq)]
pub struct Parameters {
    name: &'static str,
    code: u8,
    polynomial_size: usize,
    modulus: u64,
    modulus_bits: u32,
    noise_bits: u32,
    security_bits: f64,
}

/// `N2048_Q50`: N = 2048, q = 2^50 - 16383 (prime, q = 1 mod 4096), TUniform(3), 134.8 bits (dual hybrid).
///
/// The noise is 2^-47.8 of the modulus, the ratio of tfhe's N = 2048 sets.
pub static N2048_Q50: Parameters = Parameters {
    name: "N2048_Q50",
    code: 1,
    polynomial_size: 2048,
    modulus: 1_125_899_906_826_241,
    modulus_bits: 50,
    noise_bits: 3,
    security_bits: 134.8,
};

impl Parameters {
    /// Finds a set by its name. Errors with [`Error::UnknownParameters`] for any other name, and for a set that is
    /// estimated below [`MINIMUM_SECURITY_BITS`].
    pub fn by_name(name: &str) -> Result<&'static Self, Error> {
        [&N2048_Q50]
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

    /// The prime modulus q.
    #[must_use]
    pub fn modulus(&self) -> u64 {
        self.modulus
    }

    /// Bits of one coefficient modulo q on the wire.
    #[must_use]
    pub fn modulus_bits(&self) -> u32 {
        self.modulus_bits
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
    pub fn ring(&self) -> &'static Ring {
        static RING_N2048_Q50: OnceLock<Ring> = OnceLock::new();
        // One set, one ring: a second set gets its own cell here.
        RING_N2048_Q50.get_or_init(|| Ring::new(N2048_Q50.polynomial_size, N2048_Q50.modulus))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_found_by_name_alone() {
        assert_eq!(Parameters::by_name("N2048_Q50").unwrap(), &N2048_Q50);
        for name in ["", "n2048_q50", "N2048_Q54", "N2048_Q50 "] {
            assert_eq!(Parameters::by_name(name), Err(Error::UnknownParameters));
        }
    }

    #[test]
    fn the_modulus_is_a_prime_with_the_roots_the_ring_needs() {
        let set = &N2048_Q50;
        assert_eq!(set.modulus, (1 << 50) - 16383);
        assert_eq!(set.modulus % (2 * set.polynomial_size as u64), 1);
        assert!((1..1 << 25).step_by(2).skip(1).all(|divisor| !set.modulus.is_multiple_of(divisor)));
        assert_eq!(64 - set.modulus.leading_zeros(), set.modulus_bits);
    }
}
