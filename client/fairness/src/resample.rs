//! The bootstrap: rows drawn again with replacement, as many as there are, and the statistic of each draw.
//!
//! Draws are fixed by their seed: SplitMix64 (Steele, Lea and Flood 2014), each output times the number of rows, the high
//! 64 bits of the product. So they can be made again in any language.

/// Draws rows.
#[derive(Debug, Clone)]
pub struct Resampler(u64);

impl Resampler {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Draws as many rows as `patterns` has, and counts their patterns.
    pub fn draw(&mut self, patterns: &[u32], weights: &mut [u32]) {
        weights.fill(0);
        for _ in 0..patterns.len() {
            let at = (u128::from(self.next()) * patterns.len() as u128) >> 64;
            weights[patterns[at as usize] as usize] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_those_of_splitmix64() {
        // The first outputs for the seed 1234567, as Vigna's splitmix64.c gives them.
        let mut resampler = Resampler::new(1_234_567);
        let outputs = [(); 3].map(|()| resampler.next());
        assert_eq!(
            outputs,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn draws_keep_the_number_of_rows_and_their_seed() {
        let patterns: Vec<u32> = (0..1000).map(|row| row % 4).collect();
        let mut draws = [[0; 4]; 3];
        for (draw, seed) in draws.iter_mut().zip([1, 1, 2]) {
            Resampler::new(seed).draw(&patterns, draw);
            assert_eq!(draw.iter().sum::<u32>(), 1000);
        }
        assert_eq!(draws[0], draws[1]);
        assert_ne!(draws[0], draws[2]);
        let unlikely = draws[0].iter().any(|count| !(170..330).contains(count));
        assert!(!unlikely, "{draws:?}");
    }
}
