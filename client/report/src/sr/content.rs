//! Content items and the root of their tree (PS3.3 C.17.3, PS3.16 TID 1500).

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use tiresias_scan::Study;

use super::{
    MAKER, device_id,
    element::{self, Element, code_string, line, long, sequence, short, text, uid, unlimited},
    measurements,
};
use crate::Report;

/// Labels of a model.
pub(super) const LABEL_SCHEME: &str = "99TIRESIASLABEL";

/// The scores of labels.
pub(super) const SCORE_SCHEME: &str = "99TIRESIASSCORE";

/// A coded concept.
#[derive(Clone)]
pub(super) struct Code {
    value: String,
    scheme: &'static str,
    meaning: String,
}

impl Code {
    pub(super) fn new(value: &str, scheme: &'static str, meaning: &str) -> Self {
        Self { value: value.to_owned(), scheme, meaning: meaning.to_owned() }
    }

    /// A label of the model, which has no code but itself.
    pub(super) fn label(label: &str) -> Self {
        Self::own(LABEL_SCHEME, label, label)
    }

    /// The score of a label.
    pub(super) fn score(label: &str) -> Self {
        Self::own(SCORE_SCHEME, label, &format!("Score of {label}"))
    }

    fn own(scheme: &'static str, value: &str, meaning: &str) -> Self {
        let or_unnamed = |text: String| if text.is_empty() { "unnamed".to_owned() } else { text };
        Self { value: or_unnamed(line(value, usize::MAX)), scheme, meaning: or_unnamed(line(meaning, 64)) }
    }

    /// The item of a code sequence.
    pub(super) fn item(&self) -> InMemDicomObject {
        let value = match self.value.chars().count() {
            0..=16 => short(tags::CODE_VALUE, &self.value),
            _ => unlimited(tags::LONG_CODE_VALUE, &self.value),
        };
        InMemDicomObject::from_element_iter([
            value,
            short(tags::CODING_SCHEME_DESIGNATOR, self.scheme),
            long(tags::CODE_MEANING, &self.meaning),
        ])
    }
}

/// A concept of DICOM's own.
pub(super) fn dcm(value: &str, meaning: &str) -> Code {
    Code::new(value, "DCM", meaning)
}

/// A content item: a name and a value.
pub(super) struct Item(Vec<Element>);

impl Item {
    fn new(kind: &str, name: &Code, value: impl IntoIterator<Item = Element>) -> Self {
        let mut elements = vec![
            code_string(tags::VALUE_TYPE, kind),
            sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, [name.item()]),
        ];
        elements.extend(value);
        Self(elements)
    }

    pub(super) fn code(name: &Code, value: &Code) -> Self {
        Self::new("CODE", name, [sequence(tags::CONCEPT_CODE_SEQUENCE, [value.item()])])
    }

    pub(super) fn text(name: &Code, value: &str) -> Self {
        Self::new("TEXT", name, [text(tags::TEXT_VALUE, value)])
    }

    pub(super) fn uid(name: &Code, value: &str) -> Self {
        Self::new("UIDREF", name, [uid(tags::UID, value)])
    }

    /// A number without a unit.
    pub(super) fn number(name: &Code, value: f64) -> Self {
        let measured = InMemDicomObject::from_element_iter([
            element::double(tags::FLOATING_POINT_VALUE, value),
            element::decimal(tags::NUMERIC_VALUE, value),
            sequence(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, [Code::new("1", "UCUM", "no units").item()]),
        ]);
        Self::new("NUM", name, [sequence(tags::MEASURED_VALUE_SEQUENCE, [measured])])
    }

    /// One image, or one frame of it.
    pub(super) fn image(name: &Code, study: &Study, frame: Option<u32>) -> Self {
        let reference = image_reference(study, frame);
        Self::new("IMAGE", name, [sequence(tags::REFERENCED_SOP_SEQUENCE, [reference])])
    }

    /// Further items, by one of DICOM's templates where it names one.
    pub(super) fn container(name: &Code, template: Option<&str>, children: Vec<Self>) -> Self {
        let mut elements = vec![code_string(tags::CONTINUITY_OF_CONTENT, "SEPARATE")];
        elements.extend(template.map(|template| {
            let template = InMemDicomObject::from_element_iter([
                code_string(tags::MAPPING_RESOURCE, "DCMR"),
                code_string(tags::TEMPLATE_IDENTIFIER, template),
            ]);
            sequence(tags::CONTENT_TEMPLATE_SEQUENCE, [template])
        }));
        let children = children.into_iter().map(|item| InMemDicomObject::from_element_iter(item.0));
        elements.push(sequence(tags::CONTENT_SEQUENCE, children));
        Self::new("CONTAINER", name, elements)
    }

    /// How it stands to the item above.
    pub(super) fn under(mut self, relationship: &str) -> Self {
        self.0.push(code_string(tags::RELATIONSHIP_TYPE, relationship));
        self
    }

    pub(super) fn elements(self) -> Vec<Element> {
        self.0
    }
}

/// The item of a referenced SOP sequence.
pub(super) fn image_reference(study: &Study, frame: Option<u32>) -> InMemDicomObject {
    let mut elements = vec![
        uid(tags::REFERENCED_SOP_CLASS_UID, &study.sop_class_uid),
        uid(tags::REFERENCED_SOP_INSTANCE_UID, &study.sop_instance_uid),
    ];
    elements.extend(frame.map(|frame| element::number(tags::REFERENCED_FRAME_NUMBER, frame)));
    InMemDicomObject::from_element_iter(elements)
}

/// The whole tree.
pub(super) fn root(report: &Report, study: &Study) -> Item {
    let (modifies, observes) = ("HAS CONCEPT MOD", "HAS OBS CONTEXT");
    let (model, language) = (&report.model, Code::new("en", "RFC5646", "English"));
    let observer =
        |value: &str, meaning: &str, text: &str| Item::text(&dcm(value, meaning), text).under(observes);
    let procedure = dcm("121058", "Procedure reported");
    let mut children = vec![
        Item::code(&dcm("121049", "Language of Content Item and Descendants"), &language).under(modifies),
        Item::code(&dcm("121005", "Observer Type"), &dcm("121007", "Device")).under(observes),
        Item::uid(&dcm("121012", "Device Observer UID"), &device_id(report).uid()).under(observes),
        observer("121013", "Device Observer Name", &model.name),
        observer("121014", "Device Observer Manufacturer", MAKER),
        observer("121015", "Device Observer Model Name", &model.name),
        observer("121016", "Device Observer Serial Number", &model.config_id),
        Item::code(&procedure, &procedure_of(&study.modality)).under(modifies),
    ];
    children.extend(measurements::containers(report, study));
    Item::container(&dcm("126000", "Imaging Measurement Report"), Some("1500"), children)
}

/// CID 100, as far as a modality tells.
fn procedure_of(modality: &str) -> Code {
    let (value, scheme, meaning) = match modality {
        "CT" => ("25045-6", "LN", "CT unspecified body region"),
        "MR" => ("25056-3", "LN", "MRI unspecified body region"),
        "PT" => ("44136-0", "LN", "PET unspecified body region"),
        "NM" => ("49118-3", "LN", "NM unspecified body region"),
        "CR" | "DX" | "RF" => ("43468-8", "LN", "XR unspecified body region"),
        _ => ("363679005", "SCT", "Imaging procedure"),
    };
    Code::new(value, scheme, meaning)
}
