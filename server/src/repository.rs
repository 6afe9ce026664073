//! The model repository on disk: `<repo>/<name>/<version>/card.json` and `model.bin`.
//!
//! The card is public and served byte for byte. `model.bin` holds the weights: a size-limited bincode record, mode
//! 0600, bound to its card by the config id. Other files, and directories that no version is named by, are passed
//! over. Nothing here is ever read from the network.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tiresias_circuits::{Card, card::check_name};
use tiresias_keys::{ConfigId, Digest};

mod record;

pub use record::StoredHead;

const CARD_FILE: &str = "card.json";
const MODEL_FILE: &str = "model.bin";

/// Why the repository could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file system call failed.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The path at fault.
        path: PathBuf,
        /// The operating system's word on it.
        source: io::Error,
    },
    /// A model directory that does not hold together.
    #[error("{path}: {rule}", path = path.display())]
    Model {
        /// The file at fault.
        path: PathBuf,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// A card that is refused.
    #[error("{path}: {source}", path = path.display())]
    Card {
        /// The card's path.
        path: PathBuf,
        /// The rule it breaks.
        source: tiresias_circuits::Error,
    },
    /// No such model or version.
    #[error("the repository has no model {name:?}{}", version.map_or(String::new(), |v| format!(" version {v}")))]
    Missing {
        /// The model asked for.
        name: String,
        /// The version asked for.
        version: Option<u32>,
    },
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Model { .. } => "bad_model",
            Self::Card { source, .. } => source.code(),
            Self::Missing { .. } => "unknown_model",
        }
    }
}

/// A model as stored.
#[derive(Debug)]
pub struct StoredModel {
    /// The checked card.
    pub card: Card,
    /// The card's bytes as served.
    pub card_bytes: Vec<u8>,
    /// SHA-256 of the card's bytes.
    pub config: ConfigId,
    /// The weights.
    pub head: StoredHead,
    /// SHA-256 of the stored weights.
    pub weights: Digest,
}

/// A directory of models.
#[derive(Debug)]
pub struct Repository {
    root: PathBuf,
}

impl Repository {
    /// A repository at `root`, which need not exist before the first import.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The version that an import under `name` gets: one more than the newest.
    pub fn next_version(&self, name: &str) -> Result<u32, Error> {
        Ok(self.versions(name)?.last().map_or(1, |newest| newest.saturating_add(1)))
    }

    /// Stores a model under its card's name and version, whole or not at all.
    pub fn store(&self, card: &Card, head: &StoredHead) -> Result<ConfigId, Error> {
        let directory = self.root.join(card.name());
        fs::create_dir_all(&directory).map_err(|source| Error::Io { path: directory.clone(), source })?;
        let io = |source| Error::Io { path: directory.clone(), source };
        let staging = tempfile::Builder::new().prefix(".import-").tempdir_in(&directory).map_err(io)?;

        let card_bytes = card.to_json();
        let config = ConfigId::of_card(&card_bytes);
        let record =
            record::write(head, &config).map_err(|rule| Error::Model { path: directory.clone(), rule })?;
        write_file(&staging.path().join(CARD_FILE), &card_bytes, 0o644).map_err(io)?;
        write_file(&staging.path().join(MODEL_FILE), &record, 0o600).map_err(io)?;

        let target = directory.join(card.version().to_string());
        fs::rename(staging.path(), &target).map_err(|source| Error::Io { path: target, source })?;
        Ok(config)
    }

    /// Where a version lies.
    pub(crate) fn directory(&self, name: &str, version: u32) -> PathBuf {
        self.root.join(name).join(version.to_string())
    }

    /// Loads one model, the newest version where none is named.
    pub fn load(&self, name: &str, version: Option<u32>) -> Result<StoredModel, Error> {
        let missing = || Error::Missing { name: name.to_owned(), version };
        check_name(name).map_err(|_| missing())?;
        let version = match version {
            Some(version) => version,
            None => *self.versions(name)?.last().ok_or_else(missing)?,
        };
        let directory = self.directory(name, version);
        if !directory.is_dir() {
            return Err(missing());
        }
        let path = directory.join(CARD_FILE);
        let card_bytes = read_file(&path, tiresias_circuits::card::MAXIMUM_CARD_BYTES as u64)?;
        let (card, config) =
            Card::from_json(&card_bytes).map_err(|source| Error::Card { path: path.clone(), source })?;
        if (card.name(), card.version()) != (name, version) {
            return Err(Error::Model {
                path,
                rule: "the card's name or version is not that of its directory",
            });
        }

        let path = directory.join(MODEL_FILE);
        let record = read_file(&path, record::MAXIMUM_BYTES)?;
        let head = record::read(&record, &card, &config)
            .map_err(|rule| Error::Model { path: path.clone(), rule })?;
        Ok(StoredModel { card, card_bytes, config, head, weights: Digest::of(&record) })
    }

    /// Loads every version of every model.
    pub fn load_all(&self) -> Result<Vec<StoredModel>, Error> {
        let mut models = Vec::new();
        for name in self.names()? {
            for version in self.versions(&name)? {
                models.push(self.load(&name, Some(version))?);
            }
        }
        Ok(models)
    }

    /// The models' names, in order. What has no name for a model is passed over.
    pub(crate) fn names(&self) -> Result<Vec<String>, Error> {
        let mut names = list(&self.root)?;
        names.retain(|name| check_name(name).is_ok());
        names.sort_unstable();
        Ok(names)
    }

    /// The versions of a model, oldest first; none where the model does not exist.
    pub(crate) fn versions(&self, name: &str) -> Result<Vec<u32>, Error> {
        let directory = self.root.join(name);
        if !directory.is_dir() {
            return Ok(Vec::new());
        }
        let mut versions: Vec<u32> = list(&directory)?.iter().filter_map(|entry| version_of(entry)).collect();
        versions.sort_unstable();
        Ok(versions)
    }
}

/// A version's directory is named by its decimal digits, and by nothing that merely parses like them.
pub(crate) fn version_of(entry: &str) -> Option<u32> {
    entry.parse().ok().filter(|version: &u32| *version > 0 && version.to_string() == entry)
}

fn list(directory: &Path) -> Result<Vec<String>, Error> {
    let io = |source| Error::Io { path: directory.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(io)? {
        let entry = entry.map_err(io)?;
        if entry.path().is_dir() {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    Ok(names)
}

/// Reads a file of at most `limit` bytes.
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    use io::Read as _;
    let io = |source| Error::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(io)?.take(limit + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > limit {
        return Err(Error::Model { path: path.to_owned(), rule: "the file is larger than its kind may be" });
    }
    Ok(bytes)
}

/// Writes a file that did not exist, with the given Unix mode, and syncs it.
pub(crate) fn write_file(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    use io::Write as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use tiresias_circuits::{
        HeadShape, Plan, Privacy, QuantizedHead, Quantizer, card::CardParts, quantize::Scale,
    };
    use tiresias_keys::Seed;

    use super::*;

    fn model(version: u32) -> (Card, StoredHead) {
        let shape = HeadShape { features: 3, classes: 2, feature_bits: 8, weight_bits: 8 };
        let head = QuantizedHead::new(shape, vec![1, -2, 3, 4, 5, -6], vec![7, -8]).unwrap();
        let quantizer = Quantizer::new(8, 3, Scale::PerTensor(0.5)).unwrap();
        let plan = Plan::new(shape, Privacy::Flooded).unwrap();
        let labels = vec!["a".into(), "b".into()];
        let seed = Seed::from_bytes([1; 32]);
        let parts = CardParts::new("m", version, labels, quantizer, 0.25, plan, seed);
        (Card::new(parts).unwrap(), StoredHead::Linear(head))
    }

    #[test]
    fn models_are_stored_whole_and_loaded_as_stored() {
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::new(directory.path());
        for version in 1..=2 {
            assert_eq!(repository.next_version("m").unwrap(), version);
            let (card, head) = model(version);
            let config = repository.store(&card, &head).unwrap();
            let loaded = repository.load("m", Some(version)).unwrap();
            assert_eq!((loaded.card, loaded.config, loaded.head), (card, config, head));
        }
        assert_eq!(repository.load("m", None).unwrap().card.version(), 2);
        assert_eq!(repository.load_all().unwrap().len(), 2);
        let (card, head) = model(2);
        assert!(repository.store(&card, &head).is_err(), "a version is never overwritten");
    }

    #[test]
    fn damaged_and_missing_models_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::new(directory.path());
        let (card, head) = model(1);
        repository.store(&card, &head).unwrap();
        for (name, version) in [("x", None), ("m", Some(9)), ("..", None), ("", None)] {
            assert!(matches!(repository.load(name, version), Err(Error::Missing { .. })), "{name}");
        }
        let path = directory.path().join("m/1").join(MODEL_FILE);
        let good = fs::read(&path).unwrap();
        let mut foreign = good.clone();
        foreign[1] ^= 1; // inside the config id
        for bad in [&good[..good.len() - 1], &[good.as_slice(), &[0]].concat(), &[], foreign.as_slice()] {
            fs::write(&path, bad).unwrap();
            assert!(matches!(repository.load("m", None), Err(Error::Model { .. })));
        }
        fs::write(&path, &good).unwrap();
        fs::rename(directory.path().join("m/1"), directory.path().join("m/5")).unwrap();
        assert!(matches!(repository.load("m", None), Err(Error::Model { .. })));
    }
}
