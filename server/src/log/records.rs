//! The journal: every entry of the log in order, each a record of 36 bytes, which are the entry and the first four bytes of
//! SHA-256 of its index and it. A record counts when it is on the disk.
//!
//! The file is longer than its records, by zeros, because a write that does not grow a file is synced in half the time.
//!
//! What a crash can leave behind the last record that counts is at most one write: it is cut off when it is not whole. A
//! record that is damaged farther in front, or that a published checkpoint covers, is not repaired but refused.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use tiresias_evidence::Hash;

/// Bytes of a record.
pub(super) const RECORD: usize = 36;

/// The most records of one write.
pub(super) const BATCH: usize = 256;

/// Bytes by which the file grows: some 7,000 records.
const STEP: u64 = 256 << 10;

/// The index of an entry and the entry, as a record.
fn record(index: u64, entry: &Hash) -> [u8; RECORD] {
    let check = Sha256::new().chain_update(index.to_le_bytes()).chain_update(entry).finalize();
    let mut record = [0; RECORD];
    record[..32].copy_from_slice(entry);
    record[32..].copy_from_slice(&check[..4]);
    record
}

/// Why a journal was refused.
#[derive(Debug)]
pub(super) enum Refusal {
    Io(io::Error),
    /// The record of this index is damaged.
    Damaged(u64),
    /// There are fewer records than a published checkpoint covers.
    Short(u64),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What records lie on: a file, and in tests one that fails.
pub(super) trait Disk {
    /// Writes all bytes from a place on.
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Returns when everything written is on the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to a length, which is on the disk when this returns. Forgets what failed before.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

/// A file by its path: after a failure it is opened anew, because a system tells of a failed write only once.
pub(super) struct DiskFile {
    path: PathBuf,
    file: File,
}

impl DiskFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self { path: path.to_owned(), file: options.open(path)? })
    }
}

impl Disk for DiskFile {
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        self.file.set_len(length)?;
        self.file.sync_all()
    }
}

/// A journal open for more.
pub(super) struct Records<D: Disk = DiskFile> {
    disk: D,
    /// Records that are on the disk.
    durable: u64,
    /// The file's bytes: records, and zeros.
    length: u64,
    /// A write failed: what the file ends with is not known.
    broken: bool,
}

impl Records {
    /// Opens a journal, makes it where there is none, and hands its entries out in order. `covered` are the records that
    /// a published checkpoint covers. What a crash left half written is cut off, and the rest is on the disk when this returns.
    pub(super) fn open(path: &Path, covered: u64, mut each: impl FnMut(&Hash)) -> Result<Self, Refusal> {
        let mut disk = DiskFile::open(path)?;
        let length = disk.file.metadata()?.len();
        let (whole, rest) = (length / RECORD as u64, length % RECORD as u64);
        let mut reader = BufReader::with_capacity(RECORD << 10, &disk.file);
        // Whole records without a gap, and where the last byte stands that is not zero.
        let (mut good, mut written) = (0, 0);
        for index in 0..whole {
            let mut found = [0; RECORD];
            reader.read_exact(&mut found)?;
            let [entry @ .., _, _, _, _] = found;
            if good == index && record(index, &entry) == found {
                each(&entry);
                good += 1;
            }
            if found != [0; RECORD] {
                written = index + 1;
            }
        }
        let mut tail = Vec::new();
        reader.take(rest).read_to_end(&mut tail)?;
        if good < covered {
            return Err(if good < written { Refusal::Damaged(good) } else { Refusal::Short(covered) });
        }
        if written.saturating_sub(good) > BATCH as u64 {
            return Err(Refusal::Damaged(good));
        }
        if good < written || tail.iter().any(|&byte| byte != 0) {
            tracing::warn!("the transparency log's journal ended in a write that was cut off");
        }
        let length = good * RECORD as u64;
        disk.cut(length)?;
        Ok(Self { disk, durable: good, length, broken: false })
    }
}

impl<D: Disk> Records<D> {
    /// Appends entries, no more than [`BATCH`], which are on the disk when this returns. Where it fails, none of them is
    /// in the journal, and a later call may succeed.
    pub(super) fn append(&mut self, entries: &[Hash]) -> io::Result<()> {
        self.mend()?;
        let bytes: Vec<u8> =
            entries.iter().zip(self.durable..).flat_map(|(entry, index)| record(index, entry)).collect();
        let at = self.durable * RECORD as u64;
        if at + bytes.len() as u64 > self.length {
            self.grow();
            self.mend()?;
        }
        self.broken = true;
        let written = self.disk.write(at, &bytes).and_then(|()| self.disk.sync());
        if written.is_err() {
            // A full disk gets its room back at once; where not even that works, the next call tries.
            let _ = self.mend();
            return written;
        }
        self.broken = false;
        self.durable += entries.len() as u64;
        self.length = self.length.max(at + bytes.len() as u64);
        Ok(())
    }

    /// Makes room for more records. Where there is none, the file grows by what is written to it, as long as that goes.
    fn grow(&mut self) {
        self.broken = true;
        let zeros = vec![0; STEP as usize];
        let at = self.durable * RECORD as u64;
        if self.disk.write(at, &zeros).and_then(|()| self.disk.sync()).is_ok() {
            self.broken = false;
            self.length = at + STEP;
        }
    }

    /// Cuts off what a failed write left.
    fn mend(&mut self) -> io::Result<()> {
        if self.broken {
            let length = self.durable * RECORD as u64;
            self.disk.cut(length)?;
            (self.length, self.broken) = (length, false);
        }
        Ok(())
    }
}

/// A journal that is closed has no zeros behind its records. Where this fails, the next opening does it.
impl<D: Disk> Drop for Records<D> {
    fn drop(&mut self) {
        let _ = self.disk.cut(self.durable * RECORD as u64);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use super::*;

    pub(crate) fn entry(number: u64) -> Hash {
        Sha256::digest(number.to_be_bytes()).into()
    }

    fn entries(path: &Path, covered: u64) -> Result<Vec<Hash>, Refusal> {
        let mut found = Vec::new();
        Records::open(path, covered, |entry| found.push(*entry))?;
        Ok(found)
    }

    fn journal(path: &Path, count: u64) -> Vec<Hash> {
        let all: Vec<Hash> = (0..count).map(entry).collect();
        let mut records = Records::open(path, 0, |_| {}).unwrap();
        for batch in all.chunks(BATCH) {
            records.append(batch).unwrap();
        }
        all
    }

    #[test]
    fn a_journal_cut_at_any_byte_has_the_whole_records_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let all = journal(&path, 7);
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 7 * RECORD);
        for cut in 0..=bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let whole = cut / RECORD;
            let covered = whole as u64;
            assert_eq!(entries(&path, covered).unwrap(), all[..whole]);
            assert_eq!(fs::metadata(&path).unwrap().len(), (whole * RECORD) as u64, "the rest is cut off");
            assert!(matches!(entries(&path, covered + 1), Err(Refusal::Short(_))));
        }
    }

    #[test]
    fn a_changed_byte_is_found_wherever_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let all = journal(&path, 5);
        let bytes = fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x40;
            fs::write(&path, &changed).unwrap();
            let index = at / RECORD;
            let refused = entries(&path, index as u64 + 1);
            assert!(matches!(refused, Err(Refusal::Damaged(found)) if found == index as u64), "byte {at}");
            assert_eq!(fs::read(&path).unwrap(), changed, "what is refused is left as it is");
            assert_eq!(entries(&path, index as u64).unwrap(), all[..index], "no one was told of it");
        }
    }

    #[test]
    fn zeros_behind_the_records_are_room_and_no_damage() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let all = journal(&path, 5);
        let bytes = fs::read(&path).unwrap();
        for zeros in [1, RECORD, 3 * BATCH * RECORD + 1] {
            fs::write(&path, [bytes.as_slice(), &vec![0; zeros]].concat()).unwrap();
            assert_eq!(entries(&path, 5).unwrap(), all);
        }
        let mut gap = [bytes.as_slice(), &vec![0; 300 * RECORD]].concat();
        gap[304 * RECORD] = 1;
        fs::write(&path, gap).unwrap();
        assert!(matches!(entries(&path, 5), Err(Refusal::Damaged(5))), "no write leaves so long a gap");

        // Room is made in steps, and a crash leaves it there.
        fs::write(&path, &bytes).unwrap();
        let mut records = Records::open(&path, 5, |_| {}).unwrap();
        records.append(&[entry(5)]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), bytes.len() as u64 + STEP);
        std::mem::forget(records);
        assert_eq!(entries(&path, 6).unwrap().len(), 6);
        assert_eq!(fs::metadata(&path).unwrap().len(), 6 * RECORD as u64);
    }

    #[test]
    fn records_belong_to_their_places() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        journal(&path, 3);
        let bytes = fs::read(&path).unwrap();
        let swapped = [&bytes[..RECORD], &bytes[2 * RECORD..], &bytes[RECORD..2 * RECORD]].concat();
        fs::write(&path, swapped).unwrap();
        assert!(matches!(entries(&path, 3), Err(Refusal::Damaged(1))));
    }

    #[test]
    fn damage_farther_back_than_one_write_is_never_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let count = BATCH as u64 + 10;
        journal(&path, count);
        let bytes = fs::read(&path).unwrap();
        for (index, refused) in [(0, true), (9, true), (10, false), (count - 1, false)] {
            let mut changed = bytes.clone();
            changed[index as usize * RECORD] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert_eq!(entries(&path, 0).is_err(), refused, "{index}");
        }
    }

    /// A file that fails when its time has come.
    #[derive(Default)]
    struct Failing {
        bytes: Vec<u8>,
        /// Calls until the next failure.
        calls: Option<usize>,
        /// Whether all calls fail from then on.
        forever: bool,
    }

    impl Failing {
        fn fails(&mut self) -> bool {
            match &mut self.calls {
                Some(0) => {
                    self.calls = self.calls.filter(|_| self.forever);
                    true
                }
                Some(calls) => {
                    *calls -= 1;
                    false
                }
                None => false,
            }
        }
    }

    impl Disk for Failing {
        fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
            let fails = self.fails();
            let bytes = if fails { &bytes[..bytes.len() / 2] } else { bytes };
            let end = at as usize + bytes.len();
            self.bytes.resize(self.bytes.len().max(end), 0);
            self.bytes[at as usize..end].copy_from_slice(bytes);
            if fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn sync(&mut self) -> io::Result<()> {
            if self.fails() { Err(io::Error::other("sync")) } else { Ok(()) }
        }

        fn cut(&mut self, length: u64) -> io::Result<()> {
            if self.fails() {
                return Err(io::Error::other("cut"));
            }
            self.bytes.truncate(length as usize);
            Ok(())
        }
    }

    #[test]
    fn a_failed_write_leaves_nothing_and_the_next_one_goes_on() {
        // Of the calls that the second append and its mending make, each may be the first of one or many that fail.
        for (failing, forever) in (0..3).flat_map(|at| [(at, false), (at, true)]) {
            let mut records = Records { disk: Failing::default(), durable: 0, length: 0, broken: false };
            records.append(&[entry(0)]).unwrap();
            (records.disk.calls, records.disk.forever) = (Some(failing), forever);
            let failed = records.append(&[entry(1), entry(2)]);
            assert_eq!(failed.is_err(), failing < 2, "{failing}");
            if failed.is_ok() {
                continue;
            }
            if forever {
                assert!(records.append(&[entry(3)]).is_err());
                assert_eq!(records.durable, 1);
            }
            records.disk.calls = None;
            records.append(&[entry(4)]).unwrap();
            let expected = [record(0, &entry(0)), record(1, &entry(4))].concat();
            let (found, behind) = records.disk.bytes.split_at(2 * RECORD);
            assert_eq!((records.durable, found), (2, expected.as_slice()), "{failing} {forever}");
            assert!(behind.iter().all(|&byte| byte == 0), "{failing} {forever}");
        }
    }
}
