//! The secret key: N uniform bits.

use std::fmt;

use tiresias_keys::Parameters;
use zeroize::Zeroizing;

use crate::{Error, locked::LockedWords};

/// A request-scoped GLWE secret key: a polynomial s of N uniform bits, with its transform, in locked pages.
///
/// Not `Clone`, not serializable; `Debug` shows the parameter set alone. Dropping it wipes it.
///
/// ```compile_fail
/// fn needs_clone<T: Clone>() {}
/// needs_clone::<tiresias_secret_key::SecretKey>();
/// ```
pub struct SecretKey {
    parameters: &'static Parameters,
    /// N bits as words 0 or 1, then the N words of their transform.
    words: LockedWords,
}

impl SecretKey {
    /// Draws a fresh key from the operating system's entropy.
    #[inline(never)] // a named entry point: the wall checks look for it in the client's symbols
    pub fn generate(parameters: &'static Parameters) -> Result<Self, Error> {
        let mut bytes = Zeroizing::new(vec![0; parameters.polynomial_size() / 8]);
        getrandom::fill(&mut bytes)?;
        Self::import(parameters, &bytes)
    }

    /// Reads the bytes that [`SecretKey::export`] wrote: N/8 bytes, bit i being bit i mod 8 of byte i div 8.
    pub fn import(parameters: &'static Parameters, bytes: &[u8]) -> Result<Self, Error> {
        let n = parameters.polynomial_size();
        if bytes.len() != n / 8 {
            return Err(Error::Length);
        }
        let mut words = LockedWords::zeroed(2 * n)?;
        let (bits, transformed) = words.split_at_mut(n);
        for (i, bit) in bits.iter_mut().enumerate() {
            *bit = u64::from(bytes[i / 8] >> (i % 8) & 1);
        }
        transformed.copy_from_slice(bits);
        parameters.ring().forward(transformed);
        Ok(Self { parameters, words })
    }

    /// The key's bits, for a state file that its owner protects. They decrypt the request: write them to a file of
    /// mode 0600 or encrypt them, and nowhere else.
    #[must_use]
    pub fn export(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(vec![0; self.parameters.polynomial_size() / 8]);
        for (byte, bits) in bytes.iter_mut().zip(self.bits().as_chunks::<8>().0) {
            *byte = bits.iter().rev().fold(0, |byte, &bit| byte << 1 | bit as u8);
        }
        bytes
    }

    /// The parameter set.
    #[must_use]
    pub fn parameters(&self) -> &'static Parameters {
        self.parameters
    }

    /// Whether the operating system agreed to keep the key's pages out of swap.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.words.is_locked()
    }

    pub(crate) fn bits(&self) -> &[u64] {
        &self.words[..self.parameters.polynomial_size()]
    }

    pub(crate) fn transformed(&self) -> &[u64] {
        &self.words[self.parameters.polynomial_size()..]
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("parameters", &self.parameters.name()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tiresias_keys::parameters::N2048_Q50;

    use super::*;

    #[test]
    fn export_and_import_round_trip_and_check_the_length() {
        let key = SecretKey::generate(&N2048_Q50).unwrap();
        let bytes = key.export();
        assert_eq!(SecretKey::import(&N2048_Q50, &bytes).unwrap().bits(), key.bits());
        assert!(matches!(SecretKey::import(&N2048_Q50, &bytes[1..]), Err(Error::Length)));
    }

    #[test]
    fn keys_are_fresh_uniform_bits() {
        let (a, b) = (SecretKey::generate(&N2048_Q50).unwrap(), SecretKey::generate(&N2048_Q50).unwrap());
        assert_ne!(a.bits(), b.bits());
        let ones: u64 = a.bits().iter().sum();
        assert!((1024 - 300..1024 + 300).contains(&ones), "13 standard deviations off");
        assert!(a.bits().iter().all(|&bit| bit < 2));
    }

    #[test]
    fn debug_shows_no_bit() {
        let shown = format!("{:?}", SecretKey::generate(&N2048_Q50).unwrap());
        assert_eq!(shown, "SecretKey { parameters: \"N2048_Q50\", .. }");
    }
}
