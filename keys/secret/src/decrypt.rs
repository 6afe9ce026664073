//! Decryption: the phase of each score coefficient.

use std::fmt;

use tiresias_keys::{EncryptedScores, ResponseShape, cohort::N2048_C52, ring::integers::Integers};
use zeroize::Zeroizing;

use crate::{Error, LongLivedKey, SecretKey};

/// From so many coefficients a group on, the whole product is faster than one sum for each coefficient.
const WHOLE: usize = 64;

/// Decrypted phases modulo 2^r, one per class: score * 2^(r-t) plus noise. Wiped on drop, redacted in `Debug`.
pub struct Phases(Zeroizing<Vec<u64>>);

impl Phases {
    /// The phases, in class order.
    #[must_use]
    pub fn as_slice(&self) -> &[u64] {
        &self.0
    }
}

impl fmt::Debug for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Phases").finish_non_exhaustive()
    }
}

impl SecretKey {
    /// Computes body - mask*s modulo 2^r at each score coefficient, and drops the key: a request-scoped key decrypts
    /// one response. The score coefficients of a group lie at positions D-1, 2D-1, ... of the shape's blocks.
    ///
    /// Runs in the same time for every key and response of one shape. Errors only where no memory can be mapped.
    #[inline(never)] // a named entry point: the wall checks look for it in the client's symbols
    pub fn decrypt(self, scores: &EncryptedScores, shape: &ResponseShape) -> Result<Phases, Error> {
        self.phases(scores, shape)
    }

    fn phases(&self, scores: &EncryptedScores, shape: &ResponseShape) -> Result<Phases, Error> {
        let modulus_mask = (1_u64 << shape.modulus_bits) - 1;
        let mut phases = Zeroizing::new(Vec::with_capacity(shape.classes));
        if shape.classes_per_group >= WHOLE && self.parameters() == N2048_C52.glwe() {
            let (integers, secret) = (Integers::get(), self.transformed_for_integers()?);
            for group in scores.groups() {
                let product = Zeroizing::new(integers.product(&integers.left(&group.mask), &secret));
                let products = product.iter().skip(shape.block - 1).step_by(shape.block);
                let bodies = group.body.iter().zip(products);
                phases
                    .extend(bodies.map(|(&body, &product)| body.wrapping_sub(product as u64) & modulus_mask));
            }
            return Ok(Phases(phases));
        }
        let bits = self.bits()?;
        for group in scores.groups() {
            phases.extend(group.body.iter().enumerate().map(|(class, &body)| {
                let position = (class + 1) * shape.block - 1;
                body.wrapping_sub(negacyclic_coefficient(&group.mask, &bits, position)) & modulus_mask
            }));
        }
        Ok(Phases(phases))
    }
}

impl LongLivedKey {
    /// As [`SecretKey::decrypt`], and keeps the key: it decrypts many responses. What becomes known of their outcomes outside
    /// of the clinic may help an attacker who shapes them, so the key is rotated (see SECURITY.md).
    #[inline(never)] // a named entry point: the wall checks look for it in the client's symbols
    pub fn decrypt(&self, scores: &EncryptedScores, shape: &ResponseShape) -> Result<Phases, Error> {
        self.glwe().phases(scores, shape)
    }
}

/// Coefficient `position` of mask * bits in Z\[X\]/(X^N + 1), modulo 2^64. No branch depends on a bit.
fn negacyclic_coefficient(mask: &[u64], bits: &[u64], position: usize) -> u64 {
    let dot = |mask: &[u64], bits: &[u64]| {
        mask.iter().rev().zip(bits).fold(0_u64, |sum, (&a, &s)| sum.wrapping_add(a & s.wrapping_neg()))
    };
    let (low, high) = (position + 1, &bits[position + 1..]);
    dot(&mask[..low], &bits[..low]).wrapping_sub(dot(&mask[low..], high))
}

/// What must never leave the client's machine.
pub mod danger {
    use super::{EncryptedScores, Error, Phases, ResponseShape, SecretKey};

    /// Decrypts without consuming the key. For tests and benches that look at noise: a key that decrypts more than
    /// one response is exposed to reaction attacks, and decryption noise reveals the key.
    pub fn decrypt_and_keep(
        key: &SecretKey,
        scores: &EncryptedScores,
        shape: &ResponseShape,
    ) -> Result<Phases, Error> {
        key.phases(scores, shape)
    }
}

#[cfg(test)]
mod tests {
    use tiresias_keys::{ConfigId, Digest, ResponseGroup, parameters::N2048_Q50};

    use super::*;

    #[test]
    fn whole_products_give_the_phases_of_single_coefficients() {
        let key = SecretKey::generate(&N2048_Q50).unwrap();
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 27
        };
        for (block, coefficients) in [(1, 2048), (1, 64), (30, 68)] {
            let mut polynomial = |count: usize| (0..count).map(|_| next()).collect::<Vec<u64>>();
            let group = ResponseGroup { mask: polynomial(2048), body: polynomial(coefficients) };
            let bits = key.bits().unwrap();
            let expected = group.body.iter().enumerate().map(|(class, body)| {
                let product = negacyclic_coefficient(&group.mask, &bits, (class + 1) * block - 1);
                body.wrapping_sub(product) & ((1 << 37) - 1)
            });
            let expected: Vec<u64> = expected.collect();
            let shape = ResponseShape {
                parameters: &N2048_Q50,
                rerandomized: true,
                modulus_bits: 37,
                classes: coefficients,
                classes_per_group: coefficients,
                block,
            };
            let scores =
                EncryptedScores::new(ConfigId::of_card(b"card"), Digest::of(b"request"), vec![group]);
            assert_eq!(key.phases(&scores, &shape).unwrap().as_slice(), expected);
        }
    }

    #[test]
    fn coefficients_are_those_of_the_definition() {
        let (mask, bits) = ([10_u64, 20, 30, 40], [1_u64, 0, 1, 1]);
        // (10 + 20X + 30X^2 + 40X^3)(1 + X^2 + X^3) with X^4 = -1
        let expected = [10 - 30 - 20, 20 - 40 - 30, 30 + 10 - 40, 40 + 20 + 10_i64];
        for (position, &value) in expected.iter().enumerate() {
            assert_eq!(negacyclic_coefficient(&mask, &bits, position), value as u64);
        }
    }
}
