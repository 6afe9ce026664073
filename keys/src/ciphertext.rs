//! The two ciphertexts that cross the wire, and the public shapes that fix their sizes.

use crate::{ConfigId, Digest, Parameters, Seed};

/// What a request for one model looks like: everything that fixes its size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RequestShape {
    /// The parameter set.
    pub parameters: &'static Parameters,
    /// Ciphertexts m that carry the features, 1 to 255.
    pub ciphertexts: usize,
    /// Whether the request carries an encryption of zero, with which the gateway re-randomizes its answer.
    pub carries_zero: bool,
}

/// What a response of one model looks like: everything that fixes its size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResponseShape {
    /// The parameter set.
    pub parameters: &'static Parameters,
    /// Whether responses are re-randomized.
    pub rerandomized: bool,
    /// Bits r of the response modulus 2^r.
    pub modulus_bits: u32,
    /// Score coefficients over all groups, one per class.
    pub classes: usize,
    /// Score coefficients in each group; the last group may hold fewer.
    pub classes_per_group: usize,
    /// Coefficients D of one class in a weight polynomial: the scores of a group lie at coefficients D-1, 2D-1, ...
    pub block: usize,
}

impl ResponseShape {
    /// Response groups, each a mask of N coefficients and its score coefficients.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.classes.div_ceil(self.classes_per_group)
    }

    /// Score coefficients of each group, in order.
    pub fn group_sizes(&self) -> impl Iterator<Item = usize> + use<> {
        let (classes, most) = (self.classes, self.classes_per_group);
        (0..self.groups()).map(move |group| most.min(classes - group * most))
    }
}

/// One encrypted feature vector: the bodies of its seeded GLWE ciphertexts and, where the model asks for it, of a
/// seeded encryption of zero, all under one request-scoped key. The masks are expanded from the seed.
#[derive(Debug, Clone, PartialEq)]
pub struct EncryptedFeatures {
    pub(crate) config: ConfigId,
    pub(crate) seed: Seed,
    pub(crate) bodies: Vec<Vec<u64>>,
    pub(crate) zero_body: Option<Vec<u64>>,
}

impl EncryptedFeatures {
    /// Assembles a request from polynomials, each N residues for each prime of the parameter set.
    #[must_use]
    pub fn new(config: ConfigId, seed: Seed, bodies: Vec<Vec<u64>>, zero_body: Option<Vec<u64>>) -> Self {
        Self { config, seed, bodies, zero_body }
    }

    /// The circuit card that this was encrypted for.
    #[must_use]
    pub fn config(&self) -> &ConfigId {
        &self.config
    }

    /// The client's public seed.
    #[must_use]
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// The bodies b = a*s + e + plaintext, one polynomial a ciphertext.
    #[must_use]
    pub fn bodies(&self) -> &[Vec<u64>] {
        &self.bodies
    }

    /// The body b' = a'*s + e' of the encryption of zero, one polynomial.
    #[must_use]
    pub fn zero_body(&self) -> Option<&[u64]> {
        self.zero_body.as_deref()
    }
}

/// One response group: a GLWE ciphertext modulo 2^r of which only the score coefficients of the body are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct ResponseGroup {
    /// N residues modulo 2^r.
    pub mask: Vec<u64>,
    /// One residue modulo 2^r per class of the group.
    pub body: Vec<u64>,
}

/// The encrypted scores of one feature vector.
#[derive(Debug, Clone, PartialEq)]
pub struct EncryptedScores {
    pub(crate) config: ConfigId,
    pub(crate) request: Digest,
    pub(crate) groups: Vec<ResponseGroup>,
}

impl EncryptedScores {
    /// Assembles a response from its groups.
    #[must_use]
    pub fn new(config: ConfigId, request: Digest, groups: Vec<ResponseGroup>) -> Self {
        Self { config, request, groups }
    }

    /// The circuit card that was evaluated.
    #[must_use]
    pub fn config(&self) -> &ConfigId {
        &self.config
    }

    /// The digest of the request that this answers.
    #[must_use]
    pub fn request(&self) -> &Digest {
        &self.request
    }

    /// The response groups, classes in order.
    #[must_use]
    pub fn groups(&self) -> &[ResponseGroup] {
        &self.groups
    }
}
