//! The two halves of a diagnosis: [`Model::encrypt`] before the bytes leave, [`Model::decrypt`] when they are back.

use std::fmt;

use serde::Serialize;
use tiresias_circuits::{Card, scores};
use tiresias_keys::{ConfigId, Digest, EncryptedFeatures, EncryptedScores};
use tiresias_secret_key::{RequestContext, SecretKey};

use crate::Error;

/// A served model as a client knows it: a checked circuit card.
#[derive(Debug)]
pub struct Model {
    card: Card,
    card_bytes: Vec<u8>,
    config: ConfigId,
}

/// One encrypted feature vector and what is needed to read its answer.
#[derive(Debug)]
pub struct Encrypted {
    /// The element to send.
    pub element: Vec<u8>,
    /// The key and the request's name, to be kept on this machine.
    pub pending: Pending,
    /// How many features lay outside the calibrated range.
    pub clipped: usize,
}

/// A request in flight: its key decrypts one answer.
#[derive(Debug)]
pub struct Pending {
    /// The request-scoped key.
    pub key: SecretKey,
    /// The request's digest, which its answer repeats.
    pub digest: Digest,
}

/// What a clinic reads. `Debug` shows no value.
#[derive(Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// The row of the features file, from 0.
    pub index: usize,
    /// The class; `None` where a head of one class does not reach it.
    pub label: Option<String>,
    /// The exact integer scores.
    pub scores_q: Vec<i64>,
    /// The dequantized scores.
    pub scores: Vec<f64>,
    /// How far the class is ahead of the next.
    pub margin: f64,
}

impl fmt::Debug for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diagnosis").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Model {
    /// Reads and checks a circuit card: everything in it that follows from its public numbers is recomputed.
    pub fn from_card(card_bytes: Vec<u8>) -> Result<Self, Error> {
        let (card, config) = Card::from_json(&card_bytes)?;
        Ok(Self { card, card_bytes, config })
    }

    /// The card.
    #[must_use]
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The card's bytes as served.
    #[must_use]
    pub fn card_bytes(&self) -> &[u8] {
        &self.card_bytes
    }

    /// The card's id.
    #[must_use]
    pub fn config(&self) -> &ConfigId {
        &self.config
    }

    /// Quantizes one row of d features and encrypts it under a fresh key.
    pub fn encrypt(&self, row: &[f64]) -> Result<Encrypted, Error> {
        let plan = self.card.plan();
        let quantized = self.card.quantizer().quantize(row)?;
        let plaintexts = scores::encode_features(plan, &quantized.values)?;
        let shape = plan.request_shape();
        let key = SecretKey::generate(plan.parameters())?;
        let context =
            RequestContext { config: &self.config, gateway_seed: self.card.gateway_seed(), shape: &shape };
        let element = key.encrypt(&plaintexts, &context)?.to_bytes(&shape);
        let digest = EncryptedFeatures::digest(&element);
        Ok(Encrypted { element, pending: Pending { key, digest }, clipped: quantized.clipped })
    }

    /// Checks that `element` is an undamaged answer to the pending request. Uses no secret.
    pub fn check(&self, pending: &Pending, element: &[u8]) -> Result<EncryptedScores, Error> {
        let shape = self.card.plan().response_shape();
        Ok(EncryptedScores::from_bytes(element, &shape, &self.config, &pending.digest)?)
    }

    /// Checks that `element` answers the pending request, decrypts it and reads the scores. The key is used up.
    pub fn decrypt(&self, index: usize, pending: Pending, element: &[u8]) -> Result<Diagnosis, Error> {
        let scores = self.check(&pending, element)?;
        self.read(index, pending.key, &scores)
    }

    /// Decrypts a checked answer and reads the scores. The key is used up.
    pub fn read(&self, index: usize, key: SecretKey, scores: &EncryptedScores) -> Result<Diagnosis, Error> {
        let plan = self.card.plan();
        let phases = key.decrypt(scores, &plan.response_shape())?;
        let scores_q = scores::decode_phases(plan, phases.as_slice());
        let reading = scores::read(&scores_q, self.card.score_scale());
        let label = reading.class.and_then(|class| self.card.labels().get(class)).cloned();
        Ok(Diagnosis { index, label, scores_q, scores: reading.scores, margin: reading.margin })
    }
}
