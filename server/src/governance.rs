//! Who must approve a model version before it is served. In a version's directory lie, beside card and weights:
//!
//! ```text
//! model-card.toml   what the model is for, its data and its limits (tiresias_evidence::ModelCard)
//! approval          a signed note over circuit card, weights and model card (tiresias_evidence::Approval)
//! approval-salt     32 bytes that hide the weights' digest in the note, mode 0600
//! ```
//!
//! `[governance]` names the approvers' keys and how many of them must have signed. Without it, an approval that is there must
//! still fit its model, and is shown to clients, who may have a council of their own in mind.

mod approve;

use std::{
    io,
    path::{Path, PathBuf},
};

use hyper::body::Bytes;
use tiresias_evidence::{
    Approval, ModelCard, NoteVerifier, commitment, model_card::MAXIMUM_MODEL_CARD_BYTES,
};
use tiresias_keys::Digest;

pub use approve::{Error as ApproveError, approve};

use crate::{
    log::{self, keys::read_own},
    repository::{self, StoredModel, read_file},
};

const CARD_FILE: &str = "model-card.toml";
const NOTE_FILE: &str = "approval";
const SALT_FILE: &str = "approval-salt";

const MAXIMUM_NOTE: u64 = tiresias_evidence::note::MAXIMUM_NOTE_BYTES as u64;

/// Which approvals a version needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Governance {
    approvers: Vec<NoteVerifier>,
    required: usize,
}

/// Why a version is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Too few approvals.
    #[error(
        "{model}: {signed} of the approvers in [governance] have signed, and {required} must: tiresias-gateway approve"
    )]
    Missing {
        /// Name and version.
        model: String,
        /// Approvals.
        signed: usize,
        /// Approvals that are needed.
        required: usize,
    },
    /// An approval that is not of this version.
    #[error("{path}: {rule}", path = path.display())]
    Foreign {
        /// The file at fault.
        path: PathBuf,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// Approval or model card could not be read.
    #[error("{path}: {source}", path = path.display())]
    Malformed {
        /// The file at fault.
        path: PathBuf,
        /// The rule it breaks.
        source: tiresias_evidence::Error,
    },
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] repository::Error),
    /// The salt could not be read.
    #[error(transparent)]
    Salt(#[from] log::Error),
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "not_approved",
            Self::Foreign { .. } | Self::Malformed { .. } | Self::Salt(_) => "bad_approval",
            Self::File(error) => error.code(),
        }
    }
}

/// A version's approval as it is shown to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Approved {
    /// The signed note.
    pub(crate) note: String,
    /// The model card's bytes.
    pub(crate) card: Bytes,
}

impl Governance {
    /// `required` of these approvers, who have keys of their own. The rule that is broken, otherwise.
    pub(crate) fn new(approvers: Vec<NoteVerifier>, required: usize) -> Result<Self, &'static str> {
        let is_twice =
            |key: &NoteVerifier| approvers.iter().filter(|other| other.has_key_of(key)).count() > 1;
        if approvers.iter().any(is_twice) {
            return Err("governance: each approver has a key of their own");
        }
        if required == 0 || required > approvers.len() {
            return Err("governance: required is 1 to the number of approvers");
        }
        Ok(Self { approvers, required })
    }

    /// Whether nothing is asked for.
    pub(crate) fn is_open(&self) -> bool {
        self.required == 0
    }

    /// Checks a version's approval, which lies in `directory`. `None` where there is none and none is needed.
    pub(crate) fn check(&self, stored: &StoredModel, directory: &Path) -> Result<Option<Approved>, Error> {
        let model = || format!("{} version {}", stored.card.name(), stored.card.version());
        let missing = |signed| Error::Missing { model: model(), signed, required: self.required };
        let path = directory.join(NOTE_FILE);
        if !exists(&path)? {
            return if self.is_open() { Ok(None) } else { Err(missing(0)) };
        }
        let (note, approval, signed) = read_note(&path, &self.approvers)?;
        let card = read_card(directory)?;
        if expected(stored, directory, &card)? != approval {
            return Err(Error::Foreign {
                path,
                rule: "it approves another circuit card, other weights or another model card: have the version approved anew",
            });
        }
        if signed.len() < self.required {
            return Err(missing(signed.len()));
        }
        Ok(Some(Approved { note, card: card.into() }))
    }
}

/// What an approval of this version says, with the salt and the model card in its directory.
fn expected(stored: &StoredModel, directory: &Path, card: &[u8]) -> Result<Approval, Error> {
    let path = directory.join(SALT_FILE);
    let mut salt = [0; 32];
    hex::decode_to_slice(read_own(&path)?.trim_end(), &mut salt).map_err(|_| Error::Foreign {
        path,
        rule: "not 64 hexadecimal digits: have the version approved anew",
    })?;
    Ok(Approval {
        name: stored.card.name().to_owned(),
        version: stored.card.version(),
        config: *stored.config.as_bytes(),
        model: commitment::model(&salt, stored.weights.as_bytes()),
        card: *Digest::of(card).as_bytes(),
    })
}

/// An approval's note, what it says, and which approvers have signed it.
fn read_note<'k>(
    path: &Path,
    approvers: &'k [NoteVerifier],
) -> Result<(String, Approval, Vec<&'k NoteVerifier>), Error> {
    let malformed = |source| Error::Malformed { path: path.to_owned(), source };
    let note = String::from_utf8_lossy(&read_file(path, MAXIMUM_NOTE)?).into_owned();
    let (approval, signed) = Approval::open(&note, approvers).map_err(malformed)?;
    Ok((note, approval, signed))
}

/// The bytes of a version's model card, which is one.
fn read_card(directory: &Path) -> Result<Vec<u8>, Error> {
    let path = directory.join(CARD_FILE);
    let bytes = read_file(&path, MAXIMUM_MODEL_CARD_BYTES as u64)?;
    match ModelCard::parse(&bytes) {
        Ok(_) => Ok(bytes),
        Err(source) => Err(Error::Malformed { path, source }),
    }
}

fn exists(path: &Path) -> Result<bool, repository::Error> {
    path.try_exists().map_err(|source: io::Error| repository::Error::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
