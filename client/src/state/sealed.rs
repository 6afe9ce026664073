//! A state under a passphrase: an age file (c2sp.org/age) with one scrypt stanza, which the `age` program opens too.

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

pub(super) fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

pub(super) fn seal(plain: &[u8], passphrase: SecretString) -> Result<Vec<u8>, Error> {
    let mut recipient = scrypt::Recipient::new(passphrase);
    recipient.set_work_factor(WORK_FACTOR);
    age::encrypt(&recipient, plain).map_err(|_| Error::Passphrase("the state could not be encrypted"))
}

pub(super) fn open(sealed: &[u8], passphrase: SecretString) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut identity = scrypt::Identity::new(passphrase);
    identity.set_max_work_factor(MAXIMUM_WORK_FACTOR);
    let decryptor = Decryptor::new_buffered(sealed).map_err(|_| Error::State)?;
    let mut plain = decryptor.decrypt(iter::once(&identity as _)).map_err(|error| match error {
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => Error::WrongPassphrase,
        DecryptError::ExcessiveWork { .. } => {
            Error::Passphrase("the state asks for more work than we ever write")
        }
        _ => Error::State,
    })?;
    // As long as the sealed bytes: it never grows, so that no copy of a key is left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(sealed.len()));
    plain.read_to_end(&mut bytes).map_err(|_| Error::State)?;
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

    #[test]
    fn only_the_passphrase_opens_it() {
        let sealed = sealed_with(2);
        assert!(is_sealed(&sealed) && !is_sealed(b"TRSS"));
        assert_eq!(*open(&sealed, SecretString::from("right")).unwrap(), b"keys");
        assert!(matches!(open(&sealed, SecretString::from("Right")), Err(Error::WrongPassphrase)));
    }

    #[test]
    fn damage_is_told_apart_from_a_wrong_passphrase() {
        let sealed = sealed_with(2);
        let mut damaged = sealed.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(matches!(open(&damaged, SecretString::from("right")), Err(Error::State)));
        assert!(matches!(open(&sealed[..sealed.len() - 1], SecretString::from("right")), Err(Error::State)));
        assert!(matches!(open(&sealed[..30], SecretString::from("right")), Err(Error::State)));
    }

    #[test]
    fn a_hostile_file_cannot_ask_for_endless_work() {
        let text = String::from_utf8_lossy(&sealed_with(2)).into_owned();
        let line = text.lines().find(|line| line.starts_with("-> scrypt ")).unwrap();
        let (at, ours) = (text.find(line).unwrap(), line.replace(" 2", " 30"));
        let hostile = [&sealed_with(2)[..at], ours.as_bytes(), &sealed_with(2)[at + line.len()..]].concat();
        let error = open(&hostile, SecretString::from("right")).unwrap_err();
        assert!(matches!(error, Error::Passphrase(_)), "{error}");
    }
}
