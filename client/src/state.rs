//! The state that `encrypt` leaves for `decrypt`: the card, and each request's digest and key. Whoever reads it can
//! read the answers, so it is written with mode 0600 and deleted once the answers are decrypted.
//!
//! Layout: `TRSS`, version 1 as one byte, three zero bytes; the card's length (u32, little endian) and bytes; the
//! number of requests (u32); for each its digest (32 bytes) and key (N/8 bytes).

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use tiresias_keys::Digest;
use tiresias_secret_key::SecretKey;
use zeroize::Zeroizing;

use crate::{Error, Model, diagnosis::Pending};

const HEADER: &[u8; 8] = b"TRSS\x01\0\0\0";

/// The name of the state file in its directory.
pub const FILE_NAME: &str = "state";

/// Writes the state file of a directory, which must not have one.
pub fn write(directory: &Path, model: &Model, pending: &[Pending]) -> Result<(), Error> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(16 + model.card_bytes().len() + pending.len() * 300));
    bytes.extend_from_slice(HEADER);
    bytes.extend_from_slice(&(model.card_bytes().len() as u32).to_le_bytes());
    bytes.extend_from_slice(model.card_bytes());
    bytes.extend_from_slice(&(pending.len() as u32).to_le_bytes());
    for request in pending {
        bytes.extend_from_slice(request.digest.as_bytes());
        bytes.extend_from_slice(&request.key.export());
    }

    let path = directory.join(FILE_NAME);
    let io = |source| Error::Io { path: path.clone(), source };
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(io)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io)
}

/// Reads the state file of a directory.
pub fn read(directory: &Path) -> Result<(Model, Vec<Pending>), Error> {
    let path = directory.join(FILE_NAME);
    let bytes = Zeroizing::new(fs::read(&path).map_err(|source| Error::Io { path, source })?);
    let mut cursor = Cursor(bytes.strip_prefix(HEADER).ok_or(Error::State)?);
    let card_len = cursor.length()?;
    let model = Model::from_card(cursor.take(card_len)?.to_vec())?;
    let parameters = model.card().plan().parameters();
    let count = cursor.length()?;
    let key_len = parameters.polynomial_size() / 8;
    if cursor.0.len() != count.saturating_mul(32 + key_len) {
        return Err(Error::State);
    }
    let pending = (0..count).map(|_| {
        let digest = Digest::from_bytes(cursor.take(32)?.try_into().map_err(|_| Error::State)?);
        Ok(Pending { key: SecretKey::import(parameters, cursor.take(key_len)?)?, digest })
    });
    Ok((model, pending.collect::<Result<_, Error>>()?))
}

/// Overwrites and deletes the state file. On copy-on-write storage old blocks may remain: keep the directory on
/// storage that is encrypted.
pub fn remove(directory: &Path) -> Result<(), Error> {
    let path: PathBuf = directory.join(FILE_NAME);
    let io = |source| Error::Io { path: path.clone(), source };
    let length = fs::metadata(&path).map_err(io)?.len() as usize;
    let mut file = fs::OpenOptions::new().write(true).open(&path).map_err(io)?;
    file.write_all(&vec![0; length]).and_then(|()| file.sync_all()).map_err(io)?;
    fs::remove_file(&path).map_err(io)
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
