//! Scans of every kind that are made here, and files that are none.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{fs, io::Cursor, path::PathBuf};

use dicom_core::{DataElement, PrimitiveValue, VR, dicom_value, value::DataSetSequence};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use image::{DynamicImage, ImageFormat};
use tiresias_scan::{Error, Kind, Scan, ScanFile, Window, find};

/// An object of 2 rows and 3 columns.
fn object(photometric: &str, bits: (u16, u16), is_signed: bool, pixels: PrimitiveValue) -> InMemDicomObject {
    let samples = if matches!(photometric, "RGB" | "YBR_FULL" | "YBR_FULL_422") { 3_u16 } else { 1 };
    let vr = if bits.0 == 8 { VR::OB } else { VR::OW };
    let mut object = InMemDicomObject::new_empty();
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, PrimitiveValue::from(uids::CT_IMAGE_STORAGE)),
        (tags::SOP_INSTANCE_UID, VR::UI, PrimitiveValue::from("1.2.3.4")),
        (tags::PATIENT_ID, VR::LO, PrimitiveValue::from("CANARY-1")),
        (tags::STUDY_INSTANCE_UID, VR::UI, PrimitiveValue::from("1.2.3")),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, PrimitiveValue::from(photometric)),
        (tags::SAMPLES_PER_PIXEL, VR::US, samples.into()),
        (tags::ROWS, VR::US, 2_u16.into()),
        (tags::COLUMNS, VR::US, 3_u16.into()),
        (tags::BITS_ALLOCATED, VR::US, bits.0.into()),
        (tags::BITS_STORED, VR::US, bits.1.into()),
        (tags::HIGH_BIT, VR::US, (bits.1 - 1).into()),
        (tags::PIXEL_REPRESENTATION, VR::US, u16::from(is_signed).into()),
        (tags::PIXEL_DATA, vr, pixels),
    ] {
        object.put(DataElement::new(tag, vr, value));
    }
    object
}

fn with(
    mut object: InMemDicomObject,
    tag: dicom_core::Tag,
    vr: VR,
    value: impl Into<PrimitiveValue>,
) -> InMemDicomObject {
    object.put(DataElement::new(tag, vr, value.into()));
    object
}

fn bytes(object: InMemDicomObject) -> Vec<u8> {
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let mut bytes = Vec::new();
    object.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    bytes
}

fn scan(object: InMemDicomObject) -> Scan {
    ScanFile::from_bytes(&bytes(object)).unwrap().frame(0).unwrap()
}

fn samples(scan: &Scan) -> Vec<f32> {
    scan.picture(None).unwrap().samples().to_vec()
}

fn words(values: [u16; 6]) -> PrimitiveValue {
    PrimitiveValue::U16(values.into_iter().collect())
}

fn octets(values: &[u8]) -> PrimitiveValue {
    PrimitiveValue::U8(values.iter().copied().collect())
}

#[test]
fn grey_values_are_masked_signed_and_rescaled() {
    let plain = scan(object("MONOCHROME2", (16, 12), false, words([0, 1, 0xf002, 3, 4, 0x0fff])));
    assert_eq!((plain.height(), plain.width(), plain.channels()), (2, 3, 1));
    assert_eq!(plain.values(), [0.0, 1.0, 2.0, 3.0, 4.0, 4095.0]);
    let signed = object("MONOCHROME2", (16, 12), true, words([0, 0x0fff, 0x0800, 1, 2, 3]));
    let signed = with(signed, tags::RESCALE_SLOPE, VR::DS, "2");
    let signed = scan(with(signed, tags::RESCALE_INTERCEPT, VR::DS, "-1024"));
    assert_eq!(signed.values(), [-1024.0, -1026.0, -5120.0, -1022.0, -1020.0, -1018.0]);
}

#[test]
fn windows_tables_and_inversion_make_the_picture() {
    let grey = || object("MONOCHROME2", (16, 16), false, words([0, 10, 20, 30, 40, 50]));
    assert_eq!(samples(&scan(grey())), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
    let windowed = with(grey(), tags::WINDOW_CENTER, VR::DS, "20\\99");
    let windowed = with(windowed, tags::WINDOW_WIDTH, VR::DS, "20\\1");
    let exact = scan(with(windowed, tags::VOILUT_FUNCTION, VR::CS, "LINEAR_EXACT"));
    assert_eq!(samples(&exact), [0.0, 0.0, 0.5, 1.0, 1.0, 1.0]);
    assert_eq!(exact.window().unwrap().center, 20.0);
    let other = exact.picture(Some(Window::linear(40.5, 11.0).unwrap())).unwrap();
    assert_eq!(other.samples(), [0.0, 0.0, 0.0, 0.0, 0.5, 1.0]);
    let inverted = scan(object("MONOCHROME1", (16, 16), false, words([0, 25, 50, 50, 25, 0])));
    assert_eq!(samples(&inverted), [1.0, 0.5, 0.0, 0.0, 0.5, 1.0], "the least is white");

    let table = |descriptor: [u16; 3], entries: Vec<u16>| {
        let mut item = InMemDicomObject::new_empty();
        item.put(DataElement::new(
            tags::LUT_DESCRIPTOR,
            VR::US,
            PrimitiveValue::U16(descriptor.into_iter().collect()),
        ));
        item.put(DataElement::new(
            tags::LUT_DATA,
            VR::OW,
            PrimitiveValue::U16(entries.into_iter().collect()),
        ));
        DataSetSequence::from(vec![item])
    };
    let mut modality = grey();
    modality.put(DataElement::new(tags::MODALITY_LUT_SEQUENCE, VR::SQ, table([3, 10, 16], vec![7, 8, 9])));
    assert_eq!(scan(modality).values(), [7.0, 7.0, 9.0, 9.0, 9.0, 9.0]);
    let mut voi = grey();
    voi.put(DataElement::new(
        tags::VOILUT_SEQUENCE,
        VR::SQ,
        table([51, 0, 8], (0..51).map(|i| 5 * i).collect()),
    ));
    assert_eq!(samples(&scan(voi)), [0.0, 50.0, 100.0, 150.0, 200.0, 250.0].map(|x: f32| x / 255.0));
}

#[test]
fn colours_planes_palettes_and_chroma() {
    let rgb: Vec<u8> = (0..18).map(|i| i * 15).collect();
    let expected: Vec<f32> = rgb.iter().map(|sample| f32::from(*sample) / 255.0).collect();
    assert_eq!(samples(&scan(object("RGB", (8, 8), false, octets(&rgb)))), expected);
    let planes: Vec<u8> =
        (0..3).flat_map(|c| rgb.iter().skip(c).step_by(3).copied().collect::<Vec<_>>()).collect();
    let planar =
        with(object("RGB", (8, 8), false, octets(&planes)), tags::PLANAR_CONFIGURATION, VR::US, 1_u16);
    assert_eq!(samples(&scan(planar)), expected);

    let mut palette = object("PALETTE COLOR", (8, 8), false, octets(&[0, 1, 2, 2, 1, 0]));
    for (descriptor, data, entries) in [
        (
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            [0, 65535, 0],
        ),
        (
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            [0, 0, 65535],
        ),
        (
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
            tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
            [65535, 0, 0],
        ),
    ] {
        palette.put(DataElement::new(descriptor, VR::US, dicom_value!(U16, [3, 0, 16])));
        palette.put(DataElement::new(data, VR::OW, PrimitiveValue::U16(entries.into_iter().collect())));
    }
    let (blue, red, green) = ([0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]);
    assert_eq!(samples(&scan(palette)), [blue, red, green, green, red, blue].concat());

    // Luma alone is grey; red at its fullest in chroma.
    let chroma = [128, 128, 128, 76, 85, 255, 0, 128, 128, 255, 128, 128, 128, 128, 128, 128, 128, 128];
    let found = samples(&scan(object("YBR_FULL", (8, 8), false, octets(&chroma))));
    for (at, expected) in [(0, [0.502, 0.502, 0.502]), (1, [1.0, 0.0, 0.0]), (2, [0.0; 3]), (3, [1.0; 3])] {
        for (got, expected) in found[3 * at..3 * at + 3].iter().zip(expected) {
            assert!((got - expected).abs() < 0.01, "pixel {at}: {got} and {expected}");
        }
    }
}

#[test]
fn frames_are_counted_and_studies_kept_out_of_sight() {
    let pixels = PrimitiveValue::U16((0..12).collect());
    let several = with(object("MONOCHROME2", (16, 16), false, pixels), tags::NUMBER_OF_FRAMES, VR::IS, "2");
    let file = ScanFile::from_bytes(&bytes(several)).unwrap();
    assert_eq!((file.kind(), file.frames()), (Kind::Dicom, 2));
    assert_eq!(file.frame(1).unwrap().values(), [6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
    assert!(matches!(file.frame(2), Err(Error::Frame)));
    let study = file.study().unwrap();
    assert_eq!((study.patient_id.as_str(), study.study_instance_uid.as_str()), ("CANARY-1", "1.2.3"));
    assert!(!format!("{file:?}").contains("CANARY"), "identifiers are not shown");
}

#[test]
fn objects_without_a_picture_say_so() {
    let grey = || object("MONOCHROME2", (16, 16), false, words([0; 6]));
    let refused = |object: InMemDicomObject| {
        let file = ScanFile::from_bytes(&bytes(object));
        file.and_then(|file| file.frame(0)).unwrap_err().to_string()
    };
    let mut empty = grey();
    empty.remove_element(tags::PIXEL_DATA);
    assert_eq!(refused(empty), "DICOM without an image: it has no pixel data");
    let report = with(grey(), tags::SOP_CLASS_UID, VR::UI, uids::BASIC_TEXT_SR_STORAGE);
    assert_eq!(refused(report), "DICOM without an image: a structured report");
    for (tag, value, part) in [
        (tags::ROWS, 0_u16, "1 to 67 million"),
        (tags::ROWS, 60_000, "its pixels"),
        (tags::BITS_ALLOCATED, 32, "8 or 16 bits"),
        (tags::BITS_STORED, 0, "lowest"),
        (tags::HIGH_BIT, 3, "lowest"),
        (tags::SAMPLES_PER_PIXEL, 3, "number of samples"),
    ] {
        let error = refused(with(grey(), tag, VR::US, value));
        assert!(error.contains(part), "{tag}: {error}");
    }
    let error = refused(with(grey(), tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "CMYK"));
    assert!(error.contains("photometric"), "{error}");
    for frames in ["0", "-1", "99999999", "many"] {
        let error = refused(with(grey(), tags::NUMBER_OF_FRAMES, VR::IS, frames));
        assert!(error.contains("frames"), "{frames}: {error}");
    }
}

#[test]
fn pictures_and_arrays_are_read_over_all_that_their_type_holds() {
    let encode = |picture: DynamicImage, format| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    let grey = image::GrayImage::from_raw(3, 1, vec![0, 51, 255]).unwrap();
    let read = |bytes: &[u8]| ScanFile::from_bytes(bytes).unwrap().frame(0).unwrap();
    assert_eq!(samples(&read(&encode(grey.clone().into(), ImageFormat::Png))), [0.0, 0.2, 1.0]);
    let clear = image::RgbaImage::from_raw(1, 1, vec![255, 255, 51, 0]).unwrap();
    assert_eq!(samples(&read(&encode(clear.into(), ImageFormat::Png))), [0.0; 3], "transparent is black");
    let flat = image::GrayImage::from_pixel(16, 8, image::Luma([102]));
    let jpeg = read(&encode(flat.into(), ImageFormat::Jpeg));
    assert_eq!((jpeg.height(), jpeg.width(), jpeg.channels()), (8, 16, 1));
    assert!(samples(&jpeg).iter().all(|sample| (sample - 0.4).abs() < 0.01));

    let array = |descr: &str, shape: &str, data: &[u8]| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), data].concat()
    };
    assert_eq!(samples(&read(&array("|u1", "(1, 2)", &[0, 255]))), [0.0, 1.0]);
    assert_eq!(samples(&read(&array("<u2", "(2, 1, 1)", &[0, 0, 255, 255]))), [0.0, 1.0]);
    assert_eq!(samples(&read(&array("<i2", "(1, 3)", &[0, 255, 0, 0, 0, 1]))), [0.0, 0.5, 1.0]);
    assert_eq!(samples(&read(&array("|u1", "(1, 1, 3)", &[255, 0, 51]))), [1.0, 0.0, 0.2]);
    let floats: Vec<u8> = [0.25_f32, 0.75].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(samples(&read(&array("<f4", "(1, 2)", &floats))), [0.25, 0.75]);
    for (bytes, part) in [
        (array("<f4", "(1, 3)", &floats), "data of the array"),
        (array("<f4", "(99999999999, 99999999999)", &floats), "67 million"),
        (array("<f4", "(2,)", &floats), "rows x columns"),
        (array("<c8", "(1, 1)", &floats), "other numbers"),
        (array("<f4", "(1, 1)", &f32::NAN.to_le_bytes()), "not finite"),
    ] {
        let error = ScanFile::from_bytes(&bytes).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn damaged_files_end_in_errors() {
    let mut png = Cursor::new(Vec::new());
    DynamicImage::from(image::GrayImage::from_pixel(9, 9, image::Luma([7])))
        .write_to(&mut png, ImageFormat::Png)
        .unwrap();
    let dicom = bytes(object("MONOCHROME2", (16, 12), false, words([0, 1, 2, 3, 4, 5])));
    for good in [dicom, png.into_inner()] {
        for length in (0..good.len()).step_by(7) {
            let _ = ScanFile::from_bytes(&good[..length]).map(|file| file.frame(0));
        }
        for at in 0..good.len() {
            let mut damaged = good.clone();
            damaged[at] ^= [0x01, 0x80, 0xff][at % 3];
            let _ = ScanFile::from_bytes(&damaged).map(|file| file.frame(0).map(|scan| scan.picture(None)));
        }
    }
}

#[test]
fn folders_are_gone_through_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir(root.join("b")).unwrap();
    for name in ["c.png", "a", "b/2", "b/1", ".hidden", "DICOMDIR"] {
        fs::write(root.join(name), b"no scan").unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(root, root.join("b/loop")).unwrap();
    let found = find(&[root.to_owned(), root.join("none")]);
    let names: Vec<PathBuf> =
        found.files.iter().map(|path| path.strip_prefix(root).unwrap().to_owned()).collect();
    assert_eq!(names, ["a", "b/1", "b/2", "c.png"].map(PathBuf::from));
    assert_eq!(found.unreadable.len(), 1);
    assert!(matches!(ScanFile::open(&root.join("a")), Err(Error::Unknown)));
    assert!(matches!(ScanFile::open(root), Err(Error::Unknown)));
}
