//! From the native bytes of a frame to grey values or colours.

use dicom_dictionary_std::{tags, uids};
use dicom_object::DefaultDicomObject;

use super::{codec::is_native, integer, lut::Palette, text};
use crate::{
    Error,
    jpeg::{Samples, Shape},
};

/// What the samples of a pixel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    Palette,
    Rgb,
    /// Luma and two chroma samples a pixel; with the chroma of two pixels shared where native.
    Ybr {
        is_shared: bool,
    },
}

/// How pixels lie in a frame's native bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) colours: Colours,
    /// MONOCHROME1: the least value is white.
    pub(super) is_inverted: bool,
    pub(super) is_signed: bool,
    is_chroma: bool,
    is_planar: bool,
    /// 8 or 16.
    allocated: usize,
    stored: u32,
}

impl Format {
    pub(super) fn of(object: &DefaultDicomObject) -> Result<Self, Error> {
        let need = |tag, what| integer(object, tag).ok_or(Error::Damaged(what));
        let rows = need(tags::ROWS, "the number of rows")?;
        let columns = need(tags::COLUMNS, "the number of columns")?;
        let allocated = need(tags::BITS_ALLOCATED, "the bits of a sample")?;
        if !matches!(allocated, 8 | 16) {
            return Err(Error::Unsupported("a DICOM sample that is not in 8 or 16 bits"));
        }
        let stored = integer(object, tags::BITS_STORED).unwrap_or(allocated);
        let high = integer(object, tags::HIGH_BIT).unwrap_or(stored.saturating_sub(1));
        if !(1..=allocated).contains(&stored) || high + 1 != stored {
            return Err(Error::Unsupported("a DICOM sample whose bits are not the lowest"));
        }
        let syntax = object.meta().transfer_syntax();
        let is_native = is_native(syntax);
        // Its own decoder gives red, green and blue.
        let is_jpeg = matches!(syntax, uids::JPEG_BASELINE8_BIT | uids::JPEG_EXTENDED12_BIT);
        let photometric = text(object, tags::PHOTOMETRIC_INTERPRETATION);
        let (colours, is_inverted) = match photometric.as_str() {
            "MONOCHROME1" => (Colours::Grey, true),
            "MONOCHROME2" => (Colours::Grey, false),
            "PALETTE COLOR" => (Colours::Palette, false),
            "RGB" => (Colours::Rgb, false),
            "YBR_FULL" => (Colours::Ybr { is_shared: false }, false),
            "YBR_FULL_422" => (Colours::Ybr { is_shared: is_native }, false),
            // The transforms of JPEG 2000, which its decoder undoes.
            "YBR_ICT" | "YBR_RCT" => (Colours::Rgb, false),
            _ => return Err(Error::Unsupported("the photometric interpretation of its pixels")),
        };
        let samples = integer(object, tags::SAMPLES_PER_PIXEL).unwrap_or(1);
        let expected = if matches!(colours, Colours::Grey | Colours::Palette) { 1 } else { 3 };
        if samples != expected {
            return Err(Error::Damaged("the number of samples of a pixel"));
        }
        let is_colour = expected == 3;
        let is_chroma = photometric.starts_with("YBR");
        let colours = if is_colour && is_jpeg { Colours::Rgb } else { colours };
        Ok(Self {
            rows,
            columns,
            colours,
            is_inverted,
            is_signed: !is_colour && integer(object, tags::PIXEL_REPRESENTATION) == Some(1),
            is_chroma,
            // Where planes are one after the other, not where RLE stored them so.
            is_planar: is_colour && is_native && integer(object, tags::PLANAR_CONFIGURATION) == Some(1),
            allocated,
            stored: stored as u32,
        })
    }

    pub(super) fn pixels(&self) -> usize {
        self.rows.saturating_mul(self.columns)
    }

    pub(super) fn is_colour(&self) -> bool {
        !matches!(self.colours, Colours::Grey | Colours::Palette)
    }

    /// Whether the object says that its colours are luma and chroma.
    pub(super) fn is_chroma(&self) -> bool {
        self.is_chroma
    }

    /// What a stream of a frame is to hold.
    pub(super) fn shape(&self) -> Shape {
        Shape { rows: self.rows, columns: self.columns, components: if self.is_colour() { 3 } else { 1 } }
    }

    /// Decoded samples as native bytes.
    pub(super) fn native(&self, samples: &Samples) -> Result<Vec<u8>, Error> {
        let Samples { values, precision } = samples;
        // A stream with fewer bits than the object states has its sign in the highest that it has.
        let unused = if self.is_signed && *precision < self.stored { 16 - precision } else { 0 };
        let extended = |value: &u16| ((value << unused) as i16 >> unused) as u16;
        let values = values.iter().map(|value| if unused > 0 { extended(value) } else { *value });
        match self.allocated {
            8 if *precision > 8 => Err(Error::Damaged("its pixels")),
            8 => Ok(values.map(|value| value as u8).collect()),
            _ => Ok(values.flat_map(u16::to_le_bytes).collect()),
        }
    }

    /// Bytes of a native frame.
    pub(super) fn frame_bytes(&self) -> usize {
        let samples = match self.colours {
            Colours::Grey | Colours::Palette => self.pixels(),
            Colours::Ybr { is_shared: true } => 2 * self.pixels(),
            Colours::Rgb | Colours::Ybr { is_shared: false } => 3 * self.pixels(),
        };
        samples * self.allocated / 8
    }

    /// One grey value a pixel.
    pub(super) fn greys(&self, bytes: &[u8]) -> Result<Vec<f32>, Error> {
        Ok(self.samples(bytes).map(|sample| sample as f32).collect())
    }

    /// Red, green and blue of each pixel, from 0 to 1.
    pub(super) fn colours(&self, bytes: &[u8], palette: Option<&Palette>) -> Result<Vec<f32>, Error> {
        let full = ((1_u32 << self.stored) - 1) as f32;
        let samples: Vec<f32> = self.samples(bytes).map(|sample| sample as f32).collect();
        if let Some(palette) = palette {
            return Ok(samples.into_iter().flat_map(|index| palette.colour(index)).collect());
        }
        let pixels: Vec<f32> = if self.is_planar {
            let plane = samples.len() / 3;
            (0..plane).flat_map(|at| [samples[at], samples[plane + at], samples[2 * plane + at]]).collect()
        } else if self.colours == (Colours::Ybr { is_shared: true }) {
            if !self.columns.is_multiple_of(2) {
                return Err(Error::Unsupported("chroma that is shared over an odd number of columns"));
            }
            let pair = |four: &[f32]| [four[0], four[2], four[3], four[1], four[2], four[3]];
            samples.chunks_exact(4).flat_map(pair).collect()
        } else {
            samples
        };
        let pixels = pixels.into_iter().map(|sample| (sample / full).clamp(0.0, 1.0));
        if self.colours == Colours::Rgb {
            return Ok(pixels.collect());
        }
        // PS3.3 C.7.6.3.1.2, full range: the equations of ITU-R BT.601.
        let pixels: Vec<f32> = pixels.collect();
        let half = (full + 1.0) / 2.0 / full;
        let rgb = |pixel: &[f32]| {
            let (y, blue, red) = (pixel[0], pixel[1] - half, pixel[2] - half);
            [y + 1.402 * red, y - 0.344_136 * blue - 0.714_136 * red, y + 1.772 * blue]
                .map(|sample| sample.clamp(0.0, 1.0))
        };
        Ok(pixels.chunks_exact(3).flat_map(rgb).collect())
    }

    /// The samples, without the bits above those stored.
    fn samples(&self, bytes: &[u8]) -> impl Iterator<Item = i32> {
        let (unused, is_signed) = (32 - self.stored, self.is_signed);
        let step = self.allocated / 8;
        bytes.chunks_exact(step).map(move |sample| {
            let word = sample.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
            match is_signed {
                true => (word << unused) as i32 >> unused,
                false => (word << unused >> unused) as i32,
            }
        })
    }
}
