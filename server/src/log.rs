//! The transparency log: every answer, every evaluation key that came or went and every model that was loaded or retired is a
//! leaf of an append-only Merkle tree, whose checkpoints are signed and whose tiles anyone may read. Its directory:
//!
//! ```text
//! key        the log's keys, mode 0600
//! secret     32 bytes that salts and the keys of seeds come from, mode 0600
//! journal    every entry in order; the public files are made of it
//! newest     the newest signed checkpoint, while the published one waits for witnesses
//! seeds/     the seeds of responses, encrypted, a file a day
//! public/    checkpoint and tiles as tlog-tiles has them, for the gateway's routes and for any server of files
//! ```
//!
//! An answer leaves the gateway after its leaf is on the disk and under a signed checkpoint, and takes the proof along: its
//! receipt. Where the disk refuses, so does the gateway.
//!
//! In reading order: `records` (the journal), `tree` (hashes), `files` (the public directory), `keys` (who signs), `book` (all
//! of these as one), `committer` (the thread that has it), `witnesses` (who cosigns), `leaves` (what is logged), `seeds` (for
//! replay), `audit` (what replay reads of all this), `metrics`, `commands` (for operators).

mod audit;
mod book;
mod commands;
mod committer;
mod files;
pub(crate) mod keys;
mod leaves;
mod metrics;
mod records;
mod seeds;
#[cfg(test)]
mod tests;
mod tree;
mod witnesses;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, Sender},
    },
    thread::JoinHandle,
};

use tiresias_evidence::{Leaf, NoteVerifier, Receipt};
use tokio::{
    sync::{oneshot, watch},
    task::AbortHandle,
};

use crate::{config::LogPolicy, data::DataDirectory, error::ApiError, swap::Swap, tls};
pub(crate) use audit::Audit;
use book::{Book, PUBLIC, Quorum, Signed};
pub use commands::{CommandError, run};
use committer::{Committer, Job, Message, Place};
pub(crate) use leaves::{AnswerFacts, Facts};
pub(crate) use metrics::{LogMetrics, WitnessMetrics};
pub(crate) use seeds::Seed;
use seeds::Seeds;
use witnesses::Witnesses;
pub(crate) use witnesses::client_config as witness_tls;

/// The log's directory in the data directory.
const DIRECTORY: &str = "log";

/// Why the log could not be opened.
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
    /// The operating system gave no entropy.
    #[error("the operating system gave no entropy")]
    Entropy,
    /// A secret that cannot be used.
    #[error("{path}: {rule}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// The configuration names another log.
    #[error("{path}: the log here has another origin than `[log] origin`: a log keeps its name; change the setting, or name a new data directory", path = path.display())]
    Origin {
        /// The directory.
        path: PathBuf,
    },
    /// A record of the journal is not as it was written.
    #[error("{path}: record {record} is damaged, and receipts were given for it: restore the file from a backup", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The record, from 0.
        record: u64,
    },
    /// The journal lost records.
    #[error("{path}: a checkpoint over {covered} records was published, and the journal has fewer: restore the file from a backup", path = path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// The records that the checkpoint covers.
        covered: u64,
    },
    /// Witnesses cannot be reached over TLS.
    #[error("witnesses: {0}")]
    WitnessTls(#[from] tls::Error),
    /// The journal is another's.
    #[error("{path}: these records are not those that the published checkpoint was signed over: restore the directory from a backup", path = path.display())]
    Fork {
        /// The file.
        path: PathBuf,
    },
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Entropy => "entropy",
            Self::Key { .. } => "bad_log_key",
            Self::Origin { .. } => "log_origin",
            Self::Damaged { .. } | Self::Short { .. } => "log_damaged",
            Self::Fork { .. } => "log_forked",
            Self::WitnessTls(_) => "tls",
        }
    }

    fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }
}

/// What the committer shows to others.
struct Shared {
    /// The published checkpoint.
    checkpoint: Swap<Arc<str>>,
    /// The newest checkpoint whose tiles are there: what witnesses cosign.
    newest: watch::Sender<Newest>,
    /// Answers that are being computed.
    coming: AtomicUsize,
    /// Whether the disk took what was last written to it.
    writable: AtomicBool,
}

#[derive(Debug, Clone)]
struct Newest {
    signed: Signed,
    /// Whether no other one follows.
    is_last: bool,
}

/// An answer that is being computed, and will be logged.
pub(crate) struct Coming(Arc<Shared>);

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.coming.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A leaf on its way into the log.
struct HandedIn {
    leaf: Leaf,
    salt: [u8; 32],
    placed: oneshot::Receiver<Place>,
}

impl HandedIn {
    async fn receipt(self) -> Result<Receipt, ApiError> {
        let Place { index, proof, checkpoint } = self.placed.await.map_err(|_| ApiError::LogUnavailable)?;
        let (leaf, salt, checkpoint) = (self.leaf, self.salt, (*checkpoint).to_owned());
        Ok(Receipt { leaf, salt, index, proof, checkpoint })
    }
}

/// The open log.
pub(crate) struct Log {
    facts: Facts,
    verifiers: Vec<NoteVerifier>,
    public: PathBuf,
    shared: Arc<Shared>,
    metrics: LogMetrics,
    messages: Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
    witnesses: Option<AbortHandle>,
}

impl Log {
    /// Opens the log of a data directory, makes it on first use, and publishes where it stands. Reads the whole journal. Where
    /// there are witnesses, they are asked by a task of the runtime that this is called in.
    pub(crate) fn open(data: &DataDirectory, policy: &LogPolicy) -> Result<Self, Error> {
        let directory = data.file(DIRECTORY);
        make(&directory)?;
        let facts = Facts::open(&directory)?;
        let witnesses = policy.witnesses.as_ref();
        let quorum = witnesses.map(|policy| Quorum { keys: policy.keys(), count: policy.quorum });
        let mut book = Book::open(&directory, policy.origin.as_deref(), quorum.as_ref())?;
        let seeds = Seeds::open(&directory, facts.seed_secret(), policy.retention_days);
        book.keep_seeds(seeds.map_err(Error::io(&directory))?);
        let mut metrics = LogMetrics::default();
        if witnesses.is_some() {
            metrics = metrics.with_witnesses();
        }
        metrics.stands_at(book.size());
        let verifiers = book.verifiers();
        let newest = Newest { signed: book.newest(), is_last: false };
        let shared = Arc::new(Shared {
            checkpoint: Swap::new(Arc::clone(&book.shown().note)),
            newest: watch::Sender::new(newest),
            coming: AtomicUsize::new(0),
            writable: AtomicBool::new(true),
        });
        let cosigned = book.cosigned_size();
        let (messages, inbox) = mpsc::channel();
        let committer = Committer::new(book, inbox, Arc::clone(&shared), metrics.clone());
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || committer.run());
        let thread = Mutex::new(Some(thread.map_err(Error::io(&directory))?));
        let public = directory.join(PUBLIC);
        let witnesses = match (witnesses, metrics.witnesses()) {
            (Some(policy), Some(metrics)) => {
                let newest = shared.newest.subscribe();
                metrics.cosigned(cosigned);
                let (messages, public) = (messages.clone(), public.clone());
                let asking = Witnesses::new(policy, (newest, cosigned), messages, public, metrics.clone())?;
                Some(tokio::spawn(asking.run()).abort_handle())
            }
            _ => None,
        };
        Ok(Self { facts, verifiers, public, shared, metrics, messages, thread, witnesses })
    }

    /// What leaves are made of.
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What verifies the log: the newest key first.
    pub(crate) fn verifiers(&self) -> &[NoteVerifier] {
        &self.verifiers
    }

    pub(crate) fn metrics(&self) -> &LogMetrics {
        &self.metrics
    }

    /// Whether answers can be logged, as far as the last write to the disk tells.
    pub(crate) fn is_writable(&self) -> bool {
        self.shared.writable.load(Ordering::Acquire)
    }

    /// Says that an answer is about to be computed: a commit may wait for it a little.
    pub(crate) fn coming(&self) -> Coming {
        self.shared.coming.fetch_add(1, Ordering::AcqRel);
        Coming(Arc::clone(&self.shared))
    }

    /// Appends the leaf of an answer that was [coming](Log::coming), and waits until it is on the disk and under a signed
    /// checkpoint; keeps the seed that it commits to. Errors with [`ApiError::LogUnavailable`] where it is not in the log, and never will be.
    pub(crate) async fn append(&self, coming: Coming, leaf: Leaf, seed: Seed) -> Result<Receipt, ApiError> {
        let placed = self.hand_in(leaf, Some(seed), false);
        drop(coming);
        placed?.receipt().await
    }

    /// Appends the leaf of what has happened already, and waits: where the log cannot be written now, it is as soon as it can.
    pub(crate) async fn append_done(&self, leaf: Leaf) -> Result<Receipt, ApiError> {
        self.hand_in(leaf, None, true)?.receipt().await
    }

    fn hand_in(&self, leaf: Leaf, seed: Option<Seed>, has_happened: bool) -> Result<HandedIn, ApiError> {
        let salt = leaves::salt()?;
        let (waiter, placed) = oneshot::channel();
        let job = Job { entry: leaf.entry(&salt), seed, waiter: Some(waiter), has_happened };
        self.messages.send(Message::Append(job)).map_err(|_| ApiError::LogUnavailable)?;
        Ok(HandedIn { leaf, salt, placed })
    }

    /// Appends a leaf of something that has happened and that no one waits for.
    pub(crate) fn record(&self, leaf: &Leaf) {
        let Ok(salt) = leaves::salt() else {
            return tracing::error!("the operating system gave no entropy: a leaf is lost to the log");
        };
        let job = Job { entry: leaf.entry(&salt), seed: None, waiter: None, has_happened: true };
        if self.messages.send(Message::Append(job)).is_err() {
            tracing::error!("the transparency log is closed: a leaf is lost to it");
        }
    }

    /// The published checkpoint.
    pub(crate) fn checkpoint(&self) -> Arc<str> {
        Arc::clone(&self.shared.checkpoint.load())
    }

    /// A tile by its path below the log's root. Reads a file. `None` where there is no such tile.
    pub(crate) fn tile(&self, path: &str) -> Option<Vec<u8>> {
        files::read_tile(&self.public, path)
    }

    /// Commits and publishes what is on its way, and ends the thread. Waits for the disk.
    pub(crate) fn close(&self) {
        let _ = self.messages.send(Message::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the transparency log's thread panicked");
        }
        if let Some(asking) = &self.witnesses {
            asking.abort();
        }
    }
}

/// The thread has ended before the data directory's lock goes.
impl Drop for Log {
    fn drop(&mut self) {
        self.close();
    }
}

/// Opens the log of a directory as a start does, and says how many leaves it has.
pub(crate) fn reopen(directory: &Path) -> Result<u64, Error> {
    Ok(Book::open(directory, None, None)?.size())
}

/// Makes the log's directory where there is none, for good.
fn make(directory: &Path) -> Result<(), Error> {
    let made = fs::create_dir_all(directory).and_then(|()| match directory.parent() {
        Some(parent) => keys::sync_directory(parent),
        None => Ok(()),
    });
    made.map_err(Error::io(directory))
}
