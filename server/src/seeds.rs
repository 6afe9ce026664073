//! Response seeds: where the secret randomness of every response comes from.
//!
//! A seed is HMAC-SHA-256 under a key drawn at boot, over fresh entropy from the operating system, the digests of
//! the request and a counter. So it stays unpredictable if one of boot key and entropy is good, and two responses
//! differ even after a fork or a restored snapshot of the machine.

use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tiresias_keys::{Digest, xof::SecretSeed};
use zeroize::Zeroizing;

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
    ) -> Result<SecretSeed, getrandom::Error> {
        let mut entropy = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *entropy)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.boot_key).expect("HMAC takes keys of any length");
        mac.update(b"tiresias/seed/v1");
        mac.update(&*entropy);
        mac.update(&self.counter.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        request.for_each(|digest| mac.update(digest.as_bytes()));
        Ok(SecretSeed::from_bytes(mac.finalize().into_bytes().into()))
    }
}

#[cfg(test)]
mod tests {
    use tiresias_keys::{
        parameters::N2048_Q50,
        xof::{Role, Xof},
    };

    use super::*;

    #[test]
    fn seeds_never_repeat_for_one_request() {
        let seeds = ResponseSeeds::new().unwrap();
        let request = [Digest::of(b"request")];
        let first_bytes = |seed: SecretSeed| {
            let mut samples = [0; 4];
            Xof::randomness(&N2048_Q50, &seed, Role::Flood, 0, 0).tuniform(60, &mut samples);
            samples
        };
        let mut drawn: Vec<_> = (0..1000).map(|_| first_bytes(seeds.next(request.iter()).unwrap())).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 1000);
    }
}
