//! Keys that sign, as text: `PRIVATE+KEY+name+id+base64(type || seed)`, the form of Go's `sumdb/note`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{COSIGNS, LogKey, SIGNS};
use crate::Error;

/// What a key is for. It stands in its text, so that a log's key and a witness's are never taken for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A log's: it signs notes.
    Sign,
    /// A witness's: it cosigns checkpoints.
    Cosign,
}

impl Purpose {
    fn kind(self) -> u8 {
        match self {
            Self::Sign => SIGNS,
            Self::Cosign => COSIGNS,
        }
    }
}

/// The line of the key of this name and seed.
pub fn encode(purpose: Purpose, name: &str, seed: &[u8; 32]) -> Result<Zeroizing<String>, Error> {
    let id = hex::encode(LogKey::from_seed(name, seed)?.verifier_of(purpose.kind()).id);
    let bytes = Zeroizing::new([&[purpose.kind()], seed.as_slice()].concat());
    let encoded = Zeroizing::new(STANDARD.encode(&*bytes));
    Ok(Zeroizing::new(format!("PRIVATE+KEY+{name}+{id}+{}\n", &*encoded)))
}

/// The key of a line that [`encode`] made; its line feed may be missing.
pub fn decode(purpose: Purpose, line: &str) -> Result<LogKey, Error> {
    let text = line.strip_suffix('\n').unwrap_or(line);
    let mut parts = text.strip_prefix("PRIVATE+KEY+").ok_or(Error::Key)?.splitn(3, '+');
    let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Error::Key);
    };
    let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| Error::Key)?);
    let (&kind, seed) = bytes.split_first().ok_or(Error::Key)?;
    let seed = seed.try_into().ok().filter(|_| kind == purpose.kind()).ok_or(Error::Key)?;
    let key = LogKey::from_seed(name, seed).map_err(|_| Error::Key)?;
    if hex::encode(key.verifier_of(kind).id) == id { Ok(key) } else { Err(Error::Key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_are_for_one_purpose() {
        for (purpose, other) in [(Purpose::Sign, Purpose::Cosign), (Purpose::Cosign, Purpose::Sign)] {
            let line = encode(purpose, "witness.example/w1", &[7; 32]).unwrap();
            let text = line.trim_end();
            let key = decode(purpose, text).unwrap();
            assert_eq!(decode(purpose, &line).unwrap().verifier(), key.verifier());
            assert_eq!(key.verifier(), LogKey::from_seed("witness.example/w1", &[7; 32]).unwrap().verifier());
            assert_eq!(decode(other, &line).unwrap_err(), Error::Key);
            for at in 0..text.len() {
                let mut bytes = text.to_owned().into_bytes();
                bytes[at] ^= 1;
                let Ok(flipped) = String::from_utf8(bytes) else { continue };
                assert!(decode(purpose, &flipped).is_err(), "byte {at}");
                assert!(decode(purpose, &text[..at]).is_err(), "byte {at}");
            }
        }
        for bad in ["", "a b", "a+b"] {
            assert!(encode(Purpose::Sign, bad, &[0; 32]).is_err(), "{bad}");
        }
    }
}
