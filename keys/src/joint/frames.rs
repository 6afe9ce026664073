//! The bytes of what clinics send for joint sums (`keys/WIRE.md`, section 17). Every frame has one length for its plan.

use super::{
    CHALLENGES, JOINT, JointBlock, JointKeyShare, JointShare, JointSubmission, JointSum, NOISE_MASK_BITS,
    Opening, Plan, Proof, REPETITIONS, SECRET_MASK_BITS, proof::RepetitionSeed,
};
use crate::{
    Digest, Error, bits,
    codec::{Frame, TRAILER_LEN, VERSION, seal, unpack_polynomial},
    parameters::RESIDUE_BITS,
};

pub(crate) const KEY_SHARE: &str = "share of a joint key";
pub(crate) const SUBMISSION: &str = "submission to a joint sum";
pub(crate) const SUM: &str = "joint sum";
pub(crate) const SHARE: &str = "share of an opening";

const MAGIC: &[u8; 4] = b"TRSJ";
const SEEDS: usize = REPETITIONS - CHALLENGES;

fn header(kind: u8, blocks: usize) -> [u8; 8] {
    let [a, b, c, d] = *MAGIC;
    [a, b, c, d, VERSION, JOINT.code(), kind, blocks as u8]
}

fn polynomial_len() -> usize {
    bits::packed_len(JOINT.polynomial_words(), RESIDUE_BITS)
}

fn opening_lens() -> [usize; 2] {
    [SECRET_MASK_BITS, NOISE_MASK_BITS].map(|width| bits::packed_len(JOINT.polynomial_size(), width + 1))
}

fn proof_len() -> usize {
    32 + 32 * SEEDS + CHALLENGES * opening_lens().iter().sum::<usize>()
}

impl Proof {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.challenge.as_bytes());
        self.seeds.iter().for_each(|seed| out.extend_from_slice(seed));
        for opening in &self.openings {
            for (values, width) in [(&opening.secret, SECRET_MASK_BITS), (&opening.noise, NOISE_MASK_BITS)] {
                let words: Vec<u64> = values.iter().map(|value| (value + (1 << width)) as u64).collect();
                bits::pack(&words, width + 1, out);
            }
        }
    }

    fn read(frame: &mut Frame<'_>) -> Result<Self, Error> {
        let challenge = Digest::from_bytes(frame.array()?);
        let seeds = (0..SEEDS).map(|_| frame.array()).collect::<Result<Vec<RepetitionSeed>, _>>()?;
        let [secret_len, noise_len] = opening_lens();
        let mut values = |len, width: u32| {
            let words = bits::unpack(frame.take(len)?, JOINT.polynomial_size(), width + 1)?;
            Ok(words.into_iter().map(|word| word as i64 - (1 << width)).collect())
        };
        let openings = (0..CHALLENGES).map(|_| {
            let secret = values(secret_len, SECRET_MASK_BITS)?;
            Ok(Opening { secret, noise: values(noise_len, NOISE_MASK_BITS)? })
        });
        let openings = openings.collect::<Result<_, Error>>()?;
        Ok(Self { challenge, seeds, openings })
    }
}

impl JointKeyShare {
    /// Bytes of the frame.
    #[must_use]
    pub fn encoded_len() -> usize {
        8 + polynomial_len() + proof_len() + TRAILER_LEN
    }

    /// The canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::encoded_len());
        out.extend_from_slice(&header(1, 1));
        bits::pack(&self.body, RESIDUE_BITS, &mut out);
        self.proof.write(&mut out);
        seal(out)
    }

    /// Reads a frame. The proof is still to be verified.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut frame = Frame::open(KEY_SHARE, bytes, Self::encoded_len(), &header(1, 1))?;
        let body = unpack_polynomial(frame.take(polynomial_len())?, JOINT)?;
        Ok(Self { body, proof: Proof::read(&mut frame)? })
    }
}

impl JointSubmission {
    /// Bytes of the frame of a submission of so many blocks.
    #[must_use]
    pub fn encoded_len(blocks: usize) -> usize {
        8 + blocks * (2 * polynomial_len() + proof_len()) + TRAILER_LEN
    }

    /// The canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::encoded_len(self.blocks.len()));
        out.extend_from_slice(&header(2, self.blocks.len()));
        for block in &self.blocks {
            bits::pack(&block.mask, RESIDUE_BITS, &mut out);
            bits::pack(&block.body, RESIDUE_BITS, &mut out);
            block.proof.write(&mut out);
        }
        seal(out)
    }

    /// Reads a frame of a submission of so many blocks. Its proofs are still to be verified.
    pub fn from_bytes(bytes: &[u8], blocks: usize) -> Result<Self, Error> {
        let mut frame = Frame::open(SUBMISSION, bytes, Self::encoded_len(blocks), &header(2, blocks))?;
        let blocks = (0..blocks).map(|_| {
            let mask = unpack_polynomial(frame.take(polynomial_len())?, JOINT)?;
            let body = unpack_polynomial(frame.take(polynomial_len())?, JOINT)?;
            Ok(JointBlock { mask, body, proof: Proof::read(&mut frame)? })
        });
        Ok(Self { blocks: blocks.collect::<Result<_, Error>>()? })
    }
}

impl JointSum {
    /// The canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = header(3, self.blocks.len()).to_vec();
        for polynomial in self.blocks.iter().flat_map(|(mask, body)| [mask, body]) {
            bits::pack(polynomial, RESIDUE_BITS, &mut out);
        }
        seal(out)
    }

    /// Reads a frame of a sum of so many blocks.
    pub fn from_bytes(bytes: &[u8], blocks: usize) -> Result<Self, Error> {
        let length = 8 + blocks * 2 * polynomial_len() + TRAILER_LEN;
        let mut frame = Frame::open(SUM, bytes, length, &header(3, blocks))?;
        let mut polynomial = || unpack_polynomial(frame.take(polynomial_len())?, JOINT);
        let blocks = (0..blocks).map(|_| Ok((polynomial()?, polynomial()?)));
        Ok(Self { blocks: blocks.collect::<Result<_, Error>>()? })
    }
}

impl JointShare {
    /// Bytes of the frame of a share for this plan.
    #[must_use]
    pub fn encoded_len(plan: &Plan) -> usize {
        8 + plan.block_sizes().map(part_len).sum::<usize>() + TRAILER_LEN
    }

    /// The canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = header(4, self.parts.len()).to_vec();
        self.parts.iter().for_each(|part| bits::pack(part, RESIDUE_BITS, &mut out));
        seal(out)
    }

    /// Reads a frame of a share for this plan.
    pub fn from_bytes(bytes: &[u8], plan: &Plan) -> Result<Self, Error> {
        let expected = Self::encoded_len(plan);
        let mut frame = Frame::open(SHARE, bytes, expected, &header(4, plan.blocks()))?;
        let parts = plan.block_sizes().map(|size| {
            let primes = JOINT.primes();
            let part = bits::unpack(frame.take(part_len(size))?, size * primes.len(), RESIDUE_BITS)?;
            let mut residues = part.chunks(size).zip(primes);
            let canonical = residues.all(|(part, prime)| part.iter().all(|residue| residue < prime));
            if canonical { Ok(part) } else { Err(Error::NotCanonical) }
        });
        Ok(Self { parts: parts.collect::<Result<_, Error>>()? })
    }
}

/// Bytes of a share's part of so many coefficients.
fn part_len(size: usize) -> usize {
    bits::packed_len(size * JOINT.primes().len(), RESIDUE_BITS)
}
