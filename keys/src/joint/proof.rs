//! The proof that a clinic knows short x and y with b = a*x + y, which says nothing else of them.
//!
//! A sigma protocol with one bit of challenge a repetition, made non-interactive by hashing (Fiat-Shamir): the prover commits to
//! w = a*v + v' for wide random v and v', and opens either those, by the seed they come from, or z = v + x and z' = v' + y,
//! which it sends where they lie within bounds that do not depend on x and y (rejection sampling), all over again otherwise.
//! Who can answer both ways has short x and y: the differences of the two answers. 64 of 136 repetitions are answered the second
//! way, in one of C(136, 64) = 2^131.8 patterns, so a prover who can answer none of them both ways succeeds with that
//! probability a hash.
//!
//! One bit a repetition is much longer than polynomial challenges, and needs no inverse of a difference of challenges: what is
//! extracted satisfies the equation itself, and its slack is that of one mask.

use sha2::{Digest as _, Sha256};

use super::JOINT;
use crate::{
    Digest, Error,
    xof::{Role, Xof},
};

/// Repetitions.
pub const REPETITIONS: usize = 136;

/// Repetitions that are answered with x and y under masks.
pub const CHALLENGES: usize = 64;

/// v is uniform in \[-2^19, 2^19).
pub const SECRET_MASK_BITS: u32 = 19;

/// v' is uniform in \[-2^22, 2^22).
pub const NOISE_MASK_BITS: u32 = 22;

/// The x that is extracted from a prover is at most this.
pub const SECRET_SLACK: u64 = 2 << SECRET_MASK_BITS;

/// And y this.
pub const NOISE_SLACK: u64 = 2 << NOISE_MASK_BITS;

/// The largest |z|, for x in {0, 1}.
const SECRET_LIMIT: i64 = (1 << SECRET_MASK_BITS) - 1;

/// The largest |z'|, for |y| <= 2^3.
const NOISE_LIMIT: i64 = (1 << NOISE_MASK_BITS) - 9;

/// What v and v' of one repetition are expanded from.
pub type RepetitionSeed = [u8; 32];

/// The answer to a challenge: z and z'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    pub(crate) secret: Vec<i64>,
    pub(crate) noise: Vec<i64>,
}

impl Opening {
    /// Assembles an answer.
    #[must_use]
    pub fn new(secret: Vec<i64>, noise: Vec<i64>) -> Self {
        Self { secret, noise }
    }
}

/// A proof: the challenge, and an answer for each repetition in order, a seed or z and z'.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    pub(crate) challenge: Digest,
    pub(crate) seeds: Vec<RepetitionSeed>,
    pub(crate) openings: Vec<Opening>,
}

impl Proof {
    /// Assembles a proof: as many seeds and openings as challenges leave and ask for.
    #[must_use]
    pub fn new(challenge: Digest, seeds: Vec<RepetitionSeed>, openings: Vec<Opening>) -> Self {
        Self { challenge, seeds, openings }
    }

    /// Which repetitions a challenge asks z and z' of.
    #[must_use]
    pub fn pattern(challenge: &Digest) -> Vec<bool> {
        pattern(challenge)
    }

    /// Checks the proof for the mask a, the polynomial b and what it is bound to.
    pub(crate) fn verify(&self, mask: &[u64], body: &[u64], context: &Digest) -> Result<(), Error> {
        const RULE: Error = Error::Joint("the proof that a secret is known and short does not hold");
        let pattern = pattern(&self.challenge);
        let mut transformed = mask.to_vec();
        JOINT.ring().forward(&mut transformed);
        JOINT.ring().normalize(&mut transformed);
        let negated = negate(body);
        let (mut seeds, mut openings) = (self.seeds.iter(), self.openings.iter());
        let mut digests = Vec::with_capacity(REPETITIONS);
        for is_asked in pattern {
            digests.push(if is_asked {
                let opening = openings.next().ok_or(RULE)?;
                if !accepted(&opening.secret, &opening.noise) {
                    return Err(RULE);
                }
                repetition_digest(&transformed, &opening.secret, &opening.noise, Some(&negated))
            } else {
                let (secret, noise) = masks(seeds.next().ok_or(RULE)?);
                repetition_digest(&transformed, &secret, &noise, None)
            });
        }
        let is_whole = seeds.next().is_none() && openings.next().is_none();
        let holds = challenge(context, mask, body, &digests) == self.challenge;
        if is_whole && holds { Ok(()) } else { Err(RULE) }
    }
}

/// v and v' of a repetition.
#[must_use]
pub fn masks(seed: &RepetitionSeed) -> (Vec<i64>, Vec<i64>) {
    let draw = |index, bits: u32| -> Vec<i64> {
        let mut words = vec![0; JOINT.polynomial_size()];
        Xof::joint(JOINT, Role::JointProof, index, seed).uniform_bits(bits + 1, &mut words);
        words.into_iter().map(|word| word as i64 - (1 << bits)).collect()
    };
    (draw(0, SECRET_MASK_BITS), draw(1, NOISE_MASK_BITS))
}

/// Whether an answer may be sent: its coefficients lie within bounds that every short x and y reach equally often.
#[must_use]
pub fn accepted(secret: &[i64], noise: &[i64]) -> bool {
    let within = |values: &[i64], limit: i64| {
        values.len() == JOINT.polynomial_size() && values.iter().all(|value| (-limit..=limit).contains(value))
    };
    within(secret, SECRET_LIMIT) && within(noise, NOISE_LIMIT)
}

/// The hash of w = a*z + z' - b, or without b of a*v + v'. The mask is transformed and normalized.
#[must_use]
pub fn repetition_digest(
    transformed: &[u64],
    secret: &[i64],
    noise: &[i64],
    negated_body: Option<&[u64]>,
) -> Digest {
    let ring = JOINT.ring();
    let mut factor = ring.reduce_small(secret);
    ring.forward(&mut factor);
    let mut sum = ring.zero();
    ring.multiply_add(&mut sum, transformed, &factor);
    ring.inverse(&mut sum);
    ring.add_signed(&mut sum, noise);
    if let Some(negated) = negated_body {
        ring.add(&mut sum, negated);
    }
    zeroize::Zeroize::zeroize(&mut factor);
    Digest::of(&bytes(&sum))
}

/// The challenge: a hash of everything that came before it.
#[must_use]
pub fn challenge(context: &Digest, mask: &[u64], body: &[u64], repetitions: &[Digest]) -> Digest {
    let mut hash = Sha256::new_with_prefix(b"tiresias/joint-proof/v1");
    hash.update([JOINT.code()]);
    hash.update(context.as_bytes());
    [mask, body].iter().for_each(|polynomial| hash.update(bytes(polynomial)));
    repetitions.iter().for_each(|digest| hash.update(digest.as_bytes()));
    Digest::from_bytes(hash.finalize().into())
}

/// Which repetitions a challenge asks z and z' of: the first so many of a shuffle (Fisher and Yates), drawn without bias.
fn pattern(challenge: &Digest) -> Vec<bool> {
    let mut xof = Xof::joint(JOINT, Role::JointChallenge, 0, challenge.as_bytes());
    let mut order: Vec<usize> = (0..REPETITIONS).collect();
    let mut word = [0];
    for at in 0..CHALLENGES {
        let left = (REPETITIONS - at) as u32;
        let draw = loop {
            xof.uniform_words(&mut word);
            // Words above the last whole multiple are drawn again.
            if word[0] < u32::MAX / left * left {
                break word[0] % left;
            }
        };
        order.swap(at, at + draw as usize);
    }
    let mut asked = vec![false; REPETITIONS];
    order.iter().take(CHALLENGES).for_each(|&repetition| asked[repetition] = true);
    asked
}

/// Words, little-endian.
fn bytes(words: &[u64]) -> Vec<u8> {
    let mut bytes = vec![0; 8 * words.len()];
    bytes.as_chunks_mut().0.iter_mut().zip(words).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
    bytes
}

fn negate(polynomial: &[u64]) -> Vec<u64> {
    let primes = JOINT.primes().iter();
    let parts = polynomial.chunks_exact(JOINT.polynomial_size()).zip(primes);
    parts
        .flat_map(|(part, &prime)| part.iter().map(move |&word| (prime - word) * u64::from(word != 0)))
        .collect()
}
