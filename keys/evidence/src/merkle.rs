//! The Merkle tree of RFC 6962: SHA-256 of 0x00 and an entry for a leaf, of 0x01 and two hashes for a node.
//!
//! A tree of n leaves is the node of the trees of its first k and its last n - k leaves, k the largest power of two below n.
//! Proofs are generated as in RFC 6962 section 2.1 and verified as in RFC 9162 section 2.1.3.2 and 2.1.4.2.

use sha2::{Digest as _, Sha256};

use crate::Error;

/// A hash of the tree.
pub type Hash = [u8; 32];

/// The hash of an entry.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// The hash of two subtrees.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of no leaves.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// What is kept of a tree to append to it: the roots of its complete subtrees, the largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The frontier of the first `size` leaves, from the hashes of a tree that holds at least these.
    pub fn read<H: Hashes>(hashes: &H, size: u64) -> Result<Self, H::Error> {
        let mut peaks = Vec::new();
        let mut begin = 0;
        for level in (0..u64::BITS).rev().filter(|level| size >> level & 1 == 1) {
            peaks.push(hashes.node(level, begin >> level)?);
            begin += 1 << level;
        }
        Ok(Self { size, peaks })
    }

    /// Appends a leaf and returns the nodes that are complete with it, the leaf's own first.
    pub fn append(&mut self, leaf: Hash) -> Vec<Hash> {
        let mut complete = vec![leaf];
        let mut node = leaf;
        let mut rest = self.size;
        while rest & 1 == 1 {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
                complete.push(node);
            }
            rest >>= 1;
        }
        self.peaks.push(node);
        self.size += 1;
        complete
    }

    /// Leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Hash {
        let peaks = self.peaks.iter().rev().copied();
        peaks.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }
}

/// Where the hashes of complete subtrees are read from.
pub trait Hashes {
    /// Why a hash could not be read.
    type Error;

    /// The root of the 2^level leaves from index * 2^level on.
    fn node(&self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The largest power of two below `size`, which is 2 or more.
fn split(size: u64) -> u64 {
    1 << (u64::BITS - 1 - (size - 1).leading_zeros())
}

/// The root of the leaves from `begin` to before `end`, as they lie in a tree.
fn range<H: Hashes>(hashes: &H, begin: u64, end: u64) -> Result<Hash, H::Error> {
    let size = end - begin;
    if size.is_power_of_two() && begin.is_multiple_of(size) {
        return hashes.node(size.trailing_zeros(), begin / size);
    }
    let middle = begin + split(size);
    Ok(node_hash(&range(hashes, begin, middle)?, &range(hashes, middle, end)?))
}

/// The proof that leaf `index` is in the tree of `size` leaves, `index` being below `size`.
pub fn prove_inclusion<H: Hashes>(hashes: &H, index: u64, size: u64) -> Result<Vec<Hash>, H::Error> {
    let (mut begin, mut end, mut proof) = (0, size, Vec::new());
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            proof.push(range(hashes, middle, end)?);
            end = middle;
        } else {
            proof.push(range(hashes, begin, middle)?);
            begin = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of `new` leaves begins with the tree of `old` leaves, `old` being from 1 to `new`.
pub fn prove_consistency<H: Hashes>(hashes: &H, old: u64, new: u64) -> Result<Vec<Hash>, H::Error> {
    let (mut begin, mut end, mut proof) = (0, new, Vec::new());
    while end != old {
        let middle = begin + split(end - begin);
        if old <= middle {
            proof.push(range(hashes, middle, end)?);
            end = middle;
        } else {
            proof.push(range(hashes, begin, middle)?);
            begin = middle;
        }
    }
    // The whole old tree needs no hash: the verifier has its root.
    if begin > 0 {
        proof.push(range(hashes, begin, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that leaf `index` is in the tree of `size` leaves under `root`.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), Error> {
    if index >= size {
        return Err(Error::Inclusion);
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(Error::Inclusion);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(Error::Inclusion) }
}

/// Checks that the tree of `new.0` leaves under the root `new.1` begins with the tree `old`.
pub fn verify_consistency(old: (u64, &Hash), new: (u64, &Hash), proof: &[Hash]) -> Result<(), Error> {
    let consistent = |holds: bool| if holds { Ok(()) } else { Err(Error::Consistency) };
    if old.0 == 0 {
        return consistent(*old.1 == empty_root() && proof.is_empty());
    }
    if old.0 >= new.0 {
        return consistent(old == new && proof.is_empty());
    }
    let mut rest = proof.iter();
    let first = if old.0.is_power_of_two() { Some(old.1) } else { rest.next() };
    let Some(&first) = first else { return Err(Error::Consistency) };
    let shift = (old.0 - 1).trailing_ones();
    let (mut node, mut last) = ((old.0 - 1) >> shift, (new.0 - 1) >> shift);
    let (mut old_root, mut new_root) = (first, first);
    for sibling in rest {
        if last == 0 {
            return Err(Error::Consistency);
        }
        if node & 1 == 1 || node == last {
            old_root = node_hash(sibling, &old_root);
            new_root = node_hash(sibling, &new_root);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            new_root = node_hash(&new_root, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    consistent(last == 0 && old_root == *old.1 && new_root == *new.1)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// A tree by its definition.
    struct Leaves(Vec<Hash>);

    impl Leaves {
        fn new(size: u64) -> Self {
            Self((0..size).map(|index| leaf_hash(&index.to_be_bytes())).collect())
        }

        fn root(&self, begin: usize, end: usize) -> Hash {
            match end - begin {
                0 => empty_root(),
                1 => self.0[begin],
                size => {
                    let middle = begin + split(size as u64) as usize;
                    node_hash(&self.root(begin, middle), &self.root(middle, end))
                }
            }
        }
    }

    impl Hashes for Leaves {
        type Error = Infallible;

        fn node(&self, level: u32, index: u64) -> Result<Hash, Infallible> {
            let begin = (index << level) as usize;
            Ok(self.root(begin, begin + (1 << level)))
        }
    }

    #[test]
    fn frontiers_have_the_roots_of_the_definition() {
        let leaves = Leaves::new(70);
        let mut frontier = Frontier::default();
        for size in 0..=70_u64 {
            assert_eq!(frontier.root(), leaves.root(0, size as usize));
            assert_eq!(Frontier::read(&leaves, size).unwrap(), frontier);
            if size < 70 {
                let complete = frontier.append(leaves.0[size as usize]);
                assert_eq!(complete.len() as u32, (size + 1).trailing_zeros() + 1);
            }
        }
    }

    #[test]
    fn every_proof_verifies_and_no_other_tree_does() {
        let leaves = Leaves::new(40);
        let root = |size: u64| leaves.root(0, size as usize);
        for size in 1..=40_u64 {
            for index in 0..size {
                let proof = prove_inclusion(&leaves, index, size).unwrap();
                let leaf = &leaves.0[index as usize];
                assert_eq!(verify_inclusion(index, size, leaf, &root(size), &proof), Ok(()));
                assert!(verify_inclusion(index ^ 1, size, leaf, &root(size), &proof).is_err() || size == 1);
                assert!(verify_inclusion(index, size, &leaf_hash(b"x"), &root(size), &proof).is_err());
            }
            for old in 1..=size {
                let proof = prove_consistency(&leaves, old, size).unwrap();
                let (old_root, new_root) = (root(old), root(size));
                assert_eq!(verify_consistency((old, &old_root), (size, &new_root), &proof), Ok(()));
                let other = leaf_hash(b"fork");
                assert!(verify_consistency((old, &other), (size, &new_root), &proof).is_err());
                assert!(verify_consistency((old, &old_root), (size, &other), &proof).is_err());
            }
        }
        assert_eq!(verify_consistency((0, &empty_root()), (5, &root(5)), &[]), Ok(()));
    }

    proptest! {
        #[test]
        fn a_changed_proof_is_refused(size in 2_u64..300, at in any::<u64>(), flip in any::<(usize, u8)>()) {
            let leaves = Leaves::new(size);
            let root = leaves.root(0, size as usize);
            let index = at % size;
            let mut proof = prove_inclusion(&leaves, index, size).unwrap();
            let place = flip.0 % proof.len();
            proof[place][usize::from(flip.1) % 32] ^= 1 << (flip.1 % 8);
            prop_assert!(verify_inclusion(index, size, &leaves.0[index as usize], &root, &proof).is_err());
            proof.pop();
            prop_assert!(verify_inclusion(index, size, &leaves.0[index as usize], &root, &proof).is_err());
        }
    }
}
