//! Affine quantization: x_q = round((x - offset) / scale), clipped to |x_q| < 2^(bits-1).

use crate::{Error, Features};

/// The step of a quantized feature, and the value that becomes 0.
#[derive(Debug, Clone, PartialEq)]
pub enum Scale {
    /// One step for all features, around 0.
    PerTensor(f64),
    /// A step and an offset for each feature.
    PerFeature {
        /// d steps.
        scales: Vec<f64>,
        /// d offsets.
        offsets: Vec<f64>,
    },
}

/// How finely features are calibrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granularity {
    /// One scale for all features, symmetric: embeddings, whose coordinates have like ranges.
    PerTensor,
    /// A scale and an offset for each feature: measurements of different units, ranges that do not contain 0.
    PerFeature,
}

/// Turns rows of floats into rows of small integers. Public: it stands in the circuit card.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantizer {
    bits: u32,
    features: usize,
    scale: Scale,
}

/// One quantized row, with the number of features that lay outside the calibrated range.
#[derive(Clone, PartialEq, Eq)]
pub struct QuantizedRow {
    /// d integers with |x| < 2^(bits-1).
    pub values: Vec<i64>,
    /// How many features were clipped.
    pub clipped: usize,
}

impl std::fmt::Debug for QuantizedRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "QuantizedRow([{}])", self.values.len())
    }
}

impl Quantizer {
    /// Builds a quantizer for `features` columns. Errors where a scale is not a positive finite number, an offset is not
    /// finite, where there are not 1 or `features` of them, or where `bits` is not in 2..=8.
    pub fn new(bits: u32, features: usize, scale: Scale) -> Result<Self, Error> {
        check_bits(bits)?;
        let (scales, offsets) = match &scale {
            Scale::PerTensor(scale) => (std::slice::from_ref(scale), [].as_slice()),
            Scale::PerFeature { scales, offsets } => {
                for (what, got) in [("quantizer scales", scales.len()), ("quantizer offsets", offsets.len())]
                {
                    if got != features {
                        return Err(Error::Shape { what, got, expected: features });
                    }
                }
                (scales.as_slice(), offsets.as_slice())
            }
        };
        if !scales.iter().all(|scale| scale.is_normal() && *scale > 0.0) {
            return Err(Error::OutOfRange { what: "a quantizer scale", rule: "a positive finite number" });
        }
        if !offsets.iter().all(|offset| offset.is_finite()) {
            return Err(Error::OutOfRange { what: "a quantizer offset", rule: "a finite number" });
        }
        Ok(Self { bits, features, scale })
    }

    /// Calibrates on given rows: the ends of the range seen become the ends of the integers' range.
    pub fn calibrate(rows: &Features, bits: u32, granularity: Granularity) -> Result<Self, Error> {
        check_bits(bits)?;
        let limit = f64::from((1_u32 << (bits - 1)) - 1);
        // A feature that is constant throughout calibration carries nothing: any step will do.
        let step = |reach: f64| if (reach / limit).is_normal() { reach / limit } else { 1.0 };
        let mut ranges = vec![(f64::INFINITY, f64::NEG_INFINITY); rows.columns()];
        for row in rows {
            for ((least, largest), value) in ranges.iter_mut().zip(row) {
                (*least, *largest) = (least.min(*value), largest.max(*value));
            }
        }
        let scale = match granularity {
            Granularity::PerTensor => {
                let reach = |(least, largest): (f64, f64)| least.abs().max(largest.abs());
                Scale::PerTensor(step(ranges.into_iter().map(reach).fold(0.0, f64::max)))
            }
            Granularity::PerFeature => {
                let center = |(least, largest): (f64, f64)| least / 2.0 + largest / 2.0;
                let reach = |(least, largest): (f64, f64)| largest / 2.0 - least / 2.0;
                Scale::PerFeature {
                    scales: ranges.iter().map(|&range| step(reach(range))).collect(),
                    offsets: ranges.iter().map(|&range| center(range)).collect(),
                }
            }
        };
        Self::new(bits, rows.columns(), scale)
    }

    /// Width of a quantized feature in bits.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// The scale or scales.
    #[must_use]
    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// The scale of one feature.
    #[must_use]
    pub fn scale_of(&self, feature: usize) -> f64 {
        match &self.scale {
            Scale::PerTensor(scale) => *scale,
            Scale::PerFeature { scales, .. } => scales.get(feature).copied().unwrap_or(1.0),
        }
    }

    /// The value of one feature that becomes 0.
    #[must_use]
    pub fn offset_of(&self, feature: usize) -> f64 {
        match &self.scale {
            Scale::PerTensor(_) => 0.0,
            Scale::PerFeature { offsets, .. } => offsets.get(feature).copied().unwrap_or(0.0),
        }
    }

    /// Quantizes one row of d finite floats. Features outside the calibrated range are clipped to its ends and
    /// counted; half steps round away from zero.
    pub fn quantize(&self, row: &[f64]) -> Result<QuantizedRow, Error> {
        if row.len() != self.features {
            return Err(Error::Shape { what: "features per row", got: row.len(), expected: self.features });
        }
        let limit = self.limit();
        let mut clipped = 0;
        let values = row
            .iter()
            .enumerate()
            .map(|(column, &value)| {
                let scaled = self.scaled(column, value);
                if scaled.is_nan() {
                    return Err(Error::NotFinite { what: "features", row: 0, column });
                }
                clipped += usize::from(scaled.abs() > limit as f64);
                Ok(scaled.clamp(-limit as f64, limit as f64) as i64)
            })
            .collect::<Result<_, _>>()?;
        Ok(QuantizedRow { values, clipped })
    }

    /// A value of one feature that becomes exactly `x` and is not clipped. There is none beyond the integers' range, nor
    /// where floats around the offset lie further apart than steps.
    #[must_use]
    pub fn value_of(&self, feature: usize, x: i64) -> Option<f64> {
        let value = self.offset_of(feature) + self.scale_of(feature) * x as f64;
        let is_exact =
            x.unsigned_abs() <= self.limit().unsigned_abs() && self.scaled(feature, value) == x as f64;
        (value.is_finite() && is_exact).then_some(value)
    }

    /// The largest integer of a feature.
    fn limit(&self) -> i64 {
        (1 << (self.bits - 1)) - 1
    }

    fn scaled(&self, feature: usize, value: f64) -> f64 {
        ((value - self.offset_of(feature)) / self.scale_of(feature)).round()
    }
}

fn check_bits(bits: u32) -> Result<(), Error> {
    match bits {
        2..=8 => Ok(()),
        _ => Err(Error::OutOfRange { what: "feature bits", rule: "2 to 8" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Features {
        Features::new(vec![-2.0, 127.0, 0.0, 1.0, -50.5, 0.0], 3).unwrap()
    }

    #[test]
    fn calibrated_rows_span_the_range_and_are_not_clipped() {
        let quantizer = Quantizer::calibrate(&rows(), 8, Granularity::PerFeature).unwrap();
        let quantized: Vec<_> = rows().iter().map(|row| quantizer.quantize(row).unwrap()).collect();
        // Ranges [-2, 1], [-50.5, 127] and [0, 0]: both ends of each are reached.
        assert_eq!(quantized[0].values, [-127, 127, 0]);
        assert_eq!(quantized[1].values, [127, -127, 0]);
        assert_eq!((quantizer.offset_of(0), quantizer.offset_of(1)), (-0.5, 38.25));
        assert_eq!(quantizer.quantize(&[-0.5, 38.25, 0.0]).unwrap().values, [0, 0, 0]);
        assert!(quantized.iter().all(|row| row.clipped == 0));

        let quantizer = Quantizer::calibrate(&rows(), 4, Granularity::PerTensor).unwrap();
        assert_eq!(quantizer.quantize(&[-2.0, 127.0, 18.0]).unwrap().values, [0, 7, 1]);
    }

    #[test]
    fn values_out_of_range_are_clipped_and_counted() {
        let quantizer = Quantizer::new(8, 3, Scale::PerTensor(0.5)).unwrap();
        let row = quantizer.quantize(&[1e300, -63.6, 64.0]).unwrap();
        assert_eq!((row.values, row.clipped), (vec![127, -127, 127], 2));
    }

    #[test]
    fn integers_have_values_unless_floats_are_too_far_apart() {
        // Zero is the offset itself, whatever the step; at 1e20 the next float is 16,384 away.
        let (scales, offsets) =
            (vec![0.3, 1e-9, 1e300, 4096.0, 32_768.0], vec![-7.7, 1.0, 1e308, 1e20, 1e20]);
        let quantizer = Quantizer::new(8, 5, Scale::PerFeature { scales, offsets }).unwrap();
        let mut known = [0; 5];
        for x in -127..=127 {
            let values: Vec<Option<f64>> = (0..5).map(|feature| quantizer.value_of(feature, x)).collect();
            let row: Vec<f64> = (0..5).map(|at| values[at].unwrap_or(quantizer.offset_of(at))).collect();
            let expected: Vec<i64> = values.iter().map(|value| value.map_or(0, |_| x)).collect();
            assert_eq!(quantizer.quantize(&row).unwrap(), QuantizedRow { values: expected, clipped: 0 });
            known.iter_mut().zip(&values).for_each(|(known, value)| *known += usize::from(value.is_some()));
        }
        assert_eq!((known[0], known[1], known[4]), (255, 255, 255));
        assert!(known[3] < 255, "{known:?}");
        for x in [128, -128, i64::MAX, i64::MIN] {
            assert_eq!(quantizer.value_of(0, x), None);
        }
    }

    #[test]
    fn bad_rows_and_scales_are_refused() {
        let quantizer = Quantizer::new(8, 2, Scale::PerTensor(1.0)).unwrap();
        assert!(matches!(quantizer.quantize(&[1.0]), Err(Error::Shape { .. })));
        assert!(matches!(quantizer.quantize(&[1.0, f64::NAN]), Err(Error::NotFinite { column: 1, .. })));
        for scale in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE / 2.0] {
            assert!(Quantizer::new(8, 2, Scale::PerTensor(scale)).is_err());
        }
        let per_feature = |scales: &[f64], offsets: &[f64]| {
            let (scales, offsets) = (scales.to_vec(), offsets.to_vec());
            Quantizer::new(8, 2, Scale::PerFeature { scales, offsets })
        };
        assert!(per_feature(&[1.0, 2.0], &[0.0, -7.5]).is_ok());
        assert!(matches!(per_feature(&[1.0], &[0.0, 0.0]), Err(Error::Shape { .. })));
        assert!(matches!(per_feature(&[1.0, 1.0], &[0.0]), Err(Error::Shape { .. })));
        assert!(per_feature(&[1.0, 1.0], &[0.0, f64::NAN]).is_err());
        assert!(Quantizer::new(1, 2, Scale::PerTensor(1.0)).is_err());
    }
}
