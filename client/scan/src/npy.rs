//! NumPy arrays, version 1 to 3, little endian and in C order: rows and columns, perhaps with one or three channels, of
//! u8, u16, i16, f32 or f64. Integers are shown over all that their type holds (i16 from the least to the largest),
//! floats between 0 and 1 as they are, others from the least to the largest.

use crate::{
    Error, Scan,
    picture::MAXIMUM_PIXELS,
    scan::{Shown, Values},
};

pub(crate) fn read(bytes: &[u8]) -> Result<Scan, Error> {
    const HEADER: Error = Error::Damaged("the header of the array");
    let (&[major, _], rest) = bytes.get(6..).and_then(<[u8]>::split_first_chunk).ok_or(HEADER)?;
    let (length, rest) = match major {
        1 => rest.split_first_chunk().map(|(length, rest)| (usize::from(u16::from_le_bytes(*length)), rest)),
        2 | 3 => rest.split_first_chunk().map(|(length, rest)| (u32::from_le_bytes(*length) as usize, rest)),
        _ => None,
    }
    .ok_or(HEADER)?;
    let (header, data) = rest.split_at_checked(length).ok_or(HEADER)?;
    let header = std::str::from_utf8(header).map_err(|_| HEADER)?;
    if field(header, "fortran_order") != Some("False") {
        return Err(Error::Unsupported("an array in Fortran order"));
    }
    let shape = shape(header).ok_or(HEADER)?;
    let (height, width, channels) = match *shape.as_slice() {
        [height, width] | [height, width, 1] => (height, width, 1),
        [height, width, 3] => (height, width, 3),
        _ => {
            return Err(Error::Unsupported(
                "an array that is not rows x columns, perhaps x 1 or 3 channels,",
            ));
        }
    };
    let pixels = height.checked_mul(width).filter(|pixels| (1..=MAXIMUM_PIXELS).contains(pixels));
    let count = pixels.ok_or(Error::Size)? * channels;
    let kind = field(header, "descr").ok_or(HEADER)?.trim_matches(['\'', '"']);
    let (values, full): (Vec<f32>, Option<f32>) = match kind {
        "|u1" => (data.iter().map(|byte| f32::from(*byte)).collect(), Some(255.0)),
        "<u2" => (words(data).map(|word| f32::from(u16::from_le_bytes(word))).collect(), Some(65535.0)),
        "<i2" => (words(data).map(|word| f32::from(i16::from_le_bytes(word))).collect(), None),
        "<f4" => (words(data).map(f32::from_le_bytes).collect(), None),
        "<f8" => (words(data).map(|word| f64::from_le_bytes(word) as f32).collect(), None),
        _ => return Err(Error::Unsupported("an array of other numbers than u8, u16, i16, f32 and f64")),
    };
    let size: usize = kind[2..].parse().map_err(|_| HEADER)?;
    if data.len() != count * size {
        return Err(Error::Damaged("the data of the array"));
    }
    let is_unit = || values.iter().all(|value| (0.0..=1.0).contains(value));
    if channels == 3 {
        let full = match full {
            Some(full) => full,
            None if kind.starts_with("<f") && is_unit() => 1.0,
            None => {
                return Err(Error::Unsupported(
                    "an array of colours that are not u8, u16 or between 0 and 1",
                ));
            }
        };
        let colours = values.into_iter().map(|value| value / full).collect();
        return Scan::new((height, width), Values::Colour(colours), Shown::Everything, false);
    }
    let shown = match full {
        Some(full) => Shown::Range(0.0, full),
        None if kind.starts_with("<f") && is_unit() => Shown::Range(0.0, 1.0),
        None => Shown::Everything,
    };
    Scan::new((height, width), Values::Grey(values), shown, false)
}

fn words<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> {
    data.as_chunks().0.iter().copied()
}

/// The text of a plain field of the header's dictionary.
fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let at = header.find(&format!("'{name}'"))?;
    let value = header[at..].split_once(':')?.1;
    value.split([',', '}']).next().map(str::trim)
}

fn shape(header: &str) -> Option<Vec<usize>> {
    let value = header[header.find("'shape'")?..].split_once('(')?.1.split_once(')')?.0;
    let numbers = value.split(',').map(str::trim).filter(|number| !number.is_empty());
    numbers.map(|number| number.parse().ok()).collect()
}
