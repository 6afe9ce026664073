//! The secret key: N uniform bits.

use std::fmt;

use tiresias_keys::Parameters;
use zeroize::Zeroizing;

use crate::{Error, locked::LockedWords};

/// A request-scoped GLWE secret key: a polynomial s of N uniform bits in a locked page.
///
/// Not `Clone`, not serializable; `Debug` shows the parameter set alone. Dropping it wipes it.
///
/// ```compile_fail
/// fn needs_clone<T: Clone>() {}
/// needs_clone::<tiresias_secret_key::SecretKey>();
/// ```
pub struct SecretKey {
    parameters: &'static Parameters,
    /// N bits, packed: keys that wait for their answers stay within the limit of locked memory.
    packed: LockedWords,
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
        let mut packed = LockedWords::zeroed(n / 64)?;
        for (word, bytes) in packed.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Ok(Self { parameters, packed })
    }

    /// The key's bits, for a state file that its owner protects. They decrypt the request: write them to a file of
    /// mode 0600 or encrypt them, and nowhere else.
    #[must_use]
    pub fn export(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(vec![0; self.parameters.polynomial_size() / 8]);
        for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.packed.iter()) {
            *bytes = word.to_le_bytes();
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
        self.packed.is_locked()
    }

    /// The N bits as words 0 or 1, in locked pages of their own.
    pub(crate) fn bits(&self) -> Result<LockedWords, Error> {
        let mut bits = LockedWords::zeroed(self.parameters.polynomial_size())?;
        for (bits, word) in bits.as_chunks_mut::<64>().0.iter_mut().zip(self.packed.iter()) {
            for (position, bit) in bits.iter_mut().enumerate() {
                *bit = word >> position & 1;
            }
        }
        Ok(bits)
    }

    /// The transform of s, one copy of the bits for each prime, in locked pages of its own.
    pub(crate) fn transformed(&self) -> Result<LockedWords, Error> {
        let mut words = LockedWords::zeroed(self.parameters.polynomial_words())?;
        let bits = self.bits()?;
        for residues in words.chunks_exact_mut(bits.len()) {
            residues.copy_from_slice(&bits);
        }
        self.parameters.ring().forward(&mut words);
        Ok(words)
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
        let imported = SecretKey::import(&N2048_Q50, &bytes).unwrap();
        assert_eq!(imported.bits().unwrap()[..], key.bits().unwrap()[..]);
        assert_eq!(imported.export(), bytes);
        assert!(matches!(SecretKey::import(&N2048_Q50, &bytes[1..]), Err(Error::Length)));
    }

    #[test]
    fn keys_are_fresh_uniform_bits() {
        let (a, b) = (SecretKey::generate(&N2048_Q50).unwrap(), SecretKey::generate(&N2048_Q50).unwrap());
        let (a, b) = (a.bits().unwrap(), b.bits().unwrap());
        assert_ne!(a[..], b[..]);
        let ones: u64 = a.iter().sum();
        assert!((1024 - 300..1024 + 300).contains(&ones), "13 standard deviations off");
        assert!(a.iter().all(|&bit| bit < 2));
    }

    #[test]
    fn debug_shows_no_bit() {
        let shown = format!("{:?}", SecretKey::generate(&N2048_Q50).unwrap());
        assert_eq!(shown, "SecretKey { parameters: \"N2048_Q50\", .. }");
    }
}
