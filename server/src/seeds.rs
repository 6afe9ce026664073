//! Response seeds: where the secret randomness of every response comes from.
//!
//! A seed is HMAC-SHA-256 under a key drawn at boot, over fresh entropy from the operating system, the digests of
//! the request and a counter. So it stays unpredictable if one of boot key and entropy is good, and two responses
//! differ even after a fork or a restored snapshot of the machine.

use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tiresias_evidence::{Hash, commitment};
use tiresias_keys::{Digest, xof::SecretSeed};
use zeroize::Zeroizing;

use crate::log::Seed;

/// The seed of one response, a copy that can be kept, and the commitment to it that its leaf has.
pub(crate) struct ResponseSeed {
    pub(crate) seed: SecretSeed,
    pub(crate) copy: Seed,
    pub(crate) commitment: Hash,
}

pub(crate) struct ResponseSeeds {
    boot_key: Zeroizing<[u8; 32]>,
    counter: AtomicU64,
}

impl ResponseSeeds {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut boot_key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *boot_key)?;
        Ok(Self { boot_key, counter: AtomicU64::new(0) })
    }

    /// A seed for one response to the request whose elements have these digests.
    pub(crate) fn next<'a>(
        &self,
        request: impl Iterator<Item = &'a Digest>,
    ) -> Result<ResponseSeed, getrandom::Error> {
        let copy: Seed = Box::new(Zeroizing::new(self.draw(request)?));
        let commitment = commitment::randomness(&copy);
        Ok(ResponseSeed { seed: SecretSeed::from_bytes(**copy), copy, commitment })
    }

    fn draw<'a>(&self, request: impl Iterator<Item = &'a Digest>) -> Result<[u8; 32], getrandom::Error> {
        let mut entropy = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *entropy)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.boot_key).expect("HMAC takes keys of any length");
        mac.update(b"tiresias/seed/v1");
        mac.update(&*entropy);
        mac.update(&self.counter.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        request.for_each(|digest| mac.update(digest.as_bytes()));
        Ok(mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw_many(seeds: &ResponseSeeds, count: usize) -> Vec<[u8; 32]> {
        let request = [Digest::of(b"request")];
        (0..count).map(|_| seeds.draw(request.iter()).unwrap()).collect()
    }

    fn distinct(mut seeds: Vec<[u8; 32]>) -> usize {
        seeds.sort_unstable();
        seeds.dedup();
        seeds.len()
    }

    #[test]
    fn a_million_seeds_for_one_request_never_repeat() {
        let seeds = ResponseSeeds::new().unwrap();
        assert_eq!(distinct(draw_many(&seeds, 1_000_000)), 1_000_000);
    }

    #[test]
    fn a_fork_or_a_restored_snapshot_draws_other_seeds() {
        let original = ResponseSeeds::new().unwrap();
        draw_many(&original, 100);
        let boot_key = original.boot_key.clone();
        let copy = ResponseSeeds { boot_key, counter: AtomicU64::new(100) };
        assert_eq!(original.counter.load(Ordering::Relaxed), copy.counter.load(Ordering::Relaxed));
        let seeds = [draw_many(&original, 10_000), draw_many(&copy, 10_000)].concat();
        assert_eq!(distinct(seeds), 20_000, "the operating system's entropy keeps them apart");
    }
}
