//! JPEG-LS and JPEG with 12 bits as DICOM objects hold them: streams that other encoders made (`streams/make.py`) are read
//! as other decoders read them.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{fs, path::Path};

use dicom_core::{
    DataElement, PrimitiveValue, VR,
    value::{PixelFragmentSequence, Value},
};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use tiresias_scan::{Error, Scan, ScanFile};

/// A line of `streams.tsv`.
struct Stream {
    name: String,
    rows: u16,
    columns: u16,
    samples: u16,
    bits: u16,
    /// How far a sample may lie from the expected one.
    tolerance: u16,
    bytes: Vec<u8>,
    expected: Vec<u16>,
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/streams"))
}

fn streams() -> Vec<Stream> {
    let table = fs::read_to_string(folder().join("streams.tsv")).unwrap();
    table.lines().skip(1).map(stream).collect()
}

fn stream(line: &str) -> Stream {
    let (name, numbers) = line.split_once('\t').unwrap();
    let numbers: Vec<u16> = numbers.split('\t').map(|number| number.parse().unwrap()).collect();
    let [rows, columns, samples, bits, tolerance] = numbers.try_into().unwrap();
    let path = folder().join(name);
    let raw = fs::read(path.with_extension("raw")).unwrap();
    let expected = match bits {
        ..=8 => raw.into_iter().map(u16::from).collect(),
        _ => raw.as_chunks().0.iter().map(|word| u16::from_le_bytes(*word)).collect(),
    };
    let bytes = fs::read(path).unwrap();
    Stream { name: name.to_owned(), rows, columns, samples, bits, tolerance, bytes, expected }
}

fn named(name: &str) -> Stream {
    streams().into_iter().find(|stream| stream.name == name).unwrap()
}

impl Stream {
    fn syntax(&self) -> &'static str {
        if self.name.ends_with(".jls") { uids::JPEGLS_NEAR_LOSSLESS } else { uids::JPEG_EXTENDED12_BIT }
    }

    /// An object of which this is a frame, in these fragments.
    fn object(&self, fragments: Vec<Vec<u8>>, offsets: Vec<u32>) -> InMemDicomObject {
        let photometric = if self.samples == 1 { "MONOCHROME2" } else { "RGB" };
        let mut object = InMemDicomObject::new_empty();
        for (tag, vr, value) in [
            (tags::SOP_CLASS_UID, VR::UI, PrimitiveValue::from(uids::CT_IMAGE_STORAGE)),
            (tags::SOP_INSTANCE_UID, VR::UI, PrimitiveValue::from("1.2.3.4")),
            (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, PrimitiveValue::from(photometric)),
        ] {
            object.put(DataElement::new(tag, vr, value));
        }
        for (tag, number) in [
            (tags::SAMPLES_PER_PIXEL, self.samples),
            (tags::PLANAR_CONFIGURATION, 0),
            (tags::ROWS, self.rows),
            (tags::COLUMNS, self.columns),
            (tags::BITS_ALLOCATED, if self.bits <= 8 { 8 } else { 16 }),
            (tags::BITS_STORED, self.bits),
            (tags::HIGH_BIT, self.bits - 1),
            (tags::PIXEL_REPRESENTATION, 0),
        ] {
            object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(number)));
        }
        let pixels = PixelFragmentSequence::new(offsets, fragments);
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, Value::from(pixels)));
        object
    }

    fn whole(&self) -> InMemDicomObject {
        self.object(vec![padded(self.bytes.clone())], Vec::new())
    }

    fn scan(&self) -> Result<Scan, Error> {
        file(self.whole(), self.syntax()).frame(0)
    }

    fn refusal(&self) -> String {
        self.scan().unwrap_err().to_string()
    }

    /// The stream with bytes before the first place of these.
    fn with_before(mut self, place: &[u8], bytes: &[u8]) -> Self {
        let at = self.bytes.windows(place.len()).position(|window| window == place).unwrap();
        self.bytes.splice(at..at, bytes.iter().copied());
        self
    }

    /// The stream with other bytes in the first place of these.
    fn with_instead(mut self, place: &[u8], bytes: &[u8]) -> Self {
        let at = self.bytes.windows(place.len()).position(|window| window == place).unwrap();
        self.bytes.splice(at..at + place.len(), bytes.iter().copied());
        self
    }

    fn check(&self, scan: &Scan) {
        let Self { name, tolerance, .. } = self;
        let full = f32::from(u16::MAX >> (16 - self.bits));
        let scale = if self.samples == 1 { 1.0 } else { full };
        assert_eq!((scan.height(), scan.width()), (self.rows.into(), self.columns.into()), "{name}");
        assert_eq!(
            (scan.channels(), scan.values().len()),
            (self.samples.into(), self.expected.len()),
            "{name}"
        );
        for (at, (value, expected)) in scan.values().iter().zip(&self.expected).enumerate() {
            let value = (value * scale).round() as u16;
            assert!(value.abs_diff(*expected) <= *tolerance, "{name}, sample {at}: {value} and {expected}");
        }
    }
}

fn padded(mut fragment: Vec<u8>) -> Vec<u8> {
    fragment.resize(fragment.len().next_multiple_of(2), 0);
    fragment
}

fn file(object: InMemDicomObject, syntax: &str) -> ScanFile {
    let mut bytes = Vec::new();
    let meta = FileMetaTableBuilder::new().transfer_syntax(syntax);
    object.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    ScanFile::from_bytes(&bytes).unwrap()
}

#[test]
fn streams_are_read_as_other_decoders_read_them() {
    let streams = streams();
    assert!(streams.len() >= 50, "all of them are there");
    for stream in streams {
        let scan = stream.scan().unwrap_or_else(|error| panic!("{}: {error}", stream.name));
        stream.check(&scan);
    }
}

#[test]
fn frames_lie_in_fragments() {
    for (name, other) in [("grey8.jls", "grey7.jls"), ("extended-64x48-90.jpg", "extended-64x48-90.jpg")] {
        let (first, mut second) = (named(name), named(other));
        let frames = vec![padded(first.bytes.clone()), padded(second.bytes.clone())];
        let mut object = first.object(frames, Vec::new());
        object.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, "2"));
        let scans = file(object, first.syntax());
        first.check(&scans.frame(0).unwrap());
        second.bits = first.bits;
        second.check(&scans.frame(1).unwrap());

        // Two frames in five fragments, of which the offsets tell which frame they are of.
        let mut fragments: Vec<Vec<u8>> =
            first.bytes.chunks(first.bytes.len() / 4 * 2).map(<[u8]>::to_vec).collect();
        let items: usize = fragments.iter().map(|fragment| 8 + fragment.len().next_multiple_of(2)).sum();
        fragments.extend(second.bytes.chunks(second.bytes.len() / 2 * 2).map(<[u8]>::to_vec));
        let fragments = fragments.into_iter().map(padded).collect();
        let mut object = first.object(fragments, vec![0, items as u32]);
        object.put(DataElement::new(tags::NUMBER_OF_FRAMES, VR::IS, "2"));
        let scans = file(object, first.syntax());
        first.check(&scans.frame(0).unwrap());
        second.check(&scans.frame(1).unwrap());
    }
}

#[test]
fn signs_are_in_the_highest_bit_of_the_stream_or_of_the_object() {
    for name in ["grey12.jls", "grey16.jls", "extended-37x45-98.jpg"] {
        let stream = named(name);
        let signed = |stored: u16| {
            let mut object = stream.whole();
            for (tag, number) in
                [(tags::BITS_STORED, stored), (tags::HIGH_BIT, stored - 1), (tags::PIXEL_REPRESENTATION, 1)]
            {
                object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(number)));
            }
            file(object, stream.syntax()).frame(0).unwrap().values().to_vec()
        };
        let half = 1 << (stream.bits - 1);
        let expected = |value: u16| {
            f64::from(value) - if u32::from(value) >= half { 2.0 * f64::from(half) } else { 0.0 }
        };
        for stored in [stream.bits, 16] {
            for (value, word) in signed(stored).into_iter().zip(&stream.expected) {
                assert!(
                    (f64::from(value) - expected(*word)).abs() <= stream.tolerance.into(),
                    "{name}, {stored} bits"
                );
            }
        }
    }
}

#[test]
fn segments_of_applications_and_comments_are_passed_over() {
    let spiff = b"\xff\xe8\x00\x08SPIFF\0\xff\xe8\x00\x08\0\0\0\x01\xff\xd8\xff\xfe\x00\x05abc\xff\xff";
    let jpeg_ls =
        named("grey8.jls").with_before(b"\xff\xf7", spiff).with_before(b"\xff\xda", b"\xff\xe1\x00\x02");
    jpeg_ls.check(&jpeg_ls.scan().unwrap());
    let extended = named("extended-37x45-98.jpg").with_before(b"\xff\xc1", spiff);
    extended.check(&extended.scan().unwrap());
    // An encoder's mistake, which other decoders pass over too.
    let mistaken = named("extended-37x45-98.jpg").with_instead(b"\x00\x3f\x00", b"\x00\x00\x00");
    mistaken.check(&mistaken.scan().unwrap());
}

#[test]
fn what_is_not_read_is_named() {
    let grey = || named("grey8.jls");
    for (stream, part) in [
        (grey().with_before(b"\xff\xf7", b"\xff\xe8\x00\x07mrfx\x01"), "HP's colour transform"),
        (grey().with_before(b"\xff\xda", b"\xff\xf8\x00\x06\x02\x01\x01\x00"), "a mapping table"),
        (grey().with_instead(b"\x01\x01\0\0\0\0", b"\x01\x01\0\0\0\x01"), "a point transform"),
        (grey().with_instead(b"\x01\x01\x11", b"\x01\x01\x21"), "subsampled"),
        (named("extended-37x45-98.jpg").with_instead(b"\xff\xc1", b"\xff\xc2"), "another process"),
        (named("extended-37x45-98.jpg").with_instead(b"\xff\xc1", b"\xff\xc9"), "another process"),
    ] {
        let error = stream.refusal();
        assert!(error.contains(part), "{part}: {error}");
    }
    let mut colour = named("extended-37x45-98.jpg");
    colour.samples = 3;
    assert!(colour.refusal().contains("12 bits in colour"));
}

#[test]
fn a_stream_holds_what_its_object_says() {
    for name in ["grey8.jls", "extended-64x48-90.jpg"] {
        for change in [
            |stream: &mut Stream| stream.rows += 1,
            |stream: &mut Stream| stream.columns = 65535,
            |stream: &mut Stream| std::mem::swap(&mut stream.rows, &mut stream.columns),
        ] {
            let mut stream = named(name);
            change(&mut stream);
            let error = stream.refusal();
            assert!(error.contains("pixels of the size that its header states"), "{name}: {error}");
        }
    }
    let mut colour = named("colour8-pixels-near0.jls");
    colour.samples = 1;
    assert!(colour.refusal().contains("pixels of the size"));
    let mut wide = named("grey12.jls");
    wide.bits = 8;
    assert_eq!(wide.refusal(), "damaged or cut off: its pixels could not be read");
    let twice = named("restarts8.jls").with_instead(b"\xff\xd1", b"\xff\xd0");
    assert_eq!(twice.refusal(), "damaged or cut off: its pixels could not be read");
}
