//! The prover's half of [`tiresias_keys::joint::Proof`].

use tiresias_keys::{
    Digest,
    joint::{
        JOINT, Opening, Proof, REPETITIONS, RepetitionSeed, accepted, challenge, masks, repetition_digest,
    },
    xof::{Role, SecretSeed, Xof},
};
use zeroize::Zeroizing;

use crate::Error;

/// An attempt succeeds with probability e^-0.78; so many in a row fail with probability 2^-90.
const ATTEMPTS: u32 = 100;

/// Proves that `body` is mask*secret + noise for these bits and this noise of at most 2^3, bound to `context`. Each attempt draws all
/// masks anew; what a failed one would have said is never seen.
pub(crate) fn prove(
    mask: &[u64],
    body: &[u64],
    secret: &[u64],
    noise: &[i64],
    context: &Digest,
) -> Result<Proof, Error> {
    let entropy = SecretSeed::draw(getrandom::fill)?;
    let mut transformed = mask.to_vec();
    JOINT.ring().forward(&mut transformed);
    JOINT.ring().normalize(&mut transformed);
    let proof = (0..ATTEMPTS).find_map(|attempt| {
        attempt_to_prove((mask, &transformed), body, secret, noise, context, &entropy, attempt)
    });
    proof.ok_or(Error::Proof)
}

fn attempt_to_prove(
    (mask, transformed): (&[u64], &[u64]),
    body: &[u64],
    secret: &[u64],
    noise: &[i64],
    context: &Digest,
    entropy: &SecretSeed,
    attempt: u32,
) -> Option<Proof> {
    let mut stream = Xof::randomness(JOINT, entropy, Role::JointSeeds, attempt, 0);
    // Where a challenge asks for z and z', the seed behind them gives the secret away.
    let mut seeds: Zeroizing<Vec<RepetitionSeed>> = Zeroizing::new(vec![[0; 32]; REPETITIONS]);
    seeds.iter_mut().for_each(|seed| stream.fill(seed));
    let digests: Vec<Digest> = seeds
        .iter()
        .map(|seed| {
            let (v, w) = masks(seed);
            let (v, w) = (Zeroizing::new(v), Zeroizing::new(w));
            repetition_digest(transformed, &v, &w, None)
        })
        .collect();
    let challenge = challenge(context, mask, body, &digests);
    let (mut told, mut openings) = (Vec::new(), Vec::new());
    for (seed, is_asked) in seeds.iter().zip(Proof::pattern(&challenge)) {
        if !is_asked {
            told.push(*seed);
            continue;
        }
        let (mut v, mut w) = masks(seed);
        v.iter_mut().zip(secret).for_each(|(v, &bit)| *v += bit as i64);
        w.iter_mut().zip(noise).for_each(|(w, &noise)| *w += noise);
        if !accepted(&v, &w) {
            // v and w of a refused answer would narrow the secret down.
            drop((Zeroizing::new(v), Zeroizing::new(w)));
            return None;
        }
        openings.push(Opening::new(v, w));
    }
    Some(Proof::new(challenge, told, openings))
}
