//! A log as its auditor has it: who signed, what salts models, and the seeds. It is read while a gateway may be writing to it,
//! and nothing in it is changed.

use std::path::{Path, PathBuf};

use tiresias_evidence::{Checkpoint, Hash, Leaf, NoteVerifier, Receipt, commitment};
use tiresias_keys::{ConfigId, Digest};

use super::{DIRECTORY, Error, Seed, keys::Keys, leaves::Facts, seeds};

pub(crate) struct Audit {
    directory: PathBuf,
    verifiers: Vec<NoteVerifier>,
    facts: Facts,
}

impl Audit {
    /// Opens the log of a data directory, which must have one.
    pub(crate) fn open(data: &Path) -> Result<Self, Error> {
        let directory = data.join(DIRECTORY);
        let verifiers = Keys::read(&directory)?.verifiers();
        let facts = Facts::read(&directory)?;
        Ok(Self { directory, verifiers, facts })
    }

    /// Checks that this log has given the receipt, under one of its keys.
    pub(crate) fn verify(&self, receipt: &Receipt) -> Result<Checkpoint, tiresias_evidence::Error> {
        let mut found = Err(tiresias_evidence::Error::Signature);
        for key in &self.verifiers {
            found = receipt.verify(key);
            if found != Err(tiresias_evidence::Error::Signature) {
                break;
            }
        }
        found
    }

    /// A model's salted digest.
    pub(crate) fn model(&self, config: &ConfigId, weights: &Digest) -> Hash {
        self.facts.model(config, weights)
    }

    /// Whether this program made the leaf.
    pub(crate) fn is_this_build(&self, leaf: &Leaf) -> bool {
        leaf.build == self.facts.build()
    }

    /// The seed of an answer's leaf, to which the leaf commits. `None` where it is not kept.
    pub(crate) fn seed(&self, index: u64, randomness: &Hash) -> Result<Option<Seed>, Error> {
        let is_it = |seed: &[u8; 32]| commitment::randomness(seed) == *randomness;
        seeds::find(&self.directory, &self.facts.seed_secret(), index, is_it)
            .map_err(Error::io(&self.directory))
    }
}
