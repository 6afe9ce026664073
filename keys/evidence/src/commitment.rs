//! What a leaf commits to, as hashes: the elements of a request and of its response, the response's randomness, a model.
//!
//! All of them are SHA-256, over parts of one fixed length or behind their lengths; `keys/WIRE.md`, section 14, has the same in
//! words.

use sha2::{Digest as _, Sha256};

use crate::Hash;

/// The hash of a request: of its elements' digests in order. The digest of an element is the one in its frame: SHA-256 of
/// all bytes before it.
#[must_use]
pub fn request<'a>(digests: impl IntoIterator<Item = &'a Hash>) -> Hash {
    digests.into_iter().fold(Sha256::new(), |hash, digest| hash.chain_update(digest)).finalize().into()
}

/// The hash of a response: of its elements in order, each behind its length, 64 bits, little-endian.
#[must_use]
pub fn response<'a>(elements: impl IntoIterator<Item = &'a [u8]>) -> Hash {
    let mut hash = Sha256::new();
    for element in elements {
        hash.update((element.len() as u64).to_le_bytes());
        hash.update(element);
    }
    hash.finalize().into()
}

/// The commitment to a response's seed.
#[must_use]
pub fn randomness(seed: &[u8; 32]) -> Hash {
    Sha256::new_with_prefix("tiresias/randomness/v1\0").chain_update(seed).finalize().into()
}

/// The salted digest of a model: of a secret salt of the gateway's and the SHA-256 of the stored weights.
#[must_use]
pub fn model(salt: &[u8; 32], weights: &Hash) -> Hash {
    Sha256::new_with_prefix("tiresias/model/v1\0").chain_update(salt).chain_update(weights).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_inputs_are_one() {
        let response = |elements: &[&[u8]]| response(elements.iter().copied());
        let hashes = [
            request([&[0; 32]]),
            request([&[0; 32], &[0; 32]]),
            response(&[]),
            response(&[b""]),
            response(&[b"ab"]),
            response(&[b"a", b"b"]),
            response(&[b"", b"ab"]),
            randomness(&[0; 32]),
            model(&[0; 32], &[1; 32]),
            model(&[1; 32], &[0; 32]),
        ];
        for (at, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..at].contains(hash), "{at}");
        }
    }
}
