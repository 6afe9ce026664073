//! The board of joint sums: where clinics of a roster leave signed messages for each other, and where submissions are added.
//!
//! What it never does: it decides nothing that clinics do not check again. A message is taken once for its place, from the clinic
//! that signed it, and is on the disk and in the log before it is acknowledged; nothing is changed or removed. The sum is
//! made when the last clinic of the roster has submitted, of all their submissions, and never again. It has no share
//! of the key, and what opens a sum is sealed to the clinics.
//!
//! `DATA/joint/ROSTER/CEREMONY/ROUND/STEP-CLINIC` is a message, `.../sum` the sum behind the hashes of its list.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use sha2::{Digest as _, Sha256};
use tiresias_evidence::{
    Hash,
    joint::{List, Message, Place, Roster, Signed, Step, chain},
};
use tiresias_keys::joint::{JointKeyShare, JointShare, JointSubmission, JointSum, Plan};

use crate::{
    data::DataDirectory,
    error::ApiError,
    repository::{read_file, write_file},
};

/// A message's note and its length, and what sealing adds to a share for sixteen clinics.
const NOTE: usize = 16 << 10;

/// Whose joint sums are added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JointPolicy {
    /// The files of their rosters.
    pub rosters: Vec<PathBuf>,
    /// The most values of a vector.
    pub values: usize,
    /// The most bytes that all messages take.
    pub total_bytes: u64,
}

/// Why the board could not be opened.
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
    /// A file that is no roster.
    #[error("{path}: {source}", path = path.display())]
    Roster {
        /// The file.
        path: PathBuf,
        /// The rule it breaks.
        source: tiresias_evidence::Error,
    },
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Roster { .. } => "bad_roster",
        }
    }
}

/// What became of a message that was put.
pub(crate) struct Taken {
    /// SHA-256 of its text.
    pub(crate) message: Hash,
    /// Whether it was not there before.
    pub(crate) is_new: bool,
    /// The list of the sum that it completed.
    pub(crate) list: Option<List>,
}

/// The open board.
pub(crate) struct Board {
    root: PathBuf,
    rosters: BTreeMap<Hash, Roster>,
    values: usize,
    total_bytes: u64,
    /// Bytes on the disk. One message is written at a time.
    held: Mutex<u64>,
}

impl Board {
    /// Reads the rosters, and what is there already.
    pub(crate) fn open(policy: &JointPolicy, data: &DataDirectory) -> Result<Self, Error> {
        let mut rosters = BTreeMap::new();
        for path in &policy.rosters {
            let text = fs::read_to_string(path).map_err(|source| Error::Io { path: path.clone(), source })?;
            let roster =
                Roster::parse(&text).map_err(|source| Error::Roster { path: path.clone(), source })?;
            rosters.insert(roster.id(), roster);
        }
        let root = data.file("joint");
        let held = fs::create_dir_all(&root).and_then(|()| size(&root));
        let held = held.map_err(|source| Error::Io { path: root.clone(), source })?;
        let (values, total_bytes) = (policy.values, policy.total_bytes);
        Ok(Self { root, rosters, values, total_bytes, held: Mutex::new(held) })
    }

    /// The roster of an id.
    pub(crate) fn roster(&self, id: &Hash) -> Result<&Roster, ApiError> {
        self.rosters.get(id).ok_or(ApiError::JointUnknown)
    }

    /// The most bytes of a message of this step.
    pub(crate) fn limit(&self, step: Step) -> usize {
        let blocks = self.values.div_ceil(4096);
        NOTE + match step {
            Step::Seed | Step::Commit | Step::Agree => 0,
            Step::Open => JointKeyShare::encoded_len(),
            Step::Submit => JointSubmission::encoded_len(blocks),
            Step::Share => Plan::new(3, self.values, 1).map_or(0, |plan| JointShare::encoded_len(&plan)),
        }
    }

    /// A message, where it was put.
    pub(crate) fn get(&self, place: &Place, clinic: usize) -> Result<Vec<u8>, ApiError> {
        self.roster(&place.roster)?;
        read(&self.path(place).join(file_name(place.step, clinic)))
    }

    /// The sum of a round, behind the two hashes of its list.
    pub(crate) fn sum(&self, place: &Place) -> Result<Vec<u8>, ApiError> {
        self.roster(&place.roster)?;
        read(&self.path(place).join("sum"))
    }

    /// The largest number of a ceremony of a roster, or of a round of a ceremony, of which there is a message; 0 where there is none.
    pub(crate) fn newest(&self, roster: &Hash, ceremony: Option<u32>) -> Result<u32, ApiError> {
        self.roster(roster)?;
        let mut path = self.root.join(hex::encode(roster));
        if let Some(ceremony) = ceremony {
            path.push(ceremony.to_string());
        }
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(_) => return Err(ApiError::Storage),
        };
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        Ok(numbers.max().unwrap_or(0))
    }

    /// Takes a message. The same one again is no error, and another one for its place is. Where it is a round's last submission, they are
    /// added.
    pub(crate) fn put(&self, place: &Place, clinic: usize, bytes: &[u8]) -> Result<Taken, ApiError> {
        let roster = self.roster(&place.roster)?;
        let signed = Signed::open(bytes, roster, place, clinic).map_err(malformed)?;
        check_payload(place.step, &signed.payload)?;
        let message = Sha256::digest(signed.message.text()).into();
        let directory = self.path(place);
        let path = directory.join(file_name(place.step, clinic));
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = match read(&path) {
            Ok(there) if there == bytes => false,
            Ok(_) => return Err(ApiError::JointConflict),
            Err(ApiError::JointUnknown) => true,
            Err(error) => return Err(error),
        };
        if is_new {
            if *held + bytes.len() as u64 > self.total_bytes {
                return Err(ApiError::JointFull);
            }
            store(&directory, &path, bytes)?;
            *held += bytes.len() as u64;
        }
        let list = if place.step == Step::Submit { self.add(place, &mut held)? } else { None };
        Ok(Taken { message, is_new, list })
    }

    /// Adds the submissions of a round once all are there. The list is that of the first time, whoever asks again.
    fn add(&self, place: &Place, held: &mut u64) -> Result<Option<List>, ApiError> {
        let roster = self.roster(&place.roster)?;
        let directory = self.path(place);
        let path = directory.join("sum");
        if path.try_exists().map_err(|_| ApiError::Storage)? {
            return Ok(None);
        }
        let (mut messages, mut submissions): (Vec<Message>, Vec<JointSubmission>) = (Vec::new(), Vec::new());
        let mut blocks = None;
        for clinic in 0..roster.clinics().len() {
            let bytes = match self.get(place, clinic) {
                Err(ApiError::JointUnknown) => return Ok(None),
                bytes => bytes?,
            };
            let signed = Signed::open(&bytes, roster, place, clinic).map_err(malformed)?;
            let own = blocks_of(&signed.payload);
            if *blocks.get_or_insert(own) != own {
                // Every clinic sees that one of them submitted a vector of another length, and names it.
                return Ok(None);
            }
            submissions.push(JointSubmission::from_bytes(&signed.payload, own)?);
            messages.push(signed.message);
        }
        // The bounds of values do not matter for adding.
        let blocks = blocks.unwrap_or_default();
        let Ok(plan) = Plan::new(roster.clinics().len(), (blocks * 4096).max(1), 1) else { return Ok(None) };
        let frame = JointSum::new(&plan, &submissions).to_bytes();
        let list = List { submissions: chain(&messages), sum: Sha256::digest(&frame).into() };
        let bytes = [list.submissions.as_slice(), &list.sum, &frame].concat();
        store(&directory, &path, &bytes)?;
        *held += bytes.len() as u64;
        Ok(Some(list))
    }

    fn path(&self, place: &Place) -> PathBuf {
        let roster = self.root.join(hex::encode(place.roster));
        roster.join(place.ceremony.to_string()).join(place.round.to_string())
    }
}

fn file_name(step: Step, clinic: usize) -> String {
    format!("{}-{clinic}", step.name())
}

fn malformed(error: tiresias_evidence::Error) -> ApiError {
    match error {
        tiresias_evidence::Error::Malformed { rule, .. } => ApiError::MalformedMessage(rule),
        _ => ApiError::MalformedMessage("it is not signed by this clinic of the roster"),
    }
}

/// Frames have their form. What they prove is for clinics to verify.
fn check_payload(step: Step, payload: &[u8]) -> Result<(), ApiError> {
    match step {
        Step::Open => {
            let frame = payload.get(32..).ok_or(ApiError::MalformedMessage("a nonce comes first"))?;
            JointKeyShare::from_bytes(frame)?;
        }
        Step::Submit => {
            JointSubmission::from_bytes(payload, blocks_of(payload))?;
        }
        _ => {}
    }
    Ok(())
}

/// Blocks of a submission's frame, by its length.
fn blocks_of(payload: &[u8]) -> usize {
    let one = JointSubmission::encoded_len(1);
    let each = JointSubmission::encoded_len(2) - one;
    payload.len().saturating_sub(one) / each + 1
}

/// Reads a file of the board's own.
fn read(path: &Path) -> Result<Vec<u8>, ApiError> {
    match fs::metadata(path) {
        Ok(metadata) => read_file(path, metadata.len()).map_err(|_| ApiError::Storage),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ApiError::JointUnknown),
        Err(_) => Err(ApiError::Storage),
    }
}

/// Writes a file whole or not at all, and for good.
fn store(directory: &Path, path: &Path, bytes: &[u8]) -> Result<(), ApiError> {
    let stored = (|| {
        fs::create_dir_all(directory)?;
        let unfinished = directory.join(".unfinished");
        let _ = fs::remove_file(&unfinished);
        write_file(&unfinished, bytes, 0o600)?;
        fs::rename(&unfinished, path)?;
        // Directories that are new, and the file's name in its own.
        directory.ancestors().take(4).try_for_each(|directory| fs::File::open(directory)?.sync_all())
    })();
    stored.map_err(|error| {
        tracing::error!(kind = ?error.kind(), "a message of a joint sum could not be stored");
        ApiError::Storage
    })
}

/// Bytes of all files below a directory.
fn size(directory: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests;
