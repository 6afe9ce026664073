//! The public files of the log, as tlog-tiles has them: `checkpoint`, `tile/<L>/<N>[.p/<W>]`, `tile/entries/<N>[.p/<W>]`. A
//! server of static files can serve them as they are.
//!
//! They are made of the journal: none is synced, and a start makes anew what is missing or differs. The checkpoint is
//! written last, and partial tiles that it needs go when another one took its place: so whatever it covers is there.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use tiresias_evidence::{
    Hash,
    merkle::Hashes as _,
    note::MAXIMUM_NOTE_BYTES,
    tile::{self, WIDTH},
};

use super::tree::{NotKept, Tree};

/// Tiles of a level above this one would be of a log of 2^64 leaves.
const LEVELS: u32 = 8;

/// The largest file: entries of 32 bytes behind their lengths.
const MAXIMUM_FILE: u64 = WIDTH * 34;

/// The public directory.
pub(super) struct Files {
    directory: PathBuf,
    /// Leaves in tiles.
    size: u64,
    /// Leaves under the checkpoint that was written last.
    covered: u64,
}

fn unkept(_: NotKept) -> io::Error {
    io::Error::other("hashes of unwritten tiles were forgotten")
}

impl Files {
    /// Makes the directory where there is none.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        Ok(Self { directory: directory.to_owned(), size: 0, covered: 0 })
    }

    /// Leaves whose tiles were written.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The note of the checkpoint that was published last. `None` where there is none that can be read.
    pub(super) fn published(&self) -> Option<String> {
        read_note(&self.directory.join("checkpoint"))
    }

    /// Writes the tiles that leaves from [`Files::size`] on have changed; where `partial` is not asked for, full ones alone.
    pub(super) fn write_tiles(&mut self, tree: &Tree, partial: bool) -> io::Result<()> {
        let size = tree.size();
        let full = size / WIDTH * WIDTH;
        let (from, to) = (self.size, if partial { size } else { full });
        if from >= to {
            return Ok(());
        }
        let entry = |index| tree.entry(index).map_err(unkept);
        self.write_level(from, to, tile::entries_path, |range| {
            let entries = range.map(entry).collect::<io::Result<Vec<Hash>>>()?;
            tile::bundle(entries.iter().map(Hash::as_slice)).ok_or(io::ErrorKind::InvalidData.into())
        })?;
        for level in 0..LEVELS {
            let (from, to) = (from >> (8 * level), to >> (8 * level));
            let node = |index| tree.node(8 * level, index).map_err(unkept);
            self.write_level(
                from,
                to,
                |index, width| tile::path(level, index, width),
                |range| Ok(range.map(node).collect::<io::Result<Vec<Hash>>>()?.concat()),
            )?;
        }
        self.size = to;
        Ok(())
    }

    /// Writes the tiles of one level for nodes from `from` to before `to`.
    fn write_level(
        &self,
        from: u64,
        to: u64,
        path: impl Fn(u64, u64) -> String,
        content: impl Fn(std::ops::Range<u64>) -> io::Result<Vec<u8>>,
    ) -> io::Result<()> {
        if from >= to {
            return Ok(());
        }
        for index in from / WIDTH..to.div_ceil(WIDTH) {
            let begin = index * WIDTH;
            let end = to.min(begin + WIDTH);
            let bytes = content(begin..end)?;
            self.put(&path(index, end - begin), &bytes)?;
            if from <= begin {
                self.mend_narrower(&path, index, end - begin, &bytes)?;
            }
        }
        Ok(())
    }

    /// Partial tiles that were written before this one, by a process whose last files a power cut may have emptied.
    fn mend_narrower(
        &self,
        path: &impl Fn(u64, u64) -> String,
        index: u64,
        width: u64,
        bytes: &[u8],
    ) -> io::Result<()> {
        let Ok(found) = fs::read_dir(self.directory.join(path(index, WIDTH) + ".p")) else { return Ok(()) };
        for entry in found {
            let name = entry?.file_name();
            let narrower = name.to_str().and_then(|name| name.parse::<u64>().ok());
            if let Some(narrower) = narrower.filter(|narrower| (1..width).contains(narrower)) {
                let length = bytes.len() / width as usize * narrower as usize;
                self.put(&path(index, narrower), bytes.get(..length).unwrap_or_default())?;
            }
        }
        Ok(())
    }

    /// Writes the note of a checkpoint of `size` leaves, no more than tiles were written for.
    pub(super) fn write_checkpoint(&mut self, note: &str, size: u64) -> io::Result<()> {
        self.put("checkpoint", note.as_bytes())?;
        if size > self.covered {
            self.remove_partial(0, size, tile::entries_path)?;
            for level in 0..LEVELS {
                self.remove_partial(level, size, |index, width| tile::path(level, index, width))?;
            }
            self.covered = size;
        }
        Ok(())
    }

    /// Partial tiles may go once the full one is there, and no checkpoint that is published needs them.
    fn remove_partial(&self, level: u32, size: u64, path: impl Fn(u64, u64) -> String) -> io::Result<()> {
        let full = |leaves: u64| (leaves >> (8 * level)) / WIDTH;
        for index in full(self.covered)..full(size) {
            match fs::remove_dir_all(self.directory.join(path(index, WIDTH) + ".p")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        put(&self.directory, name, bytes)
    }
}

/// Writes a file of a directory whole or not at all, unless it is there as it should be.
pub(super) fn put(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let path = directory.join(name);
    if read(&path, MAXIMUM_FILE.max(bytes.len() as u64)).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    let new = directory.join(".new");
    fs::write(&new, bytes)?;
    match fs::rename(&new, &path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(directory))?;
            fs::rename(&new, &path)
        }
        renamed => renamed,
    }
}

/// Reads a note. `None` where there is none that can be read.
pub(super) fn read_note(path: &Path) -> Option<String> {
    String::from_utf8(read(path, MAXIMUM_NOTE_BYTES as u64).ok()?).ok()
}

/// Reads a file of at most `limit` bytes.
fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Reads a tile by its path below the log's root, which must be one that the specification allows. `None` where there is no such tile.
pub(super) fn read_tile(directory: &Path, path: &str) -> Option<Vec<u8>> {
    let rest = path.strip_prefix("tile/")?;
    let (level, rest) = rest.split_once('/')?;
    let is_level =
        level == "entries" || (level.parse::<u8>().is_ok_and(|level| level < 64) && is_decimal(level));
    let (index, width) = match rest.split_once(".p/") {
        Some((index, width)) => (index, Some(width)),
        None => (rest, None),
    };
    let mut groups = index.split('/').peekable();
    let mut is_index = true;
    while let Some(group) = groups.next() {
        let digits = if groups.peek().is_some() { group.strip_prefix('x') } else { Some(group) };
        is_index &= digits
            .is_some_and(|digits| digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()));
    }
    let is_width =
        width.is_none_or(|width| is_decimal(width) && width.parse::<u8>().is_ok_and(|width| width > 0));
    if !(is_level && is_index && is_width) {
        return None;
    }
    // A partial tile that is not there is the beginning of a wider one.
    let width: u64 = width.map_or(Some(WIDTH), |width| width.parse().ok())?;
    let length = width as usize * if level == "entries" { 34 } else { 32 };
    let full = format!("tile/{level}/{index}");
    let wider = (width..WIDTH).map(|width| format!("{full}.p/{width}"));
    [path.to_owned(), full.clone()].into_iter().chain(wider).find_map(|path| {
        let mut bytes = read(&directory.join(path), MAXIMUM_FILE).ok()?;
        let is_enough = bytes.len() >= length;
        bytes.truncate(length);
        is_enough.then_some(bytes)
    })
}

fn is_decimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'))
        && !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::{super::records::tests::entry, *};

    #[test]
    fn tiles_appear_as_the_tree_grows_and_are_found_by_their_paths_alone() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = Files::open(directory.path()).unwrap();
        let mut tree = Tree::default();
        for (size, present, absent) in [
            (3, vec!["tile/0/000.p/3", "tile/entries/000.p/3"], vec!["tile/0/000", "tile/1/000.p/1"]),
            (10, vec!["tile/0/000.p/10", "tile/0/000.p/3", "tile/0/000.p/7"], vec!["tile/0/000.p/11"]),
            (256, vec!["tile/0/000", "tile/1/000.p/1", "tile/entries/000"], vec!["tile/0/001.p/1"]),
            (
                700,
                vec!["tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2", "tile/0/000.p/9"],
                vec!["tile/2/000"],
            ),
        ] {
            while tree.size() < size {
                tree.append(entry(tree.size()));
            }
            files.write_tiles(&tree, true).unwrap();
            files.write_checkpoint("", size).unwrap();
            assert_eq!(files.size(), size);
            for path in present {
                let bytes = read_tile(directory.path(), path);
                let bytes = bytes.unwrap_or_else(|| unreachable!("{path} of {size}"));
                let width = path.split_once(".p/").map_or(256, |(_, width)| width.parse().unwrap());
                assert_eq!(bytes.len(), width * if path.contains("entries") { 34 } else { 32 });
            }
            for path in absent {
                assert_eq!(read_tile(directory.path(), path), None, "{path} of {size}");
            }
        }
        assert!(
            !directory.path().join("tile/0/000.p").exists(),
            "a full tile takes the place of partial ones"
        );
        assert_eq!(
            tile::unbundle(&read_tile(directory.path(), "tile/entries/002.p/188").unwrap()).unwrap()[7],
            entry(519)
        );
        for path in [
            "checkpoint",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/00/000",
            "tile/64/000",
            "tile/0/../../x",
            "tile/0/x000/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile//000",
            "tile/x/000",
            "tile/0/000/000",
            "tile/0/x001",
            "../tile/0/000",
            "tile/entries/000.p",
            "tile/-1/000",
            "tile/+1/000",
        ] {
            assert_eq!(read_tile(directory.path(), path), None, "{path}");
        }
    }

    #[test]
    fn partial_tiles_stay_until_no_published_checkpoint_needs_them() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = Files::open(directory.path()).unwrap();
        let mut tree = Tree::default();
        let mut grow = |files: &mut Files, size| {
            while tree.size() < size {
                tree.append(entry(tree.size()));
            }
            files.write_tiles(&tree, true).unwrap();
        };
        let is_there = |path: &str| directory.path().join(path).exists();
        let of_300 = ["tile/0/001.p/44", "tile/entries/001.p/44", "tile/1/000.p/1"];
        grow(&mut files, 300);
        files.write_checkpoint("300", 300).unwrap();
        grow(&mut files, 600);
        grow(&mut files, 66_000);
        assert!(of_300.iter().all(|path| is_there(path)) && is_there("tile/0/002.p/88"));
        files.write_checkpoint("600", 600).unwrap();
        assert!(!is_there(of_300[0]) && !is_there(of_300[1]) && is_there(of_300[2]));
        assert!(["tile/0/002.p/88", "tile/1/000.p/2"].iter().all(|path| is_there(path)));
        files.write_checkpoint("66000", 66_000).unwrap();
        assert!(!is_there("tile/0/002.p") && !is_there("tile/1/000.p") && is_there("tile/1/001.p/1"));
    }

    #[test]
    fn what_is_damaged_or_missing_is_written_anew() {
        let directory = tempfile::tempdir().unwrap();
        let mut tree = Tree::default();
        (0..300).for_each(|number| tree.append(entry(number)));
        Files::open(directory.path()).unwrap().write_tiles(&tree, true).unwrap();
        let good = read_tile(directory.path(), "tile/0/000").unwrap();
        fs::write(directory.path().join("tile/0/000"), b"").unwrap();
        fs::remove_dir_all(directory.path().join("tile/entries")).unwrap();
        // Partial ones of before, which a client may still ask a server of files for.
        let narrower = |width: u64| directory.path().join(tile::path(0, 1, width));
        fs::write(narrower(9), b"").unwrap();
        fs::write(narrower(12), &good[..5 * 32]).unwrap();
        let tile = read_tile(directory.path(), "tile/0/001.p/44").unwrap();
        assert_eq!(read_tile(directory.path(), "tile/0/001.p/9").unwrap(), tile[..9 * 32], "of a wider one");
        assert_eq!(read_tile(directory.path(), "tile/0/000"), None, "less than the path says");
        Files::open(directory.path()).unwrap().write_tiles(&tree, true).unwrap();
        assert_eq!(read_tile(directory.path(), "tile/0/000").unwrap(), good);
        for width in [9, 12, 44] {
            assert_eq!(fs::read(narrower(width)).unwrap(), tile[..width as usize * 32]);
        }
        assert_eq!(read_tile(directory.path(), "tile/entries/001.p/44").unwrap().len(), 44 * 34);
    }
}
