//! Numbers as integers, and wide integers as several narrow ones.
//!
//! What a patient adds to a sum is rounded to a multiple of 2^-32 (of 2^-64 for means and deviations) and summed as an integer. So sums are
//! exact, whatever their order and however the patients are spread over clinics. An overflow is an error and never wraps.
//!
//! A joint sum takes integers of few bits, for each takes its place in a ciphertext: a wide one is written in digits ([`Limbs`]) that leave
//! room for the digits of all clinics to be added without a carry.

use crate::Error;

/// Bits behind the point of losses, gradients and second derivatives.
pub const FRACTION: u32 = 32;
/// Bits behind the point of sums of features and of their squares, which are not standardized yet.
pub const MOMENT_FRACTION: u32 = 64;
/// Bits of the widest total: of [`MOMENT_FRACTION`].
pub const VALUE_BITS: u32 = 127;
/// Bits of a total of [`FRACTION`].
pub(crate) const TOTAL_BITS: u32 = 63;

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

/// What [`fixed`] or a sum of such stands for.
pub(crate) fn float(total: i128) -> f64 {
    total as f64 / (1u64 << FRACTION) as f64
}

/// A number as a multiple of 2^-[`MOMENT_FRACTION`].
pub(crate) fn moment(value: f64) -> Result<i128, Error> {
    if value.abs() >= (1u64 << 60) as f64 || value.is_nan() {
        return Err(Error::Overflow);
    }
    Ok((value * 2f64.powi(MOMENT_FRACTION as i32)).round_ties_even() as i128)
}

/// What [`moment`] or a sum of such stands for.
pub(crate) fn moment_float(total: i128) -> f64 {
    total as f64 / 2f64.powi(MOMENT_FRACTION as i32)
}

/// Integers in digits of base 2^width, each between -2^(width - 1) and 2^(width - 1) - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limbs {
    width: u32,
    count: usize,
}

impl Limbs {
    /// Digits for integers of `bits` bits with their sign, `clinics` of which are added digit by digit to sums of `sum_bits` bits.
    pub fn new(bits: u32, sum_bits: u32, clinics: u32) -> Result<Self, Error> {
        let carry = clinics.max(1).next_power_of_two().trailing_zeros() + 1;
        if !(1..=VALUE_BITS).contains(&bits) || !(carry + 2..=62).contains(&sum_bits) {
            return Err(Error::Setting("joint sums are too narrow for so many clinics"));
        }
        let width = sum_bits - carry;
        // The largest number of c digits is a little below 2^(c width - 1).
        Ok(Self { width, count: (bits + 1).div_ceil(width) as usize })
    }

    /// How many digits an integer has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The digits of all integers, the lowest digits first: all lowest ones, then all second ones, and so on.
    pub fn split(&self, values: &[i128]) -> Result<Vec<i64>, Error> {
        let half = 1i128 << (self.width - 1);
        let mut rest = values.to_vec();
        let mut digits = Vec::with_capacity(values.len() * self.count);
        for _ in 0..self.count {
            for rest in &mut rest {
                let low = *rest & (2 * half - 1);
                let digit = if low >= half { low - 2 * half } else { low };
                // The widest are near the ends of i128.
                *rest = (*rest >> self.width) + i128::from(low >= half);
                digits.push(digit as i64);
            }
        }
        match rest.iter().all(|&rest| rest == 0) {
            true => Ok(digits),
            false => Err(Error::Overflow),
        }
    }

    /// The integers of digits, or the sums of integers of sums of digits.
    pub fn join(&self, digits: &[i64], values: usize) -> Result<Vec<i128>, Error> {
        if Some(digits.len()) != values.checked_mul(self.count) {
            return Err(Error::Totals);
        }
        let mut totals = vec![0i128; values];
        for digits in digits.chunks_exact(values.max(1)).rev() {
            for (total, &digit) in totals.iter_mut().zip(digits) {
                let shifted = total.checked_mul(1 << self.width).ok_or(Error::Overflow)?;
                *total = shifted.checked_add(i128::from(digit)).ok_or(Error::Overflow)?;
            }
        }
        Ok(totals)
    }
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
        assert_eq!(moment(-0.5), Ok(-(1 << 63)));
        assert_eq!(moment(f64::NAN).and(moment(2e18)), Err(Error::Overflow));
    }

    #[test]
    fn joint_sums_of_26_bits_take_three_digits() {
        // What three clinics may have: digits of 23 bits.
        let limbs = Limbs::new(TOTAL_BITS, 26, 3).unwrap();
        assert_eq!(limbs, Limbs { width: 23, count: 3 });
        let largest = [(1i128 << 62) - 1, -(1 << 62)];
        let digits = limbs.split(&largest).unwrap();
        assert!(digits.iter().all(|digit| digit.abs() <= 1 << 22));
        let sums: Vec<i64> = digits.iter().map(|digit| 3 * digit).collect();
        assert!(sums.iter().all(|sum| sum.abs() < 1 << 25));
        assert_eq!(limbs.join(&sums, 2).unwrap(), largest.map(|value| 3 * value));
        assert_eq!(limbs.split(&[1 << 69]), Err(Error::Overflow));
        assert_eq!(limbs.join(&digits[1..], 2), Err(Error::Totals));
        assert!(Limbs::new(63, 4, 16).is_err() && Limbs::new(128, 26, 3).is_err());
        // Too large to be put together: an error, not a number that wrapped.
        let wide = Limbs::new(VALUE_BITS, 40, 2).unwrap();
        assert_eq!(wide.join(&vec![i64::MAX; wide.count()], 1), Err(Error::Overflow));
    }

    proptest! {
        #[test]
        fn sums_of_digits_are_digits_of_sums(
            values in prop::collection::vec(prop::collection::vec(any::<i64>(), 3), 1..9),
            shift in 0u32..58, sum_bits in 8u32..40,
        ) {
            let limbs = Limbs::new(VALUE_BITS, sum_bits, values.len() as u32).unwrap();
            let mut sums = vec![0i64; 3 * limbs.count()];
            let mut totals = [0i128; 3];
            for values in &values {
                let values: Vec<i128> = values.iter().map(|&value| i128::from(value) << shift).collect();
                for (sum, digit) in sums.iter_mut().zip(limbs.split(&values).unwrap()) {
                    *sum += digit;
                }
                totals.iter_mut().zip(&values).for_each(|(total, value)| *total += value);
            }
            prop_assert!(sums.iter().all(|sum| sum.abs() < 1 << (sum_bits - 1)));
            prop_assert_eq!(limbs.join(&sums, 3).unwrap(), totals);
        }
    }
}
