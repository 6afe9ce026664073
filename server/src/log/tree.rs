//! The Merkle tree's right edge: enough of it to append, to prove what was appended last, and to write tiles. However large
//! the log, it takes about a megabyte.

use std::collections::VecDeque;

use tiresias_evidence::{
    Hash,
    merkle::{Frontier, Hashes, leaf_hash},
    tile::WIDTH,
};

/// A node, or an entry, that is no longer kept, or not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotKept;

/// Consecutive hashes, of which the first ones are forgotten.
#[derive(Default)]
struct Window {
    first: u64,
    hashes: VecDeque<Hash>,
}

impl Window {
    fn get(&self, index: u64) -> Result<Hash, NotKept> {
        let at = index.checked_sub(self.first).and_then(|at| usize::try_from(at).ok()).ok_or(NotKept)?;
        self.hashes.get(at).copied().ok_or(NotKept)
    }

    fn push(&mut self, hash: Hash) {
        self.hashes.push_back(hash);
    }

    /// Keeps the hashes from `index` on.
    fn forget_before(&mut self, index: u64) {
        let superfluous = index.saturating_sub(self.first).min(self.hashes.len() as u64);
        self.hashes.drain(..superfluous as usize);
        self.first += superfluous;
    }
}

/// The tree of all entries so far.
#[derive(Default)]
pub(super) struct Tree {
    frontier: Frontier,
    entries: Window,
    /// Complete nodes of each height.
    levels: Vec<Window>,
}

impl Tree {
    pub(super) fn append(&mut self, entry: Hash) {
        let complete = self.frontier.append(leaf_hash(&entry));
        self.entries.push(entry);
        for (level, node) in complete.into_iter().enumerate() {
            if level == self.levels.len() {
                self.levels.push(Window::default());
            }
            self.levels[level].push(node);
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(super) fn root(&self) -> Hash {
        self.frontier.root()
    }

    pub(super) fn entry(&self, index: u64) -> Result<Hash, NotKept> {
        self.entries.get(index)
    }

    /// Keeps what the tiles from leaf `leaf` on are made of, and the proofs of those leaves.
    pub(super) fn forget_before(&mut self, leaf: u64) {
        let tile = |index: u64| index / WIDTH * WIDTH;
        self.entries.forget_before(tile(leaf));
        for (level, window) in self.levels.iter_mut().enumerate() {
            window.forget_before(tile(leaf >> level));
        }
    }
}

impl Hashes for Tree {
    type Error = NotKept;

    fn node(&self, level: u32, index: u64) -> Result<Hash, NotKept> {
        self.levels.get(level as usize).ok_or(NotKept)?.get(index)
    }
}

#[cfg(test)]
mod tests {
    use tiresias_evidence::merkle::{prove_inclusion, verify_inclusion};

    use super::{super::records::tests::entry, *};

    #[test]
    fn the_last_leaves_are_proved_and_little_is_kept() {
        let mut tree = Tree::default();
        for number in 0..70_000 {
            tree.append(entry(number));
            if number % 100 == 99 {
                let size = tree.size();
                for index in size.saturating_sub(256)..size {
                    let proof = prove_inclusion(&tree, index, size).unwrap();
                    let leaf = leaf_hash(&entry(index));
                    assert_eq!(verify_inclusion(index, size, &leaf, &tree.root(), &proof), Ok(()));
                }
                tree.forget_before(size.saturating_sub(256));
            }
        }
        let kept: usize = tree.levels.iter().map(|window| window.hashes.len()).sum();
        assert!(kept <= 17 * 512 && tree.entries.hashes.len() <= 512, "{kept}");
        assert_eq!((tree.entry(0), tree.node(0, 70_000)), (Err(NotKept), Err(NotKept)));
        assert_eq!(tree.entry(69_999), Ok(entry(69_999)));
    }
}
