//! The native bytes of one frame, whatever its transfer syntax.
//!
//! JPEG with 8 bits is decoded here, because only so it is known whether its colours were transformed; JPEG with 12 bits
//! and JPEG-LS by decoders of this crate. RLE, lossless JPEG and JPEG 2000 are left to the DICOM library.

use std::borrow::Cow;

use dicom_core::value::Value;
use dicom_dictionary_std::{tags, uids};
use dicom_object::{DefaultDicomObject, InMemDicomObject};
use dicom_pixeldata::PixelDecoder as _;
use jpeg_decoder::{ColorTransform, Decoder};

use super::pixels::Format;
use crate::{
    Error,
    jpeg::{
        extended, ls,
        segments::{ADOBE, JFIF, SCAN, Segment, Segments},
    },
};

const PIXELS: Error = Error::Damaged("its pixels");

/// Whether pixels of a transfer syntax lie in the object as they are.
pub(super) fn is_native(syntax: &str) -> bool {
    matches!(
        syntax,
        uids::IMPLICIT_VR_LITTLE_ENDIAN
            | uids::EXPLICIT_VR_LITTLE_ENDIAN
            | uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
            | EXPLICIT_BIG_ENDIAN
    )
}

/// Retired, and still met.
const EXPLICIT_BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// The native bytes of frame `at` of `frames`, little endian, exactly as many as the format says.
pub(super) fn frame(
    object: &DefaultDicomObject,
    format: &Format,
    (at, frames): (usize, usize),
) -> Result<Vec<u8>, Error> {
    let syntax = object.meta().transfer_syntax();
    let length = format.frame_bytes();
    let bytes = match syntax {
        syntax if is_native(syntax) => {
            let all =
                object.get(tags::PIXEL_DATA).and_then(|element| element.to_bytes().ok()).ok_or(PIXELS)?;
            let start = at.checked_mul(length).ok_or(PIXELS)?;
            all.get(start..).and_then(|rest| rest.get(..length)).ok_or(PIXELS)?.to_vec()
        }
        uids::JPEG_BASELINE8_BIT | uids::JPEG_EXTENDED12_BIT => {
            let stream = encapsulated(object, at, frames)?;
            match extended::precision(&stream) {
                Some(extended::PRECISION) => format.native(&extended::decode(&stream, format.shape())?)?,
                _ => jpeg(&stream, format)?,
            }
        }
        uids::JPEGLS_LOSSLESS | uids::JPEGLS_NEAR_LOSSLESS => {
            let stream = encapsulated(object, at, frames)?;
            format.native(&ls::decode(&stream, format.shape())?)?
        }
        uids::MPEG2MPML | uids::MPEG2MPHL => return Err(Error::TransferSyntax("MPEG-2")),
        uids::JPEG2000MC_LOSSLESS | uids::JPEG2000MC => {
            return Err(Error::TransferSyntax("JPEG 2000, part 2"));
        }
        _ => object.decode_pixel_data_frame(at as u32).map_err(|_| PIXELS)?.into_data(),
    };
    // A pad byte makes odd lengths even.
    match bytes.len() {
        got if got == length => Ok(bytes),
        got if got == length + 1 && length % 2 == 1 => Ok(bytes[..length].to_vec()),
        _ => Err(PIXELS),
    }
}

/// Decodes JPEG with 8 bits a sample, to red, green and blue where it has colours.
fn jpeg(bytes: &[u8], format: &Format) -> Result<Vec<u8>, Error> {
    let mut decoder = Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(2 * format.frame_bytes().max(1 << 16));
    if format.is_colour() {
        // The stream knows better than the object's photometric interpretation, where it says anything.
        let is_transformed = match markers(bytes) {
            Markers { adobe: Some(transform), .. } => transform != 0,
            Markers { is_jfif: true, .. } => true,
            Markers { .. } => format.is_chroma(),
        };
        decoder.set_color_transform(if is_transformed { ColorTransform::YCbCr } else { ColorTransform::RGB });
    }
    decoder.decode().map_err(|error| match error {
        jpeg_decoder::Error::Unsupported(_) => Error::TransferSyntax("JPEG of an uncommon kind"),
        _ => PIXELS,
    })
}

struct Markers {
    is_jfif: bool,
    /// The transform that an Adobe marker names; 0 for none.
    adobe: Option<u8>,
}

/// What the segments in front of a JPEG stream's scan say of its colours.
fn markers(stream: &[u8]) -> Markers {
    let mut markers = Markers { is_jfif: false, adobe: None };
    for Segment { marker, bytes } in Segments::of(stream).into_iter().flatten() {
        match marker {
            JFIF => markers.is_jfif |= bytes.starts_with(b"JFIF\0"),
            ADOBE if bytes.starts_with(b"Adobe") => markers.adobe = bytes.get(11).copied(),
            SCAN => break,
            _ => {}
        }
    }
    markers
}

/// The encoded bytes of a frame: its fragment, or all of an object with one frame.
fn encapsulated(object: &InMemDicomObject, at: usize, frames: usize) -> Result<Cow<'_, [u8]>, Error> {
    let element = object.get(tags::PIXEL_DATA).ok_or(PIXELS)?;
    let Value::PixelSequence(sequence) = element.value() else { return Err(PIXELS) };
    match sequence.fragments() {
        [fragment] if frames == 1 => Ok(Cow::Borrowed(fragment)),
        fragments if frames == 1 => Ok(Cow::Owned(fragments.concat())),
        fragments if fragments.len() == frames => {
            fragments.get(at).map(|fragment| Cow::Borrowed(fragment.as_slice())).ok_or(PIXELS)
        }
        fragments => {
            // The offset table says where frames begin; an item has a header of eight bytes.
            let starts = sequence.offset_table();
            let (start, end) = (starts.get(at), starts.get(at + 1));
            let start =
                *start.ok_or(Error::Unsupported("a frame in several fragments without offsets"))? as usize;
            let end = end.map_or(usize::MAX, |end| *end as usize);
            let mut position = 0;
            let mut bytes = Vec::new();
            for fragment in fragments {
                if (start..end).contains(&position) {
                    bytes.extend_from_slice(fragment);
                }
                position += 8 + fragment.len();
            }
            Ok(Cow::Owned(bytes))
        }
    }
}
