//! The classes of a segmented scan, laid over it.

use tiresias_scan::Picture;

use crate::heat::{HeatMap, png};

/// How much of a class's colour is seen.
const OPACITY: f64 = 0.5;

/// Colours of classes that are told apart also without colour vision (Okabe and Ito: Color universal design, 2008), in order.
const COLOURS: [[u8; 3]; 8] = [
    [230, 159, 0],
    [86, 180, 233],
    [0, 158, 115],
    [240, 228, 66],
    [0, 114, 178],
    [213, 94, 0],
    [204, 121, 167],
    [128, 128, 128],
];

/// The colour of a class; beyond the eighth they come again.
#[must_use]
pub fn class_colour(class: usize) -> [u8; 3] {
    COLOURS[class % COLOURS.len()]
}

/// The scan with classes over it, as PNG. `maps` are the scores of the classes, one map each; a point has the class whose score,
/// linear between the centers of locations, is highest, the first of equals. A lone class covers what scores 0 or more. `background`
/// is left clear.
#[must_use]
pub fn segmented_png(picture: &Picture, maps: &[HeatMap], background: Option<usize>) -> Vec<u8> {
    let (height, width) = (picture.height() as f64, picture.width() as f64);
    png(picture, |row, column, pixel| {
        let (row, column) = ((row as f64 + 0.5) / height, (column as f64 + 0.5) / width);
        let score = |class: usize| maps[class].at(row, column);
        let class = match maps {
            [] => None,
            [_] => (score(0) >= 0.0).then_some(0),
            _ => (0..maps.len()).rev().max_by(|&a, &b| score(a).total_cmp(&score(b))),
        };
        match class.filter(|class| background != Some(*class)) {
            None => pixel,
            Some(class) => {
                let colour = class_colour(class).map(|part| f64::from(part) / 255.0);
                [0, 1, 2].map(|at: usize| pixel[at] * (1.0 - OPACITY) + colour[at] * OPACITY)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(png: &[u8]) -> Vec<[u8; 3]> {
        image::load_from_memory(png).unwrap().to_rgb8().pixels().map(|pixel| pixel.0).collect()
    }

    fn map(values: [f64; 4]) -> HeatMap {
        HeatMap { class: "a".into(), height: 2, width: 2, values: values.to_vec() }
    }

    #[test]
    fn each_point_has_the_colour_of_its_class_and_the_background_none() {
        let picture = Picture::new(2, 2, 1, vec![0.0; 4]).unwrap();
        let maps = [map([3.0, 0.0, 1.0, 2.0]), map([1.0, 5.0, 1.0, -2.0]), map([0.0, 0.0, 0.0, 3.0])];
        let half = |class: usize| class_colour(class).map(|part| (f64::from(part) / 2.0).round() as u8);
        let shown = pixels(&segmented_png(&picture, &maps, None));
        assert_eq!(shown, [half(0), half(1), half(0), half(2)], "the first of equals");
        let shown = pixels(&segmented_png(&picture, &maps, Some(0)));
        assert_eq!(shown, [[0; 3], half(1), [0; 3], half(2)]);
        let shown = pixels(&segmented_png(&picture, &[map([0.0, -1.0, 2.0, -3.0])], None));
        assert_eq!(shown, [half(0), [0; 3], half(0), [0; 3]], "a lone class covers 0 and more");
        assert_eq!(pixels(&segmented_png(&picture, &[], None)), [[0; 3]; 4]);
    }

    #[test]
    fn borders_lie_between_locations() {
        // A border halfway between two locations, on a picture of eight columns.
        let picture = Picture::new(1, 8, 1, vec![0.0; 8]).unwrap();
        let row =
            |values: [f64; 2]| HeatMap { class: "a".into(), height: 1, width: 2, values: values.into() };
        let shown = pixels(&segmented_png(&picture, &[row([1.0, 0.0]), row([0.0, 1.0])], Some(0)));
        let clear: Vec<bool> = shown.iter().map(|pixel| *pixel == [0; 3]).collect();
        assert_eq!(clear, [true, true, true, true, false, false, false, false]);
    }
}
