//! What a witness keeps, in a directory that one process uses at a time: its key, and of each log the checkpoint that it
//! cosigned last, under its own cosignature. So a checkpoint that is not as it was written is found at the start.
//!
//! ```text
//! key                 PRIVATE+KEY+name+id+base64, mode 0600
//! HASH.checkpoint     by the SHA-256 of the log's name: the note, with the log's signatures and this witness's
//! HASH.refused        the last submission that the log had signed and that did not continue that checkpoint
//! ```

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use tiresias_evidence::{
    Checkpoint, LogKey, NoteVerifier,
    note::{
        MAXIMUM_NOTE_BYTES, Note,
        secret::{self, Purpose},
    },
};
use tiresias_keys::Digest;
use zeroize::Zeroizing;

use super::Error;
use crate::files::{self, Readers};

const KEY: &str = "key";
const LOCK: &str = "lock";
const CHECKPOINT: &str = "checkpoint";
const REFUSED: &str = "refused";

const MAXIMUM_KEY_BYTES: u64 = 4096;

/// A checkpoint's note with a witness's cosignature.
pub(super) struct Record(String);

impl Record {
    pub(super) fn new(note: &str, cosignature: &str) -> Self {
        Self([note, cosignature].concat())
    }

    /// The checkpoint, if this witness has cosigned it.
    fn open(text: &str, witness: &NoteVerifier) -> Option<Checkpoint> {
        let note = Note::parse(text).ok()?;
        note.verify(witness).ok()?;
        Checkpoint::parse(note.text()).ok()
    }
}

pub(super) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes the directory where there is none, and takes its lock.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(Error::io(path))?;
        let lock = path.join(LOCK);
        let file = File::options().create(true).write(true).truncate(false).open(&lock);
        let file = file.map_err(Error::io(&lock))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: file }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(Error::Io { path: lock, source }),
        }
    }

    /// The key. Where there is none, one of this name is made.
    pub(super) fn key(&self, name: Option<&str>) -> Result<LogKey, Error> {
        let path = self.path.join(KEY);
        let refused = |rule| Error::Key { path: path.clone(), rule };
        if !path.try_exists().map_err(Error::io(&path))? {
            let name = name.ok_or_else(|| refused("there is no key yet: give the witness a name, --name"))?;
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(&mut *seed).map_err(|_| refused("the operating system gave no entropy"))?;
            let line = secret::encode(Purpose::Cosign, name, &seed).map_err(|_| {
                refused("a witness's name is at most 255 bytes without spaces and plus signs")
            })?;
            write(&path, line.as_bytes(), Readers::Owner)?;
        }
        let key = read_key(&self.path)?;
        if name.is_some_and(|name| name != key.cosignature_verifier().name()) {
            return Err(refused("the key has another name than --name, and keeps it: name a new directory"));
        }
        Ok(key)
    }

    /// The checkpoints that were cosigned last, by their logs' names.
    pub(super) fn records(&self, witness: &NoteVerifier) -> Result<BTreeMap<String, Checkpoint>, Error> {
        let mut records = BTreeMap::new();
        for entry in fs::read_dir(&self.path).map_err(Error::io(&self.path))? {
            let path = entry.map_err(Error::io(&self.path))?.path();
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if name.starts_with(files::UNFINISHED) {
                // A crash left it; what it was to replace is whole.
                fs::remove_file(&path).map_err(Error::io(&path))?;
            }
            if path.extension().is_none_or(|extension| extension != CHECKPOINT) {
                continue;
            }
            let bytes = files::read(&path, MAXIMUM_NOTE_BYTES as u64).map_err(|error| match error {
                crate::Error::TooLarge { path } => Error::Damaged { path },
                other => of_file(&path)(other),
            })?;
            let checkpoint = String::from_utf8(bytes).ok().and_then(|text| Record::open(&text, witness));
            // One log's checkpoint under another's name is none.
            let checkpoint = checkpoint.filter(|found| self.file(&found.origin, CHECKPOINT) == path);
            let checkpoint = checkpoint.ok_or_else(|| Error::Damaged { path: path.clone() })?;
            records.insert(checkpoint.origin.clone(), checkpoint);
        }
        Ok(records)
    }

    /// Puts a checkpoint in the place of the one before. It is on the disk when this returns.
    pub(super) fn write(&self, origin: &str, record: &Record) -> Result<(), Error> {
        write(&self.file(origin, CHECKPOINT), record.0.as_bytes(), Readers::All)
    }

    /// Keeps what was refused, and gives its path; `None` where it is the same as before.
    pub(super) fn write_refused(&self, origin: &str, submission: &str) -> Result<Option<PathBuf>, Error> {
        let path = self.file(origin, REFUSED);
        if fs::read(&path).is_ok_and(|before| before == submission.as_bytes()) {
            return Ok(None);
        }
        write(&path, submission.as_bytes(), Readers::All)?;
        Ok(Some(path))
    }

    fn file(&self, origin: &str, extension: &str) -> PathBuf {
        self.path.join(format!("{}.{extension}", Digest::of(origin.as_bytes())))
    }
}

/// The key of a directory that has one, be it in use or not.
pub(super) fn read_key(directory: &Path) -> Result<LogKey, Error> {
    let path = directory.join(KEY);
    let refused = |rule| Error::Key { path: path.clone(), rule };
    let file = files::open_own_to_read(&path).map_err(of_file(&path))?;
    if let Some(rule) = files::exposure(&file).map_err(Error::io(&path))? {
        return Err(refused(rule));
    }
    let bytes = files::read_secret(&file, &path, MAXIMUM_KEY_BYTES).map_err(of_file(&path))?;
    let key = std::str::from_utf8(&bytes).ok().and_then(|line| secret::decode(Purpose::Cosign, line).ok());
    key.ok_or_else(|| refused("not a witness's key file: one line of PRIVATE+KEY+name+id+base64"))
}

fn write(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), Error> {
    files::write_whole(path, bytes, readers, true).map_err(of_file(path))
}

/// An error of [`files`] as one of a witness.
fn of_file(path: &Path) -> impl Fn(crate::Error) -> Error + '_ {
    |error| match error {
        crate::Error::Io { path, source } => Error::Io { path, source },
        other => Error::Io { path: path.to_owned(), source: io::Error::other(other.to_string()) },
    }
}
