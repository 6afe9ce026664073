//! Named parameter sets of programmable bootstrapping, chosen by name from this table and from nowhere else.

use crate::{
    Error, Parameters,
    parameters::{INSECURE_N256_Q50, MINIMUM_SECURITY_BITS, N2048_Q50},
};

/// A signed decomposition into `levels` digits of `base_log` bits, from the most significant bit of a modulus down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gadget {
    /// log2 of the base.
    pub base_log: u32,
    /// Digits.
    pub levels: usize,
}

/// A parameter set for keyswitch and blind rotation (Chillotti, Gama, Georgieva, Izabachene: TFHE, J. Cryptology 2020;
/// groups of key bits after Joye and Paillier, CSCML 2022): GLWE ciphertexts of a leveled set, switched to LWE ciphertexts
/// of dimension n modulo 2^32 and rotated back into GLWE ciphertexts.
#[derive(Debug)]
pub struct BootstrapParameters {
    name: &'static str,
    code: u8,
    glwe: &'static Parameters,
    lwe_dimension: usize,
    lwe_noise_bits: u32,
    keyswitch: Gadget,
    rotation: Gadget,
    group: usize,
    security_bits: f64,
}

const KEYSWITCH: Gadget = Gadget { base_log: 4, levels: 4 };
const ONE_LEVEL: Gadget = Gadget { base_log: 23, levels: 1 };
const TWO_LEVELS: Gadget = Gadget { base_log: 15, levels: 2 };

const fn n918(name: &'static str, code: u8, rotation: Gadget, group: usize) -> BootstrapParameters {
    BootstrapParameters {
        name,
        code,
        glwe: &N2048_Q50,
        lwe_dimension: 918,
        lwe_noise_bits: 13,
        keyswitch: KEYSWITCH,
        rotation,
        group,
        security_bits: 134.8,
    }
}

/// `N918_N2048_Q50`: LWE of dimension 918, binary secret, TUniform(13) modulo 2^32; one level of base 2^23. At the relative
/// noise of tfhe's `V1_8_PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128`.
pub static N918_N2048_Q50: BootstrapParameters = n918("N918_N2048_Q50", 1, ONE_LEVEL, 1);

/// As [`N918_N2048_Q50`], two key bits a step: twice the key, about 0.7 of the time.
pub static N918_N2048_Q50_G2: BootstrapParameters = n918("N918_N2048_Q50_G2", 2, ONE_LEVEL, 2);

/// As [`N918_N2048_Q50`] with two levels of base 2^15: an output noise 2^7 times smaller, for exact second layers.
pub static N918_N2048_Q50_L2: BootstrapParameters = n918("N918_N2048_Q50_L2", 3, TWO_LEVELS, 1);

/// As [`N918_N2048_Q50_L2`], two key bits a step.
pub static N918_N2048_Q50_L2_G2: BootstrapParameters = n918("N918_N2048_Q50_L2_G2", 4, TWO_LEVELS, 2);

const fn insecure(name: &'static str, rotation: Gadget, group: usize) -> BootstrapParameters {
    BootstrapParameters {
        name,
        code: 0,
        glwe: &INSECURE_N256_Q50,
        lwe_dimension: 64,
        lwe_noise_bits: 8,
        keyswitch: KEYSWITCH,
        rotation,
        group,
        security_bits: 0.0,
    }
}

/// For tests: no security at all.
pub static INSECURE_N64_N256_Q50: BootstrapParameters = insecure("INSECURE_N64_N256_Q50", ONE_LEVEL, 1);
/// For tests: no security at all.
pub static INSECURE_N64_N256_Q50_G2: BootstrapParameters = insecure("INSECURE_N64_N256_Q50_G2", ONE_LEVEL, 2);
/// For tests: no security at all.
pub static INSECURE_N64_N256_Q50_L2: BootstrapParameters =
    insecure("INSECURE_N64_N256_Q50_L2", TWO_LEVELS, 1);
/// For tests: no security at all.
pub static INSECURE_N64_N256_Q50_L2_G2: BootstrapParameters =
    insecure("INSECURE_N64_N256_Q50_L2_G2", TWO_LEVELS, 2);

impl BootstrapParameters {
    /// All sets that may be used, in the order of their codes.
    pub const ALL: [&'static Self; 4] =
        [&N918_N2048_Q50, &N918_N2048_Q50_G2, &N918_N2048_Q50_L2, &N918_N2048_Q50_L2_G2];

    /// Finds a set by its name. Errors with [`Error::UnknownParameters`] for any other name.
    pub fn by_name(name: &str) -> Result<&'static Self, Error> {
        Self::ALL
            .into_iter()
            .find(|set| set.name == name && set.security_bits >= MINIMUM_SECURITY_BITS)
            .ok_or(Error::UnknownParameters)
    }

    /// Finds a set by the code in a frame. Errors with [`Error::UnknownParameters`] for any other code.
    pub fn by_code(code: u8) -> Result<&'static Self, Error> {
        Self::ALL.into_iter().find(|set| set.code == code).ok_or(Error::UnknownParameters)
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

    /// The set of the GLWE ciphertexts that come in and go out.
    #[must_use]
    pub fn glwe(&self) -> &'static Parameters {
        self.glwe
    }

    /// The dimension n of the LWE ciphertexts in between.
    #[must_use]
    pub fn lwe_dimension(&self) -> usize {
        self.lwe_dimension
    }

    /// Their noise is TUniform(b) modulo 2^32.
    #[must_use]
    pub fn lwe_noise_bits(&self) -> u32 {
        self.lwe_noise_bits
    }

    /// The decomposition of the keyswitch, modulo 2^32.
    #[must_use]
    pub fn keyswitch(&self) -> Gadget {
        self.keyswitch
    }

    /// The decomposition of the blind rotation, modulo 2^50.
    #[must_use]
    pub fn rotation(&self) -> Gadget {
        self.rotation
    }

    /// LWE key bits g that one step of the blind rotation takes, 1 or 2; g divides n.
    #[must_use]
    pub fn group(&self) -> usize {
        self.group
    }

    /// Estimated bits of classical security, the smaller of the LWE's and the GLWE's.
    #[must_use]
    pub fn security_bits(&self) -> f64 {
        self.security_bits
    }

    /// Steps of a blind rotation: n / g.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.lwe_dimension / self.group
    }

    /// GGSW ciphertexts of one step: one that encrypts the key bit, or for g = 2 four, one for each value of the pair.
    #[must_use]
    pub fn ggsw_per_step(&self) -> usize {
        if self.group == 1 { 1 } else { 1 << self.group }
    }

    /// GLWE ciphertexts of one GGSW: two a level.
    #[must_use]
    pub fn rows_per_ggsw(&self) -> usize {
        2 * self.rotation.levels
    }

    /// GLWE ciphertexts of all steps.
    #[must_use]
    pub fn rotation_rows(&self) -> usize {
        self.steps() * self.ggsw_per_step() * self.rows_per_ggsw()
    }

    /// LWE ciphertexts of the keyswitch key: one for each GLWE key coefficient and level.
    #[must_use]
    pub fn keyswitch_rows(&self) -> usize {
        self.glwe.polynomial_size() * self.keyswitch.levels
    }

    /// Residues of the blind rotation's key, masks and bodies.
    #[must_use]
    pub fn rotation_residues(&self) -> usize {
        self.rotation_rows() * 2 * self.glwe.polynomial_size()
    }

    /// Words of the keyswitch key, masks and bodies.
    #[must_use]
    pub fn keyswitch_words(&self) -> usize {
        self.keyswitch_rows() * (self.lwe_dimension + 1)
    }
}

/// Sets are equal where their names are: the table has one of each.
impl PartialEq for BootstrapParameters {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_found_by_name_alone_and_insecure_ones_never() {
        for (set, code) in BootstrapParameters::ALL.into_iter().zip(1..) {
            assert_eq!(BootstrapParameters::by_name(set.name).unwrap(), set);
            assert_eq!(BootstrapParameters::by_code(code).unwrap(), set);
            assert!(set.lwe_dimension.is_multiple_of(set.group));
            assert!(set.rotation.base_log * set.rotation.levels as u32 <= 50);
        }
        assert_eq!(BootstrapParameters::by_name(INSECURE_N64_N256_Q50.name), Err(Error::UnknownParameters));
    }
}
