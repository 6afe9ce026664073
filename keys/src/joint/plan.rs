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
//!
//! A sum too wide for t bits is taken modulo several numbers of t bits without common divisors, each an encrypted vector of its own, and
//! follows from its remainders (Chinese remainder theorem). Digits would not do: their sums show the carries, and those tell more than the
//! sum.

use super::{JOINT, NOISE_SLACK, SECRET_SLACK};
use crate::Error;

/// Fewer clinics have nothing to hide from each other: with two, each knows the other's vector from the sum.
pub const MINIMUM_CLINICS: usize = 3;

/// More leave no room for values.
pub const MAXIMUM_CLINICS: usize = 16;

/// The most values of one vector, times the moduli that it takes: 16 blocks.
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
    /// The plaintext moduli, and how many of them are used: four of 19 bits hold what 16 clinics add up.
    moduli: [u64; 4],
    count: usize,
    plaintext_bits: u32,
    smudge_bits: u32,
}

const NO_ROOM: &str = "no parameters hide sums of so many clinics";

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
        if !(1..=1 << 58).contains(&bound) {
            return Err(Error::Joint("the bound of a value is 1 to 2^58"));
        }
        let empty =
            Self { clinics, values, bound, moduli: [0; 4], count: 0, plaintext_bits: 0, smudge_bits: 0 };
        let largest = clinics as u128 * u128::from(bound);
        // -largest to largest lie in [-2^(t-1), 2^(t-1)).
        let bits = 129 - largest.leading_zeros();
        let plan = match empty.of_bits(bits) {
            Some(plan) => Self { moduli: [1 << bits, 0, 0, 0], count: 1, ..plan },
            None => {
                let most = (1..bits).rev().find_map(|bits| empty.of_bits(bits));
                most.ok_or(Error::Joint(NO_ROOM))?.with_moduli(2 * largest + 1)?
            }
        };
        if plan.slots() > MAXIMUM_VALUES {
            return Err(Error::Joint("so wide values take several ciphertexts each: at most 65536 together"));
        }
        Ok(plan)
    }

    /// The same with moduli of t bits and the widest smudge that leaves them room; `None` where that hides too little.
    fn of_bits(self, plaintext_bits: u32) -> Option<Self> {
        let mut plan = Self { plaintext_bits, ..self };
        plan.smudge_bits = (1..=98).rev().find(|smudge| plan.decodes(*smudge))?;
        plan.hides(STATISTICAL_BITS).then_some(plan)
    }

    /// The largest coprime moduli of t bits whose product is at least `range`.
    fn with_moduli(mut self, range: u128) -> Result<Self, Error> {
        let mut product = 1_u128;
        for candidate in (1..=1_u64 << self.plaintext_bits).rev() {
            if product >= range {
                break;
            }
            if self.moduli().iter().all(|modulus| gcd(*modulus, candidate) == 1) {
                let place = self.moduli.get_mut(self.count);
                *place.ok_or(Error::Joint("values are too wide for sums of so many clinics"))? = candidate;
                self.count += 1;
                product *= u128::from(candidate);
            }
        }
        Ok(self)
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

    /// The plaintext moduli: sums are taken modulo each of them.
    #[must_use]
    pub fn moduli(&self) -> &[u64] {
        self.moduli.get(..self.count).unwrap_or_default()
    }

    /// Encrypted integers of a vector: its values, for each modulus.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.values * self.count
    }

    /// Bits t of the plaintext moduli T <= 2^t; plaintexts are scaled by q / T.
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
        self.slots().div_ceil(JOINT.polynomial_size())
    }

    /// Slots in each block, in order.
    pub fn block_sizes(&self) -> impl Iterator<Item = usize> + use<> {
        let (slots, most) = (self.slots(), JOINT.polynomial_size());
        (0..self.blocks()).map(move |block| most.min(slots - block * most))
    }

    /// A vector's slots, scaled: round(m * q / T) for each modulus T, for the m of each value that lies in \[-T/2, T/2). Errors where a value
    /// is out of bounds.
    pub fn encode(&self, values: &[i64]) -> Result<Vec<i128>, Error> {
        if values.iter().any(|value| value.unsigned_abs() > self.bound) {
            return Err(Error::Joint("a value is out of the bounds of its sum"));
        }
        let q = JOINT.modulus();
        let slots = self.moduli().iter().flat_map(|&modulus| {
            values.iter().map(move |&value| {
                let wide = i128::from(modulus);
                let centred = (i128::from(value) + wide / 2).rem_euclid(wide) - wide / 2;
                let rounded =
                    (2 * centred.unsigned_abs() * q + u128::from(modulus)) / (2 * u128::from(modulus));
                if centred < 0 { -(rounded as i128) } else { rounded as i128 }
            })
        });
        Ok(slots.collect())
    }

    /// The values of the slots' phases, each in \[0, q): round(phase * T / q) modulo each T, and from these the sum. `None` where one is no sum
    /// of values within bounds.
    #[must_use]
    pub fn decode(&self, phases: &[u128]) -> Option<Vec<i64>> {
        let q = JOINT.modulus();
        let remainder = |slot: usize, modulus: u64| {
            let phase = phases.get(slot)?;
            // A phase is below 2^100 and a modulus at most 2^26.
            Some((phase * u128::from(modulus) + q / 2) / q % u128::from(modulus))
        };
        let largest = self.bound as i128 * self.clinics as i128;
        let value = |at: usize| {
            let (mut value, mut product) = (0_u128, 1_u128);
            for (index, &modulus) in self.moduli().iter().enumerate() {
                let (wide, remainder) = (u128::from(modulus), remainder(index * self.values + at, modulus)?);
                let missing = (remainder + wide - value % wide) % wide;
                value += product * (missing * inverse(product % wide, wide)? % wide);
                product *= wide;
            }
            let signed = if value > product / 2 { value as i128 - product as i128 } else { value as i128 };
            (-largest..=largest).contains(&signed).then_some(signed as i64)
        };
        (0..self.values).map(value).collect()
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// 1 / value modulo a number that it has no divisor in common with (Euclid).
fn inverse(value: u128, modulus: u128) -> Option<u128> {
    let (mut old, mut new) = ((value as i128, 1_i128), (modulus as i128, 0_i128));
    while new.0 != 0 {
        let quotient = old.0 / new.0;
        (old, new) = (new, (old.0 - quotient * new.0, old.1 - quotient * new.1));
    }
    (old.0 == 1).then(|| old.1.rem_euclid(modulus as i128) as u128)
}
