//! That all checkpoints of a log are of one log: each tree is the beginning of the next. The proofs come out of the log's own
//! tiles, which need no trust: a proof holds against the roots or it does not.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use tiresias_evidence::{
    Checkpoint, ReadError, TileReader,
    merkle::{empty_root, prove_consistency, verify_consistency},
};

use super::{Fault, LogSource};

/// A tile that was not fetched yet.
struct NotFetched;

type Fetch = Box<dyn Fn(&str) -> Result<Vec<u8>, NotFetched>>;

/// A tree whose tiles are fetched as proofs need them.
struct Tree {
    size: u64,
    fetched: Rc<RefCell<HashMap<String, Vec<u8>>>>,
    reader: TileReader<Fetch>,
}

impl Tree {
    fn new(size: u64) -> Self {
        let fetched: Rc<RefCell<HashMap<String, Vec<u8>>>> = Rc::default();
        let tiles = Rc::clone(&fetched);
        // The reader keeps what it is given, so nothing is kept twice.
        let fetch: Fetch = Box::new(move |path| tiles.borrow_mut().remove(path).ok_or(NotFetched));
        Self { size, fetched, reader: TileReader::new(size, fetch) }
    }

    /// Checks that the tree of this size under `later` begins with `earlier`, which is no larger.
    async fn begins_with(
        &self,
        source: &mut LogSource<'_>,
        earlier: &Checkpoint,
        later: &Checkpoint,
    ) -> Result<(), Fault> {
        if earlier.size == 0 || earlier.size == later.size {
            let root = if earlier.size == 0 { empty_root() } else { later.root };
            let same = earlier.root == root;
            return if same {
                Ok(())
            } else {
                Err(Fault::Forked("two checkpoints of one size have two roots"))
            };
        }
        let proof = loop {
            match prove_consistency(&self.reader, earlier.size, self.size) {
                Ok(proof) => break proof,
                Err(ReadError::Source { path, source: NotFetched }) => {
                    let tile = source.tile(&path).await?;
                    self.fetched.borrow_mut().insert(path, tile);
                }
                Err(ReadError::Malformed { path }) => return Err(Fault::Tile(path)),
                Err(_) => return Err(Fault::Forked("its tiles make no tree of this size")),
            }
        };
        verify_consistency((earlier.size, &earlier.root), (later.size, &later.root), &proof)
            .map_err(|_| Fault::Forked("the later tree does not begin with the earlier one"))
    }
}

/// The line of a log's checkpoints, around the one that it shows now.
pub struct Lineage {
    current: Checkpoint,
    tree: Tree,
    /// The largest that was found to belong.
    newest: Checkpoint,
}

impl std::fmt::Debug for Lineage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lineage").field("newest", &self.newest).finish_non_exhaustive()
    }
}

impl Lineage {
    /// Begins with the checkpoint that the log shows.
    #[must_use]
    pub fn new(current: Checkpoint) -> Self {
        Self { tree: Tree::new(current.size), newest: current.clone(), current }
    }

    /// Checks that a checkpoint is of this log: that the current one continues it or, where it is larger, that it continues the
    /// largest of those that were found to belong. So those that are larger come in the order of their sizes.
    pub async fn holds(&mut self, source: &mut LogSource<'_>, checkpoint: &Checkpoint) -> Result<(), Fault> {
        if checkpoint.origin != self.current.origin {
            return Err(Fault::OtherLog);
        }
        if checkpoint.size <= self.current.size {
            return self.tree.begins_with(source, checkpoint, &self.current).await;
        }
        if checkpoint.size < self.newest.size {
            let tree = Tree::new(self.newest.size);
            return tree.begins_with(source, checkpoint, &self.newest).await;
        }
        let tree = Tree::new(checkpoint.size);
        let held = tree.begins_with(source, &self.newest, checkpoint).await;
        match held {
            Ok(()) => self.newest = checkpoint.clone(),
            // Its tiles are not there, or not those of its tree.
            Err(Fault::NoTile(_)) => return Err(Fault::Rewound),
            Err(_) => {}
        }
        held
    }

    /// The largest checkpoint that was found to belong.
    #[must_use]
    pub fn newest(&self) -> &Checkpoint {
        &self.newest
    }
}
