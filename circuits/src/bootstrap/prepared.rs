//! An evaluation key in the form that evaluation reads.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use tiresias_keys::{BootstrapParameters, EvaluationKey};

use super::{
    Kernel,
    kernel::{self, LANES},
    monomial::Monomials,
};

/// An evaluation key whose masks are expanded and whose polynomials are transformed. It serves any number of threads.
pub struct PreparedKey {
    number: u64,
    pub(super) parameters: &'static BootstrapParameters,
    pub(super) kernel: Kernel,
    pub(super) monomials: Monomials,
    /// The blind rotation: for each step, for each vector of eight transform values, for mask and body of the result,
    /// for each row of a GGSW, the vectors of the step's GGSWs. So a step reads its key in one stream.
    pub(super) rotation: Vec<u64>,
    /// For each row of the keyswitch its n mask words, then its body, modulo 2^32.
    pub(super) keyswitch: Vec<u32>,
}

impl PreparedKey {
    /// Expands and transforms a key, for the best kernel of this processor: a second or two on one core.
    #[must_use]
    pub fn new(key: &EvaluationKey) -> Self {
        Self::with_kernel(key, Kernel::detect())
    }

    /// As [`PreparedKey::new`], with a kernel that the caller chose.
    ///
    /// # Panics
    ///
    /// Where the modulus is not the prime that the kernels are made for: no parameter set has another.
    #[must_use]
    pub fn with_kernel(key: &EvaluationKey, kernel: Kernel) -> Self {
        Self::assemble(key.parameters(), kernel, transform_rotation(key), expand_keyswitch(key))
    }

    /// A key from what [`PreparedKey::rotation`] and [`PreparedKey::keyswitch_rows`] gave of another. `None` where the arrays
    /// have another length than the parameters ask for.
    #[must_use]
    pub fn from_parts(
        parameters: &'static BootstrapParameters,
        rotation: Vec<u64>,
        keyswitch: Vec<u32>,
    ) -> Option<Self> {
        let fits = rotation.len() == parameters.rotation_residues()
            && keyswitch.len() == parameters.keyswitch_words();
        fits.then(|| Self::assemble(parameters, Kernel::detect(), rotation, keyswitch))
    }

    fn assemble(
        parameters: &'static BootstrapParameters,
        kernel: Kernel,
        rotation: Vec<u64>,
        keyswitch: Vec<u32>,
    ) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        assert_eq!(parameters.glwe().primes(), [kernel::Q]);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let monomials = Monomials::new(parameters.glwe());
        Self { number, parameters, kernel, monomials, rotation, keyswitch }
    }

    /// Bytes of memory that any prepared key of these parameters takes.
    #[must_use]
    pub fn bytes(parameters: &BootstrapParameters) -> usize {
        8 * parameters.rotation_residues() + 4 * parameters.keyswitch_words()
    }

    /// A number that no other prepared key of this process has: by it a device knows what it holds.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The key of the blind rotation, in the ring's transform domain and divided by N, as residues: for each step, for each
    /// vector of eight values, for mask and body of the result, for each row of a GGSW (level by level, the digits of the
    /// mask before those of the body), the vectors of the step's GGSWs. N values a polynomial.
    #[must_use]
    pub fn rotation(&self) -> &[u64] {
        &self.rotation
    }

    /// The key of the keyswitch: for each coefficient and level n mask words, then the body, modulo 2^32.
    #[must_use]
    pub fn keyswitch_rows(&self) -> &[u32] {
        &self.keyswitch
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

fn transform_rotation(key: &EvaluationKey) -> Vec<u64> {
    let parameters = key.parameters();
    let ring = parameters.glwe().ring();
    let n = parameters.glwe().polynomial_size();
    let (ggsws, rows) = (parameters.ggsw_per_step(), parameters.rows_per_ggsw());
    let per_step = ggsws * rows;
    let mut prepared = vec![0; parameters.rotation_residues()];
    for (index, body) in key.rotation_bodies().enumerate() {
        let mask = EvaluationKey::rotation_mask(parameters, key.seed(), index);
        let (step, ggsw, row) = (index / per_step, index / rows % ggsws, index % rows);
        let step = &mut prepared[step * per_step * 2 * n..][..per_step * 2 * n];
        for (component, mut polynomial) in [mask, body.to_vec()].into_iter().enumerate() {
            ring.forward(&mut polynomial);
            ring.normalize(&mut polynomial);
            let vectors = polynomial.as_chunks::<LANES>().0;
            for (places, vector) in step.chunks_exact_mut(2 * per_step * LANES).zip(vectors) {
                let place = ((component * rows + row) * ggsws + ggsw) * LANES;
                places[place..place + LANES].copy_from_slice(vector);
            }
        }
    }
    prepared
}

fn expand_keyswitch(key: &EvaluationKey) -> Vec<u32> {
    let parameters = key.parameters();
    let mut words = Vec::with_capacity(parameters.keyswitch_words());
    let levels = parameters.keyswitch().levels;
    for (coefficient, bodies) in key.keyswitch_bodies().chunks_exact(levels).enumerate() {
        let masks = EvaluationKey::keyswitch_masks(parameters, key.seed(), coefficient);
        for (mask, &body) in masks.chunks_exact(parameters.lwe_dimension()).zip(bodies) {
            words.extend_from_slice(mask);
            words.push(body);
        }
    }
    words
}
