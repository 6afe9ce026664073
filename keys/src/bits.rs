//! Packed bit strings: value i of width w occupies bits \[i*w, (i+1)*w), bit b being bit b mod 8 (least significant
//! first) of byte b div 8. Unused bits of the last byte are zero.
#![warn(clippy::indexing_slicing)]

use crate::Error;

/// The widest value that [`pack`] and [`unpack`] handle: one unaligned 64-bit load covers it.
pub const MAXIMUM_WIDTH: u32 = 57;

/// Bytes that `count` values of `width` bits occupy.
#[must_use]
pub fn packed_len(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends `values`, each below 2^`width`, to `out`.
pub fn pack(values: &[u64], width: u32, out: &mut Vec<u8>) {
    debug_assert!((1..=MAXIMUM_WIDTH).contains(&width));
    let start = out.len();
    out.resize(start + packed_len(values.len(), width), 0);
    let (words, tail) = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<8>();
    let (mut words, mut pending, mut filled) = (words.iter_mut(), 0_u64, 0);
    for &value in values {
        debug_assert!(value >> width == 0);
        pending |= value << filled;
        filled += width;
        if filled >= 64 {
            if let Some(word) = words.next() {
                *word = pending.to_le_bytes();
            }
            filled -= 64;
            pending = value >> (width - filled);
        }
    }
    let rest = pending.to_le_bytes();
    match words.next() {
        Some(word) => *word = rest,
        None => tail.iter_mut().zip(rest).for_each(|(byte, last)| *byte = last),
    }
}

/// Reads `count` values of `width` bits from exactly [`packed_len`] bytes. Errors with [`Error::NotCanonical`] where
/// a padding bit is set. The caller has checked the length; a wrong one is the same error.
pub fn unpack(bytes: &[u8], count: usize, width: u32) -> Result<Vec<u64>, Error> {
    debug_assert!(width <= MAXIMUM_WIDTH);
    if bytes.len() != packed_len(count, width) {
        return Err(Error::NotCanonical);
    }
    let padding = bytes.len() * 8 - count * width as usize;
    if bytes.last().is_some_and(|&last| padding > 0 && last >> (8 - padding) != 0) {
        return Err(Error::NotCanonical);
    }
    let mask = (1_u64 << width) - 1;
    let word_at = |start: usize| match bytes.get(start..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => {
            let tail = bytes.get(start..).unwrap_or_default();
            tail.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
        }
    };
    Ok((0..count)
        .map(|i| {
            let bit = i * width as usize;
            word_at(bit / 8) >> (bit % 8) & mask
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn unpack_inverts_pack(width in 1..=MAXIMUM_WIDTH, values in prop::collection::vec(any::<u64>(), 0..70)) {
            let values: Vec<u64> = values.into_iter().map(|value| value & ((1 << width) - 1)).collect();
            let mut bytes = Vec::new();
            pack(&values, width, &mut bytes);
            prop_assert_eq!(bytes.len(), packed_len(values.len(), width));
            prop_assert_eq!(unpack(&bytes, values.len(), width).unwrap(), values);
        }
    }

    #[test]
    fn layout_is_least_significant_bit_first() {
        let mut bytes = Vec::new();
        pack(&[0b101, 0b011, 0b110], 3, &mut bytes);
        assert_eq!(bytes, [0b1001_1101, 0b1]);
        assert_eq!(unpack(&[0b1001_1101, 0b11], 3, 3), Err(Error::NotCanonical));
        assert_eq!(unpack(&[0b1001_1101], 3, 3), Err(Error::NotCanonical));
    }
}
