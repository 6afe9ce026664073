//! Numbers as integers: multiples of 2^-32, to which each patient's part of a sum is rounded before it is summed. So sums are exact,
//! whatever their order and however the patients are spread over clinics. An overflow is an error and never wraps.

use crate::Error;

/// Bits behind the point.
pub const FRACTION: u32 = 32;

/// The largest sum of one clinic, in size: the widest that joint sums take is twice that. So the totals of 16 clinics stay below 2^61.
pub const SUM_BOUND: u64 = 1 << 57;

/// The most patients of a kind that a clinic may have.
pub const COUNT_BOUND: u64 = 1 << 20;

/// A number as a multiple of 2^-[`FRACTION`], rounded to the nearest one.
#[inline]
pub(crate) fn fixed(value: f64) -> Result<i64, Error> {
    // Added and subtracted, it leaves the nearest whole number of what is below 2^51 in size, ties to even.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    let scaled = value * (1u64 << FRACTION) as f64;
    if scaled.abs() < (1u64 << 51) as f64 {
        Ok((scaled + SHIFT - SHIFT) as i64)
    } else {
        Err(Error::Overflow)
    }
}

/// Adds one.
#[inline]
pub(crate) fn accumulate(sum: &mut i64, value: f64) -> Result<(), Error> {
    *sum = sum.checked_add(fixed(value)?).ok_or(Error::Overflow)?;
    Ok(())
}

/// What [`fixed`] or a sum of such stands for.
pub(crate) fn float(total: i64) -> f64 {
    total as f64 / (1u64 << FRACTION) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rounding_is_to_the_nearest() {
        let step = 1.0 / (1u64 << 32) as f64;
        assert_eq!(fixed(1.0), Ok(1 << 32));
        assert_eq!(fixed(-2.5 * step), Ok(-2));
        assert_eq!(fixed(3.5 * step), Ok(4));
        assert_eq!(fixed(0.49 * step), Ok(0));
        for far in [600_000.0, -600_000.0, f64::NAN, f64::INFINITY] {
            assert_eq!(fixed(far), Err(Error::Overflow));
        }
        let mut sum = i64::MAX - 5;
        assert_eq!(accumulate(&mut sum, 6.0 * step), Err(Error::Overflow));
        assert_eq!((accumulate(&mut sum, 5.0 * step), sum), (Ok(()), i64::MAX));
    }

    proptest! {
        #[test]
        fn no_number_moves_by_more_than_half_a_step(value in -500_000.0f64..500_000.0) {
            let back = float(fixed(value).unwrap());
            prop_assert!((back - value).abs() <= 0.5 / (1u64 << 32) as f64 + value.abs() * f64::EPSILON);
        }
    }
}
