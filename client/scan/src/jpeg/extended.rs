//! JPEG Extended with 12 bits (ITU-T T.81, process 4): sequential DCT with Huffman codes, in grey.
//!
//! Refused by name: colours with 12 bits, and processes that the transfer syntax does not have.
//!
//! Modules in reading order: `huffman`, `cosine`.

mod cosine;
mod huffman;

use super::{
    FrameHeader, PIXELS, Samples, Shape,
    segments::{
        BASELINE, EXTENDED, FIRST_RESTART, HUFFMAN_TABLES, QUANTIZATION_TABLES, RESTART_INTERVAL, SCAN,
        Segments,
    },
};
use crate::Error;
use huffman::{Bits, Table};

pub(crate) const PRECISION: u32 = 12;

/// Positions of coefficients, row after row, in the order of their codes (T.81, figure 5).
const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The bits of a sample that a stream's frame header states.
pub(crate) fn precision(stream: &[u8]) -> Option<u32> {
    let mut segments = Segments::of(stream)?;
    let is_frame =
        |marker| (BASELINE..0xd0).contains(&marker) && !matches!(marker, HUFFMAN_TABLES | 0xc8 | 0xcc);
    segments.find(|segment| is_frame(segment.marker))?.bytes.first().map(|bits| (*bits).into())
}

/// Decodes a frame.
pub(crate) fn decode(stream: &[u8], shape: Shape) -> Result<Samples, Error> {
    if shape.components != 1 {
        return Err(Error::TransferSyntax("JPEG Extended with 12 bits in colour"));
    }
    let mut tables = Tables::default();
    let mut frame = None;
    let mut segments = Segments::of(stream).ok_or(PIXELS)?;
    while let Some(segment) = segments.next() {
        let bytes = segment.bytes;
        match segment.marker {
            EXTENDED if frame.is_none() => {
                let header = FrameHeader::read(bytes, shape)?;
                if header.precision != PRECISION {
                    return Err(PIXELS);
                }
                frame = Some(header);
            }
            HUFFMAN_TABLES => tables.read_huffman(bytes).ok_or(PIXELS)?,
            QUANTIZATION_TABLES => tables.read_quantization(bytes).ok_or(PIXELS)?,
            RESTART_INTERVAL => {
                let interval = bytes.try_into().map_err(|_| PIXELS)?;
                tables.restart_interval = u16::from_be_bytes(interval).into();
            }
            SCAN => {
                let frame = frame.as_ref().ok_or(PIXELS)?;
                let values = tables.scan(bytes, frame, shape, &mut segments).ok_or(PIXELS)?;
                return Ok(Samples { values, precision: PRECISION });
            }
            0xe0..=0xef | 0xfe => {} // of applications; comments
            0xc2..=0xcf => {
                return Err(Error::TransferSyntax("JPEG Extended with another process than its own"));
            }
            _ => return Err(PIXELS),
        }
    }
    Err(PIXELS)
}

/// What a stream states in front of a scan.
#[derive(Default)]
struct Tables {
    /// By their names, in the order of codes.
    quantization: [Option<[u16; 64]>; 4],
    /// Of the first coefficients, and of the others.
    huffman: [[Option<Table>; 4]; 2],
    /// In blocks; 0 for none.
    restart_interval: usize,
}

impl Tables {
    fn read_quantization(&mut self, mut bytes: &[u8]) -> Option<()> {
        while let [kind, rest @ ..] = bytes {
            let mut table = [0; 64];
            let is_wide = kind >> 4 == 1;
            let (entries, rest) = rest.split_at_checked(if is_wide { 128 } else { 64 })?;
            for (at, entry) in table.iter_mut().enumerate() {
                *entry = match is_wide {
                    true => u16::from_be_bytes([entries[2 * at], entries[2 * at + 1]]),
                    false => entries[at].into(),
                };
            }
            *self.quantization.get_mut(usize::from(kind & 15))? = Some(table);
            bytes = rest;
        }
        Some(())
    }

    fn read_huffman(&mut self, mut bytes: &[u8]) -> Option<()> {
        while let [kind, rest @ ..] = bytes {
            let (lengths, rest) = rest.split_first_chunk::<16>()?;
            let count = lengths.iter().map(|length| usize::from(*length)).sum();
            let (symbols, rest) = rest.split_at_checked(count)?;
            let class = self.huffman.get_mut(usize::from(kind >> 4))?;
            *class.get_mut(usize::from(kind & 15))? = Some(Table::new(lengths, symbols)?);
            bytes = rest;
        }
        Some(())
    }

    /// Decodes the only scan that a frame of one component has.
    fn scan(
        &self,
        bytes: &[u8],
        frame: &FrameHeader<'_>,
        shape: Shape,
        segments: &mut Segments<'_>,
    ) -> Option<Vec<u16>> {
        // What follows is the same in every sequential scan, and some encoders write it wrong.
        let &[1, name, tables, _, _, _] = bytes else { return None };
        let [_, _, quantization] = frame.components[frame.position(name)?];
        let quantization = self.quantization.get(usize::from(quantization))?.as_ref()?;
        let [first, others] = &self.huffman;
        let first = first.get(usize::from(tables >> 4))?.as_ref()?;
        let others = others.get(usize::from(tables & 15))?.as_ref()?;

        let mut values = vec![0; shape.rows * shape.columns];
        let (across, down) = (shape.columns.div_ceil(8), shape.rows.div_ceil(8));
        let mut bits = Bits::new(segments.coded(|byte| byte != 0));
        let mut level = 0_i32;
        for at in 0..across * down {
            if self.restart_interval != 0 && at != 0 && at % self.restart_interval == 0 {
                let count = at / self.restart_interval - 1;
                segments.next().filter(|segment| segment.marker == FIRST_RESTART + count as u8 % 8)?;
                bits = Bits::new(segments.coded(|byte| byte != 0));
                level = 0;
            }
            let size = first.symbol(&mut bits)?;
            level = level.checked_add(bits.difference(size)?)?;
            let mut block = [0; 64];
            block[0] = level.saturating_mul(quantization[0].into());
            coefficients(&mut block, quantization, others, &mut bits)?;
            let block = cosine::samples(&block);
            let (top, left) = (at / across * 8, at % across * 8);
            for (row, samples) in (top..shape.rows).zip(block.chunks_exact(8)) {
                let width = samples.len().min(shape.columns - left);
                let start = row * shape.columns + left;
                values[start..start + width].copy_from_slice(&samples[..width]);
            }
        }
        Some(values)
    }
}

/// Reads the coefficients of a block after its first.
fn coefficients(
    block: &mut [i32; 64],
    quantization: &[u16; 64],
    table: &Table,
    bits: &mut Bits<'_>,
) -> Option<()> {
    let mut at = 0;
    while at < 63 {
        let symbol = table.symbol(bits)?;
        let (zeros, size) = (usize::from(symbol >> 4), symbol & 15);
        match (zeros, size) {
            (15, 0) => at += 16,
            (_, 0) => return Some(()),
            _ => {
                at += zeros + 1;
                let place = block.get_mut(*ZIGZAG.get(at)?)?;
                *place = bits.difference(size)?.saturating_mul(quantization[at].into());
            }
        }
    }
    Some(())
}
