//! Between what each feature lies. Public: chosen before the patients are looked at, from what the feature is.

use crate::Error;

/// The bounds of one feature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// No value is below; smaller ones are moved up to it.
    pub lower: f64,
    /// No value is above; larger ones are moved down to it. The same number twice is a feature that does not vary.
    pub upper: f64,
    /// Whether the feature takes whole numbers only.
    pub whole: bool,
}

/// The bounds of all features, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds(Vec<Bound>);

/// Above this, a double does not hold every whole number.
const LARGEST_WHOLE: f64 = (1u64 << 53) as f64;

impl Bounds {
    /// Checks bounds.
    pub fn new(bounds: Vec<Bound>) -> Result<Self, Error> {
        let is_wrong = |bound: &Bound| {
            let is_whole = |value: f64| value.fract() == 0.0 && value.abs() <= LARGEST_WHOLE;
            // Finite, for the width is not where an end is not.
            let is_ordered = bound.lower <= bound.upper && (bound.upper - bound.lower).is_finite();
            !(is_ordered && bound.lower.is_finite())
                || bound.whole && !(is_whole(bound.lower) && is_whole(bound.upper))
        };
        match bounds.iter().position(is_wrong) {
            Some(at) => Err(Error::Bounds { feature: at + 1 }),
            None => Ok(Self(bounds)),
        }
    }

    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[Bound] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_bound_nothing_are_refused() {
        let good = Bound { lower: 0.0, upper: 1.0, whole: true };
        Bounds::new(vec![good, Bound { upper: 0.0, ..good }, Bound { upper: 0.5, whole: false, ..good }])
            .unwrap();
        for bad in [
            Bound { lower: 2.0, ..good },
            Bound { lower: f64::NAN, ..good },
            Bound { upper: f64::INFINITY, ..good },
            Bound { lower: f64::INFINITY, upper: f64::INFINITY, whole: false },
            Bound { lower: -1e308, upper: 1e308, whole: false },
            Bound { upper: 0.5, ..good },
            Bound { upper: 1e17, ..good },
        ] {
            assert_eq!(Bounds::new(vec![good, bad]).unwrap_err(), Error::Bounds { feature: 2 }, "{bad:?}");
        }
    }
}
