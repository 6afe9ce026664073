//! Secrets under a passphrase: an age file (c2sp.org/age) with one scrypt stanza, which the `age` program opens too.

use std::{io::Read as _, iter};

use age::{DecryptError, Decryptor, scrypt, secrecy::SecretString};
use zeroize::Zeroizing;

use crate::Error;

/// How every age file begins.
const MAGIC: &[u8] = b"age-encryption.org/";

/// scrypt with N = 2^18, r = 8: about a second and 256 MiB for each guess.
const WORK_FACTOR: u8 = 18;

/// A file that asks for more than four times that is refused before any work is done.
const MAXIMUM_WORK_FACTOR: u8 = 20;

pub(crate) fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

pub(crate) fn seal(plain: &[u8], passphrase: SecretString) -> Result<Vec<u8>, Error> {
    let mut recipient = scrypt::Recipient::new(passphrase);
    recipient.set_work_factor(WORK_FACTOR);
    age::encrypt(&recipient, plain).map_err(|_| Error::Passphrase("the file could not be encrypted"))
}

/// What was sealed. `damaged` makes the error for a file that is not whole, which each kind of file names itself.
pub(crate) fn open(
    sealed: &[u8],
    passphrase: SecretString,
    damaged: impl Fn() -> Error,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut identity = scrypt::Identity::new(passphrase);
    identity.set_max_work_factor(MAXIMUM_WORK_FACTOR);
    let decryptor = Decryptor::new_buffered(sealed).map_err(|_| damaged())?;
    let mut plain = decryptor.decrypt(iter::once(&identity as _)).map_err(|error| match error {
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => Error::WrongPassphrase,
        DecryptError::ExcessiveWork { .. } => {
            Error::Passphrase("the file asks for more work than we ever write")
        }
        _ => damaged(),
    })?;
    // As long as the sealed bytes: it never grows, so that no copy of a key is left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(sealed.len()));
    plain.read_to_end(&mut bytes).map_err(|_| damaged())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed_with(work_factor: u8) -> Vec<u8> {
        let mut recipient = scrypt::Recipient::new(SecretString::from("right"));
        recipient.set_work_factor(work_factor);
        age::encrypt(&recipient, b"keys").unwrap()
    }

    fn open_state(sealed: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        open(sealed, SecretString::from(passphrase), || Error::State)
    }

    #[test]
    fn only_the_passphrase_opens_it() {
        let sealed = sealed_with(2);
        assert!(is_sealed(&sealed) && !is_sealed(b"TRSS"));
        assert_eq!(*open_state(&sealed, "right").unwrap(), b"keys");
        assert!(matches!(open_state(&sealed, "Right"), Err(Error::WrongPassphrase)));
    }

    #[test]
    fn damage_is_told_apart_from_a_wrong_passphrase() {
        let sealed = sealed_with(2);
        let mut damaged = sealed.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(matches!(open_state(&damaged, "right"), Err(Error::State)));
        assert!(matches!(open_state(&sealed[..sealed.len() - 1], "right"), Err(Error::State)));
        assert!(matches!(open_state(&sealed[..30], "right"), Err(Error::State)));
    }

    #[test]
    fn a_hostile_file_cannot_ask_for_endless_work() {
        let text = String::from_utf8_lossy(&sealed_with(2)).into_owned();
        let line = text.lines().find(|line| line.starts_with("-> scrypt ")).unwrap();
        let (at, ours) = (text.find(line).unwrap(), line.replace(" 2", " 30"));
        let hostile = [&sealed_with(2)[..at], ours.as_bytes(), &sealed_with(2)[at + line.len()..]].concat();
        let error = open_state(&hostile, "right").unwrap_err();
        assert!(matches!(error, Error::Passphrase(_)), "{error}");
    }
}
