//! What a leaf commits to, as hashes: the elements of a request and of its response, the response's randomness, a model.
//!
//! All of them are SHA-256, over parts of one fixed length or behind their lengths; `keys/WIRE.md`, section 14, has the same in
//! words.

use sha2::{Digest as _, Sha256};

use crate::Hash;

/// Bytes of a frame behind what its digest covers: the digest and the end mark.
const TRAILER: usize = 33;

/// The digest of an element: that in its frame, which is SHA-256 of all bytes before it. `None` where it is not, or the end
/// mark behind it is not 1.
#[must_use]
pub fn digest(element: &[u8]) -> Option<Hash> {
    let (covered, trailer) = element.split_at_checked(element.len().checked_sub(TRAILER)?)?;
    let digest: Hash = Sha256::digest(covered).into();
    (trailer.strip_prefix(&digest) == Some(&[1])).then_some(digest)
}

/// The hash of a request, or of a response: of its elements' digests in order. Whoever has the elements takes their digests by
/// [`digest`], never as they stand there.
#[must_use]
pub fn elements<'a>(digests: impl IntoIterator<Item = &'a Hash>) -> Hash {
    digests.into_iter().fold(Sha256::new(), |hash, digest| hash.chain_update(digest)).finalize().into()
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
        let hashes = [
            elements([]),
            elements([&[0; 32]]),
            elements([&[0; 32], &[0; 32]]),
            elements([&[0; 32], &[1; 32]]),
            elements([&[1; 32], &[0; 32]]),
            randomness(&[0; 32]),
            model(&[0; 32], &[1; 32]),
            model(&[1; 32], &[0; 32]),
        ];
        for (at, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..at].contains(hash), "{at}");
        }
    }

    #[test]
    fn a_digest_is_taken_of_the_bytes_and_not_as_it_stands_there() {
        let frame = [b"frame".as_slice(), &Sha256::digest(b"frame"), &[1]].concat();
        assert_eq!(digest(&frame), Some(Sha256::digest(b"frame").into()));
        for at in 0..frame.len() {
            let mut changed = frame.clone();
            changed[at] ^= 1;
            assert_eq!(digest(&changed), None, "{at}");
            assert_eq!(digest(&frame[..at]), None, "{at}");
        }
    }
}
