//! Segments: a marker, a length, bytes (ITU-T T.81, B.1); after some, coded data up to the next marker.

/// Start of a frame header of sequential DCT with 8 bits; the frame headers of other processes lie near.
pub(crate) const BASELINE: u8 = 0xc0;
pub(crate) const EXTENDED: u8 = 0xc1;
pub(crate) const HUFFMAN_TABLES: u8 = 0xc4;
pub(crate) const FIRST_RESTART: u8 = 0xd0;
pub(crate) const START: u8 = 0xd8;
pub(crate) const END: u8 = 0xd9;
pub(crate) const SCAN: u8 = 0xda;
pub(crate) const QUANTIZATION_TABLES: u8 = 0xdb;
pub(crate) const RESTART_INTERVAL: u8 = 0xdd;
pub(crate) const JFIF: u8 = 0xe0;
pub(crate) const HP: u8 = 0xe8;
pub(crate) const ADOBE: u8 = 0xee;
pub(crate) const LS_FRAME: u8 = 0xf7;
pub(crate) const LS_PRESETS: u8 = 0xf8;

/// The segments of a stream that are still to come.
#[derive(Debug, Clone)]
pub(crate) struct Segments<'a>(&'a [u8]);

/// A marker's second byte, and the bytes that belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    pub(crate) marker: u8,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Segments<'a> {
    /// The segments after a stream's start, where there is one.
    pub(crate) fn of(stream: &'a [u8]) -> Option<Self> {
        stream.strip_prefix(&[0xff, START]).map(Self)
    }

    /// The bytes up to the next marker: coded data, after the segment of a scan. `is_marker` says by a byte after 0xff
    /// whether the two are a marker.
    pub(crate) fn coded(&mut self, is_marker: impl Fn(u8) -> bool) -> &'a [u8] {
        let next = self.0.windows(2).position(|pair| pair[0] == 0xff && is_marker(pair[1]));
        let (coded, rest) = self.0.split_at(next.unwrap_or(self.0.len()));
        self.0 = rest;
        coded
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    /// The next segment; none at the stream's end and where there is no marker.
    fn next(&mut self) -> Option<Segment<'a>> {
        let mut rest = self.0.strip_prefix(&[0xff])?;
        while let [0xff, more @ ..] = rest {
            rest = more; // fill bytes
        }
        let (marker, rest) = rest.split_first()?;
        let length = match *marker {
            // Markers without a segment; the end has nothing behind it.
            FIRST_RESTART..=START => 0,
            END => return None,
            _ => usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])),
        };
        let segment = rest.get(..length)?;
        self.0 = &rest[length..];
        let bytes = if length == 0 { segment } else { segment.get(2..)? };
        Some(Segment { marker: *marker, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_end_where_their_lengths_say() {
        let stream = b"\xff\xd8\xff\xe0\x00\x03J\xff\xff\xda\x00\x02ab\xff\x00c\xff\xd0d\xff\xff\xd9";
        let mut segments = Segments::of(stream).unwrap();
        assert_eq!(segments.next(), Some(Segment { marker: JFIF, bytes: b"J" }));
        assert_eq!(segments.next(), Some(Segment { marker: SCAN, bytes: b"" }));
        assert_eq!(segments.coded(|byte| byte != 0), b"ab\xff\x00c");
        assert_eq!(segments.next(), Some(Segment { marker: FIRST_RESTART, bytes: b"" }));
        assert_eq!(segments.coded(|byte| byte != 0), b"d");
        assert_eq!(segments.next(), None);

        assert!(Segments::of(b"\xff\xd7").is_none());
        for damaged in
            [&b"\xff\xd8"[..], b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\x00\x01", b"\xff\xd8\xff\xe0\x00\x04a"]
        {
            assert_eq!(Segments::of(damaged).and_then(|mut segments| segments.next()), None);
        }
    }
}
