//! One expandable-output function for everything that is expanded from a seed: SHA-256 makes a key from a role and
//! its context, AES-256 in counter mode makes the stream (NIST SP 800-38A; counter block from zero, big endian).
//!
//! The role byte keeps streams apart for good: no two uses in this project can share a key, whatever the seeds are.

use aes::Aes256;
use ctr::cipher::{KeyIvInit, StreamCipher};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{ConfigId, KeyId, Parameters, Seed};

/// What a stream is for. The code is hashed into its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Role {
    /// The mask a of the ciphertext that carries the features.
    FeaturesMask = 1,
    /// The mask a' of the encryption of zero that re-randomizes responses.
    ZeroMask = 2,
    /// The client's noise e for the features.
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
}

/// The seed of secret randomness: 32 bytes that are wiped on drop and never shown. Not `Copy`, not `Clone`.
pub struct SecretSeed(Zeroizing<[u8; 32]>);

impl SecretSeed {
    /// Wraps 32 bytes of entropy. The caller wipes its own copy.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
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
            .chain_update(b"tiresias/mask/v1")
            .chain_update([parameters.code(), role as u8])
            .chain_update(config.as_bytes())
            .chain_update(key.as_bytes())
            .chain_update(index.to_le_bytes())
            .chain_update(gateway_seed.as_bytes())
            .chain_update(client_seed.as_bytes())
            .finalize();
        Self::keyed(key.into())
    }

    /// The stream of secret randomness: keyed by a secret seed, a role, and the group and item it is used for.
    #[must_use]
    pub fn randomness(seed: &SecretSeed, role: Role, group: u32, item: u32) -> Self {
        let key = Sha256::new()
            .chain_update(b"tiresias/rand/v1")
            .chain_update([role as u8])
            .chain_update(*seed.0)
            .chain_update(group.to_le_bytes())
            .chain_update(item.to_le_bytes())
            .finalize();
        Self::keyed(key.into())
    }

    fn keyed(key: [u8; 32]) -> Self {
        let key = Zeroizing::new(key);
        let cipher = ctr::Ctr128BE::<Aes256>::new((&*key).into(), &[0; 16].into());
        Self { cipher, buffer: Zeroizing::new(Vec::new()) }
    }

    /// Samples `out.len()` residues uniform in \[0, q) by rejection: each draw is the low bits of one little-endian
    /// 64-bit word of the stream; draws of q or more are skipped. For a prime just below 2^50 that is about one draw
    /// in 2^36.
    pub fn uniform(&mut self, parameters: &Parameters, out: &mut [u64]) {
        let mut filled = 0;
        while filled < out.len() {
            let wanted = out.len() - filled;
            let bytes = self.stream(wanted * 8);
            filled += accept_uniform(bytes, parameters, &mut out[filled..]);
        }
    }

    /// Samples TUniform(b) for each word of `out`, as a signed integer: uniform on \[-2^b, 2^b\] with the two ends
    /// at half weight (tfhe's bounded noise). One draw takes b + 2 bits, the low bits of the smallest little-endian
    /// word of 1, 2, 4 or 8 bytes that holds them.
    pub fn tuniform(&mut self, bound_log2: u32, out: &mut [i64]) {
        let bits = bound_log2 + 2;
        debug_assert!(bits <= 62);
        let width = [1, 2, 4, 8].into_iter().find(|bytes| bytes * 8 >= bits).unwrap_or(8) as usize;
        let bytes = self.stream(out.len() * width);
        let draw = |word: u64| {
            let low = word & ((1 << (bound_log2 + 1)) - 1);
            (low + (word >> (bound_log2 + 1) & 1)) as i64 - (1 << bound_log2)
        };
        match width {
            1 => out.iter_mut().zip(bytes).for_each(|(o, &b)| *o = draw(u64::from(b))),
            2 => words(bytes, out, |chunk| draw(u64::from(u16::from_le_bytes(chunk)))),
            4 => words(bytes, out, |chunk| draw(u64::from(u32::from_le_bytes(chunk)))),
            _ => words(bytes, out, |chunk| draw(u64::from_le_bytes(chunk))),
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

/// Fills `out` from the front with the accepted draws of `bytes` and returns how many there were.
fn accept_uniform(bytes: &[u8], parameters: &Parameters, out: &mut [u64]) -> usize {
    let mask = (1_u64 << parameters.modulus_bits()) - 1;
    let mut accepted = 0;
    for chunk in bytes.as_chunks::<8>().0 {
        let draw = u64::from_le_bytes(*chunk) & mask;
        if let Some(slot) = out.get_mut(accepted) {
            *slot = draw;
        }
        accepted += usize::from(draw < parameters.modulus());
    }
    accepted
}

fn words<const W: usize>(bytes: &[u8], out: &mut [i64], draw: impl Fn([u8; W]) -> i64) {
    out.iter_mut().zip(bytes.as_chunks::<W>().0).for_each(|(slot, chunk)| *slot = draw(*chunk));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::N2048_Q50;

    fn seed(byte: u8) -> Seed {
        Seed::from_bytes([byte; 32])
    }

    #[test]
    fn a_rejected_draw_is_skipped_and_the_next_one_moves_up() {
        let q = N2048_Q50.modulus();
        let high = 0xffff << 50; // bits above the modulus are ignored
        let draws = [5, q, q - 1, u64::MAX, q + 16_382, high | 7];
        let bytes: Vec<u8> = draws.iter().flat_map(|draw| draw.to_le_bytes()).collect();
        let mut out = [0; 6];
        assert_eq!(accept_uniform(&bytes, &N2048_Q50, &mut out), 3);
        assert_eq!(out[..3], [5, q - 1, 7]);
    }

    #[test]
    fn every_part_of_the_context_separates_streams() {
        let config = ConfigId::of_card(b"card");
        let key = KeyId::request_scoped(&N2048_Q50, &seed(1));
        let first = |role, config: &ConfigId, key: &KeyId, index, gateway, client| {
            let mut out = [0; 4];
            Xof::mask(&N2048_Q50, role, config, key, index, &seed(gateway), &seed(client))
                .uniform(&N2048_Q50, &mut out);
            out
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
        ];
        for (i, a) in streams.iter().enumerate() {
            assert!(streams[..i].iter().all(|b| a != b), "stream {i} repeats an earlier one");
        }
    }

    #[test]
    fn tuniform_is_bounded_reaches_its_ends_and_has_the_right_variance() {
        for (bound, samples) in [(3_u32, 200_000_usize), (10, 400_000), (20, 200_000), (40, 100_000)] {
            let mut out = vec![0; samples];
            Xof::randomness(&SecretSeed::from_bytes([9; 32]), Role::Flood, bound, 0)
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
