//! The two halves of a diagnosis: [`Model::encrypt`] before the bytes leave, [`Model::decrypt`] when they are back.

use std::fmt;

use serde::Serialize;
use tiresias_circuits::{
    Card, Plan,
    label::{self, Label},
    scores,
};
use tiresias_keys::{ConfigId, Digest, EncryptedFeatures, EncryptedScores};
use tiresias_secret_key::{LongLivedKey, RequestContext, SecretKey};

use crate::Error;

/// The label of a decision that is too close to tell.
pub const REVIEW: &str = tiresias_circuits::card::REVIEW;

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

/// A request in flight.
#[derive(Debug)]
pub struct Pending {
    /// What decrypts its answer.
    pub key: RequestKey,
    /// The request's digest, which its answer repeats.
    pub digest: Digest,
}

/// What decrypts an answer.
#[derive(Debug)]
pub enum RequestKey {
    /// A key of the request's own, used up by its answer.
    OneTime(SecretKey),
    /// The clinic's long-lived key, which lies in its key file.
    LongLived,
}

/// What a clinic reads. `Debug` shows no value.
#[derive(Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// The row of the features file, from 0.
    pub index: usize,
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
}

/// What a model says of a row, as its policy allows.
#[derive(Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Finding {
    /// All scores.
    Scores {
        /// The class; `None` where a head of one class does not reach it.
        label: Option<String>,
        /// The integer scores: exact, or where the card says `approximate` to the nearest sixteen of their steps.
        scores_q: Vec<i64>,
        /// The dequantized scores.
        scores: Vec<f64>,
        /// How far the class is ahead of the next.
        margin: f64,
    },
    /// The class alone, or [`REVIEW`].
    Class {
        /// Its name.
        label: String,
    },
    /// The classes that pass their thresholds.
    Classes {
        /// Their names.
        label: Vec<String>,
        /// Those that are too close to tell: a human decides.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        review: Vec<String>,
    },
}

impl Finding {
    /// The label in words.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Scores { label, .. } => label.clone().unwrap_or_else(|| "none".into()),
            Self::Class { label } => label.clone(),
            Self::Classes { label, review } if review.is_empty() => label.join(", "),
            Self::Classes { label, review } => {
                let close = review.iter().map(|class| format!("{class} ({REVIEW})"));
                label.iter().cloned().chain(close).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// The highest score and its margin, where there are scores.
    #[must_use]
    pub fn score_and_margin(&self) -> Option<(f64, f64)> {
        let Self::Scores { scores, margin, .. } = self else { return None };
        Some((scores.iter().copied().fold(f64::NEG_INFINITY, f64::max), *margin))
    }

    /// The integer scores; none of a label.
    #[must_use]
    pub fn scores_q(&self) -> &[i64] {
        match self {
            Self::Scores { scores_q, .. } => scores_q,
            _ => &[],
        }
    }
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

    /// Whether the circuit bootstraps: then a long-lived key encrypts and decrypts, and the gateway needs its evaluation key.
    #[must_use]
    pub fn needs_enrolment(&self) -> bool {
        self.card.plan().bootstrap().is_some()
    }

    /// Quantizes one row of d features and encrypts it: under a fresh key, or for a bootstrapped circuit under the clinic's
    /// long-lived one, which must be of the card's parameters.
    pub fn encrypt(&self, row: &[f64], enrolled: Option<&LongLivedKey>) -> Result<Encrypted, Error> {
        let plan = self.card.plan();
        let quantized = self.card.quantizer().quantize(row)?;
        let plaintexts = scores::encode_features(plan, &quantized.values)?;
        let shape = plan.request_shape();
        let context =
            RequestContext { config: &self.config, gateway_seed: self.card.gateway_seed(), shape: &shape };
        let (key, encrypted) = match self.enrolled(enrolled)? {
            Some(key) => (RequestKey::LongLived, key.glwe().encrypt(&plaintexts, &context)?),
            None => {
                let key = SecretKey::generate(plan.parameters())?;
                let encrypted = key.encrypt(&plaintexts, &context)?;
                (RequestKey::OneTime(key), encrypted)
            }
        };
        let element = encrypted.to_bytes(&shape);
        let digest = EncryptedFeatures::digest(&element);
        Ok(Encrypted { element, pending: Pending { key, digest }, clipped: quantized.clipped })
    }

    /// The long-lived key that this model needs; none for a linear head that answers scores.
    fn enrolled<'a>(&self, enrolled: Option<&'a LongLivedKey>) -> Result<Option<&'a LongLivedKey>, Error> {
        let Some(parameters) = self.card.plan().bootstrap() else { return Ok(None) };
        match enrolled {
            Some(key) if key.parameters() == parameters => Ok(Some(key)),
            _ => Err(Error::NotEnrolled { parameters: parameters.name() }),
        }
    }

    /// Checks that `element` is an undamaged answer to the pending request. Uses no secret.
    pub fn check(&self, pending: &Pending, element: &[u8]) -> Result<EncryptedScores, Error> {
        let shape = self.card.plan().response_shape();
        Ok(EncryptedScores::from_bytes(element, &shape, &self.config, &pending.digest)?)
    }

    /// Checks that `element` answers the pending request, decrypts it and reads what it says. A key of the request's own
    /// is used up.
    pub fn decrypt(
        &self,
        index: usize,
        pending: Pending,
        element: &[u8],
        enrolled: Option<&LongLivedKey>,
    ) -> Result<Diagnosis, Error> {
        let scores = self.check(&pending, element)?;
        self.read(index, pending.key, &scores, enrolled)
    }

    /// Decrypts a checked answer and reads what it says. A key of the request's own is used up.
    pub fn read(
        &self,
        index: usize,
        key: RequestKey,
        scores: &EncryptedScores,
        enrolled: Option<&LongLivedKey>,
    ) -> Result<Diagnosis, Error> {
        let plan = self.card.plan();
        let shape = plan.response_shape();
        let phases = match (key, self.enrolled(enrolled)?) {
            (RequestKey::OneTime(key), _) => key.decrypt(scores, &shape)?,
            (RequestKey::LongLived, Some(key)) => key.decrypt(scores, &shape)?,
            (RequestKey::LongLived, None) => return Err(Error::State),
        };
        let named = |class: Option<usize>| class.and_then(|class| self.card.labels().get(class)).cloned();
        let finding = match label::read(plan, phases.as_slice()) {
            Some(Label::Class(class)) => {
                Finding::Class { label: named(class).unwrap_or_else(|| REVIEW.into()) }
            }
            Some(Label::Findings(findings)) => {
                let with = |wanted: Option<bool>| {
                    let classes = self.card.labels().iter().zip(&findings);
                    classes.filter(|(_, found)| **found == wanted).map(|(class, _)| class.clone()).collect()
                };
                Finding::Classes { label: with(Some(true)), review: with(None) }
            }
            None => {
                let exact = scores::decode_phases(plan, phases.as_slice());
                let label = named(scores::read(&exact, self.card.score_scale()).class);
                let scores_q = shown(plan, exact);
                let reading = scores::read(&scores_q, self.card.score_scale());
                let margin = reading.margin;
                Finding::Scores { label, scores_q, scores: reading.scores, margin }
            }
        };
        Ok(Diagnosis { index, finding })
    }
}

/// Scores as they are shown. The last bits of approximate ones are the noise of a decryption, which may help an attacker who
/// comes to see many of them (Li, Micciancio: On the security of homomorphic encryption on approximate numbers,
/// EUROCRYPT 2021): the class is read from them, and they go no further.
fn shown(plan: &Plan, mut scores: Vec<i64>) -> Vec<i64> {
    const STEPS: i64 = 16;
    if plan.hidden().is_some_and(|hidden| !hidden.is_exact()) {
        scores.iter_mut().for_each(|score| *score = (*score + STEPS / 2).div_euclid(STEPS) * STEPS);
    }
    scores
}
