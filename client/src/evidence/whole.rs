//! A whole log, from its first entry on: every tile is computed again from what is below it, and the root from all. What is
//! held in memory is one tile a level.

use tiresias_evidence::{
    Checkpoint, Hash,
    merkle::{Frontier, leaf_hash},
    tile::{self, WIDTH},
};

use super::{Fault, LogSource};

/// A tile that is being filled.
#[derive(Default)]
struct Level {
    index: u64,
    hashes: Vec<Hash>,
}

/// Reads all entries and all tiles of the tree under a checkpoint, and checks that they make its root. `each` is told how many
/// leaves are done.
pub async fn recompute(
    source: &mut LogSource<'_>,
    checkpoint: &Checkpoint,
    mut each: impl FnMut(u64),
) -> Result<(), Fault> {
    let mut tree = Frontier::default();
    let mut levels: Vec<Level> = Vec::new();
    while tree.size() < checkpoint.size {
        let width = (checkpoint.size - tree.size()).min(WIDTH);
        let path = tile::entries_path(tree.size() / WIDTH, width);
        let bundle = source.tile(&path).await?;
        let entries = tile::unbundle(&bundle)
            .filter(|entries| entries.len() as u64 == width)
            .filter(|entries| entries.iter().all(|entry| entry.len() == size_of::<Hash>()))
            .ok_or(Fault::Tile(path))?;
        for entry in entries {
            let complete = tree.append(leaf_hash(entry));
            for (level, node) in complete.into_iter().step_by(8).enumerate() {
                if level == levels.len() {
                    levels.push(Level::default());
                }
                if let Some(level) = levels.get_mut(level) {
                    level.hashes.push(node);
                }
            }
        }
        for (number, level) in (0..).zip(&mut levels) {
            if level.hashes.len() as u64 == WIDTH {
                compare(source, number, level).await?;
                *level = Level { index: level.index + 1, hashes: Vec::new() };
            }
        }
        each(tree.size());
    }
    for (number, level) in (0..).zip(&levels) {
        if !level.hashes.is_empty() {
            compare(source, number, level).await?;
        }
    }
    if tree.root() == checkpoint.root {
        Ok(())
    } else {
        Err(Fault::Forked("its entries do not make the root of its checkpoint"))
    }
}

/// Checks that the log's tile has these hashes.
async fn compare(source: &mut LogSource<'_>, number: u32, level: &Level) -> Result<(), Fault> {
    let path = tile::path(number, level.index, level.hashes.len() as u64);
    let found = source.tile(&path).await?;
    if found == level.hashes.concat() { Ok(()) } else { Err(Fault::Tile(path)) }
}
