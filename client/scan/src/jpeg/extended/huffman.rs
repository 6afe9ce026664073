//! Huffman codes and the bits that they lie in (T.81, annex F.2.2). After a byte 0xff lies a 0, so that it makes no marker.

/// The bits that are still to be read.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next bits, the first one on top, zeros below.
    next: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// The bits of coded data in which there is no marker.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, next: 0, count: 0 }
    }

    fn fill(&mut self) {
        while self.count <= 56 {
            let [byte, rest @ ..] = self.bytes else { return };
            self.bytes = if *byte == 0xff { rest.strip_prefix(&[0]).unwrap_or(rest) } else { rest };
            self.next |= u64::from(*byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// The next sixteen bits, which are not yet read; zeros behind the end.
    fn peek(&mut self) -> u16 {
        if self.count < 16 {
            self.fill();
        }
        (self.next >> 48) as u16
    }

    /// Reads up to sixteen bits.
    fn read(&mut self, count: u32) -> Option<i32> {
        let bits = self.peek();
        self.count = self.count.checked_sub(count)?;
        self.next <<= count;
        Some(i32::from(bits) >> (16 - count))
    }

    /// A number of so many bits, up to 15, whose sign its first one says.
    pub(super) fn difference(&mut self, bits: u8) -> Option<i32> {
        if bits > 15 {
            return None;
        }
        let number = self.read(bits.into())?;
        match bits {
            0 => Some(0),
            _ if number >> (bits - 1) == 1 => Some(number),
            _ => Some(number - (1 << bits) + 1),
        }
    }
}

/// A table of codes.
#[derive(Debug)]
pub(super) struct Table {
    /// By the next eight bits: the length of a code that short, and its symbol. Length 0 where the code is longer.
    short: [(u8, u8); 256],
    /// By length, from 1: the first code that is longer, its bits on top of seventeen; and the place of the symbol of a
    /// code, less that code.
    ends: [u32; 16],
    offsets: [i32; 16],
    symbols: Vec<u8>,
}

impl Table {
    /// A table by the number of codes of each length. None where there are more codes than fit a length.
    pub(super) fn new(lengths: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut table =
            Self { short: [(0, 0); 256], ends: [0; 16], offsets: [0; 16], symbols: symbols.to_owned() };
        let (mut code, mut place) = (0_u32, 0_usize);
        for (at, count) in lengths.iter().enumerate() {
            let length = at as u32 + 1;
            table.offsets[at] = place as i32 - code as i32;
            for symbol in symbols.get(place..place + usize::from(*count))? {
                if code >= 1 << length {
                    return None;
                }
                if length <= 8 {
                    let first = (code << (8 - length)) as usize;
                    table.short[first..first + (1 << (8 - length))].fill((length as u8, *symbol));
                }
                code += 1;
            }
            place += usize::from(*count);
            table.ends[at] = code << (16 - length);
            code <<= 1;
        }
        Some(table)
    }

    /// The symbol of the next code.
    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> Option<u8> {
        let next = bits.peek();
        if let (length @ 1.., symbol) = self.short[usize::from(next >> 8)] {
            bits.read(length.into())?;
            return Some(symbol);
        }
        let at = self.ends.iter().position(|end| u32::from(next) < *end)?;
        let code = bits.read(at as u32 + 1)?;
        self.symbols.get(usize::try_from(code + self.offsets[at]).ok()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_all_lengths_are_read() {
        // 0, 10, 110, and on to fifteen ones and a zero.
        let table = Table::new(&[1; 16], &(0..16).collect::<Vec<u8>>()).unwrap();
        let mut bits = Bits::new(&[0b0101_1011, 0b1111_1111, 0, 0b1111_1011]);
        let symbols: Vec<_> = std::iter::from_fn(|| table.symbol(&mut bits)).collect();
        assert_eq!(symbols, [0, 1, 2, 15], "and stuffing is passed over");
        let mut ones = Bits::new(&[0xff, 0, 0xff, 0]);
        assert_eq!(table.symbol(&mut ones), None, "no code is all ones");

        let mut lengths = [0; 16];
        lengths[0] = 3;
        assert!(Table::new(&lengths, &[1, 2, 3]).is_none(), "three codes of one bit");
        assert!(Table::new(&[1; 16], &[1, 2]).is_none(), "fewer symbols than codes");
    }

    #[test]
    fn differences_are_negative_below_their_half() {
        // 1, 0, 100, 011, nothing, and fourteen zeros and a one.
        let mut bits = Bits::new(&[0b1010_0011, 0b0000_0000, 0b0000_0010]);
        let found: Vec<_> = [1, 1, 3, 3, 0, 15].iter().map(|size| bits.difference(*size)).collect();
        assert_eq!(found, [Some(1), Some(-1), Some(4), Some(-4), Some(0), Some(-32766)]);
        assert_eq!(bits.difference(2), None, "cut off");
        for wide in 16..=u8::MAX {
            assert_eq!(Bits::new(&[0x55; 9]).difference(wide), None);
        }
    }
}
