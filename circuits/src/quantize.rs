//! Symmetric quantization: x_q = round(x / scale), clipped to |x_q| < 2^(bits-1).

use crate::{Error, Features};

/// The step of a quantized feature.
#[derive(Debug, Clone, PartialEq)]
pub enum Scale {
    /// One step for all features.
    PerTensor(f64),
    /// One step for each feature.
    PerFeature(Vec<f64>),
}

/// How finely features are calibrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granularity {
    /// One scale for all features: embeddings, whose coordinates have like ranges.
    PerTensor,
    /// One scale a feature: measurements of different units.
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
    /// Builds a quantizer for `features` columns. Errors where a scale is not a positive finite number, where there
    /// are not 1 or `features` of them, or where `bits` is not in 2..=8.
    pub fn new(bits: u32, features: usize, scale: Scale) -> Result<Self, Error> {
        if !(2..=8).contains(&bits) {
            return Err(Error::OutOfRange { what: "feature bits", rule: "2 to 8" });
        }
        let scales = match &scale {
            Scale::PerTensor(scale) => std::slice::from_ref(scale),
            Scale::PerFeature(scales) if scales.len() == features => scales,
            Scale::PerFeature(scales) => {
                return Err(Error::Shape { what: "quantizer scales", got: scales.len(), expected: features });
            }
        };
        if !scales.iter().all(|scale| scale.is_normal() && *scale > 0.0) {
            return Err(Error::OutOfRange { what: "a quantizer scale", rule: "a positive finite number" });
        }
        Ok(Self { bits, features, scale })
    }

    /// Calibrates on given rows: the largest magnitude seen becomes the largest integer.
    pub fn calibrate(rows: &Features, bits: u32, granularity: Granularity) -> Result<Self, Error> {
        if !(2..=8).contains(&bits) {
            return Err(Error::OutOfRange { what: "feature bits", rule: "2 to 8" });
        }
        let limit = f64::from((1_u32 << (bits - 1)) - 1);
        // A feature that is zero throughout calibration carries nothing: any step will do.
        let step = |largest: f64| if (largest / limit).is_normal() { largest / limit } else { 1.0 };
        let mut largest = vec![0.0_f64; rows.columns()];
        for row in rows {
            for (largest, value) in largest.iter_mut().zip(row) {
                *largest = largest.max(value.abs());
            }
        }
        let scale = match granularity {
            Granularity::PerTensor => Scale::PerTensor(step(largest.into_iter().fold(0.0, f64::max))),
            Granularity::PerFeature => Scale::PerFeature(largest.into_iter().map(step).collect()),
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
            Scale::PerFeature(scales) => scales.get(feature).copied().unwrap_or(1.0),
        }
    }

    /// Quantizes one row of d finite floats. Features outside the calibrated range are clipped to its ends and
    /// counted; half steps round away from zero.
    pub fn quantize(&self, row: &[f64]) -> Result<QuantizedRow, Error> {
        if row.len() != self.features {
            return Err(Error::Shape { what: "features per row", got: row.len(), expected: self.features });
        }
        let limit = (1_i64 << (self.bits - 1)) - 1;
        let mut clipped = 0;
        let values = row
            .iter()
            .enumerate()
            .map(|(column, &value)| {
                let scaled = (value / self.scale_of(column)).round();
                if scaled.is_nan() {
                    return Err(Error::NotFinite { what: "features", row: 0, column });
                }
                clipped += usize::from(scaled.abs() > limit as f64);
                Ok(scaled.clamp(-limit as f64, limit as f64) as i64)
            })
            .collect::<Result<_, _>>()?;
        Ok(QuantizedRow { values, clipped })
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
        assert_eq!(quantized[0].values, [-127, 127, 0]);
        assert_eq!(quantized[1].values, [64, -51, 0]);
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
    fn bad_rows_and_scales_are_refused() {
        let quantizer = Quantizer::new(8, 2, Scale::PerTensor(1.0)).unwrap();
        assert!(matches!(quantizer.quantize(&[1.0]), Err(Error::Shape { .. })));
        assert!(matches!(quantizer.quantize(&[1.0, f64::NAN]), Err(Error::NotFinite { column: 1, .. })));
        for scale in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE / 2.0] {
            assert!(Quantizer::new(8, 2, Scale::PerTensor(scale)).is_err());
        }
        assert!(Quantizer::new(8, 2, Scale::PerFeature(vec![1.0])).is_err());
        assert!(Quantizer::new(1, 2, Scale::PerTensor(1.0)).is_err());
    }
}
