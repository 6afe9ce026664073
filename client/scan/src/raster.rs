//! PNG and JPEG: 8 or 16 bits, grey or colour, upright by their EXIF orientation. Transparent pixels are shown on black.

use std::io::Cursor;

use image::{ColorType, DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits};

use crate::{
    Error, Scan,
    picture::MAXIMUM_PIXELS,
    scan::{Shown, Values},
};

/// Memory of a decoder: pixels of eight bytes, twice.
const MAXIMUM_BYTES: u64 = 16 * MAXIMUM_PIXELS as u64;

pub(crate) fn read(bytes: &[u8], format: ImageFormat) -> Result<Scan, Error> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAXIMUM_BYTES);
    reader.limits(limits);
    let damaged = |_| Error::Damaged("the picture");
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    if !(1..=MAXIMUM_PIXELS as u64).contains(&(u64::from(width) * u64::from(height))) {
        return Err(Error::Size);
    }
    let orientation = decoder.orientation().map_err(damaged)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    picture.apply_orientation(orientation);
    let shape = (picture.height() as usize, picture.width() as usize);
    let is_grey =
        matches!(picture.color(), ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16);
    // Sixteen bits hold all that eight do: x becomes 257 x.
    let over_black = |samples: &[u16]| {
        let (alpha, colours) = samples.split_last().map_or((0.0, samples), |(a, rest)| (f32::from(*a), rest));
        colours.iter().map(|sample| f32::from(*sample) / 65535.0 * (alpha / 65535.0)).collect::<Vec<_>>()
    };
    let values = if is_grey {
        let pixels = picture.into_luma_alpha16().into_raw();
        Values::Grey(pixels.chunks_exact(2).flat_map(over_black).collect())
    } else {
        let pixels = picture.into_rgba16().into_raw();
        Values::Colour(pixels.chunks_exact(4).flat_map(over_black).collect())
    };
    Scan::new(shape, values, Shown::Range(0.0, 1.0), false)
}
