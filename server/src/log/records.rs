//! The journal: every entry of the log in order, each a record of 36 bytes, which are the entry and the first four bytes of
//! SHA-256 of its index and it. A record counts when it is on the disk.
//!
//! The file is longer than its records, by zeros, because a write that does not grow a file is synced in half the time.
//!
//! What a crash can leave behind the last record that counts is at most one write: it is cut off when it is not whole. A
//! record that is damaged farther in front, or that a published checkpoint covers, is not repaired but refused.
//!
//! A system that could not write pages may forget them, or keep them and take them for written: then neither reading nor
//! another sync tells. So after a failure the journal's end is written again before anything more counts, and at each opening
//! too, because the process before may have ended with a failure.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _},
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

/// The most bytes that a system writes, or fails to write, as one.
const BLOCK: u64 = 64 << 10;

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

/// The journal's end: the last [`BATCH`] records and what shares a block with them, or more.
#[derive(Default)]
struct End {
    /// Where it begins in the file, with a block.
    begin: u64,
    bytes: Vec<u8>,
}

impl End {
    fn push(&mut self, records: &[u8]) {
        self.bytes.extend_from_slice(records);
        let end = self.begin + self.bytes.len() as u64;
        let begin = end.saturating_sub((BATCH * RECORD) as u64) / BLOCK * BLOCK;
        if begin >= self.begin + 2 * BLOCK {
            self.bytes.drain(..(begin - self.begin) as usize);
            self.begin = begin;
        }
    }
}

/// A journal open for more.
pub(super) struct Records<D: Disk = DiskFile> {
    disk: D,
    /// Records that are on the disk.
    durable: u64,
    /// The file's bytes: records, and zeros.
    length: u64,
    /// Of the records that are on the disk.
    end: End,
    /// A write failed: what the file ends with is not known.
    broken: bool,
}

impl Records {
    /// Opens a journal, makes it where there is none, and hands its entries out in order. `covered` are the records that
    /// a published checkpoint covers. What a crash left half written is cut off, and the rest is on the disk when this returns.
    pub(super) fn open(path: &Path, covered: u64, each: impl FnMut(&Hash)) -> Result<Self, Refusal> {
        let disk = DiskFile::open(path)?;
        let file = disk.file.try_clone()?;
        let length = file.metadata()?.len();
        Self::resume(disk, file, length, covered, each)
    }
}

impl<D: Disk> Records<D> {
    /// The same for a file of this length, which is read from its beginning.
    fn resume(
        disk: D,
        file: impl Read,
        length: u64,
        covered: u64,
        mut each: impl FnMut(&Hash),
    ) -> Result<Self, Refusal> {
        let (whole, rest) = (length / RECORD as u64, length % RECORD as u64);
        let mut reader = BufReader::with_capacity(RECORD << 10, file);
        let mut end = End::default();
        // Whole records without a gap, and where the last byte stands that is not zero.
        let (mut good, mut written) = (0, 0);
        for index in 0..whole {
            let mut found = [0; RECORD];
            reader.read_exact(&mut found)?;
            let [entry @ .., _, _, _, _] = found;
            if good == index && record(index, &entry) == found {
                each(&entry);
                end.push(&found);
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
        let mut records = Self { disk, durable: good, length, end, broken: true };
        records.mend()?;
        Ok(records)
    }

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
        self.end.push(&bytes);
        self.durable += entries.len() as u64;
        self.length = self.length.max(at + bytes.len() as u64);
        Ok(())
    }

    /// Whether the disk takes a record: one of zeros, which are what the file ends with anyway.
    pub(super) fn try_disk(&mut self) -> io::Result<()> {
        self.mend()?;
        self.broken = true;
        let at = self.durable * RECORD as u64;
        self.disk.write(at, &[0; RECORD]).and_then(|()| self.disk.sync())?;
        self.broken = false;
        self.length = self.length.max(at + RECORD as u64);
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

    /// Cuts off what a failed write left, and writes again what may have been lost with it.
    fn mend(&mut self) -> io::Result<()> {
        if self.broken {
            let length = self.durable * RECORD as u64;
            self.disk.cut(length)?;
            self.disk.write(self.end.begin, &self.end.bytes)?;
            self.disk.sync()?;
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
pub(super) mod tests;
