//! The evaluation key: what a gateway needs to bootstrap, made from a long-lived secret key.

use crate::{
    BootstrapParameters, Seed,
    xof::{Role, Xof},
};

/// A seeded evaluation key: bodies alone, their masks are expanded from the seed.
///
/// With S the GLWE key, z the LWE key, q the prime, and GLWE(m) = (a, a*S + e + m):
///
/// - *Blind rotation*: for step i, for each GGSW of the step, for each level j (from 0), two GLWE bodies: of -m * S * G_j,
///   then of m * G_j, where G_j = 2^(50 - base_log * (j + 1)). For g = 1 the one GGSW of step i has m = z_i. For g = 2 the
///   four GGSWs of step i have m = 1 where (z_2i, z_2i+1) is (0,0), (1,0), (0,1), (1,1), in this order, else 0.
/// - *Keyswitch*: for coefficient i of S, for level j (from 0), the LWE body, modulo 2^32, of S_i * 2^(32 - base_log * (j + 1)).
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationKey {
    pub(crate) parameters: &'static BootstrapParameters,
    pub(crate) seed: Seed,
    pub(crate) rotation: Vec<u64>,
    pub(crate) keyswitch: Vec<u32>,
}

impl EvaluationKey {
    /// Assembles a key from its bodies.
    ///
    /// # Panics
    ///
    /// Where their number is not that of the parameter set.
    #[must_use]
    pub fn new(
        parameters: &'static BootstrapParameters,
        seed: Seed,
        rotation: Vec<u64>,
        keyswitch: Vec<u32>,
    ) -> Self {
        assert_eq!(rotation.len(), parameters.rotation_rows() * parameters.glwe().polynomial_size());
        assert_eq!(keyswitch.len(), parameters.keyswitch_rows());
        Self { parameters, seed, rotation, keyswitch }
    }

    /// The parameter set.
    #[must_use]
    pub fn parameters(&self) -> &'static BootstrapParameters {
        self.parameters
    }

    /// The public seed of all masks.
    #[must_use]
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// The bodies of the blind rotation, N residues each: [`BootstrapParameters::rotation_rows`] of them.
    pub fn rotation_bodies(&self) -> impl ExactSizeIterator<Item = &[u64]> {
        self.rotation.chunks_exact(self.parameters.glwe().polynomial_size())
    }

    /// The mask of one row of the blind rotation: N residues.
    #[must_use]
    pub fn rotation_mask(parameters: &BootstrapParameters, seed: &Seed, row: usize) -> Vec<u64> {
        Xof::evaluation_key(parameters, Role::RotationMask, row as u32, seed).uniform(parameters.glwe())
    }

    /// The bodies of the keyswitch, the levels of one coefficient after the other.
    #[must_use]
    pub fn keyswitch_bodies(&self) -> &[u32] {
        &self.keyswitch
    }

    /// The masks of one coefficient's levels, n words modulo 2^32 each.
    #[must_use]
    pub fn keyswitch_masks(parameters: &BootstrapParameters, seed: &Seed, coefficient: usize) -> Vec<u32> {
        let mut masks = vec![0; parameters.keyswitch().levels * parameters.lwe_dimension()];
        Xof::evaluation_key(parameters, Role::KeyswitchMask, coefficient as u32, seed)
            .uniform_words(&mut masks);
        masks
    }
}
