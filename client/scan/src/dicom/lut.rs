//! Lookup tables: modality and VOI LUTs (PS3.3 C.11.1, C.11.2) and palettes (C.7.6.3.1.5).

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::items;
use crate::{Error, scan::Shown};

const TABLE: Error = Error::Damaged("a lookup table");

/// A table of values.
#[derive(Debug)]
pub(super) struct Lut {
    first: f32,
    entries: Vec<u16>,
    bits: u32,
}

impl Lut {
    /// The first table of a sequence, where there is one.
    pub(super) fn of(
        object: &InMemDicomObject,
        sequence: Tag,
        is_signed: bool,
    ) -> Result<Option<Self>, Error> {
        let Some(item) = items(object, sequence).first() else { return Ok(None) };
        Self::read(item, tags::LUT_DESCRIPTOR, tags::LUT_DATA, is_signed).map(Some)
    }

    fn read(object: &InMemDicomObject, descriptor: Tag, data: Tag, is_signed: bool) -> Result<Self, Error> {
        let numbers = object.get(descriptor).and_then(|element| element.to_multi_int::<i64>().ok());
        let &[length, first, bits] = numbers.as_deref().ok_or(TABLE)? else { return Err(TABLE) };
        let length = match length & 0xffff {
            0 => 1 << 16,
            length => length as usize,
        };
        let first = if is_signed { f32::from(first as u16 as i16) } else { f32::from(first as u16) };
        let bytes = object.get(data).and_then(|element| element.to_bytes().ok()).ok_or(TABLE)?;
        let entries: Vec<u16> = match bytes.len() {
            // Entries of eight bits may be packed.
            got if bits == 8 && (got == length || got == length + length % 2) => {
                bytes.iter().take(length).map(|byte| u16::from(*byte)).collect()
            }
            _ => bytes.as_chunks().0.iter().take(length).map(|word| u16::from_le_bytes(*word)).collect(),
        };
        if entries.len() != length || !(8..=16).contains(&bits) {
            return Err(TABLE);
        }
        Ok(Self { first, entries, bits: bits as u32 })
    }

    /// The entry of a value; values beyond an end get that end's.
    pub(super) fn entry(&self, value: f32) -> f32 {
        let last = self.entries.len().saturating_sub(1) as f32;
        f32::from(self.entries[(value - self.first).round().clamp(0.0, last) as usize])
    }

    pub(super) fn into_shown(self) -> Shown {
        let full = ((1_u32 << self.bits) - 1) as f32;
        let entries = self.entries.iter().map(|entry| (f32::from(*entry) / full).min(1.0)).collect();
        Shown::Table { first: self.first, entries }
    }
}

/// The colours of a palette.
pub(super) struct Palette([Lut; 3]);

/// Reads the palette of an object.
pub(super) fn palette(object: &InMemDicomObject) -> Result<Palette, Error> {
    let segmented = tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA;
    if object.get(segmented).is_some() {
        return Err(Error::Unsupported("a segmented palette"));
    }
    let colour = |descriptor, data| Lut::read(object, descriptor, data, false);
    Ok(Palette([
        colour(tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA)?,
        colour(
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        )?,
        colour(tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR, tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA)?,
    ]))
}

impl Palette {
    /// Red, green and blue of an index, from 0 to 1.
    pub(super) fn colour(&self, index: f32) -> [f32; 3] {
        let Self(tables) = self;
        [0, 1, 2].map(|at: usize| {
            let full = ((1_u32 << tables[at].bits) - 1) as f32;
            (tables[at].entry(index) / full).min(1.0)
        })
    }
}
