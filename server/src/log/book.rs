//! The log as one thread has it: journal, tree, keys and public files.
//!
//! Of every checkpoint that is signed, all entries are on the disk before. So no crash takes an entry away that someone has a
//! receipt for, and the log cannot fork by accident.
//!
//! Where witnesses cosign, the checkpoint that is published is the newest one that they have cosigned, as long as they answer;
//! tiles are written up to the newest one, which waits in a file of its own.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tiresias_evidence::{
    Checkpoint, Hash, NoteVerifier, Receipt,
    merkle::{empty_root, prove_inclusion},
    note::Note,
};

use super::{
    Error,
    files::{Files, put, read_note},
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

/// The newest signed checkpoint, while the published one is older.
const NEWEST: &str = "newest";

/// While a journal is read, tiles are written and hashes forgotten after so many entries.
const STRIDE: u64 = 4096;

/// Leaves whose tiles cannot be written wait in memory, some hundred bytes each. With more of them the log takes none.
const MOST_UNPUBLISHED: u64 = if cfg!(test) { 4096 } else { 1 << 20 };
/// Who must have cosigned a checkpoint before it is published.
#[derive(Debug, Clone)]
pub(super) struct Quorum {
    pub(super) keys: Vec<NoteVerifier>,
    pub(super) count: usize,
}

impl Quorum {
    fn has_cosigned(&self, note: &str) -> bool {
        let cosigned = |note: &Note<'_>| self.keys.iter().filter(|key| note.verify(key).is_ok()).count();
        Note::parse(note).is_ok_and(|note| cosigned(&note) >= self.count)
    }
}

/// A signed checkpoint's note and its leaves.
#[derive(Debug, Clone)]
pub(super) struct Signed {
    pub(super) note: Arc<str>,
    pub(super) size: u64,
}

pub(super) struct Book {
    directory: PathBuf,
    records: Records,
    tree: Tree,
    files: Files,
    keys: Keys,
    /// `None` for an operator's command, which answers nothing.
    seeds: Option<Seeds>,
    /// The newest signed checkpoint.
    note: Arc<str>,
    /// The newest one that was cosigned.
    cosigned: Option<Signed>,
    /// The published one.
    shown: Signed,
    /// Whether the newest one is published, because none are cosigned, or not for a while.
    is_alone: bool,
    /// Whether the public files are written up to the newest checkpoint.
    published: bool,
    /// Whether the last try to write these failed.
    unwritable: bool,
}

impl Book {
    /// Opens the log of a directory, makes it where there is none, and publishes where it stands. Reads the whole journal.
    pub(super) fn open(
        directory: &Path,
        origin: Option<&str>,
        witnesses: Option<&Quorum>,
    ) -> Result<Self, Error> {
        let journal = directory.join(JOURNAL);
        let is_new = !journal.try_exists().map_err(Error::io(&journal))?;
        let keys = if is_new { Keys::open(directory, origin)? } else { Keys::read(directory)? };
        if origin.is_some_and(|origin| origin != keys.origin()) {
            return Err(Error::Origin { path: directory.to_owned() });
        }
        let public = directory.join(PUBLIC);
        let mut files = Files::open(&public).map_err(Error::io(&public))?;
        let (shown, signed) = left_by_the_last_run(directory, &files, &keys.verifiers());
        let covered = signed.iter().map(|checkpoint| checkpoint.size).max().unwrap_or(0);
        let cosigned = shown.filter(|shown| witnesses.is_some_and(|quorum| quorum.has_cosigned(&shown.note)));

        let mut tree = Tree::default();
        let mut continues =
            signed.iter().all(|checkpoint| checkpoint.size > 0 || checkpoint.root == empty_root());
        let mut writes = true;
        let records = Records::open(&journal, covered, |entry| {
            tree.append(*entry);
            let mut at_size = signed.iter().filter(|checkpoint| checkpoint.size == tree.size());
            continues &= at_size.all(|checkpoint| checkpoint.root == tree.root());
            // Where tiles cannot be written now, their hashes wait in memory.
            if writes && cosigned.as_ref().is_some_and(|cosigned| cosigned.size == tree.size()) {
                writes = files.write_tiles(&tree, true).is_ok();
            }
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
        let nothing = Signed { note: "".into(), size: 0 };
        let mut book = Self {
            directory: directory.to_owned(),
            records,
            tree,
            files,
            keys,
            seeds: None,
            note: Arc::clone(&nothing.note),
            shown: cosigned.clone().unwrap_or(nothing),
            cosigned,
            is_alone: witnesses.is_none(),
            published: false,
            unwritable: false,
        };
        book.sign();
        if book.cosigned.is_none() {
            book.shown = book.newest();
        }
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

    /// The newest signed checkpoint.
    pub(super) fn newest(&self) -> Signed {
        Signed { note: Arc::clone(&self.note), size: self.tree.size() }
    }

    /// The published checkpoint.
    pub(super) fn shown(&self) -> &Signed {
        &self.shown
    }

    /// Leaves of the newest checkpoint that was cosigned.
    pub(super) fn cosigned_size(&self) -> u64 {
        self.cosigned.as_ref().map_or(0, |cosigned| cosigned.size)
    }

    /// Publishes a checkpoint that was cosigned, and none that are not from now on.
    pub(super) fn publish_cosigned(&mut self, cosigned: Signed) {
        self.is_alone = false;
        self.cosigned = Some(cosigned);
        self.publish();
    }

    /// Publishes the newest checkpoint, cosigned or not, until one is cosigned again.
    pub(super) fn publish_alone(&mut self) {
        self.is_alone = true;
        self.publish();
    }

    /// Whether the published checkpoint is older than the newest one, because that is to be cosigned first.
    pub(super) fn awaits_witnesses(&self) -> bool {
        !self.is_alone && self.published && self.shown.size < self.tree.size()
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
        self.is_not_behind()?;
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

    /// Whether the disk takes a write and a sync again.
    pub(super) fn try_disk(&mut self) -> io::Result<()> {
        self.is_not_behind()?;
        if let Some(kept) = &mut self.seeds {
            kept.keep(today(), std::iter::empty())?;
        }
        self.records.try_disk()
    }

    fn is_not_behind(&self) -> io::Result<()> {
        if self.tree.size() - self.files.size() > MOST_UNPUBLISHED {
            return Err(io::Error::other("the public files are too far behind"));
        }
        Ok(())
    }

    /// The proof that one of the entries appended last is under the newest checkpoint.
    pub(super) fn prove(&self, index: u64) -> Result<Vec<Hash>, NotKept> {
        prove_inclusion(&self.tree, index, self.tree.size())
    }

    /// Writes the public files up to the newest checkpoint. Where that fails, the next call tries again.
    pub(super) fn publish(&mut self) {
        let written = self.files.write_tiles(&self.tree, true);
        match written.and_then(|()| self.show()) {
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

    /// Writes the checkpoint that is to be published. What was published is never followed by a smaller one.
    fn show(&mut self) -> io::Result<()> {
        let least = if self.is_alone { self.tree.size() } else { self.shown.size };
        match self.cosigned.as_ref().filter(|cosigned| cosigned.size >= least) {
            Some(cosigned) => self.shown = cosigned.clone(),
            None if self.is_alone => self.shown = self.newest(),
            None => {}
        }
        if self.shown.size < self.tree.size() {
            // What a start holds the journal against.
            put(&self.directory, NEWEST, self.note.as_bytes())?;
        }
        self.files.write_checkpoint(&self.shown.note, self.shown.size)
    }
}

/// The published checkpoint that the last run left, and all that it left, if one of these keys signed them. One that a crash
/// left half written says nothing.
fn left_by_the_last_run(
    directory: &Path,
    files: &Files,
    verifiers: &[NoteVerifier],
) -> (Option<Signed>, Vec<Checkpoint>) {
    let open = |note: &String| verifiers.iter().find_map(|key| Checkpoint::open(note, key).ok());
    let published = files.published();
    let checkpoint = published.as_ref().and_then(open);
    if published.is_some() && checkpoint.is_none() {
        tracing::warn!("the published checkpoint is not one of this log's, and is written anew");
    }
    let shown = published.zip(checkpoint.as_ref());
    let shown = shown.map(|(note, checkpoint)| Signed { note: note.into(), size: checkpoint.size });
    // One from before a rotation may lie there, and is smaller than what was published then.
    let newest = read_note(&directory.join(NEWEST)).as_ref().and_then(open);
    (shown, checkpoint.into_iter().chain(newest).collect())
}
