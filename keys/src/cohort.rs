//! Cohorts: ciphertext j encrypts feature j of up to N patients, patient i in coefficient i. A gateway then needs nothing
//! but sums of bodies times weights, and returns every patient's score of a class in one ciphertext.
//!
//! The masks of all blocks of a run are expanded from one seed, so the gateway sums them once a run; each block has a secret
//! key, noise and an encryption of zero of its own.

use crate::{
    ConfigId, KeyId, Parameters, Seed,
    parameters::N2048_Q50,
    xof::{Role, Xof},
};

/// One parameter set of cohorts: the ring and the key of [`CohortParameters::glwe`], and a power of two as modulus, where a sum
/// of products needs no reduction.
#[derive(Debug, PartialEq)]
pub struct CohortParameters {
    name: &'static str,
    code: u8,
    glwe: &'static Parameters,
    modulus_bits: u32,
    body_bits: u32,
    noise_bits: u32,
}

/// `N2048_C52`: modulo 2^52 with TUniform(5), the noise ratio of `N2048_Q50` and so its 134.8 bits; the upper 48 bits of bodies
/// are sent.
pub static N2048_C52: CohortParameters = CohortParameters {
    name: "N2048_C52",
    code: 16,
    glwe: &N2048_Q50,
    modulus_bits: 52,
    body_bits: 48,
    noise_bits: 5,
};

impl CohortParameters {
    /// The set's name in cards and messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The set's one-byte code in frames.
    #[must_use]
    pub fn code(&self) -> u8 {
        self.code
    }

    /// The set whose ring and keys these are, and under whose modulus answers are re-randomized.
    #[must_use]
    pub fn glwe(&self) -> &'static Parameters {
        self.glwe
    }

    /// The most patients of one block: N.
    #[must_use]
    pub fn maximum_patients(&self) -> usize {
        self.glwe.polynomial_size()
    }

    /// Bits of the modulus.
    #[must_use]
    pub fn modulus_bits(&self) -> u32 {
        self.modulus_bits
    }

    /// The upper bits of a body's coefficient that are sent; the lower ones are rounded off.
    #[must_use]
    pub fn body_bits(&self) -> u32 {
        self.body_bits
    }

    /// Encryption noise is TUniform(b).
    #[must_use]
    pub fn noise_bits(&self) -> u32 {
        self.noise_bits
    }

    /// Bytes of one coefficient of a body: planes of 16 bits.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.body_bits as usize / 8
    }

    /// The mask of feature `index` in a run: N coefficients below the modulus, the low bits of the stream's words.
    #[must_use]
    pub fn mask(&self, run: &CohortRun, index: u32) -> Vec<u64> {
        let key = KeyId::request_scoped(self.glwe, &run.seed);
        let (config, gateway) = (&run.config, &run.gateway_seed);
        let mut xof = Xof::mask(self.glwe, Role::CohortMask, config, &key, index, gateway, &run.seed);
        let mut mask = vec![0; self.glwe.polynomial_size()];
        xof.uniform_bits(self.modulus_bits, &mut mask);
        mask
    }
}

/// What the masks of a run are expanded from: all of it public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CohortRun {
    /// The circuit card.
    pub config: ConfigId,
    /// The gateway's seed from that card.
    pub gateway_seed: Seed,
    /// The client's seed, fresh for each run.
    pub seed: Seed,
}

/// What a block for one model looks like: with a number of patients, everything that fixes its size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CohortShape {
    /// The parameter set.
    pub parameters: &'static CohortParameters,
    /// Features d, one ciphertext each.
    pub features: usize,
    /// Whether a block carries an encryption of zero, with which the gateway re-randomizes its answers.
    pub carries_zero: bool,
}

/// One encrypted block of a cohort, as the bytes of its frame, which is checked.
#[derive(Clone, PartialEq)]
pub struct EncryptedCohort {
    pub(crate) run: Seed,
    pub(crate) seed: Seed,
    pub(crate) patients: usize,
    pub(crate) frame: Vec<u8>,
    /// The bytes of the bodies in the frame.
    pub(crate) bodies: std::ops::Range<usize>,
    pub(crate) zero_body: Option<Vec<u64>>,
}

impl std::fmt::Debug for EncryptedCohort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncryptedCohort").field("patients", &self.patients).finish_non_exhaustive()
    }
}

impl EncryptedCohort {
    /// The client's seed of the run's masks.
    #[must_use]
    pub fn run(&self) -> &Seed {
        &self.run
    }

    /// The client's seed of this block, which the mask of its encryption of zero comes from.
    #[must_use]
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// Patients n, 1 to N.
    #[must_use]
    pub fn patients(&self) -> usize {
        self.patients
    }

    /// The bodies, feature by feature: three planes of n little-endian words of 16 bits, the lowest bits first.
    #[must_use]
    pub fn bodies(&self) -> &[u8] {
        self.frame.get(self.bodies.clone()).unwrap_or_default()
    }

    /// The body b' = a'*s + e' of the encryption of zero, modulo q.
    #[must_use]
    pub fn zero_body(&self) -> Option<&[u64]> {
        self.zero_body.as_deref()
    }

    /// The frame: one element of the tensor `cohort`.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.frame
    }
}
