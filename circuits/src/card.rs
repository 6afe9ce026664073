//! The circuit card: the public description of a served head. Its id is the SHA-256 of its bytes as served.
//!
//! A card names its parameter set and states d, K, bits and privacy; all else in it (moduli, layout, sizes, bounds)
//! follows from these by [`Plan`]. [`Card::from_json`] recomputes that and refuses a card that states otherwise, so
//! a card cannot downgrade a client.

mod forms;

use serde::{Deserialize, Serialize};
use tiresias_keys::{ConfigId, Parameters, Seed};

use crate::{Error, HeadShape, Plan, Quantizer, head::check_labels, plan::Policy, quantize::Scale};
use forms::{HiddenForm, Implied, LabelForm};

/// The largest card that is read: 4,096 labels or 16,384 scales and offsets fit with room.
pub const MAXIMUM_CARD_BYTES: usize = 2 << 20;

/// What a decision that is too close to tell is called. No class of a label has this name.
pub const REVIEW: &str = "review";

const FORMAT: &str = "tiresias-card/v2";
const SCORES: &str = "scores";
const LABEL: &str = "label";

/// A checked circuit card.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    name: String,
    version: u32,
    labels: Vec<String>,
    quantizer: Quantizer,
    score_scale: f64,
    plan: Plan,
    gateway_seed: Seed,
}

impl Card {
    /// Assembles a card. Errors where the name, labels, quantizer or score scale break a rule or disagree with the
    /// plan.
    pub fn new(
        name: &str,
        version: u32,
        labels: Vec<String>,
        quantizer: Quantizer,
        score_scale: f64,
        plan: Plan,
        gateway_seed: Seed,
    ) -> Result<Self, Error> {
        let shape = plan.shape();
        check_name(name)?;
        check_labels(&labels)?;
        if version == 0 {
            return Err(Error::OutOfRange { what: "a model version", rule: "1 or more" });
        }
        if plan.label_policy().is_some() && labels.iter().any(|label| label == REVIEW) {
            return Err(Error::OutOfRange { what: "the name of a class", rule: "another one than `review`" });
        }
        if labels.len() != shape.classes {
            return Err(Error::Shape { what: "labels", got: labels.len(), expected: shape.classes });
        }
        if quantizer.bits() != shape.feature_bits {
            return Err(Error::CardMismatch("feature width"));
        }
        if !(score_scale.is_normal() && score_scale > 0.0) {
            return Err(Error::OutOfRange { what: "the score scale", rule: "a positive finite number" });
        }
        Ok(Self { name: name.to_owned(), version, labels, quantizer, score_scale, plan, gateway_seed })
    }

    /// The card's bytes. They are stored and served as they are: their SHA-256 is the config id.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let plan = &self.plan;
        let shape = plan.shape();
        let form = CardForm {
            format: FORMAT.to_owned(),
            name: self.name.clone(),
            version: self.version,
            policy: match plan.policy() {
                Policy::Scores => SCORES.to_owned(),
                Policy::Label(_) => LABEL.to_owned(),
            },
            label: LabelForm::of(plan),
            hidden: plan.hidden().map(HiddenForm::of),
            privacy: plan.privacy().name().to_owned(),
            parameters: plan.parameters().name().to_owned(),
            features: shape.features,
            feature_bits: shape.feature_bits,
            weight_bits: shape.weight_bits,
            labels: self.labels.clone(),
            feature_scale: match self.quantizer.scale() {
                Scale::PerTensor(scale) => vec![*scale],
                Scale::PerFeature { scales, .. } => scales.clone(),
            },
            feature_offset: match self.quantizer.scale() {
                Scale::PerTensor(_) => Vec::new(),
                Scale::PerFeature { offsets, .. } => offsets.clone(),
            },
            score_scale: self.score_scale,
            gateway_seed: self.gateway_seed.to_string(),
            implied: Implied::of(plan),
        };
        let mut bytes = serde_json::to_vec_pretty(&form).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads a card and recomputes everything in it that follows from its public numbers.
    pub fn from_json(bytes: &[u8]) -> Result<(Self, ConfigId), Error> {
        if bytes.len() > MAXIMUM_CARD_BYTES {
            return Err(Error::CardForm("larger than 2 MiB"));
        }
        let form: CardForm = serde_json::from_slice(bytes)
            .map_err(|_| Error::CardForm("not the JSON object of a tiresias-card/v2, field for field"))?;
        if form.format != FORMAT {
            return Err(Error::CardForm(
                "its format is not tiresias-card/v2: use a client of the gateway's version",
            ));
        }
        let parameters = Parameters::by_name(&form.parameters)?;
        let shape = HeadShape {
            features: form.features,
            classes: form.labels.len(),
            feature_bits: form.feature_bits,
            weight_bits: form.weight_bits,
        };
        let label = form.label.as_ref().map(LabelForm::policy).transpose()?;
        let hidden = form.hidden.as_ref().map(HiddenForm::layers).transpose()?;
        let plan = match (form.policy.as_str(), label, hidden) {
            (SCORES, None, None) => Plan::new(shape, form.privacy.parse()?)?,
            (LABEL, Some(label), None) => Plan::label(shape, label)?,
            (SCORES, None, Some(hidden)) => Plan::mlp(shape, hidden, None)?,
            (LABEL, Some(label), Some(hidden)) => Plan::mlp(shape, hidden, Some(label))?,
            _ => return Err(Error::CardForm("its policy is neither scores nor, with its numbers, label")),
        };
        if plan.privacy().name() != form.privacy {
            return Err(Error::CardMismatch("privacy"));
        }
        if plan.parameters() != parameters {
            return Err(Error::CardMismatch("parameter set"));
        }
        let scale = match (form.feature_scale.as_slice(), form.feature_offset) {
            ([scale], offsets) if offsets.is_empty() => Scale::PerTensor(*scale),
            (_, offsets) => Scale::PerFeature { scales: form.feature_scale, offsets },
        };
        let quantizer = Quantizer::new(form.feature_bits, form.features, scale)?;
        let seed = Seed::from_hex(&form.gateway_seed)?;
        let card = Self::new(&form.name, form.version, form.labels, quantizer, form.score_scale, plan, seed)?;
        form.implied.check(&plan)?;
        Ok((card, ConfigId::of_card(bytes)))
    }

    /// The model's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The model's version, from 1.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// One name a class.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// How features become integers.
    #[must_use]
    pub fn quantizer(&self) -> &Quantizer {
        &self.quantizer
    }

    /// score = scores_q * score_scale.
    #[must_use]
    pub fn score_scale(&self) -> f64 {
        self.score_scale
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The gateway's published seed, one of the two that every mask is expanded from.
    #[must_use]
    pub fn gateway_seed(&self) -> &Seed {
        &self.gateway_seed
    }
}

/// Model names are path segments: 1 to 64 characters of a-z, A-Z, 0-9, '-', '_' and '.', not beginning with '.'.
pub fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=64).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('.') {
        return Ok(());
    }
    Err(Error::OutOfRange {
        what: "a model name",
        rule: "1 to 64 letters, digits, '-', '_' or '.', not beginning with '.'",
    })
}

/// The card on the wire.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CardForm {
    format: String,
    name: String,
    version: u32,
    policy: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<LabelForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hidden: Option<HiddenForm>,
    privacy: String,
    parameters: String,
    features: usize,
    feature_bits: u32,
    weight_bits: u32,
    labels: Vec<String>,
    /// One number, or one for each feature.
    feature_scale: Vec<f64>,
    /// Empty, or one for each feature.
    feature_offset: Vec<f64>,
    score_scale: f64,
    gateway_seed: String,
    implied: Implied,
}

#[cfg(test)]
mod tests;
