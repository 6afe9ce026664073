//! Where random numbers come from: ChaCha20 (RFC 8439) under a seed of 32 bytes, one stream for each purpose and class.
//!
//! A number n of a command line is the seed whose first 8 bytes are n, little endian, and whose others are 0. Uniform
//! numbers are the top 52 bits of 8 bytes plus a half, times 2^-52: never 0 and never 1.

use chacha20::{
    ChaCha20Rng,
    rand_core::{Rng as _, SeedableRng as _},
};
use zeroize::Zeroizing;

/// A seed. Wiped on drop and never shown: with privacy, who knows it can take the noise away again.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// From 32 bytes. The caller wipes its own copy.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<u64> for Seed {
    fn from(number: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Self::from_bytes(bytes)
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seed").finish_non_exhaustive()
    }
}

/// What a stream is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// Features of synthetic rows.
    Sample = 1,
    /// Their order.
    Order = 2,
    /// Noise of counts of rows.
    CountNoise = 3,
    /// Noise of histograms.
    MarginalNoise = 4,
    /// Noise of correlations.
    CorrelationNoise = 5,
    /// Noise of sums that leave the machine.
    ReleaseNoise = 6,
}

/// A stream of random numbers.
pub(crate) struct Stream(ChaCha20Rng);

impl Stream {
    /// The stream of a purpose and class.
    pub(crate) fn new(seed: &Seed, purpose: Purpose, class: usize) -> Self {
        let mut rng = ChaCha20Rng::from_seed(*seed.0);
        rng.set_stream((purpose as u64) << 32 | class as u64);
        Self(rng)
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform between 0 and 1, neither included.
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.word() >> 12) as f64 + 0.5) * 2f64.powi(-52)
    }

    /// Uniform among 0 to `bound` - 1, exactly, by rejection. `bound` is above 0.
    pub(crate) fn below(&mut self, bound: u128) -> u128 {
        let bits = 128 - (bound - 1).leading_zeros();
        let mask = if bits == 0 { 0 } else { u128::MAX >> (128 - bits) };
        loop {
            let mut drawn = u128::from(self.word());
            if bits > 64 {
                drawn |= u128::from(self.word()) << 64;
            }
            if drawn & mask < bound {
                return drawn & mask;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_that_of_rfc_8439() {
        // Appendix A.1, test vector 1: key, nonce and counter of zeros.
        let mut rng = ChaCha20Rng::from_seed([0; 32]);
        assert_eq!(rng.next_u64().to_le_bytes(), [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90]);
    }

    #[test]
    fn streams_differ_and_repeat() {
        let first = |seed: u64, purpose, class| Stream::new(&seed.into(), purpose, class).word();
        let one = first(1, Purpose::Sample, 0);
        assert_eq!(one, first(1, Purpose::Sample, 0));
        for other in [first(2, Purpose::Sample, 0), first(1, Purpose::Order, 0), first(1, Purpose::Sample, 1)]
        {
            assert_ne!(one, other);
        }
        assert!(!format!("{:?}", Seed::from(7)).contains('7'));
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut stream = Stream::new(&3.into(), Purpose::Order, 0);
        assert_eq!(stream.below(1), 0);
        let mut seen = [0; 5];
        for _ in 0..5000 {
            seen[stream.below(5) as usize] += 1;
            let uniform = stream.uniform();
            assert!(uniform > 0.0 && uniform < 1.0);
        }
        assert!(seen.iter().all(|count| (880..1120).contains(count)), "{seen:?}");
        assert!((0..100).any(|_| stream.below(1 << 100) > 1 << 99));
    }
}
