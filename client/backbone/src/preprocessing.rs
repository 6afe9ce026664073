//! The preprocessing card of a backbone: a small TOML file beside the model that says how a picture becomes its input,
//! and where its features stand.
//!
//! ```toml
//! size = [224, 224]          # height, width
//! fit = "crop"               # stretch (the default), crop or pad
//! crop = 0.875               # with crop: the part of the shorter side that is kept, 1 by default
//! layout = "nchw"            # or nhwc
//! channels = "rgb"           # or bgr, grey
//! range = [0.0, 1.0]         # what black and white become
//! mean = [0.485, 0.456, 0.406]   # taken away next, one a channel; 0 by default
//! std = [0.229, 0.224, 0.225]    # divided by last, one a channel; 1 by default
//! window = [40.0, 400.0]     # center and width of the values to show, instead of the scan's own
//! output = "features"        # the tensor with the features, an inner one too; the model's only output by default
//! pooling = "average"        # the features are the mean over the map's locations; none by default
//! map_layout = "nchw"        # with pooling: the layout of that tensor; by default that of the input
//! ```

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use serde::Deserialize;
use tiresias_scan::Picture;

use crate::Error;

/// The largest input, in samples: 2,048 x 2,048 of three channels.
const MAXIMUM_SAMPLES: usize = 3 << 22;

/// A checked preprocessing card.
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocessing {
    form: Form,
    mean: Vec<f32>,
    std: Vec<f32>,
}

/// How a picture of another shape is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fit {
    /// Height and width are scaled each on its own.
    #[default]
    Stretch,
    /// The largest part of the right shape, from the middle.
    Crop,
    /// The whole picture, with black around.
    Pad,
}

/// Where channels stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layout {
    /// Before rows and columns.
    Nchw,
    /// Behind them.
    Nhwc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Channels {
    Grey,
    Rgb,
    Bgr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Pooling {
    #[default]
    None,
    Average,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    size: [usize; 2],
    #[serde(default)]
    fit: Fit,
    crop: Option<f64>,
    layout: Layout,
    channels: Channels,
    range: [f32; 2],
    mean: Option<Vec<f32>>,
    std: Option<Vec<f32>>,
    window: Option<[f64; 2]>,
    output: Option<String>,
    #[serde(default)]
    pooling: Pooling,
    map_layout: Option<Layout>,
}

impl Preprocessing {
    /// Reads a card. Errors name the field that breaks a rule.
    pub fn from_toml(bytes: &[u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(bytes).map_err(|_| Error::Card("it is not UTF-8 text"))?;
        let form: Form = toml::from_str(text).map_err(|_| {
            Error::Card("a field is missing, unknown or of the wrong kind: size, layout, channels and range are needed")
        })?;
        let channels = if form.channels == Channels::Grey { 1 } else { 3 };
        let [height, width] = form.size;
        let samples = height.saturating_mul(width).saturating_mul(channels);
        let mean = form.mean.clone().unwrap_or_else(|| vec![0.0; channels]);
        let std = form.std.clone().unwrap_or_else(|| vec![1.0; channels]);
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        for (rule, holds) in [
            (
                "size: height and width of 1 or more, and at most 2,048 x 2,048",
                (1..=MAXIMUM_SAMPLES).contains(&samples),
            ),
            ("range: two different finite numbers", finite(&form.range) && form.range[0] != form.range[1]),
            ("mean: one finite number a channel", mean.len() == channels && finite(&mean)),
            (
                "std: one finite number other than 0 a channel",
                std.len() == channels && std.iter().all(|std| std.is_normal()),
            ),
            (
                "window: a center and a width of 1 or more",
                form.window
                    .is_none_or(|[center, width]| center.is_finite() && width.is_finite() && width >= 1.0),
            ),
            (
                "crop: goes with fit = \"crop\", above 0 and at most 1",
                form.crop.is_none_or(|crop| form.fit == Fit::Crop && crop > 0.0 && crop <= 1.0),
            ),
            (
                "map_layout: goes with pooling = \"average\"",
                form.map_layout.is_none() || form.pooling == Pooling::Average,
            ),
        ] {
            if !holds {
                return Err(Error::Card(rule));
            }
        }
        Ok(Self { form, mean, std })
    }

    /// Center and width of the values to show, where the model wants others than the scan's own.
    #[must_use]
    pub fn window(&self) -> Option<(f64, f64)> {
        self.form.window.map(|[center, width]| (center, width))
    }

    /// The tensor with the features, where it is not the model's only output.
    #[must_use]
    pub fn output(&self) -> Option<&str> {
        self.form.output.as_deref()
    }

    /// Whether the features are the mean over a map's locations.
    #[must_use]
    pub fn pools(&self) -> bool {
        self.form.pooling == Pooling::Average
    }

    /// The layout of the tensor with the map.
    pub(crate) fn map_layout(&self) -> Layout {
        self.form.map_layout.unwrap_or(self.form.layout)
    }

    /// The shape of the model's input, for one picture.
    pub(crate) fn input_shape(&self) -> [usize; 4] {
        let ([height, width], channels) = (self.form.size, self.mean.len());
        match self.form.layout {
            Layout::Nchw => [1, channels, height, width],
            Layout::Nhwc => [1, height, width, channels],
        }
    }

    /// The model's input: fitted with antialiasing (bilinear, over the area that a pixel covers), in the card's channels,
    /// range and layout.
    pub(crate) fn input(&self, picture: &Picture) -> Result<Vec<f32>, Error> {
        let fitted = self.fit(&self.recolour(picture), picture)?;
        let channels = self.mean.len();
        let [low, high] = self.form.range;
        let value = |(at, sample): (usize, &f32)| {
            let channel = at % channels;
            (low + sample * (high - low) - self.mean[channel]) / self.std[channel]
        };
        let values: Vec<f32> = fitted.iter().enumerate().map(value).collect();
        Ok(match self.form.layout {
            Layout::Nhwc => values,
            Layout::Nchw => {
                let plane = |channel| values.iter().skip(channel).step_by(channels).copied();
                (0..channels).flat_map(plane).collect()
            }
        })
    }

    /// The picture's samples in the card's channels.
    fn recolour(&self, picture: &Picture) -> Vec<f32> {
        let samples = picture.samples();
        match (picture.channels(), self.form.channels) {
            (1, Channels::Grey) | (3, Channels::Rgb) => samples.to_vec(),
            (1, Channels::Rgb | Channels::Bgr) => samples.iter().flat_map(|sample| [*sample; 3]).collect(),
            // Luma of ITU-R BT.601.
            (_, Channels::Grey) => samples
                .chunks_exact(3)
                .map(|pixel| (0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]).min(1.0))
                .collect(),
            (_, _) => samples.chunks_exact(3).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect(),
        }
    }

    fn fit(&self, samples: &[f32], picture: &Picture) -> Result<Vec<f32>, Error> {
        let ([height, width], channels) = (self.form.size, self.mean.len());
        let (from_height, from_width) = (picture.height() as f64, picture.width() as f64);
        let mut options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        let (mut to_height, mut to_width) = (height, width);
        match self.form.fit {
            Fit::Stretch => {}
            Fit::Crop => {
                // The largest region of the input's shape.
                let scale = (from_height / height as f64).min(from_width / width as f64);
                let scale = scale * self.form.crop.unwrap_or(1.0);
                let (tall, wide) = (height as f64 * scale, width as f64 * scale);
                options = options.crop((from_width - wide) / 2.0, (from_height - tall) / 2.0, wide, tall);
            }
            Fit::Pad => {
                let scale = (height as f64 / from_height).min(width as f64 / from_width);
                to_height = ((from_height * scale).round() as usize).clamp(1, height);
                to_width = ((from_width * scale).round() as usize).clamp(1, width);
            }
        }
        let pixels = if channels == 1 { PixelType::F32 } else { PixelType::F32x3 };
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect();
        let source = ImageRef::new(picture.width() as u32, picture.height() as u32, &bytes, pixels);
        let source = source.map_err(|_| Error::Resize)?;
        let mut target = Image::new(to_width as u32, to_height as u32, pixels);
        Resizer::new().resize(&source, &mut target, &options).map_err(|_| Error::Resize)?;
        let resized = target.buffer().as_chunks().0.iter().map(|chunk| f32::from_ne_bytes(*chunk));
        if (to_height, to_width) == (height, width) {
            return Ok(resized.collect());
        }
        let resized: Vec<f32> = resized.collect();
        let (top, left) = ((height - to_height) / 2, (width - to_width) / 2);
        let mut padded = vec![0.0; height * width * channels];
        for (row, line) in resized.chunks_exact(to_width * channels).enumerate() {
            let start = ((top + row) * width + left) * channels;
            padded[start..start + line.len()].copy_from_slice(line);
        }
        Ok(padded)
    }
}
