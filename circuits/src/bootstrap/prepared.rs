//! An evaluation key in the form that evaluation reads.

use std::fmt;

use tiresias_keys::{BootstrapParameters, EvaluationKey};

/// An evaluation key whose masks are expanded and whose polynomials are transformed. It serves any number of threads.
pub struct PreparedKey {
    parameters: &'static BootstrapParameters,
    /// For each row of the blind rotation its mask, then its body: N transform values each, divided by N.
    rotation: Vec<u64>,
    /// For each row of the keyswitch its n mask words, then its body, modulo 2^32.
    keyswitch: Vec<u32>,
}

impl PreparedKey {
    /// Expands and transforms a key: some seconds on one core.
    #[must_use]
    pub fn new(key: &EvaluationKey) -> Self {
        let parameters = key.parameters();
        let ring = parameters.glwe().ring();
        let mut rotation = Vec::with_capacity(Self::rotation_words(parameters));
        for (row, body) in key.rotation_bodies().enumerate() {
            let mask = EvaluationKey::rotation_mask(parameters, key.seed(), row);
            for polynomial in [mask.as_slice(), body] {
                let start = rotation.len();
                rotation.extend_from_slice(polynomial);
                ring.forward(&mut rotation[start..]);
                ring.normalize(&mut rotation[start..]);
            }
        }
        let mut keyswitch = Vec::with_capacity(Self::keyswitch_words(parameters));
        let levels = parameters.keyswitch().levels;
        for (coefficient, bodies) in key.keyswitch_bodies().chunks_exact(levels).enumerate() {
            let masks = EvaluationKey::keyswitch_masks(parameters, key.seed(), coefficient);
            for (mask, &body) in masks.chunks_exact(parameters.lwe_dimension()).zip(bodies) {
                keyswitch.extend_from_slice(mask);
                keyswitch.push(body);
            }
        }
        Self { parameters, rotation, keyswitch }
    }

    /// Bytes of memory that any prepared key of these parameters takes.
    #[must_use]
    pub fn bytes(parameters: &BootstrapParameters) -> usize {
        8 * Self::rotation_words(parameters) + 4 * Self::keyswitch_words(parameters)
    }

    fn rotation_words(parameters: &BootstrapParameters) -> usize {
        parameters.rotation_rows() * 2 * parameters.glwe().polynomial_size()
    }

    fn keyswitch_words(parameters: &BootstrapParameters) -> usize {
        parameters.keyswitch_rows() * (parameters.lwe_dimension() + 1)
    }

    /// The parameter set.
    #[must_use]
    pub fn parameters(&self) -> &'static BootstrapParameters {
        self.parameters
    }
}

impl fmt::Debug for PreparedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedKey").field("parameters", &self.parameters.name()).finish_non_exhaustive()
    }
}
