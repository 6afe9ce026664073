//! The folder in which receipts are kept, with what they are of, for their owner alone:
//!
//! ```text
//! <name>.request      the HTTP body as it was sent
//! <name>.response     the HTTP body as it came
//! <name>.receipt      the receipt in it
//! <log>.checkpoint    the newest checkpoint that was seen of a log
//! <log>.<id>.fork     one that does not continue it
//! ```
//!
//! A name is a request's hash, as its leaf has it. Receipts of evaluation keys stand alone, by their own SHA-256. Nothing here
//! holds a secret, but long-lived keys can read the bodies that were made under them.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use tiresias_evidence::{
    Checkpoint, Receipt,
    note::{MAXIMUM_NOTE_BYTES, Note},
    receipt::MAXIMUM_RECEIPT_BYTES,
};

use crate::{
    Error,
    files::{self, Readers},
};

/// The ending of receipts.
pub const RECEIPT: &str = "receipt";
/// The ending of requests.
pub const REQUEST: &str = "request";
/// The ending of responses.
pub const RESPONSE: &str = "response";
/// The ending of checkpoints.
pub const CHECKPOINT: &str = "checkpoint";

/// Where receipts are kept.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

/// Whether a file is this, byte for byte.
fn holds(path: &Path, bytes: &[u8]) -> bool {
    files::read(path, bytes.len() as u64).is_ok_and(|found| found == bytes)
}

/// The beginning of a hash as a name.
fn id(of: &str) -> String {
    let mut digits = hex::encode(Sha256::digest(of));
    digits.truncate(16);
    digits
}

impl Folder {
    /// Makes the folder where there is none, for its owner alone.
    pub fn make(path: &Path) -> Result<Self, Error> {
        files::create_own_directory(path)?;
        Ok(Self(path.to_owned()))
    }

    /// A folder that is there.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file of this name.
    #[must_use]
    pub fn file(&self, name: &str, ending: &str) -> PathBuf {
        self.0.join(format!("{name}.{ending}"))
    }

    /// Keeps what belongs to one receipt, on the disk when this returns. The same again is kept once; another answer to the same
    /// request gets a name of its own, `<name>-2` and on.
    pub fn keep(&self, name: &str, parts: &[(&str, &[u8])]) -> Result<(), Error> {
        let mut free = name.to_owned();
        for number in 2.. {
            let paths = parts.iter().map(|(ending, bytes)| (self.file(&free, ending), bytes));
            if paths.clone().all(|(path, bytes)| holds(&path, bytes)) {
                return Ok(());
            }
            if !paths.clone().any(|(path, _)| path.exists()) {
                break;
            }
            free = format!("{name}-{number}");
        }
        for (ending, bytes) in parts {
            let path = self.file(&free, ending);
            let mut file = files::create_own(&path)?;
            file.write_all(bytes).and_then(|()| file.sync_data()).map_err(files::at(&path))?;
        }
        files::sync_directory_of(&self.file(name, RECEIPT))
    }

    /// Keeps a receipt alone, by its own hash.
    pub fn keep_receipt(&self, text: &str) -> Result<(), Error> {
        let name = hex::encode(Sha256::digest(text));
        files::write_whole(&self.file(&name, RECEIPT), text.as_bytes(), Readers::Owner, true)
    }

    /// The names of all that is kept, in order.
    pub fn names(&self) -> Result<BTreeSet<String>, Error> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(&self.0).map_err(files::at(&self.0))? {
            let path = entry.map_err(files::at(&self.0))?.path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            let name = path.file_stem().and_then(|name| name.to_str());
            if let (Some(name), Some(RECEIPT | REQUEST | RESPONSE)) = (name, ending) {
                names.insert(name.to_owned());
            }
        }
        Ok(names)
    }

    /// All kept receipts that can be read as such.
    pub fn receipts(&self) -> Result<Vec<Receipt>, Error> {
        let paths = self.names()?.into_iter().map(|name| self.file(&name, RECEIPT));
        let read = |path: PathBuf| {
            let bytes = files::read(&path, MAXIMUM_RECEIPT_BYTES as u64).ok()?;
            Receipt::parse(std::str::from_utf8(&bytes).ok()?).ok()
        };
        Ok(paths.filter_map(read).collect())
    }

    /// Where the checkpoint of a log is kept.
    #[must_use]
    pub fn checkpoint_path(&self, origin: &str) -> PathBuf {
        self.file(&id(origin), CHECKPOINT)
    }

    /// The checkpoint that was kept of a log. It was verified before it was kept.
    pub fn checkpoint(&self, origin: &str) -> Result<Option<Checkpoint>, Error> {
        let path = self.checkpoint_path(origin);
        if !path.try_exists().map_err(files::at(&path))? {
            return Ok(None);
        }
        let bytes = files::read(&path, MAXIMUM_NOTE_BYTES as u64)?;
        let note = std::str::from_utf8(&bytes).ok().and_then(|text| Note::parse(text).ok());
        let checkpoint = note.and_then(|note| Checkpoint::parse(note.text()).ok());
        match checkpoint.filter(|checkpoint| checkpoint.origin == origin) {
            Some(checkpoint) => Ok(Some(checkpoint)),
            None => Err(Error::KeptCheckpoint { path }),
        }
    }

    /// Keeps a checkpoint's note in the place of the one that was kept of its log.
    pub fn keep_checkpoint(&self, origin: &str, note: &str) -> Result<(), Error> {
        files::write_whole(&self.checkpoint_path(origin), note.as_bytes(), Readers::Owner, true)
    }

    /// Keeps a checkpoint that does not continue the one that was kept: the two together prove what the log's operator did.
    pub fn keep_fork(&self, origin: &str, note: &str) -> Result<(), Error> {
        let name = format!("{}.{}", id(origin), id(note));
        files::write_whole(&self.file(&name, "fork"), note.as_bytes(), Readers::Owner, true)
    }
}

#[cfg(test)]
mod tests {
    use tiresias_evidence::LogKey;

    use super::*;

    #[test]
    fn what_is_kept_is_found_and_never_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::make(&directory.path().join("a/b")).unwrap();
        folder.keep("one", &[(REQUEST, b"q"), (RESPONSE, b"p")]).unwrap();
        folder.keep("two", &[(RECEIPT, b"r")]).unwrap();
        for response in [b"p", b"s", b"s", b"t", b"p"] {
            folder.keep("one", &[(REQUEST, b"q"), (RESPONSE, response)]).unwrap();
        }
        for (name, response) in [("one", b"p"), ("one-2", b"s"), ("one-3", b"t")] {
            assert_eq!(fs::read(folder.file(name, RESPONSE)).unwrap(), response);
        }
        fs::write(folder.path().join("note.txt"), "").unwrap();
        let names = ["one", "one-2", "one-3", "two"].map(str::to_owned);
        assert_eq!(folder.names().unwrap(), BTreeSet::from(names));
        assert_eq!(folder.receipts().unwrap(), [], "what is no receipt is passed over");
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            assert_eq!(fs::metadata(folder.path()).unwrap().mode() & 0o777, 0o700);
            assert_eq!(fs::metadata(folder.file("one", REQUEST)).unwrap().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_checkpoint_is_kept_for_each_log() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::make(directory.path()).unwrap();
        let note = |origin: &str, size: u64| {
            let key = LogKey::from_seed(origin, &[1; 32]).unwrap();
            key.sign(&Checkpoint { origin: origin.to_owned(), size, root: [7; 32] }.text())
        };
        assert_eq!(folder.checkpoint("a.example/log").unwrap(), None);
        for (origin, size) in [("a.example/log", 3), ("b.example/log", 9), ("a.example/log", 5)] {
            folder.keep_checkpoint(origin, &note(origin, size)).unwrap();
        }
        assert_eq!(folder.checkpoint("a.example/log").unwrap().unwrap().size, 5);
        assert_eq!(folder.checkpoint("b.example/log").unwrap().unwrap().size, 9);
        folder.keep_fork("a.example/log", &note("a.example/log", 4)).unwrap();
        assert_eq!(folder.checkpoint("a.example/log").unwrap().unwrap().size, 5);
        // One that was damaged is not passed over: the log could be wound back.
        for text in ["", "a.example/log\n", &note("c.example/log", 1)] {
            folder.keep_checkpoint("a.example/log", text).unwrap();
            assert_eq!(folder.checkpoint("a.example/log").unwrap_err().code(), "kept_checkpoint");
        }
    }
}
