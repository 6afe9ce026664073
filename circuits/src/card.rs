//! The circuit card: the public description of a served head. Its id is the SHA-256 of its bytes as served.
//!
//! A card names its parameter set and states d, K, bits and privacy; all else in it (moduli, layout, sizes, bounds)
//! follows from these by [`Plan`]. [`Card::from_json`] recomputes that and refuses a card that states otherwise, so
//! a card cannot downgrade a client.

mod forms;

use serde::{Deserialize, Serialize};
use tiresias_keys::{ConfigId, Digest, Parameters, Seed};

use crate::{
    Calibration, Error, Explanation, Groups, HeadShape, Plan, Quantizer,
    head::check_labels,
    plan::{CohortPlan, Policy},
    quantize::Scale,
};
use forms::{CalibrationForm, CohortForm, ExplainForm, HiddenForm, Implied, LabelForm};

/// The largest card that is read: 4,096 labels or 16,384 scales and offsets fit with room.
pub const MAXIMUM_CARD_BYTES: usize = 2 << 20;

/// What a decision that is too close to tell is called. No class of a label has this name.
pub const REVIEW: &str = "review";

const FORMAT: &str = "tiresias-card/v2";
const SCORES: &str = "scores";
const LABEL: &str = "label";

/// The longest text of a model card, in bytes.
pub const MAXIMUM_ABOUT_BYTES: usize = 16 << 10;

/// What a card is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct CardParts {
    /// The model's name, by the rules of [`check_name`].
    pub name: String,
    /// The model's version, from 1.
    pub version: u32,
    /// One name a class.
    pub labels: Vec<String>,
    /// How features become integers.
    pub quantizer: Quantizer,
    /// score = scores_q * score_scale.
    pub score_scale: f64,
    /// The plan.
    pub plan: Plan,
    /// The gateway's published seed, one of the two that every mask is expanded from.
    pub gateway_seed: Seed,
    /// What the model owner lets clients see besides the scores.
    pub explanation: Option<Explanation>,
    /// Whether the model owner lets clients have whole cohorts scored, a vector for each patient.
    pub cohort: bool,
    /// The features that the quantizer was calibrated on, as a whole.
    pub calibration: Option<Calibration>,
    /// The digest of the backbone whose features the head was trained on, where the model owner pins one.
    pub backbone: Option<Digest>,
    /// What the model owner says of the model: intended use, limits.
    pub about: Option<String>,
}

impl CardParts {
    /// The parts that every card has.
    #[must_use]
    pub fn new(
        name: &str,
        version: u32,
        labels: Vec<String>,
        quantizer: Quantizer,
        score_scale: f64,
        plan: Plan,
        gateway_seed: Seed,
    ) -> Self {
        Self {
            name: name.to_owned(),
            version,
            labels,
            quantizer,
            score_scale,
            plan,
            gateway_seed,
            explanation: None,
            cohort: false,
            calibration: None,
            backbone: None,
            about: None,
        }
    }
}

/// A checked circuit card.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    parts: CardParts,
    cohort: Option<CohortPlan>,
}

impl Card {
    /// Assembles a card. Errors where the name, labels, quantizer, score scale, explanation, calibration or text break a
    /// rule or disagree with the plan.
    pub fn new(parts: CardParts) -> Result<Self, Error> {
        let (plan, labels) = (&parts.plan, &parts.labels);
        let shape = plan.shape();
        check_name(&parts.name)?;
        check_labels(labels)?;
        if parts.version == 0 {
            return Err(Error::OutOfRange { what: "a model version", rule: "1 or more" });
        }
        if plan.label_policy().is_some() && labels.iter().any(|label| label == REVIEW) {
            return Err(Error::OutOfRange { what: "the name of a class", rule: "another one than `review`" });
        }
        let classes = shape.classes / plan.rows_per_class();
        if labels.len() != classes {
            return Err(Error::Shape { what: "labels", got: labels.len(), expected: classes });
        }
        if parts.quantizer.bits() != shape.feature_bits {
            return Err(Error::CardMismatch("feature width"));
        }
        if !(parts.score_scale.is_normal() && parts.score_scale > 0.0) {
            return Err(Error::OutOfRange { what: "the score scale", rule: "a positive finite number" });
        }
        if parts.explanation.as_ref().and_then(Explanation::groups).map(Groups::grouping) != plan.grouping() {
            return Err(Error::CardMismatch("number of groups"));
        }
        if parts.explanation.is_some() && plan.bootstrap().is_some() {
            return Err(Error::OutOfRange { what: "an explanation", rule: "of a linear head's scores" });
        }
        let columns = [
            parts.explanation.as_ref().and_then(Explanation::groups).map(|groups| groups.of_feature().len()),
            parts.calibration.as_ref().map(|calibration| calibration.mean().len()),
        ];
        if let Some(got) = columns.into_iter().flatten().find(|columns| *columns != shape.features) {
            return Err(Error::Shape {
                what: "features of an explanation or calibration",
                got,
                expected: shape.features,
            });
        }
        let is_text = |text: &String| {
            text.len() <= MAXIMUM_ABOUT_BYTES && !text.contains(|c: char| c.is_control() && c != '\n')
        };
        if !parts.about.as_ref().is_none_or(is_text) {
            return Err(Error::OutOfRange {
                what: "the text about a model",
                rule: "at most 16 KiB without control characters",
            });
        }
        let cohort = parts.cohort.then(|| CohortPlan::new(plan)).transpose()?;
        Ok(Self { parts, cohort })
    }

    /// The card's bytes. They are stored and served as they are: their SHA-256 is the config id.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let parts = &self.parts;
        let plan = &parts.plan;
        let shape = plan.shape();
        let form = CardForm {
            format: FORMAT.to_owned(),
            name: parts.name.clone(),
            version: parts.version,
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
            labels: parts.labels.clone(),
            feature_scale: match parts.quantizer.scale() {
                Scale::PerTensor(scale) => vec![*scale],
                Scale::PerFeature { scales, .. } => scales.clone(),
            },
            feature_offset: match parts.quantizer.scale() {
                Scale::PerTensor(_) => Vec::new(),
                Scale::PerFeature { offsets, .. } => offsets.clone(),
            },
            score_scale: parts.score_scale,
            explain: parts.explanation.as_ref().map(ExplainForm::of),
            cohort: self.cohort.as_ref().map(CohortForm::of),
            calibration: parts.calibration.as_ref().map(CalibrationForm::of),
            backbone: parts.backbone.map(|digest| digest.to_string()),
            about: parts.about.clone(),
            gateway_seed: parts.gateway_seed.to_string(),
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
        let explanation = form.explain.map(ExplainForm::explanation).transpose()?;
        let groups = explanation.as_ref().and_then(Explanation::groups);
        let plan = match (form.policy.as_str(), label, hidden) {
            (SCORES, None, None) => match groups {
                Some(groups) => Plan::explained(shape, groups.grouping(), form.privacy.parse()?)?,
                None => Plan::new(shape, form.privacy.parse()?)?,
            },
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
        let card = Self::new(CardParts {
            name: form.name,
            version: form.version,
            labels: form.labels,
            quantizer,
            score_scale: form.score_scale,
            plan,
            gateway_seed: Seed::from_hex(&form.gateway_seed)?,
            explanation,
            cohort: form.cohort.is_some(),
            calibration: form.calibration.map(CalibrationForm::calibration).transpose()?,
            backbone: form.backbone.as_deref().map(Digest::from_hex).transpose()?,
            about: form.about,
        })?;
        form.implied.check(&plan)?;
        if form.cohort != card.cohort.as_ref().map(CohortForm::of) {
            return Err(Error::CardMismatch("cohort"));
        }
        Ok((card, ConfigId::of_card(bytes)))
    }

    /// The model's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// The model's version, from 1.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.parts.version
    }

    /// One name a class.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.parts.labels
    }

    /// How features become integers.
    #[must_use]
    pub fn quantizer(&self) -> &Quantizer {
        &self.parts.quantizer
    }

    /// score = scores_q * score_scale.
    #[must_use]
    pub fn score_scale(&self) -> f64 {
        self.parts.score_scale
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.parts.plan
    }

    /// The gateway's published seed, one of the two that every mask is expanded from.
    #[must_use]
    pub fn gateway_seed(&self) -> &Seed {
        &self.parts.gateway_seed
    }

    /// What the model owner lets clients see besides the scores.
    #[must_use]
    pub fn explanation(&self) -> Option<&Explanation> {
        self.parts.explanation.as_ref()
    }

    /// The plan of cohorts, where the model owner lets clients have them scored.
    #[must_use]
    pub fn cohort(&self) -> Option<&CohortPlan> {
        self.cohort.as_ref()
    }

    /// The features that the quantizer was calibrated on, as a whole.
    #[must_use]
    pub fn calibration(&self) -> Option<&Calibration> {
        self.parts.calibration.as_ref()
    }

    /// The digest of the backbone whose features the head was trained on, where the model owner pins one.
    #[must_use]
    pub fn backbone(&self) -> Option<&Digest> {
        self.parts.backbone.as_ref()
    }

    /// What the model owner says of the model.
    #[must_use]
    pub fn about(&self) -> Option<&str> {
        self.parts.about.as_deref()
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    explain: Option<ExplainForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cohort: Option<CohortForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calibration: Option<CalibrationForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    backbone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    about: Option<String>,
    gateway_seed: String,
    implied: Implied,
}

#[cfg(test)]
mod tests;
