//! The answers of a cohort, encrypted, until the last one is here: `FILE.part`, which only its owner can read. It holds the key
//! of each answer, as the state file of `encrypt` does, so that a run that ends early is continued and loses nothing.
//!
//! A line of JSON, then a record a block: its number of patients, its key, its digest, which patients lie far out, the frame of
//! its answer, and the SHA-256 of all these. A record that a crash left half written is cut off.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tiresias_keys::Digest;
use tiresias_secret_key::SecretKey;
use zeroize::Zeroizing;

use super::PendingBlock;
use crate::{Error, Model, files};

const FORMAT: &str = "tiresias-cohort/v1";

/// The longest first line.
const MAXIMUM_HEADER: usize = 4096;

/// Patients, key, digest, and the length of the answer.
const FRONT: usize = 4 + 256 + 32 + 4;

/// The most patients of a block.
const MAXIMUM_PATIENTS: usize = 2048;

/// A record's SHA-256.
const END: usize = 32;

/// The longest answer: 4,096 classes of 4,096 coefficients of 6 bytes, with room.
const MAXIMUM_ANSWER: usize = 128 << 20;

/// What a run is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    format: String,
    model: String,
    version: u32,
    config_id: String,
    features_sha256: String,
    block: usize,
}

impl Header {
    /// For a run with this model over a features file, in blocks of so many patients.
    #[must_use]
    pub fn new(model: &Model, features: &Digest, block: usize) -> Self {
        Self {
            format: FORMAT.to_owned(),
            model: model.card().name().to_owned(),
            version: model.card().version(),
            config_id: model.config().to_string(),
            features_sha256: features.to_string(),
            block,
        }
    }
}

/// An unfinished cohort, locked for this run.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    file: File,
    /// Where the first record begins.
    start: u64,
    /// Patients of all blocks so far.
    patients: u64,
    length: u64,
}

impl Spool {
    /// Begins the spool of an output file, or continues one that the same command began. Blocks become no larger than those
    /// that it began with: how many patients they take is returned.
    pub fn open(out: &Path, header: &Header) -> Result<(Self, usize), Error> {
        let mut path = out.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        let file = match fs::symlink_metadata(&path) {
            Ok(_) => {
                let file = files::open_own(&path)?;
                if let Some(reason) = files::exposure(&file).map_err(files::at(&path))? {
                    return Err(Error::Resume { path, reason });
                }
                file
            }
            Err(_) => files::create_own(&path)?,
        };
        let mut spool = Self { path, file, start: 0, patients: 0, length: 0 };
        spool.file.try_lock().map_err(|_| spool.refuse("another run is writing it"))?;
        let length = spool.file.metadata().map_err(files::at(&spool.path))?.len();
        if length == 0 {
            spool.write_header(header)?;
            return Ok((spool, header.block));
        }
        let found = spool.read_header()?;
        if (Header { block: header.block, ..found.clone() }) != *header {
            return Err(spool.refuse("it is of another model or version, or of other features"));
        }
        spool.find_end()?;
        Ok((spool, found.block.min(header.block)))
    }

    /// Patients that were answered.
    #[must_use]
    pub fn patients(&self) -> u64 {
        self.patients
    }

    /// Where the spool lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds an answered block, and waits until it is on the disk.
    pub fn add(&mut self, pending: &PendingBlock, answer: &[u8]) -> Result<(), Error> {
        let far_out = &pending.far_out;
        let mut record = Zeroizing::new(Vec::with_capacity(FRONT + far_out.len() + answer.len() + END));
        record.extend_from_slice(&(far_out.len() as u32).to_le_bytes());
        record.extend_from_slice(&pending.key.export());
        record.extend_from_slice(pending.digest.as_bytes());
        record.extend_from_slice(&(answer.len() as u32).to_le_bytes());
        record.extend(far_out.iter().map(|&far_out| u8::from(far_out)));
        record.extend_from_slice(answer);
        let digest = Digest::of(&record);
        record.extend_from_slice(digest.as_bytes());
        let io = files::at(&self.path);
        self.file.seek(SeekFrom::Start(self.length)).map_err(&io)?;
        self.file.write_all(&record).and_then(|()| self.file.sync_data()).map_err(&io)?;
        self.length += record.len() as u64;
        self.patients += far_out.len() as u64;
        Ok(())
    }

    /// Hands every block and its answer to `read`, in order.
    pub fn each(
        &mut self,
        model: &Model,
        mut read: impl FnMut(PendingBlock, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let glwe = model.card().cohort().ok_or(Error::NoCohorts)?.parameters().glwe();
        let mut at = self.start;
        while at < self.length {
            let record = self.record(at)?.ok_or_else(|| self.refuse("it is damaged"))?;
            let (front, rest) = record.split_at(FRONT);
            let (far_out, answer) = rest.split_at(lengths(front).0);
            let key = SecretKey::import(glwe, &front[4..260])?;
            let digest = front[260..].first_chunk().copied().map(Digest::from_bytes);
            let digest = digest.ok_or_else(|| self.refuse("it is damaged"))?;
            let far_out = far_out.iter().map(|&byte| byte == 1).collect();
            read(PendingBlock { key, digest, far_out }, answer)?;
            at += (record.len() + END) as u64;
        }
        Ok(())
    }

    /// Overwrites and deletes the spool, whose answers have been read. On copy-on-write storage old blocks may remain.
    pub fn remove(mut self) -> Result<(), Error> {
        let io = files::at(&self.path);
        self.file.seek(SeekFrom::Start(0)).map_err(&io)?;
        let zeros = vec![0; 1 << 20];
        let mut left = self.length;
        while left > 0 {
            let part = left.min(zeros.len() as u64);
            self.file.write_all(&zeros[..part as usize]).map_err(&io)?;
            left -= part;
        }
        self.file.sync_all().map_err(&io)?;
        // Windows removes no open file; elsewhere the lock is held until the name is gone.
        #[cfg(windows)]
        drop(self.file);
        fs::remove_file(&self.path).map_err(&io)
    }

    /// The record that begins here, without its hash; `None` where it is not whole.
    fn record(&self, at: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let io = files::at(&self.path);
        let mut file = &self.file;
        let length = file.metadata().map_err(&io)?.len();
        if length < at + (FRONT + END) as u64 {
            return Ok(None);
        }
        let mut front = Zeroizing::new([0; FRONT]);
        file.seek(SeekFrom::Start(at)).map_err(&io)?;
        file.read_exact(front.as_mut_slice()).map_err(&io)?;
        let (patients, answer) = lengths(front.as_slice());
        if patients == 0 || patients > MAXIMUM_PATIENTS || answer > MAXIMUM_ANSWER {
            return Ok(None);
        }
        let size = FRONT + patients + answer;
        if length < at + (size + END) as u64 {
            return Ok(None);
        }
        let mut record = Zeroizing::new(vec![0; size + END]);
        file.seek(SeekFrom::Start(at)).map_err(&io)?;
        file.read_exact(&mut record).map_err(&io)?;
        let is_whole = Digest::of(&record[..size]).as_bytes() == &record[size..];
        record.truncate(size);
        Ok(is_whole.then_some(record))
    }

    fn refuse(&self, reason: &'static str) -> Error {
        Error::Resume { path: self.path.clone(), reason }
    }

    fn write_header(&mut self, header: &Header) -> Result<(), Error> {
        let mut line = serde_json::to_vec(header).map_err(|error| Error::Output(error.into()))?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_all());
        written.map_err(files::at(&self.path))?;
        (self.start, self.length) = (line.len() as u64, line.len() as u64);
        files::sync_directory_of(&self.path)
    }

    fn read_header(&mut self) -> Result<Header, Error> {
        let mut front = Vec::new();
        (&self.file).take(MAXIMUM_HEADER as u64).read_to_end(&mut front).map_err(files::at(&self.path))?;
        let unknown = || self.refuse("it is no unfinished cohort of this version");
        let end = front.iter().position(|&byte| byte == b'\n').ok_or_else(unknown)?;
        let header: Header = serde_json::from_slice(&front[..end]).map_err(|_| unknown())?;
        if header.format != FORMAT || header.block == 0 {
            return Err(unknown());
        }
        self.start = end as u64 + 1;
        Ok(header)
    }

    /// Passes over the whole records, and cuts off what follows them.
    fn find_end(&mut self) -> Result<(), Error> {
        let mut at = self.start;
        while let Some(record) = self.record(at)? {
            at += (record.len() + END) as u64;
            self.patients += lengths(&record).0 as u64;
        }
        self.length = at;
        self.file.set_len(at).map_err(files::at(&self.path))
    }
}

/// Patients, and bytes of the answer.
fn lengths(front: &[u8]) -> (usize, usize) {
    let word =
        |at: usize| front[at..].first_chunk::<4>().map_or(0, |word| u32::from_le_bytes(*word) as usize);
    (word(0), word(FRONT - 4))
}
