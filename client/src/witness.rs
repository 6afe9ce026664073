//! A witness (c2sp.org/tlog-witness), for a second party to run beside someone else's log: it cosigns the log's checkpoints as
//! long as each continues the one before. Whoever asks for its cosignature then knows that the log has shown everyone the same
//! history, without trusting the log's operator.
//!
//! What it never does: it cosigns no checkpoint before that one is on its disk, and none that does not continue what lies
//! there; it does not start where that is damaged.
//!
//! `state` keeps the key and the checkpoints, `serve` speaks HTTP.

mod serve;
mod state;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use tiresias_evidence::{
    Checkpoint, LogKey, NoteVerifier,
    note::Note,
    witness::{Refusal, Submission},
};

pub use serve::Server;
use state::{Directory, Record};

/// Why a witness could not be opened or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file system or network call failed.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The path, or address, at fault.
        path: PathBuf,
        /// The operating system's word on it.
        source: io::Error,
    },
    /// The key's file is not usable.
    #[error("{path}: {rule}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// A checkpoint is not as it was written.
    #[error(
        "{path}: this is not the checkpoint that this witness cosigned last: it could cosign a second history, so it does not start; \
         begin with a new directory, and tell those who trust the old key",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Another process has the directory.
    #[error("{path}: another witness uses this directory: stop it or name another", path = path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Key { .. } => "bad_witness_key",
            Self::Damaged { .. } => "witness_damaged",
            Self::InUse { .. } => "witness_in_use",
        }
    }

    fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }
}

/// What a log is answered.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// Signature lines.
    Cosigned(String),
    /// The checkpoint is not cosigned.
    Refused(Refusal),
    /// What came is not what the protocol says.
    Malformed(tiresias_evidence::Error),
    /// The disk or the clock does not let it.
    Failed,
}

/// A log, and the checkpoint of it that was cosigned last. The lock is held from the check to the disk.
struct Log {
    keys: Vec<NoteVerifier>,
    latest: Mutex<Option<Checkpoint>>,
}

/// An open witness.
pub struct Witness {
    key: LogKey,
    directory: Directory,
    logs: BTreeMap<String, Log>,
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Witness").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Witness {
    /// Opens a directory, in which a key of this name is made on first use, for the logs of these keys.
    pub fn open(path: &Path, name: Option<&str>, logs: &[NoteVerifier]) -> Result<Self, Error> {
        let directory = Directory::open(path)?;
        let key = directory.key(name)?;
        let mut records = directory.records(&key.cosignature_verifier())?;
        let mut known = BTreeMap::new();
        for log in logs {
            let name = log.name().to_owned();
            let entry = known.entry(name.clone()).or_insert_with(|| {
                let latest = Mutex::new(records.remove(&name));
                Log { keys: Vec::new(), latest }
            });
            entry.keys.push(log.clone());
        }
        Ok(Self { key, directory, logs: known })
    }

    /// What verifies the cosignatures of a directory's witness, be it in use or not.
    pub fn key_of(path: &Path) -> Result<NoteVerifier, Error> {
        Ok(state::read_key(path)?.cosignature_verifier())
    }

    /// What verifies its cosignatures.
    #[must_use]
    pub fn verifier(&self) -> NoteVerifier {
        self.key.cosignature_verifier()
    }

    /// Answers a request's body. Waits for the disk.
    fn add_checkpoint(&self, body: &[u8]) -> Answer {
        let submission = match Submission::parse(body) {
            Ok(submission) => submission,
            Err(error) => return Answer::Malformed(error),
        };
        let checkpoint = submission.checkpoint();
        let Some(log) = self.logs.get(&checkpoint.origin) else {
            return Answer::Refused(Refusal::UnknownLog);
        };
        let mut latest = log.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let note = match submission.judge(&log.keys, latest.as_ref()) {
            Ok(note) => note,
            Err(refusal) => {
                self.keep_evidence(&submission, refusal);
                return Answer::Refused(refusal);
            }
        };
        let Some((record, line)) = self.cosign(&note) else { return Answer::Failed };
        match self.directory.write(&checkpoint.origin, &record) {
            Ok(()) => {
                *latest = Some(checkpoint.clone());
                Answer::Cosigned(line)
            }
            Err(error) => {
                crate::output::warn_witness_failed(&error);
                Answer::Failed
            }
        }
    }

    /// The note with this witness's signature line, and that line. `None` where the clock is before 1970.
    fn cosign(&self, note: &str) -> Option<(Record, String)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let line = self.key.cosign(Note::parse(note).ok()?.text(), now);
        Some((Record::new(note, &line), line))
    }

    /// What a log signed and cannot have signed honestly is kept, the last of it.
    fn keep_evidence(&self, submission: &Submission, refusal: Refusal) {
        if refusal != Refusal::NotConsistent {
            return;
        }
        match self.directory.write_refused(&submission.checkpoint().origin, &submission.to_text()) {
            Ok(Some(path)) => crate::output::warn_forked_log(&path),
            Ok(None) => {}
            Err(error) => crate::output::warn_witness_failed(&error),
        }
    }
}
