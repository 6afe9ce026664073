//! The seeds of responses, for as long as they are kept: with its seed, a response can be computed again, byte for byte. Seed,
//! request and response together give the weights away, so seeds lie encrypted (AES-256-GCM) in a file a day, under a key of that
//! day, and whole files are deleted.
//!
//! A seed is written before the entry that commits to it, and not synced: a power cut may take those of the last seconds along,
//! whose answers can then not be replayed. Their receipts stay.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A copy of a response's seed, at one place.
pub(crate) type Seed = Box<Zeroizing<[u8; 32]>>;

/// An index, a nonce, the encrypted seed and its tag.
const RECORD: usize = 8 + 12 + 32 + 16;

/// The directory's name in the log's.
const DIRECTORY: &str = "seeds";

pub(super) struct Seeds {
    directory: PathBuf,
    secret: Zeroizing<[u8; 32]>,
    retention_days: u64,
    today: Option<Day>,
}

/// The file of a day.
struct Day {
    number: u64,
    file: File,
    length: u64,
    key: LessSafeKey,
}

/// Days since 1970.
pub(super) fn today() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400
}

impl Seeds {
    /// The seeds of a log, under keys made of `secret`.
    pub(super) fn open(log: &Path, secret: Zeroizing<[u8; 32]>, retention_days: u64) -> io::Result<Self> {
        let directory = log.join(DIRECTORY);
        fs::create_dir_all(&directory)?;
        let seeds = Self { directory, secret, retention_days, today: None };
        seeds.sweep(today());
        Ok(seeds)
    }

    /// Keeps the seeds of these leaves, unless they are to be kept for no day. Where it fails, none is kept.
    pub(super) fn keep<'a>(
        &mut self,
        today: u64,
        seeds: impl Iterator<Item = (u64, &'a Seed)>,
    ) -> io::Result<()> {
        if self.retention_days == 0 {
            return Ok(());
        }
        if self.today.as_ref().is_none_or(|day| day.number != today) {
            self.sweep(today);
            self.today = Some(self.open_day(today)?);
        }
        let Some(day) = &mut self.today else { return Err(io::ErrorKind::NotFound.into()) };
        let mut bytes = Vec::new();
        for (index, seed) in seeds {
            bytes.extend_from_slice(&day.seal(index, seed)?);
        }
        let written = day.file.write_all(&bytes);
        if written.is_err() {
            // Opened again, the file ends with a whole record.
            let _ = day.file.set_len(day.length);
            self.today = None;
            return written;
        }
        day.length += bytes.len() as u64;
        Ok(())
    }

    fn open_day(&self, number: u64) -> io::Result<Day> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(self.directory.join(number.to_string()))?;
        let length = file.metadata()?.len() / RECORD as u64 * RECORD as u64;
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        Ok(Day { number, file, length, key: day_key(&self.secret, number)? })
    }

    /// Deletes the files of days that are over for so long.
    pub(super) fn sweep(&self, today: u64) {
        for day in days(&self.directory) {
            let is_over = self.retention_days == 0 || day.saturating_add(self.retention_days) < today;
            if is_over && let Err(error) = fs::remove_file(self.directory.join(day.to_string())) {
                tracing::error!(kind = ?error.kind(), "seeds whose time is over could not be deleted");
            }
        }
    }
}

impl Day {
    fn seal(&self, index: u64, seed: &Seed) -> io::Result<[u8; RECORD]> {
        let mut nonce = [0; 12];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        let mut record = [0; RECORD];
        let (head, body) = record.split_at_mut(20);
        head[..8].copy_from_slice(&index.to_le_bytes());
        head[8..].copy_from_slice(&nonce);
        let (text, tag) = body.split_at_mut(32);
        text.copy_from_slice(seed.as_slice());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = self.key.seal_in_place_separate_tag(nonce, Aad::from(index.to_le_bytes()), text);
        tag.copy_from_slice(sealed.map_err(|_| io::Error::other("encryption failed"))?.as_ref());
        Ok(record)
    }
}

/// A day's key. Each encrypts so little that random nonces do not meet.
fn day_key(secret: &[u8; 32], day: u64) -> io::Result<LessSafeKey> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(&day.to_le_bytes());
    let key = Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()));
    let key = UnboundKey::new(&AES_256_GCM, key.as_slice());
    key.map(LessSafeKey::new).map_err(|_| io::Error::other("not a key"))
}

/// The days that there are files of.
fn days(directory: &Path) -> Vec<u64> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The seed of a leaf, if it is kept and `is_it` says that it is the one: a commit that failed leaves another.
pub(super) fn find(
    log: &Path,
    secret: &[u8; 32],
    index: u64,
    is_it: impl Fn(&[u8; 32]) -> bool,
) -> io::Result<Option<Seed>> {
    let directory = log.join(DIRECTORY);
    for day in days(&directory) {
        let key = day_key(secret, day)?;
        let mut file = BufReader::new(File::open(directory.join(day.to_string()))?);
        let mut record = [0; RECORD];
        while file.read_exact(&mut record).is_ok() {
            let Some(seed) = open(&key, index, &record) else { continue };
            if is_it(&seed) {
                return Ok(Some(seed));
            }
        }
    }
    Ok(None)
}

/// The seed in a record, where it is that of this leaf.
fn open(key: &LessSafeKey, index: u64, record: &[u8; RECORD]) -> Option<Seed> {
    let (found, rest) = record.split_first_chunk::<8>()?;
    if u64::from_le_bytes(*found) != index {
        return None;
    }
    let (nonce, sealed) = rest.split_first_chunk::<12>()?;
    let mut text = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let opened = key.open_in_place(nonce, Aad::from(index.to_le_bytes()), &mut text).ok()?;
    let mut seed = Box::new(Zeroizing::new([0; 32]));
    seed.copy_from_slice(opened.get(..32)?);
    Some(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(byte: u8) -> Seed {
        Box::new(Zeroizing::new([byte; 32]))
    }

    fn seeds(directory: &Path) -> Seeds {
        Seeds::open(directory, Zeroizing::new([7; 32]), 3).unwrap()
    }

    fn found(directory: &Path, index: u64) -> Option<u8> {
        find(directory, &[7; 32], index, |_| true).unwrap().map(|seed| seed[0])
    }

    #[test]
    fn seeds_are_found_by_their_leaves_and_lie_encrypted() {
        let directory = tempfile::tempdir().unwrap();
        let today = today();
        let (one, two) = (seed(0xa1), seed(0xa2));
        let mut open = seeds(directory.path());
        open.keep(today, [(5, &one), (6, &two)].into_iter()).unwrap();
        drop(open);
        let mut again = seeds(directory.path());
        again.keep(today, [(7, &seed(0xa3))].into_iter()).unwrap();
        assert_eq!(
            [5, 6, 7, 8].map(|index| found(directory.path(), index)),
            [Some(0xa1), Some(0xa2), Some(0xa3), None]
        );
        assert!(find(directory.path(), &[8; 32], 5, |_| true).unwrap().is_none(), "another log's secret");
        let path = directory.path().join(DIRECTORY).join(today.to_string());
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 3 * RECORD);
        assert!(!bytes.windows(4).any(|window| [0xa1, 0xa2, 0xa3].iter().any(|byte| window == [*byte; 4])));
        // Nothing of a record can be changed.
        for at in 0..RECORD {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            assert_eq!(found(directory.path(), 5), None, "{at}");
        }
    }

    #[test]
    fn a_seed_of_a_failed_commit_is_passed_over_and_a_torn_record_too() {
        let directory = tempfile::tempdir().unwrap();
        let today = today();
        seeds(directory.path()).keep(today, [(5, &seed(1))].into_iter()).unwrap();
        let path = directory.path().join(DIRECTORY).join(today.to_string());
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(&[9; 30]).unwrap();
        seeds(directory.path()).keep(today, [(5, &seed(2))].into_iter()).unwrap();
        let second = find(directory.path(), &[7; 32], 5, |seed| seed[0] == 2).unwrap();
        assert_eq!(second.map(|seed| seed[31]), Some(2));
    }

    #[test]
    fn days_go_when_their_time_is_over() {
        let directory = tempfile::tempdir().unwrap();
        let mut open = seeds(directory.path());
        let first = today();
        for day in first..first + 6 {
            open.keep(day, [(day, &seed(1))].into_iter()).unwrap();
        }
        let kept =
            || (first..first + 6).map(|day| found(directory.path(), day).is_some()).collect::<Vec<_>>();
        assert_eq!(kept(), [false, false, true, true, true, true]);
        open.sweep(first + 6);
        assert_eq!(kept(), [false, false, false, true, true, true], "without an answer too");
        let mut none = Seeds::open(directory.path(), Zeroizing::new([7; 32]), 0).unwrap();
        none.keep(first + 6, [(9, &seed(1))].into_iter()).unwrap();
        assert_eq!(kept(), [false; 6], "no day is none, not even today");
        assert_eq!(found(directory.path(), 9), None);
    }
}
