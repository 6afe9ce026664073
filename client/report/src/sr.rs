//! A report as a DICOM structured report: Comprehensive 3D SR with template TID 1500, "Measurement Report".
//!
//! It lies in the study of the image that was looked at, in a series of its own, unverified and preliminary, and says in its
//! series description that it is not for diagnostic use. What is left to a human is `Undetermined`, without scores; what the
//! computation said of it stands in a comment alone.
//!
//! Labels are the model owner's words and no terminology's: they are written as codes of the private schemes
//! `99TIRESIASLABEL` (the label) and `99TIRESIASSCORE` (the score of the label).

mod content;
mod element;
mod measurements;

use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use tiresias_scan::Study;

use self::element::{date, long, sequence, short, text, time, uid};
use crate::{Error, Id, Moment, Report};

const MAKER: &str = "Tiresias";

/// What stands where a reader looks first, as IHE AIR has it.
const CAUTION: &str = "CAUTION: Not for Diagnostic Use, for research use only.";

/// Whether a structured report can refer to the image: it has the UIDs of study, series and instance.
#[must_use]
pub fn is_referable(study: &Study) -> bool {
    let Study { study_instance_uid, series_instance_uid, sop_class_uid, sop_instance_uid, .. } = study;
    [study_instance_uid, series_instance_uid, sop_class_uid, sop_instance_uid]
        .into_iter()
        .all(|uid| is_uid(uid))
}

/// The file, in explicit little endian. Errors where the scan is no DICOM image.
pub fn sr(report: &Report) -> Result<Vec<u8>, Error> {
    let study = report.study.as_ref().filter(|study| is_referable(study)).ok_or(Error::NoStudy)?;
    // Dates and times of an object are told at one offset.
    let zone = Some(study.timezone_offset.as_str()).filter(|zone| report.computed_at.at(zone).is_some());
    let computed_at = zone.and_then(|zone| report.computed_at.at(zone)).unwrap_or(report.computed_at);

    let mut object = patient_and_study(study);
    object.extend(zone.map(|zone| short(tags::TIMEZONE_OFFSET_FROM_UTC, zone)));
    object.extend(series_and_equipment(report, computed_at));
    object.extend(document(report, study, computed_at));
    object.extend(content::root(report, study).elements());

    let object = InMemDicomObject::from_element_iter(object);
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let mut bytes = Vec::new();
    let file = object.with_meta(meta).map_err(|_| Error::Encoding)?;
    file.write_all(&mut bytes).map_err(|_| Error::Encoding)?;
    Ok(bytes)
}

/// Whether a text is a UID.
pub(crate) fn is_uid(text: &str) -> bool {
    let is_part = |part: &str| {
        let is_number = !part.is_empty() && part.bytes().all(|digit| digit.is_ascii_digit());
        is_number && (part == "0" || !part.starts_with('0'))
    };
    text.len() <= 64 && text.contains('.') && text.split('.').all(is_part)
}

/// Those of the image, for the archive to file them together.
fn patient_and_study(study: &Study) -> Vec<element::Element> {
    let mut elements = vec![
        element::code_string(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192"),
        element::name(tags::PATIENT_NAME, &study.patient_name),
        long(tags::PATIENT_ID, &study.patient_id),
        date(tags::PATIENT_BIRTH_DATE, &study.patient_birth_date),
        element::code_string(tags::PATIENT_SEX, &study.patient_sex),
        uid(tags::STUDY_INSTANCE_UID, &study.study_instance_uid),
        date(tags::STUDY_DATE, &study.study_date),
        time(tags::STUDY_TIME, &study.study_time),
        element::name(tags::REFERRING_PHYSICIAN_NAME, &study.referring_physician),
        short(tags::STUDY_ID, &study.study_id),
        short(tags::ACCESSION_NUMBER, &study.accession_number),
    ];
    let optional = [
        (tags::ISSUER_OF_PATIENT_ID, &study.issuer_of_patient_id),
        (tags::STUDY_DESCRIPTION, &study.study_description),
    ];
    elements.extend(
        optional.into_iter().filter(|(_, value)| !value.is_empty()).map(|(tag, value)| long(tag, value)),
    );
    elements
}

fn series_and_equipment(report: &Report, computed_at: Moment) -> Vec<element::Element> {
    let model = &report.model;
    let purpose = content::Code::new("109102", "DCM", "Processing Equipment");
    let contributor = [
        sequence(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, [purpose.item()]),
        long(tags::MANUFACTURER, MAKER),
        long(tags::MANUFACTURER_MODEL_NAME, &model.name),
        long(tags::SOFTWARE_VERSIONS, &model.version.to_string()),
        uid(tags::DEVICE_UID, &device_id(report).uid()),
        element::date_time(tags::CONTRIBUTION_DATE_TIME, computed_at),
        text(
            tags::CONTRIBUTION_DESCRIPTION,
            "Classified the image by a model that was evaluated under encryption",
        ),
    ];
    vec![
        element::code_string(tags::MODALITY, "SR"),
        uid(tags::SERIES_INSTANCE_UID, &report.id.part("series").uid()),
        element::number(tags::SERIES_NUMBER, 9001),
        long(tags::SERIES_DESCRIPTION, CAUTION),
        sequence(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, []),
        long(tags::MANUFACTURER, MAKER),
        long(tags::MANUFACTURER_MODEL_NAME, "tiresias"),
        // Software has no serial number; the model that it used goes by its card's id, which fills the field.
        long(tags::DEVICE_SERIAL_NUMBER, &model.config_id),
        long(tags::SOFTWARE_VERSIONS, env!("CARGO_PKG_VERSION")),
        sequence(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, [InMemDicomObject::from_element_iter(contributor)]),
    ]
}

fn document(report: &Report, study: &Study, computed_at: Moment) -> Vec<element::Element> {
    let image = content::image_reference(study, None);
    let series = InMemDicomObject::from_element_iter([
        uid(tags::SERIES_INSTANCE_UID, &study.series_instance_uid),
        sequence(tags::REFERENCED_SOP_SEQUENCE, [image]),
    ]);
    let evidence = InMemDicomObject::from_element_iter([
        uid(tags::STUDY_INSTANCE_UID, &study.study_instance_uid),
        sequence(tags::REFERENCED_SERIES_SEQUENCE, [series]),
    ]);
    let scheme = |designator: &str, name: &str| {
        InMemDicomObject::from_element_iter([
            short(tags::CODING_SCHEME_DESIGNATOR, designator),
            text(tags::CODING_SCHEME_NAME, name),
            text(tags::CODING_SCHEME_RESPONSIBLE_ORGANIZATION, "The owner of the model"),
        ])
    };
    let schemes = [
        scheme(content::LABEL_SCHEME, "Labels of a Tiresias model"),
        scheme(content::SCORE_SCHEME, "Scores of the labels of a Tiresias model"),
    ];
    vec![
        uid(tags::SOP_CLASS_UID, uids::COMPREHENSIVE3_DSR_STORAGE),
        uid(tags::SOP_INSTANCE_UID, &report.id.uid()),
        element::number(tags::INSTANCE_NUMBER, 1),
        date(tags::INSTANCE_CREATION_DATE, &computed_at.date()),
        time(tags::INSTANCE_CREATION_TIME, &computed_at.time()),
        date(tags::CONTENT_DATE, &computed_at.date()),
        time(tags::CONTENT_TIME, &computed_at.time()),
        element::code_string(tags::PRELIMINARY_FLAG, "PRELIMINARY"),
        element::code_string(tags::COMPLETION_FLAG, "COMPLETE"),
        element::code_string(tags::VERIFICATION_FLAG, "UNVERIFIED"),
        sequence(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, []),
        sequence(tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE, [evidence]),
        sequence(tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE, schemes),
    ]
}

/// The same for all reports by one circuit card.
fn device_id(report: &Report) -> Id {
    Id::named(&format!("circuit card {}", report.model.config_id))
}

#[cfg(test)]
mod tests;
