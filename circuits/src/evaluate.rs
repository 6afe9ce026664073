//! The circuit over ciphertexts. Start at [`PreparedHead::evaluate`].

use tiresias_keys::{
    ConfigId, Digest, EncryptedFeatures, EncryptedScores, KeyId, ResponseGroup, Ring, Seed,
    xof::{Role, SecretSeed, Xof},
};

pub(crate) mod randomness;

use self::randomness::{Ciphertext, Randomness};
use crate::{Error, Plan, QuantizedHead, bootstrap::LweCiphertext, modulus::ModulusSwitch, scores::encode};

/// A head ready to be evaluated: its weight polynomials in the transform domain. Private to the model owner.
pub struct PreparedHead {
    plan: Plan,
    config: ConfigId,
    gateway_seed: Seed,
    groups: Vec<PreparedGroup>,
    switch: ModulusSwitch,
}

/// The classes that share one response ciphertext.
struct PreparedGroup {
    /// One transformed polynomial for each ciphertext of a request, divided by N once and for all.
    weights: Vec<Vec<u64>>,
    /// The residues of one encoded bias a class.
    biases: Vec<u64>,
    classes: usize,
}

impl PreparedGroup {
    /// Adds the products with the features to mask and body, transformed.
    fn multiply_add(&self, ring: &Ring, features: &[Ciphertext], mask: &mut [u64], body: &mut [u64]) {
        for (features, weights) in features.iter().zip(&self.weights) {
            ring.multiply_add(mask, &features.mask, weights);
            ring.multiply_add(body, &features.body, weights);
        }
    }
}

impl std::fmt::Debug for PreparedHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedHead").field("config", &self.config).finish_non_exhaustive()
    }
}

impl PreparedHead {
    /// Packs and transforms the weights. For each block of D features, class j of a group lies reversed at
    /// coefficients \[j*D, (j+1)*D) of a polynomial, so that its dot product with the features at coefficients 0 to
    /// D-1 of a ciphertext appears at coefficient (j+1)*D - 1 of the product. The products are summed over the
    /// ciphertexts.
    ///
    /// `plan` must be the plan of the head's own shape, or one whose first layer the head is.
    #[must_use]
    pub fn new(head: &QuantizedHead, plan: Plan, config: ConfigId, gateway_seed: Seed) -> Self {
        assert_eq!(*head.shape(), plan.leveled_shape(), "a head is prepared with the plan of its own shape");
        let d = plan.shape().features;
        let groups = head.weight().chunks(plan.classes_per_group() * d);
        let biases = head.bias().chunks(plan.classes_per_group());
        let groups = groups.zip(biases).map(|(weights, biases)| {
            let encoded: Vec<i128> = biases.iter().map(|&bias| encode(&plan, bias)).collect();
            PreparedGroup {
                weights: pack(&plan, weights),
                biases: plan.parameters().ring().reduce(&encoded),
                classes: biases.len(),
            }
        });
        let groups = groups.collect();
        let switch = ModulusSwitch::new(plan.parameters(), plan.response_bits());
        Self { plan, config, gateway_seed, groups, switch }
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Evaluates one encrypted feature vector.
    ///
    /// `digest` names the request in the response. `response_seed` must be fresh for each response (it is where all
    /// secret randomness comes from) and `item` the vector's position in its request. Equal inputs give equal bytes,
    /// on every processor: this is what lets an auditor who is given the seed replay a response.
    ///
    /// Errors where the request was made for another card or has not the plan's shape.
    pub fn evaluate(
        &self,
        request: &EncryptedFeatures,
        digest: Digest,
        response_seed: &SecretSeed,
        item: u32,
    ) -> Result<EncryptedScores, Error> {
        self.check(request)?;
        let groups = self.evaluate_unswitched(request, response_seed, item, |mask, body| ResponseGroup {
            mask: self.switch.apply(mask),
            body: self.switch.apply(body),
        });
        Ok(EncryptedScores::new(self.config, digest, groups))
    }

    /// The scores of one request as they are, for bootstraps: one LWE ciphertext a class, neither re-randomized nor
    /// flooded. They must not leave the gateway. The plan has one class a group.
    pub(crate) fn leveled_scores(&self, request: &EncryptedFeatures) -> Result<Vec<LweCiphertext>, Error> {
        self.check(request)?;
        let parameters = self.plan.parameters();
        let ring = parameters.ring();
        let features = self.features(request);
        let coefficient = self.plan.layout().block - 1;
        let scores = self.groups.iter().map(|group| {
            let (mut mask, mut body) = (ring.zero(), ring.zero());
            group.multiply_add(ring, &features, &mut mask, &mut body);
            ring.inverse(&mut mask);
            ring.inverse(&mut body);
            let mut score = LweCiphertext::extract(parameters, &mask, body[coefficient], coefficient);
            score.add_constant(group.biases[0]);
            score
        });
        Ok(scores.collect())
    }

    /// The response of a circuit whose results are LWE ciphertexts: each becomes coefficient 0 of a ciphertext that is
    /// re-randomized with the request's encryption of zero, flooded and switched.
    ///
    /// # Panics
    ///
    /// Where the plan has no randomness; that of a bootstrapped circuit has.
    pub(crate) fn answer(
        &self,
        request: &EncryptedFeatures,
        digest: Digest,
        results: &[LweCiphertext],
        response_seed: &SecretSeed,
        item: u32,
    ) -> EncryptedScores {
        let ring = self.plan.parameters().ring();
        let (zero, randomness) = self.zero(request, response_seed, item).expect("the plan re-randomizes");
        let groups = results.iter().zip(0..).map(|(result, index)| {
            let rerandomizer = randomness.rerandomizer(index);
            let (mut mask, mut body) = (ring.zero(), ring.zero());
            ring.multiply_add(&mut mask, &zero.mask, &rerandomizer);
            ring.multiply_add(&mut body, &zero.body, &rerandomizer);
            ring.inverse(&mut mask);
            ring.inverse(&mut body);
            ring.add(&mut mask, &result.to_glwe_mask());
            ring.add_signed(&mut mask, &randomness.mask_noise(index));
            let mut score = vec![body[0]];
            ring.add(&mut score, &[result.body()]);
            ring.add(&mut score, &randomness.body_noise(index, 1));
            ResponseGroup { mask: self.switch.apply(&mask), body: self.switch.apply(&score) }
        });
        EncryptedScores::new(self.config, digest, groups.collect())
    }

    /// A request that lacks its encryption of zero would be answered without protection of the weights: the codec
    /// lets none through, and this does not either.
    fn check(&self, request: &EncryptedFeatures) -> Result<(), Error> {
        let (shape, words) = (self.plan.request_shape(), self.plan.parameters().polynomial_words());
        if request.config() != &self.config {
            return Err(tiresias_keys::Error::ConfigId.into());
        }
        if request.zero_body().is_some() != shape.carries_zero {
            return Err(tiresias_keys::Error::Header("privacy kind").into());
        }
        if request.bodies().len() != shape.ciphertexts {
            return Err(tiresias_keys::Error::Header("number of ciphertexts").into());
        }
        for body in request.bodies().iter().map(Vec::as_slice).chain(request.zero_body()) {
            if body.len() != words {
                return Err(Error::Shape { what: "residues of a body", got: body.len(), expected: words });
            }
        }
        Ok(())
    }

    /// The evaluation modulo q: mask and score coefficients of each group, handed to `finish`.
    fn evaluate_unswitched<T>(
        &self,
        request: &EncryptedFeatures,
        response_seed: &SecretSeed,
        item: u32,
        finish: impl Fn(&[u64], &[u64]) -> T,
    ) -> Vec<T> {
        let parameters = self.plan.parameters();
        let ring = parameters.ring();
        let features = self.features(request);
        let zero = self.zero(request, response_seed, item);

        let (mut mask, mut body) = (ring.zero(), ring.zero());
        let groups = self.groups.iter().zip(0..).map(|(group, index)| {
            mask.fill(0);
            body.fill(0);
            group.multiply_add(ring, &features, &mut mask, &mut body);
            if let Some((zero, randomness)) = &zero {
                let rerandomizer = randomness.rerandomizer(index);
                ring.multiply_add(&mut mask, &zero.mask, &rerandomizer);
                ring.multiply_add(&mut body, &zero.body, &rerandomizer);
            }
            ring.inverse(&mut mask);
            ring.inverse(&mut body);
            let mut scores = self.score_coefficients(&body, group.classes);
            ring.add(&mut scores, &group.biases);
            if let Some((_, randomness)) = &zero {
                ring.add_signed(&mut mask, &randomness.mask_noise(index));
                ring.add(&mut scores, &randomness.body_noise(index, group.classes));
            }
            finish(&mask, &scores)
        });
        groups.collect()
    }

    /// The ciphertexts that carry the features, transformed.
    fn features(&self, request: &EncryptedFeatures) -> Vec<Ciphertext> {
        let bodies = request.bodies().iter().zip(0..);
        bodies
            .map(|(body, index)| {
                let mask = self.expand(Role::FeaturesMask, index, request);
                Ciphertext::transformed(self.plan.parameters().ring(), mask, body)
            })
            .collect()
    }

    /// The request's encryption of zero, transformed and divided by N, and the randomness that goes with it.
    fn zero<'a>(
        &'a self,
        request: &EncryptedFeatures,
        response_seed: &'a SecretSeed,
        item: u32,
    ) -> Option<(Ciphertext, Randomness<'a>)> {
        let parameters = self.plan.parameters();
        let ring = parameters.ring();
        self.plan.widths().zip(request.zero_body()).map(|(widths, body)| {
            let mask = self.expand(Role::ZeroMask, 0, request);
            let zero = Ciphertext::transformed(ring, mask, body).normalized(ring);
            (zero, Randomness { parameters, widths, response_seed, item })
        })
    }

    /// The residues of the score coefficients, D-1, 2D-1 and on; all others are dropped, because they are combinations
    /// of weights that the scores do not tell.
    fn score_coefficients(&self, body: &[u64], classes: usize) -> Vec<u64> {
        let block = self.plan.layout().block;
        body.chunks_exact(self.plan.parameters().polynomial_size())
            .flat_map(|residues| residues.iter().skip(block - 1).step_by(block).take(classes).copied())
            .collect()
    }

    fn expand(&self, role: Role, index: u32, request: &EncryptedFeatures) -> Vec<u64> {
        let parameters = self.plan.parameters();
        let key = KeyId::request_scoped(parameters, request.seed());
        Xof::mask(parameters, role, &self.config, &key, index, &self.gateway_seed, request.seed())
            .uniform(parameters)
    }
}

/// The weight polynomials of one group's classes, one for each block of features.
fn pack(plan: &Plan, weights: &[i8]) -> Vec<Vec<u64>> {
    let (ring, d, block) = (plan.parameters().ring(), plan.shape().features, plan.layout().block);
    (0..d)
        .step_by(block)
        .map(|first| {
            let mut coefficients = vec![0; ring.polynomial_size()];
            for (coefficients, class) in coefficients.chunks_exact_mut(block).zip(weights.chunks_exact(d)) {
                let part = &class[first..d.min(first + block)];
                for (coefficient, &weight) in coefficients.iter_mut().rev().zip(part) {
                    *coefficient = i64::from(weight);
                }
            }
            let mut polynomial = ring.reduce_small(&coefficients);
            ring.forward(&mut polynomial);
            ring.normalize(&mut polynomial);
            polynomial
        })
        .collect()
}

#[cfg(test)]
mod tests;
