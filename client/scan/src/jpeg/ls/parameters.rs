//! What a scan's code depends on: the least error, thresholds, ranges (T.87, A.2.1 and C.2.4.1.1).

use super::PIXELS;
use crate::Error;

/// What segments of presets state; 0 where a scan is to have the default.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Presets {
    maximum: i32,
    thresholds: [i32; 3],
    reset: i32,
}

impl Presets {
    /// Reads a segment of presets.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match bytes {
            [1, numbers @ ..] => {
                let (&[maximum, t1, t2, t3, reset], []) = numbers.as_chunks() else { return Err(PIXELS) };
                let [maximum, t1, t2, t3, reset] =
                    [maximum, t1, t2, t3, reset].map(|number| u16::from_be_bytes(number).into());
                *self = Self { maximum, thresholds: [t1, t2, t3], reset };
                Ok(())
            }
            [2 | 3, ..] => Err(super::UNKNOWN_TO_DICOM), // mapping tables
            _ => Err(PIXELS),
        }
    }
}

/// The parameters of a scan, within the ranges that the standard gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameters {
    /// The greatest sample.
    pub(super) maximum: i32,
    /// How far a decoded sample may lie from the one that was coded; 0 is lossless.
    pub(super) near: i32,
    /// Between the regions of a gradient.
    pub(super) thresholds: [i32; 3],
    /// Samples of a context after which its counts are halved.
    pub(super) reset: i32,
    /// Values of a prediction error.
    pub(super) range: i32,
    /// Bits of a prediction error.
    pub(super) error_bits: u32,
    /// Bits of a code, at most.
    pub(super) limit: u32,
}

impl Parameters {
    pub(super) fn new(precision: u32, near: u8, presets: &Presets) -> Result<Self, Error> {
        let full = (1 << precision) - 1;
        let or = |preset: i32, default| if preset == 0 { default } else { preset };
        let maximum = or(presets.maximum, full);
        let near = i32::from(near);
        if maximum > full || near > 255.min(maximum / 2) {
            return Err(PIXELS);
        }
        let defaults = thresholds(maximum, near);
        let [t1, t2, t3] = [0, 1, 2].map(|at: usize| or(presets.thresholds[at], defaults[at]));
        let reset = or(presets.reset, 64);
        if !(near < t1 && t1 <= t2 && t2 <= t3 && t3 <= maximum && (3..=255.max(maximum)).contains(&reset)) {
            return Err(PIXELS);
        }
        let range = (maximum + 2 * near) / (2 * near + 1) + 1;
        let bits = bits_of(maximum + 1).max(2);
        Ok(Self {
            maximum,
            near,
            thresholds: [t1, t2, t3],
            reset,
            range,
            error_bits: bits_of(range),
            limit: 2 * (bits + bits.max(8)),
        })
    }
}

/// The default thresholds.
fn thresholds(maximum: i32, near: i32) -> [i32; 3] {
    let clamp = |number: i32, least| if (least..=maximum).contains(&number) { number } else { least };
    let [t1, t2, t3] = if maximum >= 128 {
        let factor = (maximum.min(4095) + 128) / 256;
        [factor + 2 + 3 * near, 4 * factor + 3 + 5 * near, 17 * factor + 4 + 7 * near]
    } else {
        let factor = 256 / (maximum + 1);
        [2.max(3 / factor + 3 * near), 3.max(7 / factor + 5 * near), 4.max(21 / factor + 7 * near)]
    };
    let t1 = clamp(t1, near + 1);
    let t2 = clamp(t2, t1);
    [t1, t2, clamp(t3, t2)]
}

/// The bits that count so many values.
fn bits_of(values: i32) -> u32 {
    (values - 1).checked_ilog2().map_or(0, |log| log + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_standard() {
        let of = |precision, near| Parameters::new(precision, near, &Presets::default()).unwrap();
        // T.87, table C.3; 12 bits are the greatest that thresholds grow with.
        assert_eq!(of(8, 0).thresholds, [3, 7, 21]);
        assert_eq!(of(8, 3).thresholds, [12, 22, 42]);
        assert_eq!(of(12, 0).thresholds, [18, 67, 276]);
        assert_eq!(of(16, 0).thresholds, [18, 67, 276]);
        let eight = of(8, 0);
        assert_eq!((eight.range, eight.error_bits, eight.limit), (256, 8, 32));
        let near = of(8, 3);
        assert_eq!((near.range, near.error_bits, near.limit), (38, 6, 32));
        assert_eq!((of(16, 0).error_bits, of(16, 0).limit, of(2, 0).limit), (16, 64, 20));
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        let presets = |numbers: [u16; 5]| {
            let bytes: Vec<u8> =
                [1].into_iter().chain(numbers.into_iter().flat_map(u16::to_be_bytes)).collect();
            let mut presets = Presets::default();
            presets.read(&bytes).map(|()| presets).unwrap()
        };
        let refused = |precision, near, numbers| Parameters::new(precision, near, &presets(numbers)).is_err();
        assert!(!refused(8, 0, [0; 5]) && !refused(8, 0, [255, 1, 1, 255, 3]) && !refused(8, 127, [0; 5]));
        assert!(refused(8, 128, [0; 5]), "an error beyond half of the samples");
        assert!(refused(16, 255, [400, 0, 0, 0, 0]));
        assert!(refused(8, 0, [256, 0, 0, 0, 0]), "a sample beyond the precision");
        for thresholds in [[5, 4, 21], [3, 22, 21], [3, 7, 256]] {
            let [t1, t2, t3] = thresholds;
            assert!(refused(8, 0, [0, t1, t2, t3, 0]), "{thresholds:?}");
        }
        assert!(refused(8, 2, [0, 2, 0, 0, 0]), "a threshold within the error");
        assert!(refused(8, 0, [0, 0, 0, 0, 2]) && refused(8, 0, [0, 0, 0, 0, 256]));
        for damaged in [&[][..], &[1], &[1, 0, 255], &[4, 0, 0, 0], &[9]] {
            assert!(matches!(Presets::default().read(damaged), Err(Error::Damaged(_))));
        }
        assert!(matches!(Presets::default().read(&[2, 1, 1]), Err(Error::TransferSyntax(_))));
    }
}
