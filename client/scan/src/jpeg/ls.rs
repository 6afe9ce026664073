//! JPEG-LS (ITU-T T.87, ISO/IEC 14495-1): lossless and near-lossless, 2 to 16 bits, every interleaving, presets of
//! parameters and restart intervals.
//!
//! Refused by name: mapping tables, point transforms, subsampled components, and the colour transforms that HP's encoder
//! added, none of which DICOM knows.
//!
//! Modules in reading order: `parameters`, `bits`, `model` (what a sample is, by those around it), `lines`.

mod bits;
mod lines;
mod model;
mod parameters;

use super::{
    FrameHeader, PIXELS, Samples, Shape,
    segments::{FIRST_RESTART, HP, LS_FRAME, LS_PRESETS, RESTART_INTERVAL, SCAN, Segment, Segments},
};
use crate::Error;
use bits::Bits;
use lines::Plane;
use model::Model;
use parameters::{Parameters, Presets};

const UNKNOWN_TO_DICOM: Error =
    Error::TransferSyntax("JPEG-LS with a mapping table, a point transform or subsampled colours");

/// Decodes a frame.
pub(crate) fn decode(stream: &[u8], shape: Shape) -> Result<Samples, Error> {
    let mut segments = Segments::of(stream).ok_or(PIXELS)?;
    let mut frame = None;
    let mut presets = Presets::default();
    let mut restart_interval = 0;
    let mut missing = vec![true; shape.components];
    let mut values = Vec::new();
    while missing.contains(&true) {
        let Segment { marker, bytes } = segments.next().ok_or(PIXELS)?;
        match marker {
            LS_FRAME if frame.is_none() => {
                let header = FrameHeader::read(bytes, shape)?;
                if !(2..=16).contains(&header.precision) {
                    return Err(PIXELS);
                }
                if header.components.iter().any(|[_, sampling, _]| *sampling != 0x11) {
                    return Err(UNKNOWN_TO_DICOM);
                }
                values = vec![0; shape.rows * shape.columns * shape.components];
                frame = Some(header);
            }
            LS_PRESETS => presets.read(bytes)?,
            RESTART_INTERVAL if (2..=4).contains(&bytes.len()) => {
                restart_interval = bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
            }
            SCAN => {
                let frame = frame.as_ref().ok_or(PIXELS)?;
                let scan = Scan::read(bytes, frame, &presets)?;
                for component in &scan.components {
                    // Each is coded once: more scans can't make more work.
                    if !std::mem::replace(&mut missing[*component], false) {
                        return Err(PIXELS);
                    }
                }
                scan.decode(&mut segments, shape, restart_interval, &mut values)?;
            }
            HP if bytes.starts_with(b"mrfx") && bytes.get(4) != Some(&0) => {
                return Err(Error::TransferSyntax("JPEG-LS with HP's colour transform"));
            }
            0xe0..=0xef | 0xfe => {} // of applications; comments
            _ => return Err(PIXELS),
        }
    }
    let precision = frame.ok_or(PIXELS)?.precision;
    Ok(Samples { values, precision })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interleave {
    Line,
    Sample,
}

/// Some or all components of a frame, coded together.
struct Scan {
    /// Positions in the frame.
    components: Vec<usize>,
    interleave: Interleave,
    parameters: Parameters,
}

impl Scan {
    fn read(bytes: &[u8], frame: &FrameHeader<'_>, presets: &Presets) -> Result<Self, Error> {
        let (count, rest) = bytes.split_first().ok_or(PIXELS)?;
        let (names, rest) = rest.split_at_checked(2 * usize::from(*count)).ok_or(PIXELS)?;
        let &[near, interleave, transform] = rest else { return Err(PIXELS) };
        if transform != 0 || names.as_chunks().0.iter().any(|[_, table]| *table != 0) {
            return Err(UNKNOWN_TO_DICOM);
        }
        let names = names.as_chunks().0.iter();
        let components: Vec<usize> =
            names.map(|[name, _]| frame.position(*name)).collect::<Option<_>>().ok_or(PIXELS)?;
        let interleave = match (interleave, components.len()) {
            (0..=2, 1) | (1, 2..) => Interleave::Line,
            (2, 2..) => Interleave::Sample,
            _ => return Err(PIXELS),
        };
        let parameters = Parameters::new(frame.precision, near, presets)?;
        Ok(Self { components, interleave, parameters })
    }

    /// Decodes the coded data that follows; `restart_interval` is in lines, 0 for none.
    fn decode(
        &self,
        segments: &mut Segments<'_>,
        shape: Shape,
        restart_interval: usize,
        values: &mut [u16],
    ) -> Result<(), Error> {
        let lines = if restart_interval == 0 { shape.rows } else { restart_interval };
        let row = shape.columns * shape.components;
        for (at, rows) in values.chunks_mut(lines.saturating_mul(row).max(1)).enumerate() {
            if at > 0 {
                let marker = segments.next().ok_or(PIXELS)?.marker;
                if marker != FIRST_RESTART + (at - 1) as u8 % 8 {
                    return Err(PIXELS);
                }
            }
            let mut bits = Bits::new(segments.coded(|byte| byte >= 0x80));
            let mut model = Model::new(self.parameters);
            let mut planes = vec![Plane::new(shape.columns); self.components.len()];
            for row in rows.chunks_mut(row) {
                self.line(&mut planes, &mut model, &mut bits).ok_or(PIXELS)?;
                for (plane, component) in planes.iter().zip(&self.components) {
                    let places = row[*component..].iter_mut().step_by(shape.components);
                    places.zip(plane.line()).for_each(|(place, value)| *place = *value as u16);
                }
            }
        }
        Ok(())
    }

    fn line(&self, planes: &mut [Plane], model: &mut Model, bits: &mut Bits<'_>) -> Option<()> {
        match self.interleave {
            Interleave::Sample => lines::decode(planes, model, bits),
            Interleave::Line => planes
                .iter_mut()
                .try_for_each(|plane| lines::decode(std::slice::from_mut(plane), model, bits)),
        }
    }
}
