//! JPEG streams of DICOM objects that no crate reads: JPEG-LS and JPEG with 12 bits.
//!
//! A stream says what it holds before its pixels; that must be what the DICOM object says, so no stream decides how much
//! memory it gets. Decoding takes time linear in the stream and the pixels. Damage ends in an error, not in grey pixels.
//!
//! Modules in reading order: `segments`, what every such stream is made of; `ls`; `extended`.

pub(crate) mod extended;
pub(crate) mod ls;
pub(crate) mod segments;

use crate::Error;

const PIXELS: Error = Error::Damaged("its pixels");

/// What the DICOM object says of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Samples of a pixel.
    pub(crate) components: usize,
}

/// A decoded frame: row after row, the components of a pixel side by side.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Samples {
    pub(crate) values: Vec<u16>,
    /// Bits of a sample in the stream.
    pub(crate) precision: u32,
}

/// A frame header (ITU-T T.81, B.2.2).
struct FrameHeader<'a> {
    precision: u32,
    /// Of each component: its name, its sampling factors, its quantization table.
    components: &'a [[u8; 3]],
}

impl<'a> FrameHeader<'a> {
    /// Reads a frame header that says what the DICOM object says.
    fn read(bytes: &'a [u8], shape: Shape) -> Result<Self, Error> {
        let [precision, y1, y0, x1, x0, count, rest @ ..] = bytes else { return Err(PIXELS) };
        let (components, []) = rest.as_chunks() else { return Err(PIXELS) };
        let stated = Shape {
            rows: u16::from_be_bytes([*y1, *y0]).into(),
            columns: u16::from_be_bytes([*x1, *x0]).into(),
            components: (*count).into(),
        };
        if stated != shape || components.len() != shape.components {
            return Err(Error::Damaged("pixels of the size that its header states"));
        }
        Ok(Self { precision: (*precision).into(), components })
    }

    fn position(&self, name: u8) -> Option<usize> {
        self.components.iter().position(|[other, ..]| *other == name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Decode = fn(&[u8], Shape) -> Result<Samples, Error>;

    /// Streams of all modes, of which damage is made.
    fn streams() -> [(&'static [u8], Shape, Decode); 7] {
        macro_rules! stream {
            ($name:literal, $rows:literal x $columns:literal x $components:literal, $decode:path) => {
                (
                    include_bytes!(concat!("../tests/streams/", $name)).as_slice(),
                    Shape { rows: $rows, columns: $columns, components: $components },
                    $decode as Decode,
                )
            };
        }
        [
            stream!("grey12.jls", 29 x 41 x 1, ls::decode),
            stream!("grey8-near3.jls", 37 x 30 x 1, ls::decode),
            stream!("presets8.jls", 30 x 37 x 1, ls::decode),
            stream!("colour8-planes-near0.jls", 23 x 31 x 3, ls::decode),
            stream!("restarts-colour8-pixels.jls", 20 x 26 x 3, ls::decode),
            stream!("extended-37x45-98.jpg", 37 x 45 x 1, extended::decode),
            stream!("extended-restarts.jpg", 88 x 30 x 1, extended::decode),
        ]
    }

    #[test]
    fn streams_that_are_cut_off_end_in_errors() {
        for (at, (stream, shape, decode)) in streams().into_iter().enumerate() {
            assert_eq!(
                decode(stream, shape).unwrap().values.len(),
                shape.rows * shape.columns * shape.components
            );
            // The last bytes are the end's marker and a byte that may be filled up.
            for length in 0..stream.len() - 4 {
                assert!(decode(&stream[..length], shape).is_err(), "stream {at}, {length} bytes");
            }
        }
    }

    #[test]
    fn no_byte_that_is_changed_ends_in_a_panic() {
        for (stream, shape, decode) in streams() {
            for at in 0..stream.len() {
                let mut damaged = stream.to_owned();
                damaged[at] ^= [0x01, 0x80, 0xff][at % 3];
                let _ = decode(&damaged, shape);
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_end_in_a_panic(
            which in 0..7_usize,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
            noise in prop::collection::vec(any::<u8>(), 0..40),
            within: prop::sample::Index,
        ) {
            let (stream, shape, decode) = streams()[which];
            let mut damaged = stream.to_owned();
            for (at, byte) in changes {
                let at = at.index(damaged.len());
                damaged[at] = byte;
            }
            let at = within.index(damaged.len());
            damaged.splice(at..at, noise);
            let _ = decode(&damaged, shape);
        }
    }
}
