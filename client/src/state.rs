//! The state that `encrypt` leaves for `decrypt`: the card, and each request's digest and key. Whoever reads it can
//! read the answers, so it is written with mode 0600 and deleted once the answers are decrypted.
//!
//! Layout: `TRSS`, version 3 as one byte, three zero bytes; the card's length (u32, little endian) and bytes; the
//! number of features files (u32); for each its name's length (u32), its name and its rows (u32); the number of requests
//! (u32); for each its digest (32 bytes), features outside the calibrated range (u32), their distance from the calibration's
//! (f64, 0 where the card does not tell) and, where the model answers scores, key (N/8 bytes). With a passphrase, all of it is one
//! age file.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use age::secrecy::SecretString;
use tiresias_circuits::Drift;
use tiresias_keys::Digest;
use tiresias_secret_key::SecretKey;
use zeroize::Zeroizing;

use crate::{
    Error, Model,
    diagnosis::{Pending, RequestKey},
    files,
    inputs::{Source, Sources},
    sealed,
};

const HEADER: &[u8; 8] = b"TRSS\x03\0\0\0";

/// Keys for some three million requests.
const MAXIMUM_BYTES: u64 = 1 << 30;

/// The name of the state file in its directory.
pub const FILE_NAME: &str = "state";

/// What `encrypt` knows and `decrypt` needs.
#[derive(Debug)]
pub struct State {
    /// The card that the requests were made for.
    pub model: Model,
    /// Where the rows came from.
    pub sources: Sources,
    /// The requests, in the order of the rows.
    pub pending: Vec<Pending>,
}

/// Writes the state file of a directory, which must not have one, under a passphrase if there is one.
pub fn write(
    directory: &Path,
    model: &Model,
    sources: &Sources,
    pending: &[Pending],
    passphrase: Option<SecretString>,
) -> Result<(), Error> {
    let names: usize = sources.files().iter().map(|file| 8 + file.name.len()).sum();
    let room = 64 + model.card_bytes().len() + names + pending.len() * 300;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    bytes.extend_from_slice(HEADER);
    put_length(&mut bytes, model.card_bytes().len());
    bytes.extend_from_slice(model.card_bytes());
    put_length(&mut bytes, sources.files().len());
    for file in sources.files() {
        put_length(&mut bytes, file.name.len());
        bytes.extend_from_slice(file.name.as_bytes());
        put_length(&mut bytes, file.rows);
    }
    put_length(&mut bytes, pending.len());
    for request in pending {
        bytes.extend_from_slice(request.digest.as_bytes());
        put_length(&mut bytes, request.drift.map_or(0, |drift| drift.outside));
        bytes.extend_from_slice(&request.drift.map_or(0.0, |drift| drift.distance).to_le_bytes());
        if let RequestKey::OneTime(key) = &request.key {
            bytes.extend_from_slice(&key.export());
        }
    }
    if let Some(passphrase) = passphrase {
        bytes = Zeroizing::new(sealed::seal(&bytes, passphrase)?);
    }

    let path = directory.join(FILE_NAME);
    let mut file = files::create_own(&path)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(files::at(&path))?;
    files::sync_directory_of(&path)
}

/// Reads the state file of a directory; `passphrase` is called where it is protected by one.
pub fn read(
    directory: &Path,
    passphrase: impl FnOnce() -> Result<SecretString, Error>,
) -> Result<State, Error> {
    let path = directory.join(FILE_NAME);
    let file = files::open_own(&path)?;
    let mut bytes = files::read_secret(&file, &path, MAXIMUM_BYTES)?;
    if sealed::is_sealed(&bytes) {
        bytes = sealed::open(&bytes, passphrase()?, || Error::State)?;
    }
    let mut cursor = Cursor(bytes.strip_prefix(HEADER).ok_or(Error::State)?);
    let card_len = cursor.length()?;
    let model = Model::from_card(cursor.take(card_len)?.to_vec())?;
    let mut sources = Vec::new();
    for _ in 0..cursor.length()? {
        let name_len = cursor.length()?;
        let name = String::from_utf8(cursor.take(name_len)?.to_vec()).map_err(|_| Error::State)?;
        sources.push(Source { name, rows: cursor.length()? });
    }
    let sources = Sources::new(sources);
    let plan = model.card().plan();
    let parameters = plan.parameters();
    let count = cursor.length()?;
    let key_len = if model.needs_enrolment() { 0 } else { parameters.polynomial_size() / 8 };
    if cursor.0.len() != count.saturating_mul(44 + key_len) || sources.rows() != count {
        return Err(Error::State);
    }
    let pending = (0..count).map(|_| {
        let digest = Digest::from_bytes(cursor.take(32)?.try_into().map_err(|_| Error::State)?);
        let outside = cursor.length()?;
        let distance = f64::from_le_bytes(cursor.take(8)?.try_into().map_err(|_| Error::State)?);
        let drift = |calibration| Drift::new(calibration, distance, outside, plan.shape().features);
        let drift = model.card().calibration().map(drift);
        let key = match cursor.take(key_len)? {
            [] => RequestKey::LongLived,
            bytes => RequestKey::OneTime(SecretKey::import(parameters, bytes)?),
        };
        Ok(Pending { key, digest, drift })
    });
    let pending = pending.collect::<Result<_, Error>>()?;
    Ok(State { model, sources, pending })
}

/// Overwrites and deletes the state file, which must be a regular file: a link is refused, not followed. On copy-on-write storage old blocks may remain: keep the directory on
/// storage that is encrypted.
pub fn remove(directory: &Path) -> Result<(), Error> {
    let path: PathBuf = directory.join(FILE_NAME);
    let mut file = files::open_own(&path)?;
    let length = file.metadata().map_err(files::at(&path))?.len() as usize;
    file.write_all(&vec![0; length]).and_then(|()| file.sync_all()).map_err(files::at(&path))?;
    fs::remove_file(&path).map_err(files::at(&path))
}

fn put_length(bytes: &mut Vec<u8>, length: usize) {
    // Rows, files and names of more than 4 GiB do not pass the limits on their files.
    bytes.extend_from_slice(&(length as u32).to_le_bytes());
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(Error::State)?;
        self.0 = rest;
        Ok(head)
    }

    fn length(&mut self) -> Result<usize, Error> {
        let (head, rest) = self.0.split_first_chunk::<4>().ok_or(Error::State)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*head) as usize)
    }
}
