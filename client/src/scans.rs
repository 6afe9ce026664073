//! From scans to rows of features, on this machine: files that are no scans are kept with their reason, the others go on.

use std::path::{Path, PathBuf};

use tiresias_backbone::Backbone;
use tiresias_circuits::{Card, explain::MapShape};
use tiresias_scan::{Picture, ScanFile, Study, Window, find};

use crate::Error;

/// One frame, ready to be asked about.
pub struct Case {
    /// The file, with the frame's number where it has several.
    pub name: String,
    /// The frame, from 1, of a file that has several.
    pub frame: Option<u32>,
    /// The scan as the model sees it, before resizing.
    pub picture: Picture,
    /// Whose it is, of a DICOM file.
    pub study: Option<Study>,
    /// One row of features, or one for each location.
    pub rows: Vec<Vec<f64>>,
    /// The shape of the map that the rows are the locations of.
    pub map: Option<MapShape>,
    /// The row that stands for the whole scan.
    pub pooled: Vec<f64>,
}

/// A file that is no scan, or that the backbone cannot take.
pub struct Failure {
    /// The file.
    pub path: PathBuf,
    /// A stable code.
    pub code: &'static str,
    /// Why.
    pub reason: String,
}

/// What the rows of a case are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// One for the scan.
    Whole,
    /// One for each location of a map, of this shape where a card says so.
    Locations(Option<MapShape>),
}

/// Reads all scans of these names. `seen` is told of each file.
pub fn read(
    names: &[PathBuf],
    backbone: &Backbone,
    rows: Rows,
    mut seen: impl FnMut(),
) -> Result<(Vec<Case>, Vec<Failure>), Error> {
    let found = find(names);
    let failure = |path: &Path, code, reason| Failure { path: path.to_owned(), code, reason };
    let mut failures: Vec<Failure> =
        found.unreadable.iter().map(|(path, error)| failure(path, error.code(), error.to_string())).collect();
    let window = backbone.preprocessing().window();
    let window = window.map(|(center, width)| Window::linear(center, width)).transpose();
    let window = window.map_err(|_| Error::Scans("the window of the preprocessing card is not sound"))?;
    let mut cases = Vec::new();
    for path in &found.files {
        let file = match ScanFile::open(path) {
            Ok(file) => file,
            Err(error) => {
                failures.push(failure(path, error.code(), error.to_string()));
                seen();
                continue;
            }
        };
        for frame in 0..file.frames() {
            let picture = file.frame(frame).and_then(|scan| scan.picture(window));
            let picture = match picture {
                Ok(picture) => picture,
                Err(error) => {
                    failures.push(failure(path, error.code(), error.to_string()));
                    break;
                }
            };
            let name = match file.frames() {
                1 => path.display().to_string(),
                _ => format!("{} frame {frame}", path.display()),
            };
            match features(backbone, &picture, rows) {
                Ok((rows, map, pooled)) => {
                    let number = (file.frames() > 1).then(|| u32::try_from(frame + 1).unwrap_or(u32::MAX));
                    let study = file.study().cloned();
                    cases.push(Case { name, frame: number, picture, study, rows, map, pooled });
                }
                Err(Error::Backbone(error)) => failures.push(failure(path, error.code(), error.to_string())),
                Err(error) => return Err(error),
            }
        }
        seen();
    }
    Ok((cases, failures))
}

/// Errors where the model's owner has pinned another backbone.
pub fn expect_backbone(card: &Card, backbone: &Backbone) -> Result<(), Error> {
    match card.backbone() {
        Some(pinned) if pinned.as_bytes() != backbone.digest() => Err(Error::OtherBackbone),
        _ => Ok(()),
    }
}

/// Rows, the shape of the map that they are of, and the row that stands for all.
type RowsOfScan = (Vec<Vec<f64>>, Option<MapShape>, Vec<f64>);

fn features(backbone: &Backbone, picture: &Picture, rows: Rows) -> Result<RowsOfScan, Error> {
    let Rows::Locations(expected) = rows else {
        let row = backbone.features(picture)?;
        return Ok((vec![row.clone()], None, row));
    };
    let map = backbone.map(picture)?;
    let shape = MapShape::new(map.height(), map.width())?;
    if expected.is_some_and(|expected| expected != shape) {
        return Err(Error::Scans("the backbone's map has another shape than the circuit card's"));
    }
    Ok((map.locations().map(<[f64]>::to_vec).collect(), Some(shape), map.mean()))
}

/// A name for the files of a case: that of its file, with all that is no plain character replaced.
#[must_use]
pub fn stem(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') { c } else { '_' };
    name.trim_start_matches(['.', '/']).chars().map(plain).collect()
}
