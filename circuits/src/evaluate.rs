//! The circuit over ciphertexts. Start at [`PreparedHead::evaluate`].

use tiresias_keys::{
    ConfigId, Digest, EncryptedFeatures, EncryptedScores, KeyId, ResponseGroup, Ring, Seed,
    xof::{Role, SecretSeed, Xof},
};

use crate::{Error, Plan, QuantizedHead, modulus::ModulusSwitch, plan::Widths, scores::encode};

/// A head ready to be evaluated: its weight polynomials in the transform domain. Private to the model owner.
pub struct PreparedHead {
    plan: Plan,
    config: ConfigId,
    gateway_seed: Seed,
    /// One polynomial of N values a group, divided by N once and for all.
    weights: Vec<Vec<u64>>,
    /// One residue a class.
    biases: Vec<u64>,
    switch: ModulusSwitch,
}

impl std::fmt::Debug for PreparedHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedHead").field("config", &self.config).finish_non_exhaustive()
    }
}

impl PreparedHead {
    /// Packs and transforms the weights: class j of a group lies reversed at coefficients \[j*d, (j+1)*d), so that
    /// its dot product with features at coefficients 0 to d-1 appears at coefficient (j+1)*d - 1 of the product.
    ///
    /// `plan` must be the plan of the head's own shape.
    #[must_use]
    pub fn new(head: &QuantizedHead, plan: Plan, config: ConfigId, gateway_seed: Seed) -> Self {
        assert_eq!(head.shape(), plan.shape(), "a head is prepared with the plan of its own shape");
        let (ring, d) = (plan.parameters().ring(), plan.shape().features);
        let weights = head
            .weight()
            .chunks(plan.classes_per_group() * d)
            .map(|classes| {
                let mut polynomial = vec![0; ring.polynomial_size()];
                for (block, class) in polynomial.chunks_exact_mut(d).zip(classes.chunks_exact(d)) {
                    for (coefficient, &weight) in block.iter_mut().zip(class.iter().rev()) {
                        *coefficient = ring.reduce_signed(i64::from(weight));
                    }
                }
                ring.forward(&mut polynomial);
                ring.normalize(&mut polynomial);
                polynomial
            })
            .collect();
        let biases = head.bias().iter().map(|&bias| encode(&plan, bias)).collect();
        let switch = ModulusSwitch::new(plan.parameters().modulus(), plan.response_bits());
        Self { plan, config, gateway_seed, weights, biases, switch }
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
        let groups = self.evaluate_unswitched(request, response_seed, item, |group| ResponseGroup {
            mask: group.mask.iter().map(|&residue| self.switch.apply(residue)).collect(),
            body: group.body.iter().map(|&residue| self.switch.apply(residue)).collect(),
        });
        Ok(EncryptedScores::new(self.config, digest, groups))
    }

    /// A request that lacks its encryption of zero would be answered without protection of the weights: the codec
    /// lets none through, and this does not either.
    fn check(&self, request: &EncryptedFeatures) -> Result<(), Error> {
        let n = self.plan.parameters().polynomial_size();
        if request.config() != &self.config {
            return Err(tiresias_keys::Error::ConfigId.into());
        }
        if request.zero_body().is_some() != self.plan.request_shape().carries_zero {
            return Err(tiresias_keys::Error::Header("privacy kind").into());
        }
        for body in std::iter::once(request.body()).chain(request.zero_body()) {
            if body.len() != n {
                return Err(Error::Shape { what: "residues of a body", got: body.len(), expected: n });
            }
        }
        Ok(())
    }

    /// The evaluation modulo q, each group handed to `finish`.
    fn evaluate_unswitched<T>(
        &self,
        request: &EncryptedFeatures,
        response_seed: &SecretSeed,
        item: u32,
        finish: impl Fn(ResponseGroup) -> T,
    ) -> Vec<T> {
        let ring = self.plan.parameters().ring();
        let mut mask = self.expand(Role::FeaturesMask, request);
        let mut body = request.body().to_vec();
        ring.forward(&mut mask);
        ring.forward(&mut body);
        let zero = self.plan.widths().zip(request.zero_body()).map(|(widths, zero_body)| {
            let mut mask = self.expand(Role::ZeroMask, request);
            let mut body = zero_body.to_vec();
            for polynomial in [&mut mask, &mut body] {
                ring.forward(polynomial);
                ring.normalize(polynomial);
            }
            Zero { mask, body, widths, response_seed, item }
        });

        let d = self.plan.shape().features;
        let groups = self.weights.iter().zip(self.biases.chunks(self.plan.classes_per_group())).enumerate();
        let groups = groups.map(|(index, (weights, biases))| {
            let mut group_mask = vec![0; ring.polynomial_size()];
            let mut group_body = vec![0; ring.polynomial_size()];
            ring.multiply_add(&mut group_mask, &mask, weights);
            ring.multiply_add(&mut group_body, &body, weights);
            let mut randomness = zero.as_ref().map(|zero| zero.randomness(ring, index as u32, biases.len()));
            if let (Some(zero), Some(randomness)) = (&zero, &randomness) {
                ring.multiply_add(&mut group_mask, &zero.mask, &randomness.rerandomizer);
                ring.multiply_add(&mut group_body, &zero.body, &randomness.rerandomizer);
            }
            ring.inverse(&mut group_mask);
            ring.inverse(&mut group_body);
            let mut body: Vec<u64> = (group_body.iter().skip(d - 1).step_by(d))
                .zip(biases)
                .map(|(&residue, &bias)| ring.add(residue, bias))
                .collect();
            if let Some(randomness) = &mut randomness {
                add_signed(ring, &mut group_mask, &randomness.mask_noise);
                add_signed(ring, &mut body, &randomness.body_noise);
                add_signed(ring, &mut body, &randomness.flood);
            }
            finish(ResponseGroup { mask: group_mask, body })
        });
        groups.collect()
    }

    fn expand(&self, role: Role, request: &EncryptedFeatures) -> Vec<u64> {
        let parameters = self.plan.parameters();
        let key = KeyId::request_scoped(parameters, request.seed());
        let mut mask = vec![0; parameters.polynomial_size()];
        Xof::mask(parameters, role, &self.config, &key, 0, &self.gateway_seed, request.seed())
            .uniform(parameters, &mut mask);
        mask
    }
}

/// The client's encryption of zero (a', b'), transformed, and what fresh randomness is drawn with.
struct Zero<'a> {
    mask: Vec<u64>,
    body: Vec<u64>,
    widths: &'a Widths,
    response_seed: &'a SecretSeed,
    item: u32,
}

/// The randomness of one group.
struct Randomness {
    /// u, transformed.
    rerandomizer: Vec<u64>,
    mask_noise: Vec<i64>,
    body_noise: Vec<i64>,
    flood: Vec<i64>,
}

impl Zero<'_> {
    fn randomness(&self, ring: &Ring, group: u32, classes: usize) -> Randomness {
        let sample = |role, width, count| {
            let mut samples = vec![0; count];
            Xof::randomness(self.response_seed, role, group, self.item).tuniform(width, &mut samples);
            samples
        };
        let (n, widths) = (ring.polynomial_size(), self.widths);
        let small = sample(Role::Rerandomizer, widths.rerandomizer, n);
        let mut rerandomizer: Vec<u64> = small.iter().map(|&u| ring.reduce_signed(u)).collect();
        ring.forward(&mut rerandomizer);
        Randomness {
            rerandomizer,
            mask_noise: sample(Role::MaskNoise, widths.mask_noise, n),
            body_noise: sample(Role::BodyNoise, widths.body_noise, classes),
            flood: sample(Role::Flood, widths.flood, classes),
        }
    }
}

fn add_signed(ring: &Ring, residues: &mut [u64], addends: &[i64]) {
    for (residue, &addend) in residues.iter_mut().zip(addends) {
        *residue = ring.add(*residue, ring.reduce_signed(addend));
    }
}

#[cfg(test)]
mod tests;
