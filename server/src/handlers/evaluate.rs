//! The turn of a request: its vectors become answers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tiresias_circuits::bootstrap::{Backend, PreparedKey};
use tiresias_evidence::{Hash, commitment};
use tiresias_keys::{Digest, EncryptedCohort, EncryptedFeatures, EncryptedScores, xof::SecretSeed};

use crate::{
    admission::Admission,
    device::{Device, at_once},
    error::ApiError,
    registry::{ServedHead, ServedModel},
};

/// Vectors of a request that are on their way to a device at once: layers of 64 neurons then fill one, and the next are ready.
const AT_ONCE: usize = 32;

/// A request as decoded.
pub(crate) enum Decoded {
    /// Vectors, each with the digest that names it.
    Vectors(Vec<(EncryptedFeatures, Digest)>),
    /// A block of a cohort.
    Cohort(Box<EncryptedCohort>),
}

impl Decoded {
    /// What is charged: the patients.
    pub(super) fn vectors(&self) -> usize {
        match self {
            Self::Vectors(vectors) => vectors.len(),
            Self::Cohort(block) => block.patients(),
        }
    }

    /// The digests of the elements.
    pub(crate) fn digests(&self) -> Vec<Digest> {
        match self {
            Self::Vectors(vectors) => vectors.iter().map(|(_, digest)| *digest).collect(),
            Self::Cohort(block) => vec![block.digest()],
        }
    }
}

/// Answers to a request's elements, and what they took.
pub(super) struct Evaluated {
    pub(super) elements: Vec<Vec<u8>>,
    /// Their hash, where it is logged.
    pub(super) hash: Option<Hash>,
    /// Where they were computed.
    pub(super) device: String,
    pub(super) elapsed: Duration,
    pub(super) budget_left: Option<u64>,
}

/// What a request is evaluated with, in its tenant's turn.
pub(super) struct Evaluator<'a> {
    pub(super) model: &'a ServedModel,
    pub(super) key: Option<Arc<PreparedKey>>,
    pub(super) device: &'a Device,
    /// Threads that one bootstrapped circuit may take.
    pub(super) threads: usize,
    /// Whether the answer is logged.
    pub(super) logged: bool,
}

impl Evaluator<'_> {
    /// Where this fails or panics, the admission goes back.
    pub(super) fn evaluate(
        &self,
        decoded: &Decoded,
        seed: &SecretSeed,
        mut admission: Admission,
    ) -> Result<Evaluated, ApiError> {
        admission.spend().map_err(|error| {
            tracing::error!(kind = ?error.kind(), "the budgets could not be written");
            ApiError::Internal
        })?;
        let started = Instant::now();
        let on_device = self.key.as_ref().and_then(|key| self.device.with_key(key, self.threads));
        let (elements, device) = if let Some(backend) = on_device {
            let elements = self.answers(Some(&backend), decoded, seed, AT_ONCE);
            (elements, backend.name().to_owned())
        } else {
            let backend = self.key.as_ref().map(|key| key.on(self.threads));
            let backend = backend.as_ref().map(|backend| backend as &dyn Backend);
            (self.answers(backend, decoded, seed, 1), "cpu".to_owned())
        };
        let elements = elements?;
        let elapsed = started.elapsed();
        let hash = self.logged.then(|| response_hash(&elements)).transpose()?;
        Ok(Evaluated { elements, hash, device, elapsed, budget_left: admission.keep() })
    }

    /// The frames of the answers: one for a cohort, or so many evaluated at once.
    fn answers(
        &self,
        backend: Option<&dyn Backend>,
        decoded: &Decoded,
        seed: &SecretSeed,
        threads: usize,
    ) -> Result<Vec<Vec<u8>>, ApiError> {
        let vectors = match decoded {
            Decoded::Vectors(vectors) => vectors,
            Decoded::Cohort(block) => return Ok(vec![self.model.answer_cohort(block, seed)?]),
        };
        let shape = self.model.card.plan().response_shape();
        at_once(vectors.len(), threads, |item| {
            let (features, digest) = vectors.get(item).ok_or(ApiError::Internal)?;
            let answer = self.model.answer(backend, features, *digest, seed, item as u32)?;
            // Each answer is packed at once: unpacked ones are several times as large.
            Ok(answer.to_bytes(&shape))
        })
    }
}

impl ServedModel {
    /// The answer to one vector: with the same seed the same, whenever, wherever and on whatever backend it is computed.
    /// Errors where a key is needed and there is none.
    pub(crate) fn answer(
        &self,
        backend: Option<&dyn Backend>,
        features: &EncryptedFeatures,
        digest: Digest,
        seed: &SecretSeed,
        item: u32,
    ) -> Result<EncryptedScores, ApiError> {
        let answer = match (&self.head, backend) {
            (ServedHead::Scores(head), _) => head.evaluate(features, digest, seed, item),
            (ServedHead::Label(head), Some(backend)) => head.evaluate(backend, features, digest, seed, item),
            (ServedHead::Mlp(head), Some(backend)) => head.evaluate(backend, features, digest, seed, item),
            (ServedHead::Label(_) | ServedHead::Mlp(_), None) => return Err(ApiError::Internal),
        };
        answer.map_err(|_| ApiError::Internal)
    }

    /// The frame of the answer to a block of a cohort: with the same seed the same.
    pub(crate) fn answer_cohort(
        &self,
        block: &EncryptedCohort,
        seed: &SecretSeed,
    ) -> Result<Vec<u8>, ApiError> {
        let (cohorts, plan) = self.cohorts.as_ref().zip(self.card.cohort()).ok_or(ApiError::Internal)?;
        Ok(cohorts.answer(block, seed)?.to_bytes(&plan.response_shape(block.patients())))
    }
}

/// The hash of a response's frames, which this process has just sealed: their digests are taken as they stand there.
fn response_hash(elements: &[Vec<u8>]) -> Result<Hash, ApiError> {
    let digest = |element: &Vec<u8>| {
        let (_, trailer) = element.split_last_chunk::<33>()?;
        trailer.first_chunk::<32>().copied()
    };
    let digests: Option<Vec<Hash>> = elements.iter().map(digest).collect();
    Ok(commitment::elements(&digests.ok_or(ApiError::Internal)?))
}
