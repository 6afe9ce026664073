//! Signed notes (c2sp.org/signed-note) with Ed25519, and cosignatures of witnesses (c2sp.org/tlog-cosignature, version 1).
//!
//! A note is a text, an empty line, and signature lines `— name base64(key id || signature)`. Lines of unknown keys are passed
//! over; a line that names a known key and does not verify is an error.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::Error;

pub mod secret;

/// The type of a key that signs notes.
const SIGNS: u8 = 1;
/// The type of a key that cosigns checkpoints.
const COSIGNS: u8 = 4;

/// The largest note that is read.
pub const MAXIMUM_NOTE_BYTES: usize = 64 << 10;

/// The most signature lines of a note.
const MAXIMUM_SIGNATURES: usize = 100;

const fn malformed(rule: &'static str) -> Error {
    Error::Malformed { what: "signed note", rule }
}

/// Names of keys are not empty, and have no white space and no plus sign.
fn check_name(name: &str) -> Result<(), Error> {
    let is_name =
        !name.is_empty() && name.len() <= 255 && !name.contains(|c: char| c.is_whitespace() || c == '+');
    if is_name { Ok(()) } else { Err(malformed("a key's name has no space and no plus sign")) }
}

fn key_id(name: &str, kind: u8, public: &[u8]) -> [u8; 4] {
    let hash = Sha256::new().chain_update(name).chain_update([b'\n', kind]).chain_update(public).finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// A key that signs. `Debug` shows its name alone.
pub struct LogKey {
    name: String,
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl LogKey {
    /// The key of a 32-byte seed, which must be secret and random. Errors where the name is not one.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, Error> {
        check_name(name)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Error::Key)?;
        Ok(Self { name: name.to_owned(), pair })
    }

    /// What verifies this key's notes.
    #[must_use]
    pub fn verifier(&self) -> NoteVerifier {
        self.verifier_of(SIGNS)
    }

    /// What verifies this key's cosignatures.
    #[must_use]
    pub fn cosignature_verifier(&self) -> NoteVerifier {
        self.verifier_of(COSIGNS)
    }

    fn verifier_of(&self, kind: u8) -> NoteVerifier {
        let public = self.pair.public_key().as_ref().to_vec();
        NoteVerifier { id: key_id(&self.name, kind, &public), name: self.name.clone(), kind, public }
    }

    /// A note of `text`, which ends in a line feed, with this key's signature.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        format!("{text}\n{}", self.signature_line(text))
    }

    /// This key's line for a note of `text`, to stand behind those of others.
    #[must_use]
    pub fn signature_line(&self, text: &str) -> String {
        let signature = self.pair.sign(text.as_bytes());
        self.verifier().line(signature.as_ref())
    }

    /// A witness's signature line for a checkpoint's text, at a time in seconds since 1970.
    #[must_use]
    pub fn cosign(&self, text: &str, time: u64) -> String {
        let signature = self.pair.sign(cosigned(text, time).as_bytes());
        self.cosignature_verifier().line(&[time.to_be_bytes().as_slice(), signature.as_ref()].concat())
    }
}

fn cosigned(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// A key that verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    kind: u8,
    id: [u8; 4],
    public: Vec<u8>,
}

impl NoteVerifier {
    /// Reads `name+hex(key id)+base64(type || public key)`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        const RULE: Error = malformed("a verifier key is name+id+base64 of an Ed25519 key");
        let mut parts = text.trim_end().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(RULE);
        };
        check_name(name)?;
        let key = STANDARD.decode(key).map_err(|_| RULE)?;
        let (&kind, public) = key.split_first().ok_or(RULE)?;
        if !matches!(kind, SIGNS | COSIGNS) || public.len() != 32 {
            return Err(RULE);
        }
        let verifier =
            Self { name: name.to_owned(), kind, id: key_id(name, kind, public), public: public.to_vec() };
        if hex::encode(verifier.id) == id { Ok(verifier) } else { Err(RULE) }
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is the key of a witness, which cosigns checkpoints, and not of a log.
    #[must_use]
    pub fn is_cosigner(&self) -> bool {
        self.kind == COSIGNS
    }

    /// Whether the two verify signatures of one key pair, whatever their names and kinds.
    #[must_use]
    pub fn has_key_of(&self, other: &Self) -> bool {
        self.public == other.public
    }

    fn line(&self, signature: &[u8]) -> String {
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode([&self.id, signature].concat()))
    }

    /// Verifies a signature, and gives the time of a cosignature.
    fn verify(&self, text: &str, signature: &[u8]) -> Result<Option<u64>, Error> {
        let key = UnparsedPublicKey::new(&ED25519, &self.public);
        if self.kind == SIGNS {
            return key.verify(text.as_bytes(), signature).map(|()| None).map_err(|_| Error::Signature);
        }
        let (time, signature) = signature.split_first_chunk::<8>().ok_or(Error::Signature)?;
        let time = u64::from_be_bytes(*time);
        key.verify(cosigned(text, time).as_bytes(), signature).map_err(|_| Error::Signature)?;
        Ok(Some(time))
    }
}

/// `name+id+base64`, as [`NoteVerifier::parse`] reads it.
impl std::fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = STANDARD.encode([&[self.kind], self.public.as_slice()].concat());
        write!(f, "{}+{}+{key}", self.name, hex::encode(self.id))
    }
}

/// A note whose form is right, and whose signatures are still to be verified.
#[derive(Debug, Clone, Copy)]
pub struct Note<'a> {
    text: &'a str,
    signatures: &'a str,
}

impl<'a> Note<'a> {
    /// Splits a note into its text and its signature lines.
    pub fn parse(note: &'a str) -> Result<Self, Error> {
        if note.len() > MAXIMUM_NOTE_BYTES {
            return Err(malformed("at most 64 KiB"));
        }
        if note.contains(|c: char| c.is_control() && c != '\n') {
            return Err(malformed("no control characters but line feeds"));
        }
        let at = note.rfind("\n\n").ok_or(malformed("a text, an empty line, and signatures"))?;
        let (text, signatures) = (&note[..=at], &note[at + 2..]);
        let lines = signatures.lines().count();
        if lines == 0 || lines > MAXIMUM_SIGNATURES || !signatures.ends_with('\n') {
            return Err(malformed("one to a hundred whole signature lines"));
        }
        let note = Self { text, signatures };
        note.lines().try_for_each(|line| line.map(|_| ()))?;
        Ok(note)
    }

    /// The text, which ends in a line feed.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The signature lines as they stand there.
    pub fn signature_lines(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.signatures.lines()
    }

    /// Name, key id and signature of each line.
    fn lines(&self) -> impl Iterator<Item = Result<(&'a str, [u8; 4], Vec<u8>), Error>> + use<'a> {
        const RULE: Error = malformed("a signature line is a dash, a name and base64");
        self.signatures.lines().map(|line| {
            let rest = line.strip_prefix("\u{2014} ").ok_or(RULE)?;
            let (name, signature) = rest.split_once(' ').ok_or(RULE)?;
            check_name(name)?;
            let bytes = STANDARD.decode(signature).map_err(|_| RULE)?;
            let (id, signature) = bytes.split_first_chunk::<4>().ok_or(RULE)?;
            Ok((name, *id, signature.to_vec()))
        })
    }

    /// Checks that `verifier` has signed, and gives the time of a cosignature.
    pub fn verify(&self, verifier: &NoteVerifier) -> Result<Option<u64>, Error> {
        let mut found = Err(Error::Signature);
        for line in self.lines() {
            let (name, id, signature) = line?;
            if name == verifier.name && id == verifier.id {
                found = Ok(verifier.verify(self.text, &signature)?);
            }
        }
        found
    }

    /// The signature lines of these keys. There must be one, and all of them must verify; lines of other keys are left out.
    pub fn signatures_of(&self, verifiers: &[NoteVerifier]) -> Result<String, Error> {
        let mut found = String::new();
        for (line, whole) in self.lines().zip(self.signatures.lines()) {
            let (name, id, signature) = line?;
            if let Some(known) = verifiers.iter().find(|key| key.name == name && key.id == id) {
                known.verify(self.text, &signature)?;
                [whole, "\n"].into_iter().for_each(|part| found.push_str(part));
            }
        }
        if found.is_empty() { Err(Error::Signature) } else { Ok(found) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of c2sp.org/signed-note.
    const VERIFIER: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    #[test]
    fn the_example_of_the_specification_verifies() {
        let verifier = NoteVerifier::parse(VERIFIER).unwrap();
        assert_eq!(verifier.to_string(), VERIFIER);
        let note = Note::parse(NOTE).unwrap();
        assert_eq!((note.text(), note.verify(&verifier)), ("This is an example message.\n", Ok(None)));
        let changed = NOTE.replace("example message", "example massage");
        assert_eq!(Note::parse(&changed).unwrap().verify(&verifier), Err(Error::Signature));
    }

    #[test]
    fn notes_and_cosignatures_round_trip() {
        let log = LogKey::from_seed("gateway.example/receipts", &[1; 32]).unwrap();
        let witness = LogKey::from_seed("witness.example/w1", &[2; 32]).unwrap();
        let text = "gateway.example/receipts\n5\nAAAA\n";
        let note = log.sign(text) + &witness.cosign(text, 1_763_923_000);
        let note = Note::parse(&note).unwrap();
        assert_eq!(note.verify(&log.verifier()), Ok(None));
        assert_eq!(note.verify(&witness.cosignature_verifier()), Ok(Some(1_763_923_000)));
        assert!(witness.cosignature_verifier().is_cosigner() && !witness.verifier().is_cosigner());
        // A key that signs is not one that cosigns, and the other way round.
        assert_eq!(note.verify(&witness.verifier()), Err(Error::Signature));
        assert_eq!(note.verify(&log.cosignature_verifier()), Err(Error::Signature));
        let other = LogKey::from_seed("gateway.example/receipts", &[3; 32]).unwrap();
        assert_eq!(note.verify(&other.verifier()), Err(Error::Signature));
    }

    #[test]
    fn lines_of_unknown_keys_are_left_out_and_a_false_line_of_a_known_key_refuses_the_note() {
        let key = |seed: u8| LogKey::from_seed("gateway.example/receipts", &[seed; 32]).unwrap();
        let text = "gateway.example/receipts\n5\nAAAA\n";
        let line = |key: &LogKey, text: &str| key.sign(text)[text.len() + 1..].to_owned();
        let (old, new, other) = (key(1), key(2), key(3));
        let known = [new.verifier(), old.verifier()];
        let of = |lines: &[String]| {
            let note = format!("{text}\n{}", lines.concat());
            Note::parse(&note).unwrap().signatures_of(&known)
        };
        let [old, new, other, false_line] = [
            line(&old, text),
            line(&new, text),
            line(&other, text),
            line(&old, "gateway.example/receipts\n6\nAAAA\n"),
        ];
        assert_eq!(of(&[other.clone(), old.clone(), new.clone()]), Ok(format!("{old}{new}")));
        assert_eq!(of(std::slice::from_ref(&new)), Ok(new.clone()));
        assert_eq!(of(std::slice::from_ref(&other)), Err(Error::Signature));
        assert_eq!(of(&[new, false_line]), Err(Error::Signature));
    }

    #[test]
    fn malformed_notes_and_keys_are_refused() {
        for bad in [
            "",
            "text\n",
            "text\n\n",
            "text\n\n\u{2014} a\n",
            "text\n\n- a AAAAAAAA\n",
            "t\r\n\n\u{2014} a AAAAAAAA\n",
        ] {
            assert!(Note::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Note::parse(&NOTE[..NOTE.len() - 1]).is_err());
        let line = NOTE.split_once("\n\n").unwrap().1;
        assert!(Note::parse(&format!("text\n\n{}", line.repeat(101))).is_err());
        for bad in [
            "",
            "a",
            "a+b",
            "a+00000000+AQ==",
            &VERIFIER.replace("530d903a", "530d903b"),
            "a b+530d903a+AA==",
        ] {
            assert!(NoteVerifier::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "a b", "a+b", "a\nb"] {
            assert!(LogKey::from_seed(bad, &[0; 32]).is_err());
        }
    }
}
