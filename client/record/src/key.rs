//! Who can seal rows, and who can open them and decide: an age X25519 key pair (c2sp.org/age). The public key lies open in the
//! record; the secret one lies there under a passphrase, and that is not this crate's business.

use std::{fmt, io::Read as _, iter, str::FromStr as _};

use age::{
    Decryptor,
    secrecy::{ExposeSecret as _, SecretString},
    x25519,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{Error, row::MAXIMUM_SEALED_BYTES};

/// What separates the key of decisions from all else that is made of the secret key.
const DECISIONS: &[u8] = b"tiresias-record/v1 decisions";

/// The public key of a record.
#[derive(Clone)]
pub struct Recipient(x25519::Recipient);

impl Recipient {
    /// Reads `age1...`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        x25519::Recipient::from_str(text).map(Self).map_err(|_| Error::NotARecord)
    }

    pub(crate) fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        age::encrypt(&self.0, plain).map_err(|_| Error::Seal)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The secret key of a record: it opens rows and authenticates decisions. `Debug` shows nothing of it.
pub struct Key {
    identity: x25519::Identity,
    decisions: Zeroizing<[u8; 32]>,
}

impl Key {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self::new(x25519::Identity::generate())
    }

    /// Reads what [`Key::text`] gave.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(text).map_err(|_| Error::OtherKey)?;
        x25519::Identity::from_str(text).map(Self::new).map_err(|_| Error::OtherKey)
    }

    /// `AGE-SECRET-KEY-1...`, to be put under a passphrase.
    #[must_use]
    pub fn text(&self) -> SecretString {
        self.identity.to_string()
    }

    /// The public one.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        Recipient(self.identity.to_public())
    }

    fn new(identity: x25519::Identity) -> Self {
        let mut mac = mac(identity.to_string().expose_secret().as_bytes());
        mac.update(DECISIONS);
        Self { decisions: Zeroizing::new(mac.finalize().into_bytes().into()), identity }
    }

    pub(crate) fn open(&self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut plain =
            Decryptor::new_buffered(sealed).ok()?.decrypt(iter::once(&self.identity as _)).ok()?;
        // As long as the sealed bytes: it never grows, so that no copy of it is left behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(sealed.len().min(MAXIMUM_SEALED_BYTES)));
        plain.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// What only this key says of a decision in this row, behind the row with this hash.
    pub(crate) fn authenticate(&self, before: &[u8; 32], row: u64, decision: &[u8]) -> [u8; 32] {
        self.mac_of(before, row, decision).finalize().into_bytes().into()
    }

    pub(crate) fn has_authenticated(&self, before: &[u8; 32], row: u64, decision: &[u8], tag: &[u8]) -> bool {
        self.mac_of(before, row, decision).verify_slice(tag).is_ok()
    }

    fn mac_of(&self, before: &[u8; 32], row: u64, decision: &[u8]) -> Hmac<Sha256> {
        let mut mac = mac(&*self.decisions);
        mac.update(before);
        mac.update(&row.to_be_bytes());
        mac.update(decision);
        mac
    }
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}
