//! From words modulo 2^32 to positions on the circle of 2N.

use super::{PreparedKey, keyswitch::SmallLwe};

/// An LWE ciphertext modulo 2N.
pub(super) struct Positions {
    /// n exponents.
    pub(super) mask: Vec<u32>,
    pub(super) body: u32,
}

impl PreparedKey {
    /// The centred modulus switch: mask words are rounded, and half of the sum of their rounding errors is taken from the
    /// body, because a key bit is 1/2 in the mean. The phase then errs by the sum of error_i * (z_i - 1/2), whose
    /// variance is n/48 instead of n/24 (in units of a position).
    pub(super) fn switch(&self, lwe: &SmallLwe) -> Positions {
        let n = self.parameters.glwe().polynomial_size();
        let shift = 32 - (2 * n).ilog2();
        let round = |word: u32| word.wrapping_add(1 << (shift - 1)) >> shift;
        let (mask, body) = lwe.split_at(self.parameters.lwe_dimension());
        let positions: Vec<u32> = mask.iter().map(|&word| round(word)).collect();
        // Each error is below 2^(shift-1) in magnitude; the sum of some hundreds fits 64 bits with room.
        let errors: i64 = (mask.iter().zip(&positions))
            .map(|(&word, &position)| i64::from(word.wrapping_sub(position << shift) as i32))
            .sum();
        let body = body[0].wrapping_sub((errors >> 1) as u32);
        Positions { mask: positions, body: round(body) }
    }
}
