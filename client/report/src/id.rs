//! Identifiers of a report and of what it consists of: UUIDs, which FHIR writes as `urn:uuid:...` and DICOM as
//! `2.25....` (PS3.5 B.2). They are drawn at random or derived from others, and tell nothing of the patient.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::Error;

/// A UUID (RFC 9562).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Id(u128);

impl Id {
    /// Another one each time: version 4.
    pub fn random() -> Result<Self, Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|_| Error::Entropy)?;
        Ok(Self::of(bytes, 4))
    }

    /// The one that a text stands for, always the same: version 8, from SHA-256.
    #[must_use]
    pub fn named(text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(digest).for_each(|(byte, digest)| *byte = digest);
        Self::of(bytes, 8)
    }

    /// A part's, by its name.
    #[must_use]
    pub fn part(self, name: &str) -> Self {
        Self::named(&format!("{self}/{name}"))
    }

    fn of(bytes: [u8; 16], version: u128) -> Self {
        let variant = 0b10 << 62;
        let bits = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0b11 << 62);
        Self(bits | version << 76 | variant)
    }

    /// As a URI.
    #[must_use]
    pub fn urn(self) -> String {
        format!("urn:uuid:{self}")
    }

    /// As a DICOM UID.
    #[must_use]
    pub fn uid(self) -> String {
        format!("2.25.{}", self.0)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.0);
        let (a, b, c, d, e) = (&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]);
        write!(f, "{a}-{b}-{c}-{d}-{e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_their_version_and_both_forms() {
        assert_eq!(Id::of([0xff; 16], 4).to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        // The example of PS3.5 B.2.
        let example = Id(0xf81d_4fae_7dec_11d0_a765_00a0_c91e_6bf6);
        assert_eq!(example.urn(), "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
        assert_eq!(example.uid(), "2.25.329800735698586629295641978511506172918");
        assert_eq!(Id::of([0; 16], 4).to_string(), "00000000-0000-4000-8000-000000000000");
        assert!(Id::of([0xff; 16], 4).uid().len() <= 64);
    }

    #[test]
    fn parts_are_always_the_same_and_never_each_others() {
        let (one, two) = (Id::random().unwrap(), Id::random().unwrap());
        assert_eq!(one.part("series"), one.part("series"));
        assert_ne!(one.part("series"), one.part("instance"));
        assert_ne!(one.part("series"), two.part("series"));
        assert_eq!(one.part("series").to_string().as_bytes()[14], b'8');
    }
}
