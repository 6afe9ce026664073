//! Looks for many patterns at once, in anything that can be read.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use super::canaries::{Canaries, Pattern, SHORTEST};

/// Bits of the filter's index: a few thousand patterns leave it nearly empty.
const FILTER_BITS: u32 = 20;

/// Bytes that are read at once, besides those that a pattern may reach over from before.
const CHUNK: usize = 1 << 20;

/// Canaries made ready to be looked for. `Debug` shows none of them.
pub struct Search {
    patterns: Vec<Pattern>,
    /// Patterns by eight bytes of each, its mark, and where in the pattern it stands.
    by_mark: HashMap<u64, Vec<(usize, usize)>>,
    /// Whether such bytes may be a mark: most places are passed by here.
    filter: Vec<u64>,
    longest: usize,
}

/// Which canaries were found, in which forms, and in how many bytes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Found<'a> {
    bytes: u64,
    hits: BTreeSet<(&'a str, &'a str)>,
}

impl Search {
    /// Prepares a search.
    #[must_use]
    pub fn new(canaries: Canaries) -> Self {
        let patterns = canaries.into_patterns();
        let mut by_mark: HashMap<u64, Vec<(usize, usize)>> = HashMap::new();
        let mut filter = vec![0; 1 << (FILTER_BITS - 6)];
        for (number, pattern) in patterns.iter().enumerate() {
            let (offset, mark) = mark(&pattern.bytes);
            by_mark.entry(mark).or_default().push((number, offset));
            let at = slot(mark);
            filter[at / 64] |= 1 << (at % 64);
        }
        let longest = patterns.iter().map(|pattern| pattern.bytes.len()).max().unwrap_or(SHORTEST);
        Self { patterns, by_mark, filter, longest }
    }

    /// Looks through everything that `reader` gives.
    pub fn read(&self, mut reader: impl Read) -> io::Result<Found<'_>> {
        let mut found = Found::default();
        let mut buffer = vec![0; CHUNK + self.longest];
        let mut filled = 0;
        loop {
            let read = reader.read(&mut buffer[filled..])?;
            found.bytes += read as u64;
            filled += read;
            if read > 0 && filled < buffer.len() {
                continue;
            }
            self.look(&buffer[..filled], &mut found);
            if read == 0 {
                return Ok(found);
            }
            // A pattern may go on in what is read next.
            let kept = self.longest - 1;
            buffer.copy_within(filled - kept..filled, 0);
            filled = kept;
        }
    }

    /// Looks through bytes.
    #[must_use]
    pub fn bytes(&self, bytes: &[u8]) -> Found<'_> {
        let mut found = Found { bytes: bytes.len() as u64, ..Found::default() };
        self.look(bytes, &mut found);
        found
    }

    /// Looks through a directory and those below it: what files hold, and what they are called.
    pub fn directory(&self, directory: &Path) -> io::Result<Found<'_>> {
        let mut found = Found::default();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            found.merge(self.bytes(path.as_os_str().as_encoded_bytes()));
            if path.is_symlink() {
                found.merge(self.bytes(fs::read_link(path)?.as_os_str().as_encoded_bytes()));
            } else if path.is_dir() {
                found.merge(self.directory(&path)?);
            } else {
                found.merge(self.read(File::open(path)?)?);
            }
        }
        Ok(found)
    }

    /// The first pattern of each form of each canary, with the canary and the form: what a control plants.
    #[must_use]
    pub fn samples(&self) -> Vec<(&str, &str, &[u8])> {
        let mut seen = BTreeSet::new();
        let patterns = self.patterns.iter().map(|p| (p.what.as_str(), p.form.as_str(), p.bytes.as_slice()));
        patterns.filter(|(what, form, _)| seen.insert((*what, *form))).collect()
    }

    /// Notes the patterns that lie in `bytes` as a whole.
    fn look<'a>(&'a self, bytes: &[u8], found: &mut Found<'a>) {
        for (at, window) in bytes.windows(SHORTEST).enumerate() {
            let mark = word(window);
            let slot = slot(mark);
            if self.filter[slot / 64] >> (slot % 64) & 1 == 0 {
                continue;
            }
            for &(number, offset) in self.by_mark.get(&mark).into_iter().flatten() {
                let pattern = &self.patterns[number];
                let rest = at.checked_sub(offset).and_then(|start| bytes.get(start..));
                if rest.is_some_and(|rest| rest.starts_with(&pattern.bytes)) {
                    found.hits.insert((&pattern.what, &pattern.form));
                }
            }
        }
    }
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Search({})", self.patterns.len())
    }
}

impl<'a> Found<'a> {
    /// Adds what was found elsewhere.
    pub fn merge(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.hits.extend(other.hits);
    }

    /// How many bytes were looked through.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The canaries that were found, each with its form.
    pub fn hits(&self) -> impl Iterator<Item = (&'a str, &'a str)> + '_ {
        self.hits.iter().copied()
    }

    /// Whether this canary was found in this form.
    #[must_use]
    pub fn has(&self, what: &str, form: &str) -> bool {
        self.hits.contains(&(what, form))
    }

    /// Whether none was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hits.is_empty()
    }
}

/// Where the pattern's mark stands, and the mark: the eight bytes, of those near its beginning, of which the most are
/// different. Zeros would be found wherever memory is empty.
fn mark(pattern: &[u8]) -> (usize, u64) {
    let different = |window: &[u8]| window.iter().collect::<BTreeSet<_>>().len();
    let windows = pattern.windows(SHORTEST).take(64).enumerate();
    windows.max_by_key(|(_, window)| different(window)).map_or((0, 0), |(at, window)| (at, word(window)))
}

fn word(window: &[u8]) -> u64 {
    window.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn slot(mark: u64) -> usize {
    // Multiplication by an odd number spreads every bit to the top.
    (mark.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - FILTER_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn search(texts: &[&str]) -> Search {
        let mut canaries = Canaries::new();
        for (number, text) in texts.iter().enumerate() {
            canaries.text(&number.to_string(), text).unwrap();
        }
        Search::new(canaries)
    }

    /// Gives a few bytes at a time.
    struct Slowly<'a>(&'a [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let part = self.0.len().min(self.1).min(buffer.len());
            let (now, later) = self.0.split_at(part);
            buffer[..part].copy_from_slice(now);
            self.0 = later;
            Ok(part)
        }
    }

    #[test]
    fn patterns_are_found_across_the_parts_that_are_read() {
        let search = search(&["canary-one", "canary-two"]);
        for place in [0, 1, CHUNK - 9, CHUNK, CHUNK + 1, CHUNK + search.longest - 5, 3 * CHUNK] {
            let mut bytes = vec![b'c'; 3 * CHUNK + 100];
            bytes[place..place + 10].copy_from_slice(b"canary-two");
            for part in [usize::MAX, 60_007] {
                let found = search.read(Slowly(&bytes, part)).unwrap();
                assert_eq!(found.bytes(), bytes.len() as u64);
                assert_eq!(found.hits().collect::<Vec<_>>(), [("1", "UTF-8")], "at {place}");
            }
        }
    }

    #[test]
    fn patterns_within_others_are_found_too() {
        let search = search(&["canary-one", "canary-one-and-two", "one-and-two"]);
        let found = search.bytes(b"a canary-one-and-two");
        assert_eq!(found.hits().map(|(what, _)| what).collect::<String>(), "012");
        assert!(search.bytes(b"a canary-on").is_empty() && search.bytes(b"").is_empty());
    }

    #[test]
    fn directories_are_searched_with_their_names() {
        let search = search(&["canary-one", "canary-two", "canary-three"]);
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("of-canary-one");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("a"), "see canary-two").unwrap();
        let found = search.directory(directory.path()).unwrap();
        assert!(found.has("0", "UTF-8") && found.has("1", "UTF-8") && !found.has("2", "UTF-8"));
        assert!(search.directory(&inner.join("none")).is_err());
    }

    proptest! {
        #[test]
        fn it_finds_what_a_plain_search_finds(bytes in prop::collection::vec(0..3_u8, 0..400)) {
            let texts: Vec<String> =
                ["01201201", "00000000", "012012012012", "22222222"].map(str::to_owned).to_vec();
            let search = search(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            let text: Vec<u8> = bytes.iter().map(|byte| b'0' + byte).collect();
            let found = search.bytes(&text);
            for (number, wanted) in texts.iter().enumerate() {
                let is_there = text.windows(wanted.len()).any(|window| window == wanted.as_bytes());
                prop_assert_eq!(found.has(&number.to_string(), "UTF-8"), is_there);
            }
        }
    }
}
