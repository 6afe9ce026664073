//! Cohorts: many patients at once, one ciphertext a feature. Start at [`PreparedCohort::evaluate`].
//!
//! Patient i lies in coefficient i, so a class's scores are sums of bodies times weights, coefficient by coefficient, and no
//! transform is needed but for re-randomization. The masks of a run are the same in each of its blocks, so their sums
//! ([`MaskSums`]) are computed once a run: what is left for a block is its bodies.

mod kernel;

use tiresias_keys::{
    CohortRun, ConfigId, EncryptedCohort, EncryptedScores, KeyId, ResponseGroup, Seed,
    xof::{Role, SecretSeed, Xof},
};

pub use self::kernel::Kernel;
use self::kernel::{CLASSES, Planes};
use crate::{
    Error, QuantizedHead,
    evaluate::randomness::{Ciphertext, Randomness},
    modulus::ModulusSwitch,
    plan::CohortPlan,
    scores::encode_in,
};

/// Features whose masks are expanded at once, 4 MiB.
const MASKS_AT_ONCE: usize = 256;

/// Planes of 16 bits that hold a mask's coefficient.
const MASK_PLANES: usize = 4;

/// A head ready to score cohorts. Private to the model owner.
pub struct PreparedCohort {
    plan: CohortPlan,
    config: ConfigId,
    gateway_seed: Seed,
    weights: Weights,
    /// Encoded, one a class.
    biases: Vec<u64>,
    switch: ModulusSwitch,
    kernel: Kernel,
}

/// Weights as the kernel reads them.
struct Weights {
    pairs: usize,
    /// For each block of classes and pair of features, both weights of each class in one word.
    words: Vec<[i32; CLASSES]>,
    /// The sum of each class's weights.
    totals: Vec<i64>,
}

/// The sums of a run's masks times the weights of each class, modulo q: K polynomials.
pub struct MaskSums {
    run: Seed,
    polynomials: Vec<Vec<u64>>,
}

impl std::fmt::Debug for PreparedCohort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedCohort").field("config", &self.config).finish_non_exhaustive()
    }
}

/// They give the weights away, so nothing of them is shown.
impl std::fmt::Debug for MaskSums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MaskSums").field("run", &self.run).finish_non_exhaustive()
    }
}

impl MaskSums {
    /// Bytes of memory that they take.
    #[must_use]
    pub fn size(&self) -> usize {
        self.polynomials.iter().map(|polynomial| polynomial.len() * 8).sum()
    }
}

impl PreparedCohort {
    /// Prepares a head with the plan of its own shape.
    #[must_use]
    pub fn new(head: &QuantizedHead, plan: CohortPlan, config: ConfigId, gateway_seed: Seed) -> Self {
        assert_eq!(head.shape(), plan.shape(), "a head is prepared with the plan of its own shape");
        let glwe = plan.parameters().glwe();
        let encoded: Vec<i128> =
            head.bias().iter().map(|&bias| encode_in(glwe, plan.plaintext_bits(), bias)).collect();
        Self {
            plan,
            config,
            gateway_seed,
            weights: Weights::new(head.weight(), head.shape().features),
            biases: glwe.ring().reduce(&encoded),
            switch: ModulusSwitch::new(glwe, plan.response_bits()),
            kernel: Kernel::detect(),
        }
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &CohortPlan {
        &self.plan
    }

    /// Computes with this kernel, for tests and for who wants to compare. All give the same bytes.
    #[must_use]
    pub fn with_kernel(self, kernel: Kernel) -> Self {
        Self { kernel, ..self }
    }

    /// Expands the masks of a run and sums them: about as much work as a block and a third.
    #[must_use]
    pub fn mask_sums(&self, run: &Seed) -> MaskSums {
        let parameters = self.plan.parameters();
        let (n, classes) = (parameters.maximum_patients(), self.biases.len());
        let seeds = CohortRun { config: self.config, gateway_seed: self.gateway_seed, seed: *run };
        let mut sums = vec![0; classes * n];
        let features = self.plan.shape().features;
        for first in (0..features).step_by(MASKS_AT_ONCE) {
            let mut bytes = Vec::with_capacity(MASKS_AT_ONCE * MASK_PLANES * n * 2);
            for index in first..features.min(first + MASKS_AT_ONCE) {
                let mask = parameters.mask(&seeds, index as u32);
                for plane in 0..MASK_PLANES {
                    let words = mask.iter().map(|value| ((value >> (16 * plane)) as u16).to_le_bytes());
                    bytes.extend(words.flatten());
                }
            }
            let planes = Planes { bytes: &bytes, planes: MASK_PLANES, patients: n };
            kernel::accumulate(self.kernel, &self.weights, first / 2, &planes, &mut sums);
        }
        self.weights.put_back(MASK_PLANES, n, &mut sums);
        sums.iter_mut().for_each(|sum| *sum = self.switched(*sum));
        MaskSums { run: *run, polynomials: sums.chunks(n).map(<[u64]>::to_vec).collect() }
    }

    /// Scores a block: a group a class, with one coefficient of the body for each patient.
    ///
    /// `masks` are those of the block's run, and `response_seed` must be fresh for each response, as for
    /// [`crate::evaluate::PreparedHead::evaluate`]. Equal inputs give equal bytes, on every processor. Errors where the block
    /// has not the plan's shape, or `masks` are another run's.
    pub fn evaluate(
        &self,
        block: &EncryptedCohort,
        masks: &MaskSums,
        response_seed: &SecretSeed,
    ) -> Result<EncryptedScores, Error> {
        let (parameters, shape) = (self.plan.parameters(), self.plan.request_shape());
        let (n, expected) = (block.patients(), shape.features * block.patients() * parameters.body_bytes());
        if block.zero_body().is_some() != shape.carries_zero {
            return Err(tiresias_keys::Error::Header("privacy kind").into());
        }
        if block.bodies().len() != expected {
            return Err(Error::Shape { what: "bytes of bodies", got: block.bodies().len(), expected });
        }
        if masks.run != *block.run() {
            return Err(Error::CardMismatch("run"));
        }
        let planes = parameters.body_bytes() / 2;
        let mut sums = vec![0; self.biases.len() * n];
        let bodies = Planes { bytes: block.bodies(), planes, patients: n };
        kernel::accumulate(self.kernel, &self.weights, 0, &bodies, &mut sums);
        self.weights.put_back(planes, n, &mut sums);
        // What was rounded off is put back as zeros.
        let dropped = parameters.modulus_bits() - parameters.body_bits();
        sums.iter_mut().for_each(|sum| *sum = self.switched(*sum << dropped));

        let ring = parameters.glwe().ring();
        let zero = self.zero(block, response_seed);
        let classes = sums.chunks(n).zip(&masks.polynomials).zip(&self.biases).zip(0..);
        let groups = classes.map(|(((sums, mask_sums), &bias), class)| {
            let (mut mask, mut body) = (mask_sums.clone(), sums.to_vec());
            ring.add(&mut body, &vec![bias; n]);
            if let Some((zero, randomness)) = &zero {
                let rerandomizer = randomness.rerandomizer(class);
                let [fresh_mask, fresh_body] = [&zero.mask, &zero.body].map(|factor| {
                    let mut product = ring.zero();
                    ring.multiply_add(&mut product, factor, &rerandomizer);
                    ring.inverse(&mut product);
                    product
                });
                ring.add(&mut mask, &fresh_mask);
                ring.add_signed(&mut mask, &randomness.mask_noise(class));
                ring.add(&mut body, &fresh_body[..n]);
                ring.add(&mut body, &randomness.body_noise(class, n));
            }
            ResponseGroup { mask: self.switch.apply(&mask), body: self.switch.apply(&body) }
        });
        Ok(EncryptedScores::new(self.config, block.digest(), groups.collect()))
    }

    /// The block's encryption of zero, and the randomness that goes with it.
    fn zero<'a>(
        &'a self,
        block: &EncryptedCohort,
        response_seed: &'a SecretSeed,
    ) -> Option<(Ciphertext, Randomness<'a>)> {
        let glwe = self.plan.parameters().glwe();
        let (widths, body) = self.plan.widths().zip(block.zero_body())?;
        let key = KeyId::request_scoped(glwe, block.seed());
        let seeds = (&self.gateway_seed, block.seed());
        let mut mask = Xof::mask(glwe, Role::ZeroMask, &self.config, &key, 0, seeds.0, seeds.1);
        let zero = Ciphertext::transformed(glwe.ring(), mask.uniform(glwe), body).normalized(glwe.ring());
        Some((zero, Randomness { parameters: glwe, widths, response_seed, item: 0 }))
    }

    /// round(sum * q / 2^52) mod q, for a sum modulo 2^52.
    fn switched(&self, sum: u64) -> u64 {
        let bits = self.plan.parameters().modulus_bits();
        let q = self.plan.parameters().glwe().primes()[0];
        let product = u128::from(sum & ((1 << bits) - 1)) * u128::from(q);
        let rounded = ((product + (1 << (bits - 1))) >> bits) as u64;
        if rounded == q { 0 } else { rounded }
    }
}

impl Weights {
    /// Packs K rows of `features` weights.
    fn new(weights: &[i8], features: usize) -> Self {
        let pairs = features.div_ceil(2);
        let rows: Vec<&[i8]> = weights.chunks_exact(features).collect();
        let mut words = Vec::with_capacity(rows.len().div_ceil(CLASSES) * pairs);
        for block in rows.chunks(CLASSES) {
            words.extend((0..pairs).map(|pair| {
                let mut word = [0; CLASSES];
                for (word, row) in word.iter_mut().zip(block) {
                    let weight = |at: usize| i32::from(row.get(at).copied().unwrap_or_default());
                    *word = weight(2 * pair) & 0xffff | weight(2 * pair + 1) << 16;
                }
                word
            }));
        }
        let totals = rows.iter().map(|row| row.iter().map(|&weight| i64::from(weight)).sum()).collect();
        Self { pairs, words, totals }
    }

    /// The words of each block of classes.
    fn blocks(&self) -> impl Iterator<Item = &[[i32; CLASSES]]> {
        self.words.chunks(self.pairs)
    }

    /// Ends sums over all features: puts back what was taken off each plane.
    fn put_back(&self, planes: usize, patients: usize, sums: &mut [u64]) {
        let taken_off = kernel::taken_off(planes);
        for (&total, sums) in self.totals.iter().zip(sums.chunks_mut(patients)) {
            let offset = (total as u64).wrapping_mul(taken_off);
            sums.iter_mut().for_each(|sum| *sum = sum.wrapping_add(offset));
        }
    }
}

#[cfg(test)]
mod tests;
