//! The modulus switch from q to 2^r: round(x * 2^r / q) mod 2^r, exactly.

/// A switch between two fixed moduli, without division in its loop.
pub(crate) struct ModulusSwitch {
    modulus: u64,
    bits: u32,
    /// floor(2^(64+r) / q)
    reciprocal: u64,
}

impl ModulusSwitch {
    /// From an odd `modulus` below 2^62 to 2^`bits` below it.
    pub(crate) fn new(modulus: u64, bits: u32) -> Self {
        debug_assert!(modulus >> bits > 0);
        let reciprocal = ((1_u128 << (64 + bits)) / u128::from(modulus)) as u64;
        Self { modulus, bits, reciprocal }
    }

    /// Switches one residue in \[0, q). No tie exists, because q is odd.
    pub(crate) fn apply(&self, residue: u64) -> u64 {
        // The estimate is the floor of x*2^r/q or one less; the remainder tells which, modulo 2^64.
        let estimate = ((u128::from(residue) * u128::from(self.reciprocal)) >> 64) as u64;
        let remainder = (residue << self.bits).wrapping_sub(estimate.wrapping_mul(self.modulus));
        let (half, three_halves) = (self.modulus / 2, self.modulus + self.modulus / 2);
        let rounded = estimate + u64::from(remainder > half) + u64::from(remainder > three_halves);
        rounded & ((1 << self.bits) - 1)
    }
}

#[cfg(test)]
mod tests {
    use tiresias_keys::parameters::N2048_Q50;

    use super::*;

    #[test]
    fn the_two_residues_nearest_to_a_half_round_to_their_own_sides() {
        // x * 2^r mod q = (q-1)/2 and (q+1)/2: one below the half, one above.
        for (bits, above) in [(33, 1_108_306_646_974_721), (37, 1_124_800_328_085_521)] {
            let q = N2048_Q50.modulus();
            for x in [above, q - above] {
                let rounded = ((u128::from(x) << (bits + 1)) + u128::from(q)) / (2 * u128::from(q));
                assert_eq!(ModulusSwitch::new(q, bits).apply(x), rounded as u64 & ((1 << bits) - 1));
            }
        }
    }

    #[test]
    fn switching_is_exact_rounding() {
        let q = N2048_Q50.modulus();
        for bits in [16, 21, 36, 37, 40, 49] {
            let switch = ModulusSwitch::new(q, bits);
            let exact = |x: u64| {
                let rounded = ((u128::from(x) << (bits + 1)) + u128::from(q)) / (2 * u128::from(q));
                rounded as u64 & ((1 << bits) - 1)
            };
            // Ends, the neighbourhood of every rounding boundary in a sample, and a full-range sequence.
            for x in [0, 1, q / 2, q / 2 + 1, q - 2, q - 1] {
                assert_eq!(switch.apply(x), exact(x));
            }
            for i in 0..20_000_u64 {
                let x = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % q;
                let boundary = (((u128::from(exact(x)) * 2 + 1) * u128::from(q)) >> (bits + 1)) as u64;
                for x in [x, boundary.saturating_sub(1), boundary, boundary + 1] {
                    assert_eq!(switch.apply(x % q), exact(x % q), "{x} at {bits}");
                }
            }
        }
    }
}
