//! Features files: read, hashed, and their rows in one sequence.

use std::path::{Path, PathBuf};

use tiresias_circuits::Features;
use tiresias_keys::Digest;

use crate::{Error, files};

/// Features files may be this large.
pub(crate) const MAXIMUM_FEATURES_BYTES: u64 = 1 << 30;

/// Where rows come from: files in order, rows in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources(Vec<Source>);

/// One file and how many rows it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As named on the command line.
    pub name: String,
    /// Rows.
    pub rows: usize,
}

impl Sources {
    /// At least one file.
    #[must_use]
    pub fn new(files: Vec<Source>) -> Self {
        Self(files)
    }

    /// The files.
    #[must_use]
    pub fn files(&self) -> &[Source] {
        &self.0
    }

    /// All rows of all files.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.0.iter().fold(0, |rows, file| rows.saturating_add(file.rows))
    }

    /// The file, where there are several, and the row in it of a row of the sequence.
    #[must_use]
    pub fn place(&self, mut at: usize) -> (Option<&str>, usize) {
        for file in &self.0 {
            if at < file.rows {
                return ((self.0.len() > 1).then_some(file.name.as_str()), at);
            }
            at -= file.rows;
        }
        (None, at)
    }

    /// The row of the sequence at a place, if there is one.
    #[must_use]
    pub fn find(&self, name: Option<&str>, row: usize) -> Option<usize> {
        let mut before = 0;
        for file in &self.0 {
            let named = name.map_or(self.0.len() == 1, |name| self.0.len() > 1 && name == file.name);
            if named {
                return (row < file.rows).then_some(before + row);
            }
            before += file.rows;
        }
        None
    }
}

/// The features of a run.
#[derive(Debug)]
pub struct Inputs {
    sources: Sources,
    digests: Vec<Digest>,
    features: Vec<Features>,
}

impl Inputs {
    /// Reads features files, .npy or .csv by their names.
    pub fn read(paths: &[PathBuf]) -> Result<Self, Error> {
        let (mut sources, mut digests, mut features): (Vec<Source>, _, Vec<_>) = (vec![], vec![], vec![]);
        for path in paths {
            let name = path.to_string_lossy().into_owned();
            if sources.iter().any(|source| source.name == name) {
                return Err(Error::Usage("--features: name each file once"));
            }
            let bytes = files::read(path, MAXIMUM_FEATURES_BYTES)?;
            let table = parse(path, &bytes)?;
            sources.push(Source { name, rows: table.rows() });
            digests.push(Digest::of(&bytes));
            features.push(table);
        }
        Ok(Self { sources: Sources(sources), digests, features })
    }

    /// The files.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The SHA-256 of each file.
    #[must_use]
    pub fn digests(&self) -> &[Digest] {
        &self.digests
    }

    /// The rows, in sequence.
    #[must_use]
    pub fn rows(&self) -> Vec<&[f64]> {
        self.features.iter().flatten().collect()
    }

    /// Checks that each file has the `expected` columns of a head.
    pub fn expect_columns(&self, expected: usize) -> Result<(), Error> {
        for (source, table) in self.sources.0.iter().zip(&self.features) {
            table.expect_columns(expected).map_err(at(Path::new(&source.name)))?;
        }
        Ok(())
    }
}

/// Reads one features file.
pub fn read_features(path: &Path) -> Result<Features, Error> {
    parse(path, &files::read(path, MAXIMUM_FEATURES_BYTES)?)
}

pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Features, Error> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    Features::from_named(name, bytes).map_err(at(path))
}

pub(crate) fn at(path: &Path) -> impl Fn(tiresias_circuits::Error) -> Error + '_ {
    |source| Error::Features { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, usize)]) -> Sources {
        Sources::new(files.iter().map(|&(name, rows)| Source { name: name.into(), rows }).collect())
    }

    #[test]
    fn rows_have_places_and_places_rows() {
        let several = sources(&[("a", 2), ("b", 1), ("c", 3)]);
        assert_eq!(several.rows(), 6);
        let places: Vec<_> = (0..6).map(|at| several.place(at)).collect();
        let expected = [("a", 0), ("a", 1), ("b", 0), ("c", 0), ("c", 1), ("c", 2)];
        assert_eq!(places, expected.map(|(name, row)| (Some(name), row)));
        for (at, (name, row)) in places.into_iter().enumerate() {
            assert_eq!(several.find(name, row), Some(at));
        }
        assert_eq!(several.find(Some("b"), 1), None);
        assert_eq!(several.find(Some("d"), 0), None);
        assert_eq!(several.find(None, 0), None);
    }

    #[test]
    fn a_single_file_is_not_named() {
        let single = sources(&[("a", 2)]);
        assert_eq!(single.place(1), (None, 1));
        assert_eq!(
            (single.find(None, 1), single.find(None, 2), single.find(Some("a"), 1)),
            (Some(1), None, None)
        );
    }
}
