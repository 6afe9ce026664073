//! Pixels as a model and a reader see them.

use std::fmt;

use thiserror::Error;

/// The largest picture, in pixels: a mammogram has 14 million.
pub const MAXIMUM_PIXELS: usize = 1 << 26;

/// A picture: `height` rows of `width` pixels with 1 (grey) or 3 (red, green, blue) channels. Samples lie between 0
/// (black) and 1, row after row, the channels of a pixel side by side.
#[derive(Clone, PartialEq)]
pub struct Picture {
    height: usize,
    width: usize,
    channels: usize,
    samples: Vec<f32>,
}

/// Why samples are no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PictureError {
    /// No pixels, or too many.
    #[error("a picture has 1 to {MAXIMUM_PIXELS} pixels")]
    Size,
    /// Neither grey nor RGB.
    #[error("a picture has 1 or 3 channels")]
    Channels,
    /// The samples do not fill the shape.
    #[error("a picture has height x width x channels samples")]
    Samples,
    /// Not a number, or beyond black and white.
    #[error("a sample lies between 0 and 1")]
    Range,
}

impl Picture {
    /// A picture of these samples.
    pub fn new(
        height: usize,
        width: usize,
        channels: usize,
        samples: Vec<f32>,
    ) -> Result<Self, PictureError> {
        let pixels = height.checked_mul(width).filter(|pixels| (1..=MAXIMUM_PIXELS).contains(pixels));
        let pixels = pixels.ok_or(PictureError::Size)?;
        if !matches!(channels, 1 | 3) {
            return Err(PictureError::Channels);
        }
        if samples.len() != pixels * channels {
            return Err(PictureError::Samples);
        }
        if !samples.iter().all(|sample| (0.0..=1.0).contains(sample)) {
            return Err(PictureError::Range);
        }
        Ok(Self { height, width, channels, samples })
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
        self.channels
    }

    /// The samples, `height` x `width` x `channels`.
    #[must_use]
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }
}

/// Pixels are a patient's: only the shape is shown.
impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({} x {} x {})", self.height, self.width, self.channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_fills_its_shape_with_samples_between_black_and_white() {
        let picture = Picture::new(1, 2, 3, vec![0.0, 0.5, 1.0, 0.1, 0.2, 0.3]).unwrap();
        assert_eq!((picture.height(), picture.width(), picture.channels()), (1, 2, 3));
        assert_eq!(format!("{picture:?}"), "Picture(1 x 2 x 3)");

        assert_eq!(Picture::new(0, 2, 1, vec![]), Err(PictureError::Size));
        assert_eq!(Picture::new(usize::MAX, 2, 1, vec![]), Err(PictureError::Size));
        assert_eq!(Picture::new(1, 1, 4, vec![0.0; 4]), Err(PictureError::Channels));
        assert_eq!(Picture::new(1, 2, 1, vec![0.0]), Err(PictureError::Samples));
        assert_eq!(Picture::new(1, 1, 1, vec![f32::NAN]), Err(PictureError::Range));
        assert_eq!(Picture::new(1, 1, 1, vec![1.5]), Err(PictureError::Range));
    }
}
