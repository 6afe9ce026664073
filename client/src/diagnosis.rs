//! The two halves of a diagnosis: [`Model::encrypt`] before the bytes leave, [`Model::decrypt`] when they are back.

use tiresias_circuits::{
    Card, Drift, Explanation, Plan,
    label::{self, Label},
    scores,
};
use tiresias_keys::{ConfigId, Digest, EncryptedFeatures, EncryptedScores};
use tiresias_secret_key::{LongLivedKey, RequestContext, SecretKey};

use crate::{
    Error,
    finding::{Contributions, Diagnosis, Finding, REVIEW},
};

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
    /// How usual the features are, where the card lets a client tell.
    pub drift: Option<Drift>,
}

/// What decrypts an answer.
#[derive(Debug)]
pub enum RequestKey {
    /// A key of the request's own, used up by its answer.
    OneTime(SecretKey),
    /// The clinic's long-lived key, which lies in its key file.
    LongLived,
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
        let drift = self.card.calibration().map(|calibration| {
            Drift::new(calibration, calibration.distance(row), quantized.clipped, row.len())
        });
        Ok(Encrypted { element, pending: Pending { key, digest, drift }, clipped: quantized.clipped })
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
        self.read(index, pending, &scores, enrolled)
    }

    /// Decrypts a checked answer and reads what it says. A key of the request's own is used up.
    pub fn read(
        &self,
        index: usize,
        pending: Pending,
        scores: &EncryptedScores,
        enrolled: Option<&LongLivedKey>,
    ) -> Result<Diagnosis, Error> {
        let plan = self.card.plan();
        let shape = plan.response_shape();
        let phases = match (pending.key, self.enrolled(enrolled)?) {
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
                let rows = scores::decode_phases(plan, phases.as_slice());
                let (exact, contributions) = match self.card.explanation().and_then(Explanation::groups) {
                    Some(groups) => {
                        let explained = groups.split(&rows);
                        let contributions = Contributions::read(&self.card, groups.names(), &explained);
                        (explained.scores_q, contributions)
                    }
                    None => (rows, Vec::new()),
                };
                let label = named(scores::read(&exact, self.card.score_scale()).class);
                let scores_q = shown(plan, exact);
                let reading = scores::read(&scores_q, self.card.score_scale());
                let margin = reading.margin;
                Finding::Scores { label, scores_q, scores: reading.scores, margin, contributions }
            }
        };
        Ok(Diagnosis { index, finding, drift: pending.drift, canary_alarm: false })
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
