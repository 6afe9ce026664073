//! The log as one thread has it: journal, tree, keys and public files.
//!
//! Of every checkpoint that is signed, all entries are on the disk before. So no crash takes an entry away that someone has a
//! receipt for, and the log cannot fork by accident.

use std::{io, path::Path, sync::Arc};

use tiresias_evidence::{Checkpoint, Hash, NoteVerifier, Receipt, merkle::prove_inclusion};

use super::{
    Error,
    files::Files,
    keys::{Keys, sync_directory},
    leaves::{Facts, salt},
    records::{BATCH, Records, Refusal},
    seeds::{Seed, Seeds, today},
    tree::{NotKept, Tree},
};

/// The journal's name in the log's directory.
const JOURNAL: &str = "journal";

/// The directory that others may read.
pub(super) const PUBLIC: &str = "public";

/// While a journal is read, tiles are written and hashes forgotten after so many entries.
const STRIDE: u64 = 4096;

/// Leaves whose tiles cannot be written wait in memory, some hundred bytes each. With more of them the log takes none.
const MOST_UNPUBLISHED: u64 = if cfg!(test) { 4096 } else { 1 << 20 };

pub(super) struct Book {
    records: Records,
    tree: Tree,
    files: Files,
    keys: Keys,
    /// `None` for an operator's command, which answers nothing.
    seeds: Option<Seeds>,
    /// The newest signed checkpoint.
    note: Arc<str>,
    /// Whether it is among the public files.
    published: bool,
    /// Whether the last try to write these failed.
    unwritable: bool,
}

impl Book {
    /// Opens the log of a directory, makes it where there is none, and publishes where it stands. Reads the whole journal.
    pub(super) fn open(directory: &Path, origin: Option<&str>) -> Result<Self, Error> {
        let journal = directory.join(JOURNAL);
        let is_new = !journal.try_exists().map_err(Error::io(&journal))?;
        let keys = if is_new { Keys::open(directory, origin)? } else { Keys::read(directory)? };
        if origin.is_some_and(|origin| origin != keys.origin()) {
            return Err(Error::Origin { path: directory.to_owned() });
        }
        let public = directory.join(PUBLIC);
        let mut files = Files::open(&public).map_err(Error::io(&public))?;
        let signed = published(&files, &keys.verifiers());
        let covered = signed.as_ref().map_or(0, |checkpoint| checkpoint.size);

        let mut tree = Tree::default();
        let (mut continues, mut writes) = (covered > 0 || signed.is_none(), true);
        continues |= signed.as_ref().is_some_and(|checkpoint| checkpoint.root == tree.root());
        let records = Records::open(&journal, covered, |entry| {
            tree.append(*entry);
            if let Some(checkpoint) = signed.as_ref().filter(|checkpoint| checkpoint.size == tree.size()) {
                continues = checkpoint.root == tree.root();
            }
            // Where tiles cannot be written now, their hashes wait in memory.
            if writes && tree.size() % STRIDE == 0 {
                writes = files.write_tiles(&tree, false).is_ok();
                tree.forget_before(files.size().min(tree.size() - BATCH as u64));
            }
        });
        let records = records.map_err(|refusal| match refusal {
            Refusal::Io(source) => Error::Io { path: journal.clone(), source },
            Refusal::Damaged(record) => Error::Damaged { path: journal.clone(), record },
            Refusal::Short(covered) => Error::Short { path: journal.clone(), covered },
        })?;
        if !continues {
            return Err(Error::Fork { path: journal });
        }
        sync_directory(directory).map_err(Error::io(directory))?;
        let mut book = Self {
            records,
            tree,
            files,
            keys,
            seeds: None,
            note: "".into(),
            published: false,
            unwritable: false,
        };
        book.sign();
        book.publish();
        Ok(book)
    }

    /// What verifies the log: the newest key first.
    pub(super) fn verifiers(&self) -> Vec<NoteVerifier> {
        self.keys.verifiers()
    }

    /// Leaves.
    pub(super) fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The newest signed checkpoint.
    pub(super) fn note(&self) -> &Arc<str> {
        &self.note
    }

    pub(super) fn is_published(&self) -> bool {
        self.published
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint { origin: self.keys.origin(), size: self.tree.size(), root: self.tree.root() }
    }

    fn sign(&mut self) {
        self.note = self.keys.sign(&self.checkpoint().text()).into();
        self.published = false;
    }

    /// Draws the log's next key, which signs beside the old one from here on. Before, the old one signs a leaf that names it:
    /// whoever trusts the old one can trust the new one by this leaf's receipt.
    pub(super) fn rotate(&mut self, directory: &Path, facts: &Facts) -> Result<Receipt, Error> {
        let keys = self.keys.rotated(directory)?;
        let new = keys.verifiers().first().map(ToString::to_string).unwrap_or_default();
        let (leaf, salt) = (facts.log_key(&new), salt().map_err(|_| Error::Entropy)?);
        let journal = directory.join(JOURNAL);
        let index = self.commit(&[leaf.entry(&salt)], &[]).map_err(Error::io(&journal))?;
        let unproved = |_| Error::Fork { path: journal.clone() };
        let proof = self.prove(index).map_err(unproved)?;
        let receipt = Receipt { leaf, salt, index, proof, checkpoint: (*self.note).to_owned() };
        keys.write(directory)?;
        self.use_keys(keys);
        Ok(receipt)
    }

    /// Ends a rotation.
    pub(super) fn finish_rotation(&mut self, directory: &Path) -> Result<(), Error> {
        let keys = self.keys.finished(directory)?;
        keys.write(directory)?;
        self.use_keys(keys);
        Ok(())
    }

    fn use_keys(&mut self, keys: Keys) {
        self.keys = keys;
        self.sign();
        self.publish();
    }

    /// From now on seeds are kept, for as long as these are.
    pub(super) fn keep_seeds(&mut self, seeds: Seeds) {
        self.seeds = Some(seeds);
    }

    /// Deletes the seeds whose time is over.
    pub(super) fn sweep_seeds(&mut self) {
        if let Some(seeds) = &self.seeds {
            seeds.sweep(today());
        }
    }

    /// Appends entries, no more than [`BATCH`], and signs the checkpoint that covers them. `seeds` are those of some of these
    /// entries, each with its place among them. Returns the index of the first entry. Where it fails, the log is as it was.
    pub(super) fn commit(&mut self, entries: &[Hash], seeds: &[(u64, &Seed)]) -> io::Result<u64> {
        let first = self.tree.size();
        if first - self.files.size() > MOST_UNPUBLISHED {
            return Err(io::Error::other("the public files are too far behind"));
        }
        if let Some(kept) = self.seeds.as_mut().filter(|_| !seeds.is_empty()) {
            kept.keep(today(), seeds.iter().map(|(place, seed)| (first + place, *seed)))?;
        }
        self.records.append(entries)?;
        for entry in entries {
            self.tree.append(*entry);
        }
        self.sign();
        Ok(first)
    }

    /// The proof that one of the entries appended last is under the newest checkpoint.
    pub(super) fn prove(&self, index: u64) -> Result<Vec<Hash>, NotKept> {
        prove_inclusion(&self.tree, index, self.tree.size())
    }

    /// Writes the public files up to the newest checkpoint. Where that fails, the next call tries again.
    pub(super) fn publish(&mut self) {
        let written = self.files.write_tiles(&self.tree, true);
        let written = written.and_then(|()| self.files.write_checkpoint(&self.note));
        match written {
            Ok(()) => (self.published, self.unwritable) = (true, false),
            Err(error) => {
                // Said once, and tried several times a second.
                if !std::mem::replace(&mut self.unwritable, true) {
                    tracing::error!(kind = ?error.kind(), "the transparency log's public files could not be written");
                }
            }
        }
        let kept = self.files.size().min(self.tree.size().saturating_sub(BATCH as u64));
        self.tree.forget_before(kept);
    }
}

/// The checkpoint among the public files, if one of these keys signed it. One that a crash left half written says nothing.
fn published(files: &Files, verifiers: &[NoteVerifier]) -> Option<Checkpoint> {
    let note = files.published()?;
    let checkpoint = verifiers.iter().find_map(|key| Checkpoint::open(&note, key).ok());
    if checkpoint.is_none() {
        tracing::warn!("the published checkpoint is not one of this log's, and is written anew");
    }
    checkpoint
}
