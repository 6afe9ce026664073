//! Joint sums: clinics add up vectors under a key that none of them holds alone.
//!
//! Every clinic i has a secret s_i and publishes b_i = a*s_i + e_i for a mask a that all of them chose together; the joint
//! public key is b, the sum of all b_i. A clinic encrypts its vector m as (a*u + e1, b*u + e2 + encode(m)). The sum of all
//! ciphertexts encrypts the sum of all vectors, and opens when every clinic gives its share mask*s_i + smudge.
//!
//! Every polynomial of the form a*x + y that a clinic publishes, b_i and a*u + e1, comes with a [`Proof`] that x and y are
//! short. Without it a clinic could choose them so that the shares of others give their secrets away (SECURITY.md).
//!
//! 1. [`Plan`]: how wide sums may be, and how wide the smudge is; the bounds are computed here and proved in `keys/WIRE.md`.
//! 2. [`Proof`]: that x and y are short.
//! 3. [`JointKeyShare`], [`JointSubmission`], [`JointShare`]: what clinics send, with their bytes in `frames`.

pub(crate) mod frames;
mod plan;
mod proof;
#[cfg(test)]
mod tests;

pub use plan::{CHEATING_NOISE, MAXIMUM_CLINICS, MAXIMUM_VALUES, MINIMUM_CLINICS, Plan};
pub use proof::{
    CHALLENGES, NOISE_MASK_BITS, NOISE_SLACK, Opening, Proof, REPETITIONS, RepetitionSeed, SECRET_MASK_BITS,
    SECRET_SLACK, accepted, challenge, masks, repetition_digest,
};

use crate::{
    Digest, Error, Parameters,
    parameters::N4096_Q100,
    xof::{Role, Xof},
};

/// The one parameter set of joint sums.
pub static JOINT: &Parameters = &N4096_Q100;

/// The mask a that all clinics have in common: uniform, expanded from the hash of all their seeds.
#[must_use]
pub fn mask(seeds: &Digest) -> Vec<u64> {
    Xof::joint(JOINT, Role::JointMask, 0, seeds.as_bytes()).uniform(JOINT)
}

/// The joint public key b: the sum of all b_i.
#[must_use]
pub fn joint_key<'a>(shares: impl IntoIterator<Item = &'a JointKeyShare>) -> Vec<u64> {
    let mut sum = JOINT.ring().zero();
    shares.into_iter().for_each(|share| JOINT.ring().add(&mut sum, &share.body));
    sum
}

/// b_i = a*s_i + e_i, with the proof that its clinic knows short s_i and e_i.
#[derive(Debug, Clone, PartialEq)]
pub struct JointKeyShare {
    pub(crate) body: Vec<u64>,
    pub(crate) proof: Proof,
}

impl JointKeyShare {
    /// Assembles a share from its polynomial and proof.
    #[must_use]
    pub fn new(body: Vec<u64>, proof: Proof) -> Self {
        Self { body, proof }
    }

    /// The polynomial b_i.
    #[must_use]
    pub fn body(&self) -> &[u64] {
        &self.body
    }

    /// The proof.
    #[must_use]
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Whether the proof is one of this polynomial, for this mask and this place in the protocol.
    pub fn verify(&self, mask: &[u64], context: &Digest) -> Result<(), Error> {
        self.proof.verify(mask, &self.body, context)
    }
}

/// One block of a submission: N values.
#[derive(Debug, Clone, PartialEq)]
pub struct JointBlock {
    pub(crate) mask: Vec<u64>,
    pub(crate) body: Vec<u64>,
    pub(crate) proof: Proof,
}

impl JointBlock {
    /// Assembles a block: a*u + e1, b*u + e2 + encode(m), and the proof of the former.
    #[must_use]
    pub fn new(mask: Vec<u64>, body: Vec<u64>, proof: Proof) -> Self {
        Self { mask, body, proof }
    }

    /// The polynomial a*u + e1.
    #[must_use]
    pub fn mask(&self) -> &[u64] {
        &self.mask
    }

    /// The polynomial b*u + e2 + encode(m).
    #[must_use]
    pub fn body(&self) -> &[u64] {
        &self.body
    }

    /// The proof of the mask.
    #[must_use]
    pub fn proof(&self) -> &Proof {
        &self.proof
    }
}

/// What one clinic hands in for one sum.
#[derive(Debug, Clone, PartialEq)]
pub struct JointSubmission {
    pub(crate) blocks: Vec<JointBlock>,
}

impl JointSubmission {
    /// Assembles a submission.
    #[must_use]
    pub fn new(blocks: Vec<JointBlock>) -> Self {
        Self { blocks }
    }

    /// Its blocks.
    #[must_use]
    pub fn blocks(&self) -> &[JointBlock] {
        &self.blocks
    }

    /// Whether every block's mask is a*u + e1 with short u and e1 that its clinic knows.
    pub fn verify(&self, mask: &[u64], context: &Digest) -> Result<(), Error> {
        let mut blocks = self.blocks.iter().zip(0..);
        blocks.try_for_each(|(block, index)| {
            block.proof.verify(mask, &block.mask, &block_context(context, index))
        })
    }
}

/// What the proof of one block of a submission is bound to.
#[must_use]
pub fn block_context(context: &Digest, block: u32) -> Digest {
    Digest::of(
        &[b"tiresias/joint-block/v1".as_slice(), context.as_bytes().as_slice(), &block.to_le_bytes()]
            .concat(),
    )
}

/// The sum of submissions: a ciphertext of the sum of their vectors, mask and body a block.
#[derive(Debug, Clone, PartialEq)]
pub struct JointSum {
    pub(crate) blocks: Vec<(Vec<u64>, Vec<u64>)>,
}

impl JointSum {
    /// Adds submissions of one plan. They were decoded for it, so they have its blocks.
    #[must_use]
    pub fn new<'a>(plan: &Plan, submissions: impl IntoIterator<Item = &'a JointSubmission>) -> Self {
        let ring = JOINT.ring();
        let mut blocks = vec![(ring.zero(), ring.zero()); plan.blocks()];
        for submission in submissions {
            for ((mask, body), block) in blocks.iter_mut().zip(&submission.blocks) {
                ring.add(mask, &block.mask);
                ring.add(body, &block.body);
            }
        }
        Self { blocks }
    }

    /// Mask and body of each block.
    #[must_use]
    pub fn blocks(&self) -> &[(Vec<u64>, Vec<u64>)] {
        &self.blocks
    }
}

/// One clinic's share of an opening: mask*s_i + smudge at the coefficients that hold values, block by block. Each part has the
/// residues of its coefficients for each prime, one prime after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct JointShare {
    pub(crate) parts: Vec<Vec<u64>>,
}

impl JointShare {
    /// Assembles a share.
    #[must_use]
    pub fn new(parts: Vec<Vec<u64>>) -> Self {
        Self { parts }
    }

    /// Its parts, one a block.
    #[must_use]
    pub fn parts(&self) -> &[Vec<u64>] {
        &self.parts
    }
}
