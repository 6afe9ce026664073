//! The public numbers of a head.

use super::{MAXIMUM_CLASSES, MAXIMUM_FEATURES, MAXIMUM_WEIGHTS};
use crate::Error;

/// The public numbers of a linear head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadShape {
    /// Features d.
    pub features: usize,
    /// Classes K.
    pub classes: usize,
    /// Width of a quantized feature, 2 to 8 bits: |x| < 2^(bits-1).
    pub feature_bits: u32,
    /// Width of a quantized weight, 2 to 8 bits: |w| < 2^(bits-1).
    pub weight_bits: u32,
}

impl HeadShape {
    /// The largest |x|: 2^(feature_bits-1) - 1.
    #[must_use]
    pub fn feature_limit(&self) -> i64 {
        (1 << (self.feature_bits - 1)) - 1
    }

    /// The largest |w|: 2^(weight_bits-1) - 1.
    #[must_use]
    pub fn weight_limit(&self) -> i64 {
        (1 << (self.weight_bits - 1)) - 1
    }

    /// Bits t of the widest score: feature_bits + weight_bits - 1 + ceil(log2 d).
    #[must_use]
    pub fn plaintext_bits(&self) -> u32 {
        self.feature_bits + self.weight_bits - 1 + self.features.next_power_of_two().trailing_zeros()
    }

    /// The largest |bias| in score units: what t bits leave beside the largest weighted sum.
    #[must_use]
    pub fn bias_limit(&self) -> i64 {
        let widest_sum = self.features as i64 * self.feature_limit() * self.weight_limit();
        (1 << (self.plaintext_bits() - 1)) - 1 - widest_sum
    }

    /// Errors where a number is out of range.
    pub(super) fn check(&self) -> Result<(), Error> {
        let weights = self.features.saturating_mul(self.classes);
        for (what, rule, holds) in [
            ("features", "1 to 16384", (1..=MAXIMUM_FEATURES).contains(&self.features)),
            ("classes", "1 to 4096", (1..=MAXIMUM_CLASSES).contains(&self.classes)),
            ("features times classes", "at most 8388608", weights <= MAXIMUM_WEIGHTS),
            ("feature bits", "2 to 8", (2..=8).contains(&self.feature_bits)),
            ("weight bits", "2 to 8", (2..=8).contains(&self.weight_bits)),
        ] {
            if !holds {
                return Err(Error::OutOfRange { what, rule });
            }
        }
        Ok(())
    }
}
