//! What an object claims of its size, checked before it is read: the DICOM library takes memory for an element as soon as
//! it has read that element's length, and a call for each sequence within a sequence. Every header is gone through by the
//! same library, none of the values are kept.

use std::io::Read;

use dicom_encoding::{Codec, TransferSyntaxIndex as _};
use dicom_object::FileMetaTable;
use dicom_parser::{
    DynStatefulDecoder, StatefulDecode,
    dataset::{LazyDataToken, lazy_read::LazyDataSetReader},
};
use dicom_transfer_syntax_registry::{TransferSyntaxRegistry, entries::EXPLICIT_VR_LITTLE_ENDIAN};

use crate::Error;

/// Sequences within sequences; the deepest reports have a few dozen.
const MAXIMUM_DEPTH: usize = 128;
/// How many bytes one deflated byte can become.
const MAXIMUM_INFLATION: u64 = 1032;
/// Of an inflated object.
const MAXIMUM_INFLATED: u64 = 2 << 30;

const OBJECT: Error = Error::Damaged("the DICOM object");

/// Refuses an object with an element that is longer than what is left of it, or with sequences that lie too deep. What else
/// is wrong with it is left to its reader.
pub(super) fn check(bytes: &[u8]) -> Result<(), Error> {
    let start = if bytes.get(128..132) == Some(b"DICM") { 128 } else { 0 };
    let bytes = &bytes[start..];
    let end = meta(bytes)?;
    let (Ok(meta), Some(rest)) = (FileMetaTable::from_reader(bytes), bytes.get(end..)) else { return Ok(()) };
    let Some(syntax) = TransferSyntaxRegistry.get(meta.transfer_syntax()) else { return Ok(()) };
    let length = rest.len() as u64;
    let (reader, length): (Box<dyn Read + '_>, u64) = match syntax.codec() {
        Codec::Dataset(Some(adapter)) => {
            (adapter.adapt_reader(Box::new(rest)), (length * MAXIMUM_INFLATION).min(MAXIMUM_INFLATED))
        }
        _ => (Box::new(rest), length),
    };
    let Ok(decoder) = DynStatefulDecoder::new_with_ts(reader, syntax, 0) else { return Ok(()) };
    data_set(LazyDataSetReader::new(decoder), length)
}

/// The elements of the file meta group: the magic code, the group's length, and as many bytes as it says. Where they end.
fn meta(bytes: &[u8]) -> Result<usize, Error> {
    /// The magic code and the element of the length.
    const HEAD: usize = 4 + 12;
    let Some((head, group)) = bytes.split_first_chunk::<HEAD>() else { return Err(OBJECT) };
    let [.., a, b, c, d] = *head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    let mut decoder =
        DynStatefulDecoder::new_with_ts(group, &EXPLICIT_VR_LITTLE_ENDIAN.erased(), 0).map_err(|_| OBJECT)?;
    while decoder.position() < length as u64 {
        let header = decoder.decode_header().map_err(|_| OBJECT)?;
        let claimed = header.len.get().ok_or(OBJECT)?;
        fits(&decoder, claimed, group.len() as u64)?;
        decoder.skip_bytes(claimed).map_err(|_| OBJECT)?;
    }
    Ok(HEAD + decoder.position() as usize)
}

fn data_set<D: StatefulDecode>(mut tokens: LazyDataSetReader<D>, length: u64) -> Result<(), Error> {
    let mut depth = 0_usize;
    while let Some(Ok(mut token)) = tokens.advance() {
        match &mut token {
            LazyDataToken::LazyValue { header, decoder } => {
                fits(decoder, header.len.get().unwrap_or(0), length)?
            }
            LazyDataToken::LazyItemValue { len, decoder } => fits(decoder, *len, length)?,
            LazyDataToken::SequenceStart { .. } | LazyDataToken::PixelSequenceStart => depth += 1,
            LazyDataToken::SequenceEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAXIMUM_DEPTH {
            return Err(Error::Unsupported("a DICOM object with sequences more than 128 deep"));
        }
        if token.skip().is_err() {
            break;
        }
    }
    Ok(())
}

/// Whether so many bytes can still come.
fn fits(decoder: &impl StatefulDecode, claimed: u32, length: u64) -> Result<(), Error> {
    if decoder.position() + u64::from(claimed) > length { Err(OBJECT) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use dicom_core::{DataElement, PrimitiveValue, VR, value::DataSetSequence};
    use dicom_dictionary_std::{tags, uids};
    use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

    use super::*;

    const SYNTAXES: [&str; 3] = [
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ];

    fn object(depth: usize) -> InMemDicomObject {
        let mut object = InMemDicomObject::new_empty();
        for (tag, vr, value) in [
            (tags::SOP_CLASS_UID, VR::UI, PrimitiveValue::from(uids::CT_IMAGE_STORAGE)),
            (tags::SOP_INSTANCE_UID, VR::UI, PrimitiveValue::from("1.2.3.4")),
            (tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16((0..100).collect())),
        ] {
            object.put(DataElement::new(tag, vr, value));
        }
        (0..depth).fold(object, |inner, _| {
            let mut outer = InMemDicomObject::new_empty();
            outer.put(DataElement::new(tags::CONTENT_SEQUENCE, VR::SQ, DataSetSequence::from(vec![inner])));
            outer
        })
    }

    fn written(object: InMemDicomObject, syntax: &str) -> Vec<u8> {
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(syntax)
            .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
            .media_storage_sop_instance_uid("1.2.3.4");
        let mut bytes = Vec::new();
        object.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn sound_objects_pass_however_they_are_cut_off() {
        for syntax in SYNTAXES {
            let bytes = written(object(3), syntax);
            check(&bytes).unwrap();
            for length in 0..bytes.len() {
                let _ = check(&bytes[..length]);
            }
        }
        assert!(check(&[]).is_err());
    }

    #[test]
    fn an_element_longer_than_what_is_left_is_refused() {
        // A value of 200 bytes, at the end of the file.
        for (syntax, length) in
            [(SYNTAXES[0], 201_u32), (SYNTAXES[0], 0xffff_fff0), (SYNTAXES[1], 0x7fff_ffff)]
        {
            let mut bytes = written(object(0), syntax);
            let at = bytes.len() - 204;
            assert_eq!(bytes[at..at + 4], 200_u32.to_le_bytes());
            bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
            assert!(matches!(check(&bytes), Err(Error::Damaged(_))), "{syntax}, {length} bytes");
        }
        // In the file meta group: an unknown kind of value has four bytes of length.
        let mut bytes = written(object(0), SYNTAXES[0]);
        let class = bytes.windows(6).position(|window| window == b"\x02\0\x02\0UI").unwrap();
        bytes[class + 4] = b'?';
        assert!(matches!(check(&bytes), Err(Error::Damaged(_))));
    }

    #[test]
    fn a_deflated_element_is_no_longer_than_deflating_allows() {
        let mut object = object(0);
        let words = PrimitiveValue::U16(vec![0; 1 << 20].into());
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, words));
        let bytes = written(object, SYNTAXES[2]);
        check(&bytes).unwrap();
        assert!(check(&bytes[..1500]).is_err(), "1,500 bytes do not become two million");
    }

    #[test]
    fn sequences_lie_so_deep_and_no_deeper() {
        for syntax in SYNTAXES {
            check(&written(object(MAXIMUM_DEPTH), syntax)).unwrap();
            let deep = check(&written(object(MAXIMUM_DEPTH + 1), syntax));
            assert!(matches!(deep, Err(Error::Unsupported(_))), "{syntax}");
        }
    }
}
