//! DICOM objects: what they are, one frame of theirs, whose they are.

mod codec;
mod lengths;
mod lut;
mod pixels;

use std::{fmt, io::Cursor};

use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileDicomObject, InMemDicomObject, OpenFileOptions, file::ReadPreamble};

use crate::{
    Error, Scan, Study,
    picture::MAXIMUM_PIXELS,
    scan::{Shown, Values, Window, WindowFunction},
};
use lut::Lut;
use pixels::{Colours, Format};

/// Frames of one object, at most.
const MAXIMUM_FRAMES: usize = 1 << 16;

/// A DICOM object with pixels.
pub(crate) struct Dicom {
    object: FileDicomObject<InMemDicomObject>,
    format: Format,
    frames: usize,
    study: Study,
}

impl Dicom {
    /// Reads an object and checks what it says of its pixels.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Error> {
        lengths::check(bytes)?;
        let object = OpenFileOptions::new()
            .read_preamble(ReadPreamble::Auto)
            .from_reader(Cursor::new(bytes))
            .map_err(|_| Error::Damaged("the DICOM object"))?;
        check_kind(&object)?;
        let number = |tag| integer(&object, tag);
        let frames = match object.element_opt(tags::NUMBER_OF_FRAMES) {
            Ok(Some(_)) => number(tags::NUMBER_OF_FRAMES).ok_or(Error::Damaged("the number of frames"))?,
            _ => 1,
        };
        if !(1..=MAXIMUM_FRAMES).contains(&frames) {
            return Err(Error::Unsupported("a scan without frames, or with more than 65,536,"));
        }
        let format = Format::of(&object)?;
        if !(1..=MAXIMUM_PIXELS).contains(&format.pixels()) {
            return Err(Error::Size);
        }
        let study = study(&object);
        Ok(Self { object, format, frames, study })
    }

    pub(crate) fn frames(&self) -> usize {
        self.frames
    }

    pub(crate) fn study(&self) -> &Study {
        &self.study
    }

    /// Decodes one frame.
    pub(crate) fn frame(&self, at: usize) -> Result<Scan, Error> {
        let bytes = codec::frame(&self.object, &self.format, (at, self.frames))?;
        let shape = (self.format.rows, self.format.columns);
        if self.format.colours != Colours::Grey {
            let palette = match self.format.colours {
                Colours::Palette => Some(lut::palette(&self.object)?),
                _ => None,
            };
            let colours = self.format.colours(&bytes, palette.as_ref())?;
            return Scan::new(shape, Values::Colour(colours), Shown::Everything, false);
        }
        let mut values = self.format.greys(&bytes)?;
        match Lut::of(&self.object, tags::MODALITY_LUT_SEQUENCE, self.format.is_signed)? {
            Some(lut) => values.iter_mut().for_each(|value| *value = lut.entry(*value)),
            None => {
                let group = self.group(at, tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
                let real =
                    |tag| group.and_then(|group| float(group, tag)).or_else(|| float(&self.object, tag));
                let slope = real(tags::RESCALE_SLOPE).unwrap_or(1.0);
                let intercept = real(tags::RESCALE_INTERCEPT).unwrap_or(0.0);
                let rescale = |value: &mut f32| *value = (f64::from(*value) * slope + intercept) as f32;
                values.iter_mut().for_each(rescale);
            }
        }
        let shown = match self.window(at) {
            Some(window) => Shown::Window(window),
            None => match Lut::of(&self.object, tags::VOILUT_SEQUENCE, self.format.is_signed)? {
                Some(lut) => lut.into_shown(),
                None => Shown::Everything,
            },
        };
        Scan::new(shape, Values::Grey(values), shown, self.format.is_inverted)
    }

    /// The first window of a frame.
    fn window(&self, at: usize) -> Option<Window> {
        let object = match self.group(at, tags::FRAME_VOILUT_SEQUENCE) {
            Some(group) => group,
            None => &self.object,
        };
        let function = match text(object, tags::VOILUT_FUNCTION).as_str() {
            "LINEAR_EXACT" => WindowFunction::LinearExact,
            "SIGMOID" => WindowFunction::Sigmoid,
            _ => WindowFunction::Linear,
        };
        let center = float(object, tags::WINDOW_CENTER)?;
        Window { center, width: float(object, tags::WINDOW_WIDTH)?, function }.checked()
    }

    /// The item of a functional group: the frame's own, or the one that all share.
    fn group(&self, at: usize, sequence: dicom_core::Tag) -> Option<&InMemDicomObject> {
        let own = items(&self.object, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).get(at);
        let shared = items(&self.object, tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE).first();
        [own, shared].into_iter().flatten().find_map(|group| items(group, sequence).first())
    }
}

impl fmt::Debug for Dicom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dicom").field("frames", &self.frames).finish_non_exhaustive()
    }
}

/// Objects whose pixels are no picture, and those without any.
fn check_kind(object: &InMemDicomObject) -> Result<(), Error> {
    let class = text(object, tags::SOP_CLASS_UID);
    let none = match class.as_str() {
        uids::SEGMENTATION_STORAGE => Some("a segmentation"),
        uids::RT_STRUCTURE_SET_STORAGE => Some("an RT structure set"),
        uids::RT_DOSE_STORAGE => Some("an RT dose"),
        uids::RT_PLAN_STORAGE => Some("an RT plan"),
        uids::ENCAPSULATED_PDF_STORAGE => Some("a PDF document"),
        class if class.starts_with("1.2.840.10008.5.1.4.1.1.88.") => Some("a structured report"),
        class if class.starts_with("1.2.840.10008.5.1.4.1.1.11.") => Some("a presentation state"),
        _ => None,
    };
    if let Some(what) = none {
        return Err(Error::NoImage(what));
    }
    let has = |tag| object.element_opt(tag).is_ok_and(|element| element.is_some());
    if has(tags::FLOAT_PIXEL_DATA) || has(tags::DOUBLE_FLOAT_PIXEL_DATA) {
        return Err(Error::Unsupported("DICOM pixels in floating point"));
    }
    if !has(tags::PIXEL_DATA) {
        return Err(Error::NoImage("it has no pixel data"));
    }
    Ok(())
}

fn study(object: &InMemDicomObject) -> Study {
    let text = |tag| text(object, tag);
    Study {
        patient_id: text(tags::PATIENT_ID),
        issuer_of_patient_id: text(tags::ISSUER_OF_PATIENT_ID),
        patient_name: text(tags::PATIENT_NAME),
        patient_birth_date: text(tags::PATIENT_BIRTH_DATE),
        patient_sex: text(tags::PATIENT_SEX),
        accession_number: text(tags::ACCESSION_NUMBER),
        study_instance_uid: text(tags::STUDY_INSTANCE_UID),
        study_id: text(tags::STUDY_ID),
        study_date: text(tags::STUDY_DATE),
        study_time: text(tags::STUDY_TIME),
        timezone_offset: text(tags::TIMEZONE_OFFSET_FROM_UTC),
        study_description: text(tags::STUDY_DESCRIPTION),
        referring_physician: text(tags::REFERRING_PHYSICIAN_NAME),
        series_instance_uid: text(tags::SERIES_INSTANCE_UID),
        sop_class_uid: text(tags::SOP_CLASS_UID),
        sop_instance_uid: text(tags::SOP_INSTANCE_UID),
        modality: text(tags::MODALITY),
        frame_of_reference_uid: text(tags::FRAME_OF_REFERENCE_UID),
    }
}

/// The items of a sequence; none where there is no such sequence.
fn items(object: &InMemDicomObject, tag: dicom_core::Tag) -> &[InMemDicomObject] {
    object.get(tag).and_then(|element| element.items()).unwrap_or_default()
}

/// A text attribute, without padding; empty where there is none.
fn text(object: &InMemDicomObject, tag: dicom_core::Tag) -> String {
    let text = object.get(tag).and_then(|element| element.to_str().ok());
    text.map(|text| text.trim_matches([' ', '\0']).to_owned()).unwrap_or_default()
}

/// The first of an attribute's numbers, if it is finite.
fn float(object: &InMemDicomObject, tag: dicom_core::Tag) -> Option<f64> {
    let numbers = object.get(tag)?.to_multi_float64().ok()?;
    numbers.first().copied().filter(|number| number.is_finite())
}

fn integer(object: &InMemDicomObject, tag: dicom_core::Tag) -> Option<usize> {
    object.get(tag)?.to_int::<i64>().ok().and_then(|number| number.try_into().ok())
}
