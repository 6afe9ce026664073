//! What a clinic keeps for joint sums, in a directory that one process uses at a time. Secrets have mode 0600.
//!
//! ```text
//! key                  the key that signs, PRIVATE+KEY+name+id+base64
//! seal                 the age identity that shares are sealed to
//! ROSTER-CEREMONY/     by the first digits of the roster's id
//!   secret             this clinic's secret s_i
//!   opening            nonce, share of the key and proof, which it commits to and then opens
//!   ROUND-STEP         the messages that it has sent: they are on the disk before they leave
//!   ROUND-STEP.receipt what the gateway's log says of them
//!   ROUND-input        a hash of what a round sums, so that it is gone on with after a crash only if it is the same
//!   ROUND-done         that its total is known, or that the round was given up
//! ```
//!
//! Never restore it from a backup: with an old state a clinic could give a second share in a round.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use age::secrecy::ExposeSecret as _;
use tiresias_evidence::{
    Hash, LogKey, NoteVerifier,
    joint::Step,
    note::secret::{self, Purpose},
};
use tiresias_secret_key::JointSecret;
use zeroize::Zeroizing;

use super::Error;
use crate::files::{self, Readers};

const MAXIMUM_KEY_BYTES: u64 = 4096;
const MAXIMUM_MESSAGE_BYTES: u64 = 64 << 20;

/// An open state directory.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    _lock: File,
}

impl StateDirectory {
    /// Makes the directory where there is none, and takes its lock.
    pub fn open(path: &Path) -> Result<Self, crate::Error> {
        fs::create_dir_all(path).map_err(files::at(path))?;
        let lock = path.join("lock");
        let file = File::options().create(true).write(true).truncate(false).open(&lock);
        let file = file.map_err(files::at(&lock))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: file }),
            Err(TryLockError::WouldBlock) => {
                Err(refused(path, "another process uses this state directory: wait for it, or name another"))
            }
            Err(TryLockError::Error(source)) => Err(files::at(&lock)(source)),
        }
    }

    /// The key that signs. Where there is none, one of this name is made.
    pub fn key(&self, name: Option<&str>) -> Result<LogKey, crate::Error> {
        let path = self.path.join("key");
        if !exists(&path)? {
            let name = name.ok_or_else(|| {
                refused(&path, "there is no key yet: tiresias joint key --name NAME makes it")
            })?;
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(&mut *seed)
                .map_err(|_| refused(&path, "the operating system gave no entropy"))?;
            let line = secret::encode(Purpose::Sign, name, &seed).map_err(|_| refused(&path, NAME))?;
            files::write_whole(&path, line.as_bytes(), Readers::Owner, false)?;
        }
        let bytes = read_own(&path)?;
        let key = std::str::from_utf8(&bytes).ok().and_then(|line| secret::decode(Purpose::Sign, line).ok());
        let key =
            key.ok_or_else(|| refused(&path, "not a key file: one line of PRIVATE+KEY+name+id+base64"))?;
        if name.is_some_and(|name| name != key.verifier().name()) {
            return Err(refused(&path, "the key has another name, and keeps it: name a new directory"));
        }
        Ok(key)
    }

    /// The identity that shares are sealed to. It is made on first use.
    pub(super) fn identity(&self) -> Result<age::x25519::Identity, crate::Error> {
        let path = self.path.join("seal");
        if !exists(&path)? {
            let identity = age::x25519::Identity::generate().to_string();
            files::write_whole(&path, identity.expose_secret().as_bytes(), Readers::Owner, false)?;
        }
        let bytes = read_own(&path)?;
        let text = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim_end().parse().ok());
        text.ok_or_else(|| refused(&path, "not an age identity: restore what was here"))
    }

    /// What is kept of one ceremony.
    pub(super) fn ceremony(&self, roster: &Hash, ceremony: u32) -> Result<Kept, crate::Error> {
        let path = self.path.join(format!("{}-{ceremony}", hex::encode(&roster[..8])));
        fs::create_dir_all(&path).map_err(files::at(&path))?;
        files::sync_directory_of(&path)?;
        Ok(Kept { path })
    }
}

/// What a clinic keeps of one ceremony and its sums.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
}

impl Kept {
    /// The clinic's secret, which is drawn once.
    pub(super) fn secret(&self) -> Result<JointSecret, crate::Error> {
        let path = self.path.join("secret");
        if !exists(&path)? {
            let secret = JointSecret::generate()?;
            files::write_whole(&path, &secret.export(), Readers::Owner, false)?;
        }
        Ok(JointSecret::import(&read_own(&path)?)?)
    }

    /// What this clinic has committed to, or is about to.
    pub(super) fn opening(&self) -> Result<Option<Vec<u8>>, crate::Error> {
        self.read("opening")
    }

    pub(super) fn keep_opening(&self, opening: &[u8]) -> Result<(), crate::Error> {
        files::write_whole(&self.path.join("opening"), opening, Readers::Owner, false)
    }

    /// A message that was sent, or was about to be.
    pub(super) fn message(&self, round: u32, step: Step) -> Result<Option<Vec<u8>>, crate::Error> {
        self.read(&format!("{round}-{}", step.name()))
    }

    /// Puts a message on the disk, before it is sent. There must be none.
    pub(super) fn keep_message(&self, round: u32, step: Step, message: &[u8]) -> Result<(), crate::Error> {
        let path = self.path.join(format!("{round}-{}", step.name()));
        files::write_whole(&path, message, Readers::Owner, false)
    }

    /// Keeps a message's receipt, the newest one.
    pub(super) fn keep_receipt(&self, round: u32, step: Step, receipt: &str) -> Result<(), crate::Error> {
        let path = self.path.join(format!("{round}-{}.receipt", step.name()));
        files::write_whole(&path, receipt.as_bytes(), Readers::Owner, true)
    }

    /// The last round that this clinic has submitted in, or was about to; 0 where there is none.
    pub(super) fn last_round(&self) -> Result<u32, crate::Error> {
        let entries = fs::read_dir(&self.path).map_err(files::at(&self.path))?;
        let round = |entry: std::io::Result<fs::DirEntry>| {
            entry.ok()?.file_name().to_str()?.strip_suffix("-submit")?.parse::<u32>().ok()
        };
        Ok(entries.filter_map(round).max().unwrap_or(0))
    }

    /// Whether a round sums this input and its total is not known yet.
    pub(super) fn is_unfinished(&self, round: u32, input: &Hash) -> Result<bool, crate::Error> {
        let is_same = self.read(&format!("{round}-input"))?.is_some_and(|kept| kept == input);
        Ok(is_same && !exists(&self.path.join(format!("{round}-done")))?)
    }

    pub(super) fn begin(&self, round: u32, input: &Hash) -> Result<(), crate::Error> {
        files::write_whole(&self.path.join(format!("{round}-input")), input, Readers::Owner, true)
    }

    pub(super) fn finish(&self, round: u32) -> Result<(), crate::Error> {
        files::write_whole(&self.path.join(format!("{round}-done")), b"", Readers::Owner, true)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, crate::Error> {
        let path = self.path.join(name);
        if exists(&path)? { files::read(&path, MAXIMUM_MESSAGE_BYTES).map(Some) } else { Ok(None) }
    }
}

const NAME: &str = "a clinic's name is at most 64 letters, digits and -_./";

/// What verifies a clinic's messages, if a roster may name it.
pub fn rostered(key: &LogKey, path: &Path) -> Result<NoteVerifier, crate::Error> {
    let verifier = key.verifier();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let fits = verifier.name().len() <= 64 && verifier.name().chars().all(is_plain);
    if fits { Ok(verifier) } else { Err(refused(path, NAME)) }
}

fn refused(path: &Path, rule: &'static str) -> crate::Error {
    Error::State { path: path.to_owned(), rule }.into()
}

fn exists(path: &Path) -> Result<bool, crate::Error> {
    path.try_exists().map_err(files::at(path))
}

fn read_own(path: &Path) -> Result<Zeroizing<Vec<u8>>, crate::Error> {
    let file = files::open_own_to_read(path)?;
    if let Some(rule) = files::exposure(&file).map_err(files::at(path))? {
        return Err(refused(path, rule));
    }
    files::read_secret(&file, path, MAXIMUM_KEY_BYTES)
}
