//! One expandable-output function for everything that is expanded from a seed: SHA-256 makes a key from a role and
//! its context, AES-256 in counter mode makes the stream (NIST SP 800-38A; counter block from zero, big endian).
//!
//! The role byte keeps streams apart for good: no two uses in this project can share a key, whatever the seeds are.

use aes::Aes256;
use ctr::cipher::{KeyIvInit, StreamCipher};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{BootstrapParameters, ConfigId, KeyId, Parameters, Seed, parameters::RESIDUE_BITS, vectorized};

/// What a stream is for. The code is hashed into its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Role {
    /// The masks a of the ciphertexts that carry the features.
    FeaturesMask = 1,
    /// The mask a' of the encryption of zero that re-randomizes responses.
    ZeroMask = 2,
    /// The client's noise e for the features, one stream a ciphertext.
    FeaturesNoise = 3,
    /// The client's noise e' for the encryption of zero.
    ZeroNoise = 4,
    /// The gateway's secret u.
    Rerandomizer = 5,
    /// The gateway's mask noise e1.
    MaskNoise = 6,
    /// The gateway's body noise e2.
    BodyNoise = 7,
    /// The gateway's flooding noise.
    Flood = 8,
    /// The masks of an evaluation key's blind rotation, one stream a row.
    RotationMask = 9,
    /// The masks of an evaluation key's keyswitch, one stream a coefficient.
    KeyswitchMask = 10,
    /// The client's noise in the former.
    RotationNoise = 11,
    /// The client's noise in the latter.
    KeyswitchNoise = 12,
    /// The masks of a cohort's run, one stream a feature.
    CohortMask = 13,
    /// The client's noise in a block of a cohort, one stream a feature.
    CohortNoise = 14,
    /// The mask that all clinics of a joint sum have in common.
    JointMask = 15,
    /// Which repetitions of a proof a challenge asks for.
    JointChallenge = 16,
    /// The masks in one repetition of a proof.
    JointProof = 17,
    /// A clinic's noise e_i in its share of a joint key.
    JointKeyNoise = 18,
    /// A clinic's mask noise e1 in a submission, one stream a block.
    JointMaskNoise = 19,
    /// A clinic's body noise e2 in a submission, one stream a block.
    JointBodyNoise = 20,
    /// The smudge on a clinic's share of an opening, one stream a block.
    JointSmudge = 21,
    /// The seeds of a proof's repetitions, one stream an attempt.
    JointSeeds = 23,
}

/// The seed of secret randomness: 32 bytes that are wiped on drop and never shown. Not `Copy`, not `Clone`; they stay at one
/// place, so that a move leaves none behind.
pub struct SecretSeed(Box<Zeroizing<[u8; 32]>>);

impl SecretSeed {
    /// Wraps 32 bytes of entropy. The caller wipes its own copy.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Box::new(Zeroizing::new(bytes)))
    }

    /// A seed that `fill` writes, of which there is no other copy.
    pub fn draw<E>(fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut seed = Self::from_bytes([0; 32]);
        fill(seed.0.as_mut_slice())?;
        Ok(seed)
    }
}

impl std::fmt::Debug for SecretSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretSeed").finish_non_exhaustive()
    }
}

/// A keyed stream of pseudo-random bytes. Its state and buffer are wiped on drop.
pub struct Xof {
    cipher: ctr::Ctr128BE<Aes256>,
    buffer: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Xof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Xof").finish_non_exhaustive()
    }
}

impl Xof {
    /// The stream of a public mask: keyed by the parameter set, role, card, key, ciphertext index and both parties'
    /// seeds, so that neither the client nor the gateway chooses a mask.
    #[must_use]
    pub fn mask(
        parameters: &Parameters,
        role: Role,
        config: &ConfigId,
        key: &KeyId,
        index: u32,
        gateway_seed: &Seed,
        client_seed: &Seed,
    ) -> Self {
        let key = Sha256::new()
            .chain_update(b"tiresias/mask/v2")
            .chain_update([parameters.code(), role as u8])
            .chain_update(config.as_bytes())
            .chain_update(key.as_bytes())
            .chain_update(index.to_le_bytes())
            .chain_update(gateway_seed.as_bytes())
            .chain_update(client_seed.as_bytes())
            .finalize();
        Self::keyed(key.into())
    }

    /// The stream of an evaluation key's public masks: keyed by the parameter set, role, index and the key's seed.
    #[must_use]
    pub fn evaluation_key(parameters: &BootstrapParameters, role: Role, index: u32, seed: &Seed) -> Self {
        let key = Sha256::new()
            .chain_update(b"tiresias/evaluation-key/v2")
            .chain_update([parameters.code(), role as u8])
            .chain_update(index.to_le_bytes())
            .chain_update(seed.as_bytes())
            .finalize();
        Self::keyed(key.into())
    }

    /// The stream of secret randomness: keyed by the parameter set, a secret seed, a role, and the group (in a
    /// request: the ciphertext) and item it is used for.
    #[must_use]
    pub fn randomness(parameters: &Parameters, seed: &SecretSeed, role: Role, group: u32, item: u32) -> Self {
        let key = Sha256::new()
            .chain_update(b"tiresias/rand/v2")
            .chain_update([parameters.code(), role as u8])
            .chain_update(seed.0.as_slice())
            .chain_update(group.to_le_bytes())
            .chain_update(item.to_le_bytes())
            .finalize();
        Self::keyed(key.into())
    }

    /// A stream of joint sums: keyed by the parameter set, role, index and a digest or seed.
    #[must_use]
    pub fn joint(parameters: &Parameters, role: Role, index: u32, of: &[u8; 32]) -> Self {
        let key = Sha256::new()
            .chain_update(b"tiresias/joint/v1")
            .chain_update([parameters.code(), role as u8])
            .chain_update(index.to_le_bytes())
            .chain_update(of)
            .finalize();
        Self::keyed(key.into())
    }

    fn keyed(key: [u8; 32]) -> Self {
        let key = Zeroizing::new(key);
        let cipher = ctr::Ctr128BE::<Aes256>::new((&*key).into(), &[0; 16].into());
        Self { cipher, buffer: Zeroizing::new(Vec::new()) }
    }

    /// A polynomial uniform modulo q: N residues for each prime, one prime after the other, by rejection. Each draw is
    /// the low 50 bits of the next little-endian 64-bit word of the stream; draws of the prime or more are skipped.
    /// For a prime just below 2^50 that is about one draw in 2^36.
    #[must_use]
    pub fn uniform(&mut self, parameters: &Parameters) -> Vec<u64> {
        let mut out = vec![0; parameters.polynomial_words()];
        for (residues, &prime) in out.chunks_exact_mut(parameters.polynomial_size()).zip(parameters.primes())
        {
            let mut filled = 0;
            while filled < residues.len() {
                let bytes = self.stream((residues.len() - filled) * 8);
                filled += accept_uniform(bytes, prime, &mut residues[filled..]);
            }
        }
        out
    }

    /// Words uniform modulo 2^`bits`: the low bits of the next little-endian 64-bit words.
    pub fn uniform_bits(&mut self, bits: u32, out: &mut [u64]) {
        let mask = u64::MAX >> (64 - bits);
        let bytes = self.stream(out.len() * 8).as_chunks::<8>().0;
        out.iter_mut().zip(bytes).for_each(|(word, bytes)| *word = u64::from_le_bytes(*bytes) & mask);
    }

    /// Words uniform modulo 2^32, little-endian.
    pub fn uniform_words(&mut self, out: &mut [u32]) {
        let bytes = self.stream(out.len() * 4);
        out.iter_mut()
            .zip(bytes.as_chunks::<4>().0)
            .for_each(|(word, bytes)| *word = u32::from_le_bytes(*bytes));
    }

    /// The next bytes of the stream.
    pub fn fill(&mut self, out: &mut [u8]) {
        out.copy_from_slice(self.stream(out.len()));
    }

    /// Samples TUniform(b) for each word of `out`, as a signed integer: uniform on \[-2^b, 2^b\] with the two ends
    /// at half weight (tfhe's bounded noise). One draw takes b + 2 bits, the low bits of the smallest little-endian
    /// word of 1, 2, 4 or 8 bytes that holds them.
    pub fn tuniform(&mut self, bound_log2: u32, out: &mut [i64]) {
        debug_assert!(bound_log2 <= 60);
        let width = draw_bytes(bound_log2);
        let bytes = self.stream(out.len() * width);
        vectorized(
            #[inline(always)]
            || match width {
                1 => draw_each(bound_log2, bytes, out, |[byte]| u64::from(byte)),
                2 => draw_each(bound_log2, bytes, out, |chunk| u64::from(u16::from_le_bytes(chunk))),
                4 => draw_each(bound_log2, bytes, out, |chunk| u64::from(u32::from_le_bytes(chunk))),
                _ => draw_each(bound_log2, bytes, out, u64::from_le_bytes),
            },
        );
    }

    /// As [`Xof::tuniform`], for bounds up to 2^125: draws of more than 64 bits take words of 16 bytes.
    pub fn tuniform_wide(&mut self, bound_log2: u32, out: &mut [i128]) {
        debug_assert!(bound_log2 <= 125);
        let width = draw_bytes(bound_log2);
        let bytes = self.stream(out.len() * width);
        for (slot, chunk) in out.iter_mut().zip(bytes.chunks_exact(width)) {
            let word = chunk.iter().rev().fold(0_u128, |word, &byte| word << 8 | u128::from(byte));
            let low = word & ((1 << (bound_log2 + 1)) - 1);
            *slot = (low + (word >> (bound_log2 + 1) & 1)) as i128 - (1 << bound_log2);
        }
    }

    /// The next `len` bytes of the stream.
    fn stream(&mut self, len: usize) -> &[u8] {
        self.buffer.clear();
        self.buffer.resize(len, 0);
        self.cipher.apply_keystream(&mut self.buffer);
        &self.buffer
    }
}

/// Bytes of the word that one draw of TUniform(b) is taken from: the smallest of 1, 2, 4, 8, 16 with b + 2 bits.
fn draw_bytes(bound_log2: u32) -> usize {
    (bound_log2 + 2).div_ceil(8).next_power_of_two() as usize
}

/// Fills `out` from the front with the accepted draws of `bytes` and returns how many there were.
fn accept_uniform(bytes: &[u8], prime: u64, out: &mut [u64]) -> usize {
    let (words, mask) = (bytes.as_chunks::<8>().0, (1 << RESIDUE_BITS) - 1);
    // Nearly always none is skipped, and then this is a plain copy.
    let below = vectorized(
        #[inline(always)]
        || {
            out.iter_mut().zip(words).fold(u64::MAX, |below, (slot, word)| {
                *slot = u64::from_le_bytes(*word) & mask;
                below & slot.wrapping_sub(prime)
            })
        },
    );
    if words.len() <= out.len() && below >> 63 == 1 {
        return words.len();
    }
    let mut accepted = 0;
    for draw in words.iter().map(|word| u64::from_le_bytes(*word) & mask) {
        if let Some(slot) = out.get_mut(accepted) {
            *slot = draw;
        }
        accepted += usize::from(draw < prime);
    }
    accepted
}

/// Draws of TUniform(b) from the words of a stream.
#[inline(always)]
fn draw_each<const W: usize>(bound_log2: u32, bytes: &[u8], out: &mut [i64], word: impl Fn([u8; W]) -> u64) {
    for (slot, chunk) in out.iter_mut().zip(bytes.as_chunks::<W>().0) {
        let word = word(*chunk);
        let low = word & ((1 << (bound_log2 + 1)) - 1);
        *slot = (low + (word >> (bound_log2 + 1) & 1)) as i64 - (1 << bound_log2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::{N2048_Q50, N4096_Q100};

    fn seed(byte: u8) -> Seed {
        Seed::from_bytes([byte; 32])
    }

    #[test]
    fn a_rejected_draw_is_skipped_and_the_next_one_moves_up() {
        let q = N2048_Q50.primes()[0];
        let high = 0xffff << 50; // bits above the modulus are ignored
        let draws = [5, q, q - 1, u64::MAX, q + 16_382, high | 7];
        let bytes: Vec<u8> = draws.iter().flat_map(|draw| draw.to_le_bytes()).collect();
        let mut out = [0; 6];
        assert_eq!(accept_uniform(&bytes, q, &mut out), 3);
        assert_eq!(out[..3], [5, q - 1, 7]);
    }

    #[test]
    fn every_part_of_the_context_separates_streams() {
        let config = ConfigId::of_card(b"card");
        let key = KeyId::request_scoped(&N2048_Q50, &seed(1));
        let first = |role, config: &ConfigId, key: &KeyId, index, gateway, client| {
            Xof::mask(&N2048_Q50, role, config, key, index, &seed(gateway), &seed(client)).uniform(&N2048_Q50)
        };
        let other_key = KeyId::request_scoped(&N2048_Q50, &seed(2));
        let streams = [
            first(Role::FeaturesMask, &config, &key, 0, 1, 1),
            first(Role::ZeroMask, &config, &key, 0, 1, 1),
            first(Role::FeaturesMask, &ConfigId::of_card(b"other"), &key, 0, 1, 1),
            first(Role::FeaturesMask, &config, &other_key, 0, 1, 1),
            first(Role::FeaturesMask, &config, &key, 1, 1, 1),
            first(Role::FeaturesMask, &config, &key, 0, 2, 1),
            first(Role::FeaturesMask, &config, &key, 0, 1, 2),
            Xof::mask(&N4096_Q100, Role::FeaturesMask, &config, &key, 0, &seed(1), &seed(1))
                .uniform(&N2048_Q50),
        ];
        for (i, a) in streams.iter().enumerate() {
            assert!(streams[..i].iter().all(|b| a != b), "stream {i} repeats an earlier one");
        }
    }

    #[test]
    fn both_residues_of_a_uniform_polynomial_come_from_one_stream() {
        let stream = || Xof::randomness(&N4096_Q100, &SecretSeed::from_bytes([8; 32]), Role::Flood, 0, 0);
        let uniform = stream().uniform(&N4096_Q100);
        let words = stream()
            .stream(8192 * 8)
            .as_chunks()
            .0
            .iter()
            .map(|&word| u64::from_le_bytes(word))
            .collect::<Vec<_>>();
        // No draw of this stream is rejected.
        assert!(uniform.iter().zip(words).all(|(residue, word)| *residue == word & ((1 << 50) - 1)));
    }

    #[test]
    fn wide_samples_continue_the_narrow_ones_and_stay_within_their_bound() {
        let stream = || Xof::randomness(&N4096_Q100, &SecretSeed::from_bytes([8; 32]), Role::Flood, 0, 0);
        for bound in [3, 10, 24, 40, 60] {
            let (mut narrow, mut wide) = ([0; 50], [0; 50]);
            stream().tuniform(bound, &mut narrow);
            stream().tuniform_wide(bound, &mut wide);
            assert_eq!(narrow.map(i128::from), wide);
        }
        for bound in [62, 63, 75, 97] {
            let mut wide = [0; 1000];
            stream().tuniform_wide(bound, &mut wide);
            let limit = 1_i128 << bound;
            assert!(wide.iter().all(|sample| (-limit..=limit).contains(sample)));
            assert!(
                wide.iter().any(|sample| *sample > limit / 2)
                    && wide.iter().any(|sample| *sample < -limit / 2)
            );
        }
    }

    #[test]
    fn tuniform_is_bounded_reaches_its_ends_and_has_the_right_variance() {
        for (bound, samples) in [(3_u32, 200_000_usize), (10, 400_000), (20, 200_000), (40, 100_000)] {
            let mut out = vec![0; samples];
            Xof::randomness(&N2048_Q50, &SecretSeed::from_bytes([9; 32]), Role::Flood, bound, 0)
                .tuniform(bound, &mut out);
            let limit = 1_i64 << bound;
            assert!(out.iter().all(|sample| (-limit..=limit).contains(sample)));
            if bound <= 10 {
                assert!(out.contains(&limit) && out.contains(&-limit));
            }
            let mean_square = out.iter().map(|&x| (x as f64).powi(2)).sum::<f64>() / samples as f64;
            let variance = (2_f64.powi(2 * bound as i32 + 1) + 1.0) / 6.0;
            assert!(
                (mean_square / variance - 1.0).abs() < 0.02,
                "TUniform({bound}): {}",
                mean_square / variance
            );
        }
    }
}
