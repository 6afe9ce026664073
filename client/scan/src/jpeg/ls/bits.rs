//! The bits of a scan. A byte after 0xff has seven: its first bit is 0, so that it makes no marker.

/// The bits that are still to be read.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    is_after_ff: bool,
    /// The next bits, the first one on top, zeros below.
    next: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// The bits of coded data in which there is no marker.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, is_after_ff: false, next: 0, count: 0 }
    }

    fn fill(&mut self) {
        while self.count <= 56 {
            let [byte, rest @ ..] = self.bytes else { return };
            let bits = if self.is_after_ff { 7 } else { 8 };
            self.next |= u64::from(*byte) << (64 - bits - self.count);
            self.count += bits;
            self.is_after_ff = *byte == 0xff;
            self.bytes = rest;
        }
    }

    fn skip(&mut self, count: u32) {
        self.next <<= count;
        self.count -= count;
    }

    /// The next bits as a number, up to 32.
    pub(super) fn read(&mut self, count: u32) -> Option<u32> {
        debug_assert!(count <= 32);
        if self.count < count {
            self.fill();
        }
        if self.count < count {
            return None;
        }
        let number = (self.next >> 32 >> (32 - count)) as u32;
        self.skip(count);
        Some(number)
    }

    /// How many zeros there are in front of the next one, which is read too; not more than so many.
    fn zeros(&mut self, most: u32) -> Option<u32> {
        let mut before = 0;
        loop {
            self.fill();
            let zeros = self.next.leading_zeros();
            if zeros < self.count {
                self.skip(zeros);
                self.skip(1);
                return Some(before + zeros).filter(|zeros| *zeros <= most);
            }
            before += self.count;
            if self.count == 0 || before > most {
                return None;
            }
            self.skip(self.count - 1);
            self.skip(1);
        }
    }

    /// A Golomb code with `k` low bits, of at most `limit` bits (T.87, A.5.3).
    pub(super) fn golomb(&mut self, k: u32, limit: u32, error_bits: u32) -> Option<i32> {
        let most = limit.checked_sub(error_bits + 1)?;
        let zeros = self.zeros(most)?;
        let number = if zeros == most {
            u64::from(self.read(error_bits)?) + 1
        } else {
            u64::from(zeros) << k | u64::from(self.read(k)?)
        };
        // No sound stream has errors beyond its range; so nothing that is added up of them overflows.
        Some(number).filter(|number| *number < 1 << 17).map(|number| number as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_after_ff_has_seven_bits() {
        let mut bits = Bits::new(&[0xff, 0x7f, 0x80]);
        assert_eq!((bits.read(15), bits.read(8), bits.read(1)), (Some(0x7fff), Some(0x80), None));
        let mut bits = Bits::new(&[0xff, 0x00, 0x01]);
        assert_eq!(
            (bits.read(8), bits.read(0), bits.zeros(20), bits.zeros(20)),
            (Some(0xff), Some(0), Some(14), None)
        );
    }

    #[test]
    fn zeros_are_counted_over_any_length_but_not_beyond_their_limit() {
        let mut long = [0; 12];
        long[11] = 1;
        assert_eq!(Bits::new(&long).zeros(95), Some(95));
        assert_eq!(Bits::new(&long).zeros(94), None);
        assert_eq!(Bits::new(&[0; 12]).zeros(200), None);
    }

    #[test]
    fn golomb_codes_escape_at_their_limit() {
        // 00 1 01: two times four and one.
        assert_eq!(Bits::new(&[0b0010_1000]).golomb(2, 32, 8), Some(9));
        // 23 zeros, 1, and eight bits of the number less one.
        assert_eq!(Bits::new(&[0, 0, 1, 0xff]).golomb(2, 32, 8), Some(256));
        assert_eq!(Bits::new(&[0, 0, 0, 0xff]).golomb(2, 32, 8), None);
        assert_eq!(Bits::new(&[1, 0xff, 0x7f, 0xff, 0x7f]).golomb(20, 64, 16), None, "beyond every range");
    }
}
