//! DICOM elements of values that come from elsewhere: what does not fit its value representation is cut or left empty, so that
//! a file with odd attributes still has a report that other programs read.

use dicom_core::{DataElement, PrimitiveValue, Tag, VR, value::DataSetSequence};
use dicom_object::InMemDicomObject;

use tiresias_page::is_unseen;

use crate::Moment;

pub(super) type Element = DataElement<InMemDicomObject>;

/// A text of one line, without the backslash, which parts values.
pub(super) fn line(text: &str, limit: usize) -> String {
    let letter = |letter: char| match letter {
        '\\' => '/',
        letter if is_unseen(letter) => ' ',
        letter => letter,
    };
    let line: String = text.chars().map(letter).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    // What is cut leaves room for the space that pads it to an even length, which some readers count.
    if line.chars().count() > limit { line.chars().take(limit - 1).collect() } else { line }
}

fn element(tag: Tag, vr: VR, value: impl Into<PrimitiveValue>) -> Element {
    DataElement::new(tag, vr, value.into())
}

/// LO: up to 64 letters.
pub(super) fn long(tag: Tag, value: &str) -> Element {
    element(tag, VR::LO, line(value, 64))
}

/// SH: up to 16 letters.
pub(super) fn short(tag: Tag, value: &str) -> Element {
    element(tag, VR::SH, line(value, 16))
}

/// UC: of any length.
pub(super) fn unlimited(tag: Tag, value: &str) -> Element {
    element(tag, VR::UC, line(value, usize::MAX))
}

/// ST or UT, whichever the tag has.
pub(super) fn text(tag: Tag, value: &str) -> Element {
    use dicom_dictionary_std::tags;
    match tag {
        tags::TEXT_VALUE => element(tag, VR::UT, line(value, usize::MAX)),
        _ => element(tag, VR::ST, line(value, 1024)),
    }
}

/// PN: up to 64 letters in each of three groups.
pub(super) fn name(tag: Tag, value: &str) -> Element {
    let groups: Vec<String> = value.split('=').take(3).map(|group| line(group, 64)).collect();
    element(tag, VR::PN, groups.join("="))
}

/// CS: up to 16 capitals, digits, spaces and underscores; anything else is left out.
pub(super) fn code_string(tag: Tag, value: &str) -> Element {
    let allowed =
        |letter: u8| letter.is_ascii_uppercase() || letter.is_ascii_digit() || matches!(letter, b' ' | b'_');
    let is_code = value.len() <= 16 && value.bytes().all(allowed);
    element(tag, VR::CS, if is_code { value } else { "" })
}

/// DA: eight digits, or nothing.
pub(super) fn date(tag: Tag, value: &str) -> Element {
    let is_date = value.len() == 8 && chrono::NaiveDate::parse_from_str(value, "%Y%m%d").is_ok();
    element(tag, VR::DA, if is_date { value } else { "" })
}

/// TM: HH, HHMM or HHMMSS with a fraction, or nothing.
pub(super) fn time(tag: Tag, value: &str) -> Element {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let fraction_fits = digits(fraction) && fraction.len() <= 6 && (whole.len() == 6 || !value.contains('.'));
    let is_time = matches!(whole.len(), 2 | 4 | 6) && digits(whole) && fraction_fits;
    element(tag, VR::TM, if is_time { value } else { "" })
}

/// DT, with its offset from UTC.
pub(super) fn date_time(tag: Tag, value: Moment) -> Element {
    element(tag, VR::DT, value.date_time())
}

/// UI. What is given is a UID.
pub(super) fn uid(tag: Tag, value: &str) -> Element {
    element(tag, VR::UI, value)
}

/// IS.
pub(super) fn number(tag: Tag, value: u32) -> Element {
    element(tag, VR::IS, value.to_string())
}

/// DS: a number in at most 16 characters.
pub(super) fn decimal(tag: Tag, value: f64) -> Element {
    let is_handy = (1e-4..1e12).contains(&value.abs());
    let plain = (0..=14).rev().filter(|_| is_handy).map(|digits| format!("{value:.digits$}"));
    let short = (0..=9).rev().map(|digits| format!("{value:.digits$e}"));
    let mut forms = [value.to_string(), format!("{value:e}")].into_iter().chain(plain).chain(short);
    element(tag, VR::DS, forms.find(|form| form.len() <= 16).unwrap_or_default())
}

/// FD.
pub(super) fn double(tag: Tag, value: f64) -> Element {
    element(tag, VR::FD, value)
}

/// SQ.
pub(super) fn sequence(tag: Tag, items: impl IntoIterator<Item = InMemDicomObject>) -> Element {
    DataElement::new(tag, VR::SQ, DataSetSequence::from(items.into_iter().collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use dicom_dictionary_std::tags;
    use proptest::prelude::*;

    use super::*;

    fn shown(element: &Element) -> String {
        element.to_str().unwrap().into_owned()
    }

    #[test]
    fn values_that_do_not_fit_are_cut_or_left_empty() {
        let id = |value: &str| shown(&long(tags::PATIENT_ID, value));
        assert_eq!(id("  a\\b\u{7}c\u{202e}d  "), "a/b c d");
        assert_eq!(id(&"\u{e9}".repeat(64)), "\u{e9}".repeat(64));
        assert_eq!(id(&"\u{e9}".repeat(65)), "\u{e9}".repeat(63));
        assert_eq!(shown(&short(tags::STUDY_ID, &"7".repeat(20))), "7".repeat(15));
        for (given, kept) in [("20261124", true), ("2026-11-24", false), ("20261324", false), ("", false)] {
            assert_eq!(shown(&date(tags::STUDY_DATE, given)), if kept { given } else { "" });
        }
        for (given, kept) in [
            ("12", true),
            ("123456.123456", true),
            ("1234", true),
            ("12:34", false),
            ("123", false),
            ("1234.5", false),
            ("123456.", false),
            ("123456.1234567", false),
        ] {
            assert_eq!(shown(&time(tags::STUDY_TIME, given)), if kept { given } else { "" }, "{given}");
        }
        assert_eq!(shown(&code_string(tags::PATIENT_SEX, "F")), "F");
        assert_eq!(shown(&code_string(tags::PATIENT_SEX, "female")), "");
        let names = shown(&name(tags::PATIENT_NAME, "Doe^Jane=\u{5c71}\u{7530}^\u{592a}\u{90ce}=c=d"));
        assert_eq!(names, "Doe^Jane=\u{5c71}\u{7530}^\u{592a}\u{90ce}=c");
    }

    #[test]
    fn decimals_are_written_as_people_write_them() {
        for (value, text) in [
            (1.25, "1.25"),
            (-0.5, "-0.5"),
            (0.0, "0"),
            (0.940_999_802_641_981_2, "0.94099980264198"),
            (-12_345.678_901_234_567, "-12345.678901235"),
            (1e-300, "1e-300"),
            (-1.0 / 3.0 * 1e-7, "-3.333333333e-8"),
        ] {
            assert_eq!(shown(&decimal(tags::NUMERIC_VALUE, value)), text);
        }
    }

    proptest! {
        #[test]
        fn decimals_fit_and_are_the_number_nearly(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
            let text = shown(&decimal(tags::NUMERIC_VALUE, value));
            prop_assert!((1..=16).contains(&text.len()), "{}", text);
            let off = (text.parse::<f64>().unwrap() - value).abs();
            prop_assert!(off <= value.abs() * 1e-6 + f64::MIN_POSITIVE, "{} and {}", text, value);
        }

        #[test]
        fn lines_have_no_control_and_no_backslash(given in any::<String>()) {
            let line = line(&given, 64);
            prop_assert!(line.chars().count() <= 64 && !line.contains('\\') && !line.contains(char::is_control));
        }
    }
}
