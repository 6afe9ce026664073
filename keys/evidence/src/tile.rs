//! Tiles (c2sp.org/tlog-tiles): a log's hashes in files of 256. Tile n of level L has the nodes of height 8L from 256n on.

use crate::merkle::{Hash, node_hash};

/// Hashes of a full tile.
pub const WIDTH: u64 = 256;

/// log2 of [`WIDTH`].
const HEIGHT: u32 = 8;

/// The path of a tile of `width` hashes, 1 to 256, below the log's root.
#[must_use]
pub fn path(level: u32, index: u64, width: u64) -> String {
    format!("tile/{level}/{}", name(index, width))
}

/// The path of a bundle of `width` entries, 1 to 256.
#[must_use]
pub fn entries_path(index: u64, width: u64) -> String {
    format!("tile/entries/{}", name(index, width))
}

/// An index in groups of three digits, and the width where it is not full: `x001/x234/067.p/9`.
fn name(index: u64, width: u64) -> String {
    let mut name = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        name = format!("x{:03}/{name}", rest % 1000);
        rest /= 1000;
    }
    if width < WIDTH { format!("{name}.p/{width}") } else { name }
}

/// The tile that holds or implies a node: its level, its index, and which of its hashes make the node.
#[must_use]
pub fn place(level: u32, index: u64) -> (u32, u64, std::ops::Range<usize>) {
    let above = level % HEIGHT;
    let first = index << above;
    let within = (first % WIDTH) as usize;
    (level / HEIGHT, first / WIDTH, within..within + (1 << above))
}

/// The root of a power of two of hashes.
#[must_use]
pub fn root(hashes: &[Hash]) -> Option<Hash> {
    match hashes {
        [] => None,
        [only] => Some(*only),
        _ => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            Some(node_hash(&root(left)?, &root(right)?))
        }
    }
}

/// For a tree of `size` leaves, the tiles of each level: how many are full, and the width of the partial one behind them.
#[must_use]
pub fn levels(size: u64) -> Vec<(u64, u64)> {
    let mut levels = Vec::new();
    let mut nodes = size;
    while nodes > 0 {
        levels.push((nodes / WIDTH, nodes % WIDTH));
        nodes /= WIDTH;
    }
    levels
}

/// Entries as a bundle: each behind its length, two bytes, big-endian. `None` where one is longer than 65,535 bytes.
#[must_use]
pub fn bundle<'a>(entries: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend_from_slice(&u16::try_from(entry.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Some(bytes)
}

/// The entries of a bundle. `None` where it ends inside one.
#[must_use]
pub fn unbundle(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        bytes = rest;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::leaf_hash;

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(path(0, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(path(1, 0, 3), "tile/1/000.p/3");
        assert_eq!(path(2, 999, 256), "tile/2/999");
        assert_eq!(entries_path(1000, 255), "tile/entries/x001/000.p/255");
    }

    #[test]
    fn nodes_are_found_in_tiles() {
        assert_eq!(place(0, 700), (0, 2, 188..189));
        assert_eq!(place(7, 3), (0, 1, 128..256));
        assert_eq!(place(8, 700), (1, 2, 188..189));
        assert_eq!(place(10, 65), (1, 1, 4..8));
        let hashes: Vec<Hash> = (0..4_u8).map(|i| leaf_hash(&[i])).collect();
        let expected = node_hash(&node_hash(&hashes[0], &hashes[1]), &node_hash(&hashes[2], &hashes[3]));
        assert_eq!((root(&hashes), root(&[])), (Some(expected), None));
        assert_eq!(levels(70_000), [(273, 112), (1, 17), (0, 1)]);
        assert_eq!(levels(0), []);
    }

    #[test]
    fn bundles_round_trip() {
        let entries: [&[u8]; 3] = [b"one", b"", &[7; 300]];
        let bytes = bundle(entries.into_iter()).unwrap();
        assert_eq!(unbundle(&bytes).unwrap(), entries);
        assert_eq!(unbundle(&bytes[..bytes.len() - 1]), None);
        assert_eq!(bundle([[0; 65_536].as_slice()].into_iter()), None);
    }
}
