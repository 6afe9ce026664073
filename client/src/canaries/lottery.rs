//! Where canaries come to lie, and which: drawn from the operating system's randomness, once a run.

use tiresias_keys::Digest;
use zeroize::Zeroizing;

use crate::Error;

/// Uniform draws: SHA-256 of a seed and a counter. The seed is drawn by the operating system, and kept and shown nowhere.
pub struct Lottery {
    /// The seed, and behind it the counter.
    block: Zeroizing<[u8; 40]>,
    count: u64,
    words: Vec<u64>,
}

impl Lottery {
    /// A lottery of this run alone.
    pub fn new() -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(tiresias_secret_key::Error::from)?;
        Ok(Self::seeded(&seed))
    }

    /// A lottery that draws the same again: for tests, and for nothing else, because who knows the seed knows the canaries.
    #[doc(hidden)]
    #[must_use]
    pub fn seeded(seed: &[u8; 32]) -> Self {
        let mut block = Zeroizing::new([0; 40]);
        block[..32].copy_from_slice(seed);
        Self { block, count: 0, words: Vec::new() }
    }

    /// Uniform below `bound`, which is 1 or more.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = bound.max(1) as u64;
        // The last, partial round of the residues is drawn again.
        let whole = u64::MAX - u64::MAX % bound;
        loop {
            let word = self.word();
            if word < whole {
                return (word % bound) as usize;
            }
        }
    }

    /// Uniform from `least` to `largest`, both included.
    pub fn between(&mut self, least: i64, largest: i64) -> i64 {
        least + self.below((largest - least).unsigned_abs() as usize + 1) as i64
    }

    /// Puts items in an order that is uniform among all.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// `count` numbers below `bound`, without a repetition before all were drawn.
    pub fn pick(&mut self, count: usize, bound: usize) -> Vec<usize> {
        let mut picked = Vec::with_capacity(count);
        while picked.len() < count && bound > 0 {
            let mut round: Vec<usize> = (0..bound).collect();
            self.shuffle(&mut round);
            round.truncate(count - picked.len());
            picked.append(&mut round);
        }
        picked
    }

    fn word(&mut self) -> u64 {
        if let Some(word) = self.words.pop() {
            return word;
        }
        self.block[32..].copy_from_slice(&self.count.to_le_bytes());
        self.count += 1;
        let digest = Digest::of(self.block.as_slice());
        let words = digest.as_bytes().as_chunks::<8>().0.iter();
        self.words.extend(words.map(|word| u64::from_le_bytes(*word)));
        self.words.pop().unwrap_or_default()
    }
}

impl std::fmt::Debug for Lottery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lottery").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_even_and_two_runs_differ() {
        let mut lottery = Lottery::seeded(&[1; 32]);
        let mut counts = [0_i32; 7];
        for _ in 0..70_000 {
            counts[lottery.below(7)] += 1;
        }
        // Six deviations of a binomial of 70,000 draws at 1/7 are 556.
        assert!(counts.iter().all(|count| (count - 10_000).abs() < 556), "{counts:?}");
        let ends: Vec<i64> = (0..200).map(|_| lottery.between(-1, 1)).collect();
        assert!([-1, 0, 1].iter().all(|end| ends.contains(end)) && ends.iter().all(|end| end.abs() <= 1));
        assert_eq!((lottery.below(1), lottery.between(5, 5)), (0, 5));
        let first = |mut lottery: Lottery| (0..4).map(|_| lottery.word()).collect::<Vec<_>>();
        assert_ne!(first(Lottery::new().unwrap()), first(Lottery::new().unwrap()));
        assert_eq!(first(Lottery::seeded(&[2; 32])), first(Lottery::seeded(&[2; 32])));
    }

    #[test]
    fn nothing_is_picked_twice_before_all_were() {
        let mut lottery = Lottery::seeded(&[3; 32]);
        let picked = lottery.pick(23, 10);
        for round in picked.chunks(10) {
            let mut sorted = round.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), round.len());
        }
        assert_eq!(picked.len(), 23);
        assert_ne!(picked[..10], picked[10..20], "each round has an order of its own");
        assert!(lottery.pick(3, 0).is_empty());
    }
}
