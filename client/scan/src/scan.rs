//! One frame: its values, and the picture that a reader or a model sees.

use std::fmt;

use crate::{Error, Picture, picture::MAXIMUM_PIXELS};

/// One frame of a scan. `Debug` shows the shape alone.
#[derive(Clone, PartialEq)]
pub struct Scan {
    height: usize,
    width: usize,
    values: Values,
    shown: Shown,
    is_inverted: bool,
}

/// What pixels hold.
#[derive(Clone, PartialEq)]
pub(crate) enum Values {
    /// One value a pixel, in the scan's own units.
    Grey(Vec<f32>),
    /// Red, green and blue, from 0 to 1.
    Colour(Vec<f32>),
}

/// How grey values are shown where nobody says otherwise.
#[derive(Clone, PartialEq)]
pub(crate) enum Shown {
    /// Between two values.
    Range(f32, f32),
    /// Between the frame's own least and largest value.
    Everything,
    /// Through a window.
    Window(Window),
    /// Through a table of the file, whose entries lie between 0 and 1; the first is of this value.
    Table { first: f32, entries: Vec<f32> },
}

/// Which values are shown from black to white, as DICOM PS3.3 C.11.2 defines it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// The center.
    pub center: f64,
    /// The width, 1 or more; for the exact and sigmoid functions above 0.
    pub width: f64,
    /// The function.
    pub function: WindowFunction,
}

/// The shape of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WindowFunction {
    /// The default, which counts in whole steps.
    #[default]
    Linear,
    /// Linear over exactly the width.
    LinearExact,
    /// A sigmoid.
    Sigmoid,
}

impl Window {
    /// A linear window. Errors where the numbers are not finite or the width is below 1.
    pub fn linear(center: f64, width: f64) -> Result<Self, Error> {
        Self { center, width, function: WindowFunction::Linear }.checked().ok_or(Error::Damaged("a window"))
    }

    /// The window, if its numbers are sound.
    pub(crate) fn checked(self) -> Option<Self> {
        let least = if self.function == WindowFunction::Linear { 1.0 } else { f64::MIN_POSITIVE };
        (self.center.is_finite() && self.width.is_finite() && self.width >= least).then_some(self)
    }

    /// Where a value lies between black (0) and white (1).
    fn show(&self, value: f64) -> f64 {
        let Self { center, width, function } = *self;
        match function {
            // A window of width 1 is a step at the center.
            WindowFunction::Linear if width == 1.0 => f64::from(u8::from(value > center - 0.5)),
            WindowFunction::Linear => ((value - (center - 0.5)) / (width - 1.0) + 0.5).clamp(0.0, 1.0),
            WindowFunction::LinearExact => ((value - center) / width + 0.5).clamp(0.0, 1.0),
            WindowFunction::Sigmoid => 1.0 / (1.0 + (-4.0 * (value - center) / width).exp()),
        }
    }
}

impl Scan {
    /// A frame. Errors where the values do not fill the shape or are not finite.
    pub(crate) fn new(
        (height, width): (usize, usize),
        values: Values,
        shown: Shown,
        is_inverted: bool,
    ) -> Result<Self, Error> {
        let pixels = height.checked_mul(width).filter(|pixels| (1..=MAXIMUM_PIXELS).contains(pixels));
        let pixels = pixels.ok_or(Error::Size)?;
        let (samples, expected) = match &values {
            Values::Grey(samples) => (samples, pixels),
            Values::Colour(samples) => (samples, 3 * pixels),
        };
        if samples.len() != expected {
            return Err(Error::Damaged("its last pixels"));
        }
        if !samples.iter().all(|sample| sample.is_finite()) {
            return Err(Error::NotFinite);
        }
        Ok(Self { height, width, values, shown, is_inverted })
    }

    /// Rows of pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Pixels of a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// 1 (grey) or 3 (red, green, blue).
    #[must_use]
    pub fn channels(&self) -> usize {
        match self.values {
            Values::Grey(_) => 1,
            Values::Colour(_) => 3,
        }
    }

    /// The values, `height` x `width` x `channels`: grey ones in the scan's own units (Hounsfield units of a CT), colours
    /// from 0 to 1.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        match &self.values {
            Values::Grey(values) | Values::Colour(values) => values,
        }
    }

    /// The window that the file asks for.
    #[must_use]
    pub fn window(&self) -> Option<Window> {
        match &self.shown {
            Shown::Window(window) => Some(*window),
            _ => None,
        }
    }

    /// The scan as it is to be seen: through the given window, or else as the file says; where it says nothing, from a
    /// DICOM frame's least value to its largest, and over all that a picture's format can hold. Colours stay as they are.
    pub fn picture(&self, window: Option<Window>) -> Result<Picture, Error> {
        let samples = match &self.values {
            Values::Colour(samples) => samples.clone(),
            Values::Grey(values) => {
                let shown = window.map_or_else(|| self.shown.clone(), Shown::Window);
                let mut samples = shown.apply(values);
                if self.is_inverted {
                    samples.iter_mut().for_each(|sample| *sample = 1.0 - *sample);
                }
                samples
            }
        };
        Picture::new(self.height, self.width, self.channels(), samples).map_err(|_| Error::NotFinite)
    }
}

impl Shown {
    fn apply(&self, values: &[f32]) -> Vec<f32> {
        let between = |low: f32, high: f32| {
            let scale = if high > low { f64::from(high) - f64::from(low) } else { 1.0 };
            let show = |value: &f32| ((f64::from(*value) - f64::from(low)) / scale).clamp(0.0, 1.0) as f32;
            values.iter().map(show).collect()
        };
        match self {
            Self::Range(low, high) => between(*low, *high),
            Self::Everything => {
                let low = values.iter().copied().fold(f32::INFINITY, f32::min);
                between(low, values.iter().copied().fold(f32::NEG_INFINITY, f32::max))
            }
            Self::Window(window) => {
                values.iter().map(|value| window.show(f64::from(*value)) as f32).collect()
            }
            Self::Table { first, entries } => {
                let last = entries.len().saturating_sub(1) as f32;
                let entry = |value: &f32| entries[(value - first).round().clamp(0.0, last) as usize];
                values.iter().map(entry).collect()
            }
        }
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scan({} x {} x {})", self.height, self.width, self.channels())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(values: &[f32], shown: Shown, is_inverted: bool, window: Option<Window>) -> Vec<f32> {
        let scan = Scan::new((1, values.len()), Values::Grey(values.to_vec()), shown, is_inverted).unwrap();
        scan.picture(window).unwrap().samples().to_vec()
    }

    #[test]
    fn windows_are_those_of_the_standard() {
        // PS3.3 C.11.2.1.2: center 2048, width 4096 shows 0 as black and 4095 as white.
        let window = Window::linear(2048.0, 4096.0).unwrap();
        let values = [-5.0, 0.0, 2047.5, 4095.0, 9000.0];
        assert_eq!(shown(&values, Shown::Everything, false, Some(window)), [0.0, 0.0, 0.5, 1.0, 1.0]);
        let exact = Window { function: WindowFunction::LinearExact, ..window };
        assert_eq!(shown(&[0.0, 2048.0, 4096.0], Shown::Window(exact), false, None), [0.0, 0.5, 1.0]);
        let sigmoid = Window { function: WindowFunction::Sigmoid, ..window };
        let samples = shown(&[2048.0, 4096.0], Shown::Window(sigmoid), false, None);
        assert!(samples[0] == 0.5 && (samples[1] - 0.880_797).abs() < 1e-6);
        let step = Window::linear(10.0, 1.0).unwrap();
        assert_eq!(shown(&[9.0, 9.5, 10.0], Shown::Window(step), false, None), [0.0, 0.0, 1.0]);
        assert!(Window::linear(0.0, 0.5).is_err() && Window::linear(f64::NAN, 5.0).is_err());
    }

    #[test]
    fn ranges_tables_and_inversion() {
        assert_eq!(shown(&[1.0, 2.0, 3.0], Shown::Everything, true, None), [1.0, 0.5, 0.0]);
        assert_eq!(shown(&[7.0, 7.0], Shown::Everything, false, None), [0.0, 0.0]);
        assert_eq!(shown(&[0.0, 51.0, 300.0], Shown::Range(0.0, 255.0), false, None), [0.0, 0.2, 1.0]);
        let table = Shown::Table { first: 10.0, entries: vec![0.0, 0.25, 1.0] };
        assert_eq!(shown(&[-3.0, 11.0, 12.0, 1e9], table, false, None), [0.0, 0.25, 1.0, 1.0]);
    }

    #[test]
    fn frames_fill_their_shape_with_finite_values() {
        let grey = |values: Vec<f32>| Scan::new((1, 2), Values::Grey(values), Shown::Everything, false);
        assert!(matches!(grey(vec![1.0]), Err(Error::Damaged(_))));
        assert!(matches!(grey(vec![1.0, f32::NAN]), Err(Error::NotFinite)));
        let none = Scan::new((0, 2), Values::Grey(vec![]), Shown::Everything, false);
        assert!(matches!(none, Err(Error::Size)));
        assert_eq!(format!("{:?}", grey(vec![1.0, 2.0]).unwrap()), "Scan(1 x 2 x 1)");
    }
}
