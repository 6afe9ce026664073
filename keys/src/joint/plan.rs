//! What a sum needs: how many bits its values have, and how wide the smudge on each share is.
//!
//! The proof of every bound here stands in `keys/WIRE.md`, section 17.2. In short, for n clinics, N coefficients and noise of at
//! most e = 2^b:
//!
//! - the sum's phase differs from its plaintext by at most n*e*(2*N*n + 1), half a unit of rounding a clinic, and the n smudges,
//!   which must stay below q / 2^(t+1): then it decodes, always;
//! - what a share shows beyond the sum, to anyone who is one of the clinics, is noise of at most
//!   e*(2*N*(n^2 - 1) + n - 1) a coefficient, under a smudge of 2^smudge: all of them together are a statistical distance of
//!   N * noise / 2^(smudge + 1).

use super::{JOINT, NOISE_SLACK, SECRET_SLACK};
use crate::Error;

/// Fewer clinics have nothing to hide from each other: with two, each knows the other's vector from the sum.
pub const MINIMUM_CLINICS: usize = 3;

/// More leave no room for values.
pub const MAXIMUM_CLINICS: usize = 16;

/// The most values of one vector: 16 blocks.
pub const MAXIMUM_VALUES: usize = 16 * 4096;

/// The least log2 of one over the statistical distance, over all coefficients of a block, for clinics that follow the protocol.
const STATISTICAL_BITS: u32 = 40;

/// The noise that one clinic's wide but accepted key or submission can add for each coefficient, each honest clinic and each
/// cheating one: 2*N*(e*secret slack + noise slack).
pub const CHEATING_NOISE: u128 = 2 * 4096 * ((SECRET_SLACK as u128) * 8 + NOISE_SLACK as u128);

/// A sum's public numbers, and what follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    clinics: usize,
    values: usize,
    bound: u64,
    plaintext_bits: u32,
    smudge_bits: u32,
}

impl Plan {
    /// Plans the sum of vectors of so many values by so many clinics, each value within -bound to bound. The smudge is the widest that
    /// the sum leaves room for. Errors with the rule where there is none.
    pub fn new(clinics: usize, values: usize, bound: u64) -> Result<Self, Error> {
        if !(MINIMUM_CLINICS..=MAXIMUM_CLINICS).contains(&clinics) {
            return Err(Error::Joint("joint sums are of 3 to 16 clinics"));
        }
        if !(1..=MAXIMUM_VALUES).contains(&values) {
            return Err(Error::Joint("a joint sum has 1 to 65536 values"));
        }
        if !(1..1 << 40).contains(&bound) {
            return Err(Error::Joint("the bound of a value is 1 to 2^40"));
        }
        let largest = clinics as u128 * u128::from(bound);
        // -largest to largest lie in [-2^(t-1), 2^(t-1)).
        let plaintext_bits = 129 - largest.leading_zeros();
        let mut plan = Self { clinics, values, bound, plaintext_bits, smudge_bits: 0 };
        plan.smudge_bits =
            (1..=98).rev().find(|bits| plan.decodes(*bits)).ok_or(Error::Joint(TOO_WIDE))?;
        if plan.hides(STATISTICAL_BITS) { Ok(plan) } else { Err(Error::Joint(TOO_WIDE)) }
    }

    /// Whether a sum decodes, always, under smudges of so many bits.
    fn decodes(&self, smudge_bits: u32) -> bool {
        let n = self.clinics as u128;
        // Twice everything, for the halves of rounding.
        let off = 2 * self.noise() + n + 2 * (n << smudge_bits);
        // As off * 2^t < q, without leaving 128 bits.
        off <= (JOINT.modulus() - 1) >> self.plaintext_bits
    }

    /// The most that a coefficient of a sum's phase is off, smudges and rounding aside, where all clinics follow the protocol.
    #[must_use]
    pub fn noise(&self) -> u128 {
        let (n, degree) = (self.clinics as u128, JOINT.polynomial_size() as u128);
        (n * (2 * degree * n + 1)) << JOINT.noise_bits()
    }

    /// The part of it that one of the clinics does not know itself.
    #[must_use]
    pub fn unknown_noise(&self) -> u128 {
        let (n, degree) = (self.clinics as u128, JOINT.polynomial_size() as u128);
        (2 * degree * (n * n - 1) + n - 1) << JOINT.noise_bits()
    }

    /// The same where all but two clinics cheat as far as proofs let them, at the worst number of cheaters.
    #[must_use]
    pub fn cheated_noise(&self) -> u128 {
        let degree = JOINT.polynomial_size() as u128;
        let of = |cheats: u128| {
            let honest = self.clinics as u128 - cheats;
            ((2 * degree * honest * honest + honest) << JOINT.noise_bits()) + CHEATING_NOISE * honest * cheats
        };
        (1..=self.clinics as u128 - 2).map(of).max().unwrap_or_default()
    }

    /// Whether the statistical distance of all coefficients of a block together is at most 2^-bits.
    fn hides(&self, bits: u32) -> bool {
        let total = JOINT.polynomial_size() as u128 * self.unknown_noise();
        total << bits <= 1 << (self.smudge_bits + 1)
    }

    /// log2 of one over the statistical distance of a block's opening from one that is made of the sum alone, for anyone who holds
    /// what all clinics but two hold, where clinics follow the protocol.
    #[must_use]
    pub fn statistical_bits(&self) -> f64 {
        self.distance(self.unknown_noise())
    }

    /// The same against clinics that cheat as far as proofs let them.
    #[must_use]
    pub fn statistical_bits_against_cheats(&self) -> f64 {
        self.distance(self.cheated_noise())
    }

    fn distance(&self, noise: u128) -> f64 {
        f64::from(self.smudge_bits + 1) - (JOINT.polynomial_size() as f64 * noise as f64).log2()
    }

    /// Clinics n.
    #[must_use]
    pub fn clinics(&self) -> usize {
        self.clinics
    }

    /// Values of a vector.
    #[must_use]
    pub fn values(&self) -> usize {
        self.values
    }

    /// Each clinic's values lie within -bound to bound.
    #[must_use]
    pub fn bound(&self) -> u64 {
        self.bound
    }

    /// Bits t of a sum's values: the plaintext is scaled by q / 2^t.
    #[must_use]
    pub fn plaintext_bits(&self) -> u32 {
        self.plaintext_bits
    }

    /// Each share is smudged by TUniform of so many bits.
    #[must_use]
    pub fn smudge_bits(&self) -> u32 {
        self.smudge_bits
    }

    /// Ciphertexts of a submission.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.values.div_ceil(JOINT.polynomial_size())
    }

    /// Values in each block, in order.
    pub fn block_sizes(&self) -> impl Iterator<Item = usize> + use<> {
        let (values, most) = (self.values, JOINT.polynomial_size());
        (0..self.blocks()).map(move |block| most.min(values - block * most))
    }

    /// The scaled residues of a block of values: round(m * q / 2^t). Errors where one is out of bounds.
    pub fn encode(&self, values: &[i64]) -> Result<Vec<i128>, Error> {
        let (q, t) = (JOINT.modulus(), self.plaintext_bits);
        let encoded = values.iter().map(|&value| {
            if value.unsigned_abs() > self.bound {
                return Err(Error::Joint("a value is out of the bounds of its sum"));
            }
            let rounded = ((u128::from(value.unsigned_abs()) * q + (1 << (t - 1))) >> t) as i128;
            Ok(if value < 0 { -rounded } else { rounded })
        });
        encoded.collect()
    }

    /// The value of a phase in \[0, q): round(phase * 2^t / q), as a signed integer. `None` where no sum of values within bounds has it.
    #[must_use]
    pub fn decode(&self, phase: u128) -> Option<i64> {
        let (q, t) = (JOINT.modulus(), self.plaintext_bits);
        let rounded = ((phase << t) + q / 2) / q % (1 << t);
        let value = if rounded >> (t - 1) == 0 { rounded as i64 } else { rounded as i64 - (1 << t) };
        (value.unsigned_abs() <= self.bound * self.clinics as u64).then_some(value)
    }
}

const TOO_WIDE: &str = "sums of so many clinics and so wide values leave no room for smudging: at most 26 bits for 3 clinics, 19 for 16; \
                        lower the bound, or take a coarser step";
