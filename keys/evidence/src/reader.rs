//! Reads a log's hashes and entries out of its tiles, wherever they lie: in a directory, behind a URL, in memory.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use crate::{
    Hash,
    merkle::{Frontier, Hashes},
    tile::{self, WIDTH},
};

/// Why a tile could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError<E> {
    /// The source has no such tile, or could not be asked.
    #[error("{path}: {source}")]
    Source {
        /// The tile's path below the log's root.
        path: String,
        /// The source's word on it.
        source: E,
    },
    /// A tile that does not have as many hashes, or entries, as its path says.
    #[error("{path}: not as many whole hashes or entries as the path says")]
    Malformed {
        /// The tile's path below the log's root.
        path: String,
    },
    /// A node that a tree of this size does not have.
    #[error("the tree has no such node")]
    NoNode,
}

/// The tree of `size` leaves whose tiles `fetch` gives by their paths below the log's root. A tile is fetched once.
///
/// Nothing that it gives is trusted before it was checked against a checkpoint's root: by a proof, or by comparing
/// [`root`](Self::root).
pub struct TileReader<F> {
    size: u64,
    fetch: F,
    tiles: RefCell<Tiles>,
}

/// Tiles by level and index.
type Tiles = HashMap<(u32, u64), Rc<[Hash]>>;

impl<F, E> TileReader<F>
where
    F: Fn(&str) -> Result<Vec<u8>, E>,
{
    /// Reads nothing yet.
    pub fn new(size: u64, fetch: F) -> Self {
        Self { size, fetch, tiles: RefCell::default() }
    }

    /// Leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the first `size` leaves, which this tree must have.
    pub fn root(&self, size: u64) -> Result<Hash, ReadError<E>> {
        Ok(Frontier::read(self, size)?.root())
    }

    /// The entries of bundle `index`, those of leaves 256 * `index` and on, up to the tree's size.
    pub fn entries(&self, index: u64) -> Result<Vec<Vec<u8>>, ReadError<E>> {
        let width = self.width(0, index).ok_or(ReadError::NoNode)?;
        let path = tile::entries_path(index, width);
        let bytes = self.fetch(&path)?;
        match tile::unbundle(&bytes) {
            Some(entries) if entries.len() as u64 == width => {
                Ok(entries.into_iter().map(<[u8]>::to_vec).collect())
            }
            _ => Err(ReadError::Malformed { path }),
        }
    }

    fn fetch(&self, path: &str) -> Result<Vec<u8>, ReadError<E>> {
        (self.fetch)(path).map_err(|source| ReadError::Source { path: path.to_owned(), source })
    }

    /// Hashes of a tile in a tree of this size; `None` where there is no such tile.
    fn width(&self, level: u32, index: u64) -> Option<u64> {
        let nodes = self.size.checked_shr(8 * level)?;
        let width = nodes.checked_sub(index.checked_mul(WIDTH)?)?.min(WIDTH);
        (width > 0).then_some(width)
    }

    fn tile(&self, level: u32, index: u64) -> Result<Rc<[Hash]>, ReadError<E>> {
        if let Some(tile) = self.tiles.borrow().get(&(level, index)) {
            return Ok(Rc::clone(tile));
        }
        let width = self.width(level, index).ok_or(ReadError::NoNode)?;
        let path = tile::path(level, index, width);
        let bytes = self.fetch(&path)?;
        let (hashes, rest) = bytes.as_chunks::<32>();
        if hashes.len() as u64 != width || !rest.is_empty() {
            return Err(ReadError::Malformed { path });
        }
        let tile: Rc<[Hash]> = hashes.into();
        self.tiles.borrow_mut().insert((level, index), Rc::clone(&tile));
        Ok(tile)
    }
}

impl<F, E> Hashes for TileReader<F>
where
    F: Fn(&str) -> Result<Vec<u8>, E>,
{
    type Error = ReadError<E>;

    fn node(&self, level: u32, index: u64) -> Result<Hash, Self::Error> {
        let (tile_level, tile_index, within) = tile::place(level, index);
        let tile = self.tile(tile_level, tile_index)?;
        tile.get(within).and_then(tile::root).ok_or(ReadError::NoNode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{
        leaf_hash, prove_consistency, prove_inclusion, verify_consistency, verify_inclusion,
    };

    /// The tiles of a tree of `size` leaves, the entry of leaf i being i in decimal.
    fn log(size: u64) -> (HashMap<String, Vec<u8>>, Vec<Hash>) {
        let (mut tree, mut roots) = (Frontier::default(), vec![crate::merkle::empty_root()]);
        let mut levels: Vec<Vec<Hash>> = Vec::new();
        let entries: Vec<String> = (0..size).map(|number| number.to_string()).collect();
        for entry in &entries {
            for (level, node) in tree.append(leaf_hash(entry.as_bytes())).into_iter().enumerate() {
                if level % 8 == 0 {
                    levels.resize_with(levels.len().max(level / 8 + 1), Vec::new);
                    levels[level / 8].push(node);
                }
            }
            roots.push(tree.root());
        }
        let mut tiles = HashMap::new();
        for (level, hashes) in levels.iter().enumerate() {
            for (index, tile) in hashes.chunks(256).enumerate() {
                tiles.insert(tile::path(level as u32, index as u64, tile.len() as u64), tile.concat());
            }
        }
        for (index, entries) in entries.chunks(256).enumerate() {
            let bundle = tile::bundle(entries.iter().map(String::as_bytes)).unwrap();
            tiles.insert(tile::entries_path(index as u64, entries.len() as u64), bundle);
        }
        (tiles, roots)
    }

    fn reader(
        size: u64,
        tiles: &HashMap<String, Vec<u8>>,
    ) -> TileReader<impl Fn(&str) -> Result<Vec<u8>, &'static str>> {
        TileReader::new(size, |path| tiles.get(path).cloned().ok_or("no such tile"))
    }

    #[test]
    fn proofs_come_out_of_tiles() {
        let size = 70_000;
        let (tiles, roots) = log(size);
        let reader = reader(size, &tiles);
        for (index, old) in [(0, 1), (255, 256), (256, 257), (65_535, 65_536), (69_999, 69_999), (3, 70_000)]
        {
            let leaf = leaf_hash(index.to_string().as_bytes());
            let proof = prove_inclusion(&reader, index, size).unwrap();
            assert_eq!(verify_inclusion(index, size, &leaf, &roots[size as usize], &proof), Ok(()));
            let proof = prove_consistency(&reader, old, size).unwrap();
            let (begin, end) = (&roots[old as usize], &roots[size as usize]);
            assert_eq!(verify_consistency((old, begin), (size, end), &proof), Ok(()));
            assert_eq!(reader.root(old).unwrap(), *begin);
        }
        assert_eq!(reader.entries(273).unwrap()[111], b"69999");
    }

    #[test]
    fn tiles_that_are_missing_or_of_another_size_are_errors() {
        let (mut tiles, _) = log(300);
        assert!(matches!(reader(300, &tiles).node(0, 300), Err(ReadError::NoNode)));
        assert!(matches!(reader(300, &tiles).node(64, 0), Err(ReadError::NoNode)));
        assert!(matches!(reader(300, &tiles).entries(2), Err(ReadError::NoNode)));
        assert!(matches!(reader(301, &tiles).node(0, 299), Err(ReadError::Source { .. })));
        tiles.get_mut("tile/0/000").unwrap().pop();
        tiles.get_mut("tile/entries/001.p/44").unwrap().pop();
        assert!(matches!(reader(300, &tiles).node(0, 0), Err(ReadError::Malformed { .. })));
        assert!(matches!(reader(300, &tiles).entries(1), Err(ReadError::Malformed { .. })));
    }
}
