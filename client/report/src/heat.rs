//! A class-activation map, laid over the scan.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};
use tiresias_scan::Picture;

/// A class's scores at the locations of a scan.
#[derive(Clone, Default)]
pub struct HeatMap {
    /// The class.
    pub class: String,
    /// Rows of locations.
    pub height: usize,
    /// Locations of a row.
    pub width: usize,
    /// The score at each location, row after row.
    pub values: Vec<f64>,
}

impl HeatMap {
    /// The least and the largest score.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        let fold = |pick: fn(f64, f64) -> f64, from| self.values.iter().copied().fold(from, pick);
        (fold(f64::min, f64::INFINITY), fold(f64::max, f64::NEG_INFINITY))
    }

    /// The score at a point of the scan, rows and columns from 0 to 1: between the locations' centers linearly.
    pub(crate) fn at(&self, row: f64, column: f64) -> f64 {
        let place = |part: f64, length: usize| {
            let at = (part * length as f64 - 0.5).clamp(0.0, length as f64 - 1.0);
            let below = at.floor() as usize;
            (below, (below + 1).min(length - 1), at - at.floor())
        };
        let (top, bottom, down) = place(row, self.height);
        let (left, right, across) = place(column, self.width);
        let value =
            |row: usize, column: usize| self.values.get(row * self.width + column).copied().unwrap_or(0.0);
        let line = |row| value(row, left) * (1.0 - across) + value(row, right) * across;
        line(top) * (1.0 - down) + line(bottom) * down
    }
}

/// The scan in grey or colour, as PNG.
#[must_use]
pub fn picture_png(picture: &Picture) -> Vec<u8> {
    png(picture, |_, _, pixel| pixel)
}

/// The scan with the map over it, as PNG: the higher a location's score in the map's own range, the warmer and the more
/// opaque. Empty maps leave the scan as it is.
#[must_use]
pub fn overlay_png(picture: &Picture, map: &HeatMap) -> Vec<u8> {
    let (low, high) = map.range();
    let is_empty = map.values.is_empty() || map.values.len() != map.height * map.width || high <= low;
    let (height, width) = (picture.height() as f64, picture.width() as f64);
    png(picture, |row, column, pixel| {
        if is_empty {
            return pixel;
        }
        let part = (map.at((row as f64 + 0.5) / height, (column as f64 + 0.5) / width) - low) / (high - low);
        let (warm, opacity) = (colour(part), 0.65 * part.clamp(0.0, 1.0));
        [0, 1, 2].map(|at: usize| pixel[at] * (1.0 - opacity) + warm[at] * opacity)
    })
}

/// The colours of the legend, from low to high: dark to light all the way, so that it also reads without colour vision.
#[must_use]
pub fn colour(part: f64) -> [f64; 3] {
    const STOPS: [[f64; 3]; 5] =
        [[0.0, 0.0, 0.02], [0.34, 0.06, 0.43], [0.74, 0.21, 0.33], [0.98, 0.56, 0.04], [0.99, 1.0, 0.64]];
    let at = part.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let below = (at.floor() as usize).min(STOPS.len() - 2);
    let share = at - below as f64;
    [0, 1, 2].map(|channel: usize| STOPS[below][channel] * (1.0 - share) + STOPS[below + 1][channel] * share)
}

/// The picture with each pixel shaded, as PNG.
pub(crate) fn png(picture: &Picture, shade: impl Fn(usize, usize, [f64; 3]) -> [f64; 3]) -> Vec<u8> {
    let channels = picture.channels();
    let image = RgbImage::from_fn(picture.width() as u32, picture.height() as u32, |column, row| {
        let (row, column) = (row as usize, column as usize);
        let at = (row * picture.width() + column) * channels;
        let sample = |channel: usize| f64::from(picture.samples()[at + channel % channels]);
        let pixel = shade(row, column, [sample(0), sample(1), sample(2)]);
        image::Rgb(pixel.map(|sample| (sample.clamp(0.0, 1.0) * 255.0).round() as u8))
    });
    let mut bytes = Cursor::new(Vec::new());
    // Writing to memory fails for pictures without pixels alone, which there are none of.
    let _ = image.write_to(&mut bytes, ImageFormat::Png);
    bytes.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(png: &[u8]) -> Vec<[u8; 3]> {
        image::load_from_memory(png).unwrap().to_rgb8().pixels().map(|pixel| pixel.0).collect()
    }

    #[test]
    fn the_map_is_warm_where_it_is_high_and_clear_where_it_is_low() {
        let picture = Picture::new(4, 4, 1, vec![0.5; 16]).unwrap();
        let map = HeatMap { class: "a".into(), height: 2, width: 2, values: vec![-3.0, -3.0, -3.0, 5.0] };
        let shown = pixels(&overlay_png(&picture, &map));
        assert_eq!(shown[0], [128; 3], "the least score leaves the scan as it is");
        assert!(shown[15][0] > 200 && shown[15][0] > shown[15][2], "the largest is warm: {:?}", shown[15]);
        assert!(shown[5][0] < shown[10][0] && shown[10][0] < shown[15][0], "and between them it rises");
        assert_eq!(pixels(&picture_png(&picture)), [[128; 3]; 16]);
    }

    #[test]
    fn maps_without_a_range_change_nothing() {
        let picture = Picture::new(1, 2, 3, vec![0.0, 0.5, 1.0, 1.0, 0.0, 0.0]).unwrap();
        let plain = picture_png(&picture);
        assert_eq!(pixels(&plain), [[0, 128, 255], [255, 0, 0]]);
        for values in [vec![], vec![1.0; 4], vec![1.0, 2.0]] {
            let map = HeatMap { class: "a".into(), height: 2, width: 2, values };
            assert_eq!(overlay_png(&picture, &map), plain);
        }
    }

    #[test]
    fn the_legend_grows_lighter() {
        let light = |part| colour(part).iter().sum::<f64>();
        let parts: Vec<f64> = (0..=20).map(|step| light(f64::from(step) / 20.0)).collect();
        assert!(parts.is_sorted());
    }
}
