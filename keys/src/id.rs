//! 32-byte identifiers. An id is the SHA-256 of canonical bytes; a seed is 32 bytes of entropy.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::{Error, Parameters};

macro_rules! bytes32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Wraps 32 bytes.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Parses 64 lowercase hexadecimal digits, or errors with [`Error::Id`].
            pub fn from_hex(text: &str) -> Result<Self, Error> {
                let mut bytes = [0; 32];
                let lowercase = !text.bytes().any(|byte| byte.is_ascii_uppercase());
                match hex::decode_to_slice(text, &mut bytes) {
                    Ok(()) if lowercase => Ok(Self(bytes)),
                    _ => Err(Error::Id),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

bytes32! {
    /// SHA-256 of a circuit card's bytes exactly as served; its HTTP ETag.
    ConfigId
}
bytes32! {
    /// Names one key. For a request-scoped key see [`KeyId::request_scoped`].
    KeyId
}
bytes32! {
    /// A SHA-256 digest.
    Digest
}
bytes32! {
    /// 32 public bytes of entropy, from which masks are expanded. Secret ones are an [`crate::xof::SecretSeed`].
    Seed
}

impl ConfigId {
    /// The id of a circuit card.
    #[must_use]
    pub fn of_card(card: &[u8]) -> Self {
        Self(Sha256::digest(card).into())
    }
}

impl KeyId {
    /// The id of a key that lives for one request: SHA-256("tiresias/key/v2 " || code || seed), where `seed` is the
    /// client's public seed in that request.
    #[must_use]
    pub fn request_scoped(parameters: &Parameters, seed: &Seed) -> Self {
        let hash = Sha256::new()
            .chain_update(b"tiresias/key/v2 ")
            .chain_update([parameters.code()])
            .chain_update(seed.as_bytes());
        Self(hash.finalize().into())
    }

    /// The id of an evaluation key: SHA-256 of its whole frame, trailer included, as `sha256sum` prints it.
    #[must_use]
    pub fn of_evaluation_key(frame: &[u8]) -> Self {
        Self(Sha256::digest(frame).into())
    }
}

impl Digest {
    /// SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_refuses_other_spellings() {
        let id = ConfigId::of_card(b"card");
        assert_eq!(ConfigId::from_hex(&id.to_string()), Ok(id));
        for bad in ["", "00", &id.to_string().to_uppercase(), &format!("{id}00"), &"g".repeat(64)] {
            assert_eq!(ConfigId::from_hex(bad), Err(Error::Id));
        }
    }
}
