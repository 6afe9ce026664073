//! A clinic's part in joint sums: its share of the key, its submissions, its shares of openings.

use std::fmt;

use tiresias_keys::{
    Digest,
    joint::{JOINT, JointBlock, JointKeyShare, JointShare, JointSubmission, JointSum, Plan, block_context},
    xof::{Role, SecretSeed, Xof},
};
use zeroize::Zeroizing;

use crate::{Error, SecretKey, encrypt::encrypt_zero, prover::prove};

/// A clinic's secret s_i in a joint key, in locked pages. Like every secret key here it is not `Clone` and shows no bit.
pub struct JointSecret(SecretKey);

impl JointSecret {
    /// Draws a fresh secret.
    #[inline(never)] // a named entry point: the wall checks look for it in the client's symbols
    pub fn generate() -> Result<Self, Error> {
        SecretKey::generate(JOINT).map(Self)
    }

    /// Reads what [`JointSecret::export`] wrote.
    pub fn import(bytes: &[u8]) -> Result<Self, Error> {
        SecretKey::import(JOINT, bytes).map(Self)
    }

    /// The secret's bits, for a file of its owner's alone.
    #[must_use]
    pub fn export(&self) -> Zeroizing<Vec<u8>> {
        self.0.export()
    }

    /// b_i = a*s_i + e_i for the common mask a, with its proof. Once for each secret: two would show e_i less its like.
    pub fn key_share(&self, mask: &[u64], context: &Digest) -> Result<JointKeyShare, Error> {
        let (body, proof) = sample(mask, &self.0, Role::JointKeyNoise, context)?;
        Ok(JointKeyShare::new(body, proof))
    }

    /// This clinic's share of the opening of a sum: mask*s_i + smudge at each coefficient that holds a value. Fresh smudges each
    /// time: two shares of one sum are never to be given, or their mean would say more.
    #[inline(never)] // a named entry point: the wall checks look for it in the client's symbols
    pub fn share(&self, plan: &Plan, sum: &JointSum) -> Result<JointShare, Error> {
        let ring = JOINT.ring();
        let (secret, entropy) = (self.0.transformed()?, SecretSeed::draw(getrandom::fill)?);
        let blocks = sum.blocks().iter().zip(plan.block_sizes()).zip(0..);
        let parts = blocks.map(|(((mask, _), size), block)| {
            let mut factor = mask.clone();
            ring.forward(&mut factor);
            ring.normalize(&mut factor);
            // Without a smudge this gives s_i away.
            let mut product = Zeroizing::new(ring.zero());
            ring.multiply_add(&mut product, &factor, &secret);
            ring.inverse(&mut product);
            let mut part = first(&product, size);
            let mut smudge = Zeroizing::new(vec![0_i128; size]);
            Xof::randomness(JOINT, &entropy, Role::JointSmudge, block, 0)
                .tuniform_wide(plan.smudge_bits(), &mut smudge);
            ring.add(&mut part, &Zeroizing::new(ring.reduce(&smudge)));
            part
        });
        Ok(JointShare::new(parts.collect()))
    }
}

impl fmt::Debug for JointSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JointSecret").finish_non_exhaustive()
    }
}

/// Encrypts a clinic's vector under the joint public key: for each block (a*u + e1, b*u + e2 + encode(m)) with a fresh binary u, and the
/// proof of the former. Nobody can decrypt it alone, this clinic included.
#[inline(never)] // a named entry point: the wall checks look for it in the client's symbols
pub fn encrypt_for_joint_sum(
    plan: &Plan,
    mask: &[u64],
    joint_key: &[u64],
    values: &[i64],
    context: &Digest,
) -> Result<JointSubmission, Error> {
    if values.len() != plan.values() {
        return Err(tiresias_keys::Error::Joint("a submission has as many values as its plan").into());
    }
    let ring = JOINT.ring();
    let mut slots = Zeroizing::new(plan.encode(values)?);
    slots.resize(plan.blocks() * JOINT.polynomial_size(), 0);
    let blocks = slots.chunks_exact(JOINT.polynomial_size()).zip(0..).map(|(encoded, block)| {
        let ephemeral = SecretKey::generate(JOINT)?;
        let (sent, proof) = sample(mask, &ephemeral, Role::JointMaskNoise, &block_context(context, block))?;
        let noise = SecretSeed::draw(getrandom::fill)?;
        let noise = Xof::randomness(JOINT, &noise, Role::JointBodyNoise, block, 0);
        let mut body = encrypt_zero(JOINT, &ephemeral.transformed()?, joint_key.to_vec(), noise);
        ring.add(&mut body, &Zeroizing::new(ring.reduce(encoded)));
        Ok(JointBlock::new(sent, body, proof))
    });
    blocks.collect::<Result<_, Error>>().map(JointSubmission::new)
}

/// Opens a sum with the shares of all clinics. `None` where what comes out is no sum of values within the plan's bounds: then a share, or a
/// submission, is false.
#[must_use]
pub fn open_joint_sum(plan: &Plan, sum: &JointSum, shares: &[JointShare]) -> Option<Vec<i64>> {
    if shares.len() != plan.clinics() || shares.iter().any(|share| share.parts().len() != plan.blocks()) {
        return None;
    }
    let mut phases = Vec::with_capacity(plan.slots());
    for (block, ((_, body), size)) in sum.blocks().iter().zip(plan.block_sizes()).enumerate() {
        let mut taken = vec![0; size * JOINT.primes().len()];
        for share in shares {
            let part = share.parts().get(block).filter(|part| part.len() == taken.len())?;
            JOINT.ring().add(&mut taken, part);
        }
        let body = first(body, size);
        let pairs = body.iter().zip(&taken).take(size).zip(body.iter().zip(&taken).skip(size));
        phases.extend(pairs.map(|(low, high)| phase(low, high)));
    }
    plan.decode(&phases)
}

/// body - taken in \[0, q), from its residues modulo the two primes.
fn phase((body, taken): (&u64, &u64), (body2, taken2): (&u64, &u64)) -> u128 {
    let (p1, p2) = (JOINT.primes()[0], JOINT.primes()[1]);
    let r1 = (body + p1 - taken) % p1;
    let r2 = (body2 + p2 - taken2) % p2;
    // x = r1 + p1*k with k = (r2 - r1) / (p1 - p2) modulo p2, as p1 = p1 - p2 modulo p2.
    let difference = (u128::from(r2) + u128::from(p2) - u128::from(r1 % p2)) % u128::from(p2);
    let k = difference * u128::from(inverse(p1 - p2, p2)) % u128::from(p2);
    u128::from(r1) + u128::from(p1) * k
}

/// value^(p - 2) modulo a prime p.
fn inverse(value: u64, prime: u64) -> u64 {
    let modulus = u128::from(prime);
    let (mut power, mut result, mut exponent) = (u128::from(value), 1_u128, prime - 2);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * power % modulus;
        }
        power = power * power % modulus;
        exponent >>= 1;
    }
    result as u64
}

/// The first `size` coefficients of a polynomial, for each prime.
fn first(polynomial: &[u64], size: usize) -> Vec<u64> {
    polynomial.chunks_exact(JOINT.polynomial_size()).flat_map(|residues| &residues[..size]).copied().collect()
}

/// mask*secret + noise, with its proof.
fn sample(
    mask: &[u64],
    secret: &SecretKey,
    role: Role,
    context: &Digest,
) -> Result<(Vec<u64>, tiresias_keys::joint::Proof), Error> {
    let entropy = SecretSeed::draw(getrandom::fill)?;
    let stream = || Xof::randomness(JOINT, &entropy, role, 0, 0);
    let body = encrypt_zero(JOINT, &secret.transformed()?, mask.to_vec(), stream());
    let mut noise = Zeroizing::new(vec![0; JOINT.polynomial_size()]);
    stream().tuniform(JOINT.noise_bits(), &mut noise);
    let proof = prove(mask, &body, &secret.bits()?, &noise, context)?;
    Ok((body, proof))
}

#[cfg(test)]
mod tests;
