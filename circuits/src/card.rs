//! The circuit card: the public description of a served head. Its id is the SHA-256 of its bytes as served.
//!
//! A card names its parameter set and states d, K, bits and privacy; all else in it (moduli, layout, sizes, bounds)
//! follows from these by [`Plan`]. [`Card::from_json`] recomputes that and refuses a card that states otherwise, so
//! a card cannot downgrade a client.

use serde::{Deserialize, Serialize};
use tiresias_keys::{BootstrapParameters, ConfigId, EvaluationKey, Parameters, Seed};

use crate::{
    Error, HeadShape, Plan, Quantizer,
    head::check_labels,
    plan::{LabelPolicy, Policy},
    quantize::Scale,
};

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
        let plan = match (form.policy.as_str(), &form.label) {
            (SCORES, None) => Plan::new(shape, form.privacy.parse()?)?,
            (LABEL, Some(label)) => Plan::label(shape, label.policy()?)?,
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

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
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

/// What a card states of its label.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelForm {
    decision: String,
    stages: usize,
    zone: u64,
    bootstrap: String,
}

impl LabelForm {
    fn of(plan: &Plan) -> Option<Self> {
        let Policy::Label(policy) = plan.policy() else { return None };
        Some(Self {
            decision: policy.decision.name().to_owned(),
            stages: policy.stages,
            zone: policy.zone,
            bootstrap: policy.bootstrap.name().to_owned(),
        })
    }

    fn policy(&self) -> Result<LabelPolicy, Error> {
        Ok(LabelPolicy {
            decision: self.decision.parse()?,
            stages: self.stages,
            zone: self.zone,
            bootstrap: BootstrapParameters::by_name(&self.bootstrap)?,
        })
    }
}

/// The part of a card that follows from the rest, stated for readers who do not compute it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Implied {
    t: u32,
    r: u32,
    ciphertexts: usize,
    features_per_ciphertext: usize,
    classes_per_group: usize,
    groups: usize,
    request_element_bytes: usize,
    response_element_bytes: usize,
    /// Null: the failure probability is exactly 0.
    log2_p_fail: Option<f64>,
    leak_bits_per_score: Option<u32>,
    leak_distance_log2: Option<f64>,
    vectors_to_determine: Option<usize>,
    vectors_for_any_client: usize,
    /// For labels: the bits of a returned coefficient, bootstraps an answer, and bytes of the key that they need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer_bits: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bootstraps: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evaluation_key_bytes: Option<usize>,
}

impl Implied {
    fn of(plan: &Plan) -> Self {
        let (leak, label) = (plan.leak(), plan.label_policy());
        Self {
            t: plan.plaintext_bits(),
            r: plan.response_bits(),
            ciphertexts: plan.layout().ciphertexts,
            features_per_ciphertext: plan.layout().block,
            classes_per_group: plan.classes_per_group(),
            groups: plan.response_shape().groups(),
            request_element_bytes: plan.request_shape().encoded_len(),
            response_element_bytes: plan.response_shape().encoded_len(),
            log2_p_fail: label.map(|policy| tenths(policy.log2_p_fail(plan.shape()))),
            leak_bits_per_score: leak.bits_per_score,
            leak_distance_log2: leak.statistical_distance_log2.map(tenths),
            vectors_to_determine: leak.vectors_to_determine,
            vectors_for_any_client: leak.vectors_for_any_client,
            answer_bits: label.map(|_| plan.answer_bits()),
            bootstraps: label.map(|policy| policy.bootstraps(plan.shape())),
            evaluation_key_bytes: label.map(|policy| EvaluationKey::encoded_len(policy.bootstrap)),
        }
    }

    fn check(&self, plan: &Plan) -> Result<(), Error> {
        let implied = Self::of(plan);
        // Stated to one decimal; the last one may round either way.
        let same = |stated: Option<f64>, computed: Option<f64>| match (stated, computed) {
            (Some(stated), Some(computed)) => (stated - computed).abs() < 0.11,
            (stated, computed) => stated.is_none() && computed.is_none(),
        };
        for (what, agrees) in [
            ("t", self.t == implied.t),
            ("r", self.r == implied.r),
            ("layout", self.classes_per_group == implied.classes_per_group && self.groups == implied.groups),
            ("layout", self.ciphertexts == implied.ciphertexts),
            ("layout", self.features_per_ciphertext == implied.features_per_ciphertext),
            ("request size", self.request_element_bytes == implied.request_element_bytes),
            ("response size", self.response_element_bytes == implied.response_element_bytes),
            ("failure probability", same(self.log2_p_fail, implied.log2_p_fail)),
            ("leak per score", self.leak_bits_per_score == implied.leak_bits_per_score),
            ("statistical distance", same(self.leak_distance_log2, implied.leak_distance_log2)),
            ("number of determining vectors", self.vectors_to_determine == implied.vectors_to_determine),
            ("number of determining vectors", self.vectors_for_any_client == implied.vectors_for_any_client),
            ("width of an answer", self.answer_bits == implied.answer_bits),
            ("number of bootstraps", self.bootstraps == implied.bootstraps),
            ("evaluation key size", self.evaluation_key_bytes == implied.evaluation_key_bytes),
        ] {
            if !agrees {
                return Err(Error::CardMismatch(what));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
