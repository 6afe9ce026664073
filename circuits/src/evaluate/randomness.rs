//! What a response is re-randomized with: the request's encryption of zero, and fresh randomness.

use tiresias_keys::{
    Parameters, Ring,
    xof::{Role, SecretSeed, Xof},
};

use crate::plan::Widths;

/// A transformed ciphertext.
pub(crate) struct Ciphertext {
    pub(crate) mask: Vec<u64>,
    pub(crate) body: Vec<u64>,
}

impl Ciphertext {
    pub(crate) fn transformed(ring: &Ring, mut mask: Vec<u64>, body: &[u64]) -> Self {
        let mut body = body.to_vec();
        ring.forward(&mut mask);
        ring.forward(&mut body);
        Self { mask, body }
    }

    /// Divides by N, so that products with it need no division.
    pub(crate) fn normalized(mut self, ring: &Ring) -> Self {
        ring.normalize(&mut self.mask);
        ring.normalize(&mut self.body);
        self
    }
}

/// Where the fresh randomness of a response comes from.
pub(crate) struct Randomness<'a> {
    pub(crate) parameters: &'static Parameters,
    pub(crate) widths: &'a Widths,
    pub(crate) response_seed: &'a SecretSeed,
    pub(crate) item: u32,
}

impl Randomness<'_> {
    /// u, transformed.
    pub(crate) fn rerandomizer(&self, group: u32) -> Vec<u64> {
        let ring = self.parameters.ring();
        let mut samples = vec![0; ring.polynomial_size()];
        self.stream(Role::Rerandomizer, group).tuniform(self.widths.rerandomizer, &mut samples);
        let mut rerandomizer = ring.reduce_small(&samples);
        ring.forward(&mut rerandomizer);
        rerandomizer
    }

    /// e1.
    pub(crate) fn mask_noise(&self, group: u32) -> Vec<i64> {
        let mut samples = vec![0; self.parameters.polynomial_size()];
        self.stream(Role::MaskNoise, group).tuniform(self.widths.mask_noise, &mut samples);
        samples
    }

    /// The residues of e2 + flood, one for each class of the group.
    pub(crate) fn body_noise(&self, group: u32, classes: usize) -> Vec<u64> {
        let ring = self.parameters.ring();
        // Both are the same samples; the narrow ones take a fraction of the time.
        if self.widths.flood.max(self.widths.body_noise) < 48 {
            let (mut noise, mut flood) = (vec![0; classes], vec![0; classes]);
            self.stream(Role::BodyNoise, group).tuniform(self.widths.body_noise, &mut noise);
            self.stream(Role::Flood, group).tuniform(self.widths.flood, &mut flood);
            noise.iter_mut().zip(flood).for_each(|(noise, flood)| *noise += flood);
            return ring.reduce_small(&noise);
        }
        let (mut noise, mut flood) = (vec![0; classes], vec![0; classes]);
        self.stream(Role::BodyNoise, group).tuniform_wide(self.widths.body_noise, &mut noise);
        self.stream(Role::Flood, group).tuniform_wide(self.widths.flood, &mut flood);
        noise.iter_mut().zip(flood).for_each(|(noise, flood)| *noise += flood);
        ring.reduce(&noise)
    }

    fn stream(&self, role: Role, group: u32) -> Xof {
        Xof::randomness(self.parameters, self.response_seed, role, group, self.item)
    }
}
