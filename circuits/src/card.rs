//! The circuit card: the public description of a served head. Its id is the SHA-256 of its bytes as served.
//!
//! A card names its parameter set and states d, K, bits and privacy; all else in it (moduli, layout, sizes, bounds)
//! follows from these by [`Plan`]. [`Card::from_json`] recomputes that and refuses a card that states otherwise, so
//! a card cannot downgrade a client.

use serde::{Deserialize, Serialize};
use tiresias_keys::{ConfigId, Parameters, Seed};

use crate::{Error, HeadShape, Plan, Quantizer, head::check_labels, quantize::Scale};

/// The largest card that is read: 4,096 labels or 16,384 scales and offsets fit with room.
pub const MAXIMUM_CARD_BYTES: usize = 2 << 20;

const FORMAT: &str = "tiresias-card/v2";

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
        let (shape, leak) = (plan.shape(), plan.leak());
        let form = CardForm {
            format: FORMAT.to_owned(),
            name: self.name.clone(),
            version: self.version,
            policy: "scores".to_owned(),
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
            implied: Implied {
                t: plan.plaintext_bits(),
                r: plan.response_bits(),
                ciphertexts: plan.layout().ciphertexts,
                features_per_ciphertext: plan.layout().block,
                classes_per_group: plan.classes_per_group(),
                groups: plan.response_shape().groups(),
                request_element_bytes: plan.request_shape().encoded_len(),
                response_element_bytes: plan.response_shape().encoded_len(),
                log2_p_fail: None,
                leak_bits_per_score: leak.bits_per_score,
                leak_distance_log2: leak.statistical_distance_log2.map(tenths),
                vectors_to_determine: leak.vectors_to_determine,
                vectors_for_any_client: leak.vectors_for_any_client,
            },
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
        if form.policy != "scores" {
            return Err(Error::CardForm("its policy is not scores, the one of this version"));
        }
        let parameters = Parameters::by_name(&form.parameters)?;
        let shape = HeadShape {
            features: form.features,
            classes: form.labels.len(),
            feature_bits: form.feature_bits,
            weight_bits: form.weight_bits,
        };
        let plan = Plan::new(shape, form.privacy.parse()?)?;
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
    vectors_to_determine: usize,
    vectors_for_any_client: usize,
}

impl Implied {
    fn check(&self, plan: &Plan) -> Result<(), Error> {
        let (shape, leak) = (plan.response_shape(), plan.leak());
        let same_distance = match (self.leak_distance_log2, leak.statistical_distance_log2) {
            (Some(stated), Some(computed)) => (stated - computed).abs() < 0.11,
            (stated, computed) => stated.is_none() && computed.is_none(),
        };
        for (what, agrees) in [
            ("t", self.t == plan.plaintext_bits()),
            ("r", self.r == plan.response_bits()),
            ("layout", self.classes_per_group == shape.classes_per_group && self.groups == shape.groups()),
            ("layout", self.ciphertexts == plan.layout().ciphertexts),
            ("layout", self.features_per_ciphertext == plan.layout().block),
            ("request size", self.request_element_bytes == plan.request_shape().encoded_len()),
            ("response size", self.response_element_bytes == shape.encoded_len()),
            ("failure probability", self.log2_p_fail.is_none()),
            ("leak per score", self.leak_bits_per_score == leak.bits_per_score),
            ("statistical distance", same_distance),
            ("number of determining vectors", self.vectors_to_determine == leak.vectors_to_determine),
            ("number of determining vectors", self.vectors_for_any_client == leak.vectors_for_any_client),
        ] {
            if !agrees {
                return Err(Error::CardMismatch(what));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Privacy;

    fn card() -> Card {
        let shape = HeadShape { features: 30, classes: 2, feature_bits: 8, weight_bits: 8 };
        let scales = (1..=30).map(|i| 0.1 * f64::from(i)).collect();
        let scale = Scale::PerFeature { scales, offsets: (1..=30).map(f64::from).collect() };
        let plan = Plan::new(shape, Privacy::Flooded).unwrap();
        let quantizer = Quantizer::new(8, 30, scale).unwrap();
        let labels = vec!["benign".into(), "malignant".into()];
        Card::new("wdbc", 1, labels, quantizer, 0.001_234_5, plan, Seed::from_bytes([7; 32])).unwrap()
    }

    #[test]
    fn a_card_round_trips_and_its_id_is_the_hash_of_its_bytes() {
        let bytes = card().to_json();
        let (read, id) = Card::from_json(&bytes).unwrap();
        assert_eq!(read, card());
        assert_eq!(id, ConfigId::of_card(&bytes));
        assert_eq!(read.to_json(), bytes);
    }

    #[test]
    fn a_card_cannot_downgrade() {
        let text = String::from_utf8(card().to_json()).unwrap();
        for (from, to, what) in [
            ("\"t\": 20", "\"t\": 19", "t"),
            ("\"r\": 33", "\"r\": 34", "r"),
            ("\"classes_per_group\": 2", "\"classes_per_group\": 1", "layout"),
            ("\"groups\": 1", "\"groups\": 2", "layout"),
            ("\"ciphertexts\": 1", "\"ciphertexts\": 2", "layout"),
            ("\"features_per_ciphertext\": 30", "\"features_per_ciphertext\": 15", "layout"),
            ("\"privacy\": \"flooded\"", "\"privacy\": \"statistical\"", "parameter set"),
            ("\"log2_p_fail\": null", "\"log2_p_fail\": -40.0", "failure probability"),
            ("\"leak_bits_per_score\": 21", "\"leak_bits_per_score\": 2", "leak per score"),
            (
                "\"vectors_to_determine\": 31",
                "\"vectors_to_determine\": 310",
                "number of determining vectors",
            ),
            ("\"privacy\": \"flooded\"", "\"privacy\": \"open-weights\"", "r"),
        ] {
            assert!(text.contains(from), "the test's own text: {from}");
            let error = Card::from_json(text.replace(from, to).as_bytes()).unwrap_err();
            assert!(matches!(error, Error::CardMismatch(found) if found == what), "{to}: {error}");
        }
        for (from, to) in [
            ("N2048_Q50", "N4096_Q100"),
            ("N2048_Q50", "N2048_Q54"),
            ("N2048_Q50", "INSECURE_N256"),
            ("tiresias-card/v2", "tiresias-card/v1"),
            ("\"scores\"", "\"label\""),
            ("\"features\": 30", "\"features\": 31"),
            ("\"features\": 30", "\"features\": 99999999"),
            ("\"version\": 1", "\"version\": 0"),
            ("\"wdbc\"", "\"../wdbc\""),
            ("\"benign\"", "\"malignant\""),
            ("\"policy\"", "\"extra\": 1, \"policy\""),
        ] {
            assert!(text.contains(from), "the test's own text: {from}");
            assert!(Card::from_json(text.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
        }
        assert!(Card::from_json(b"").is_err());
        assert!(Card::from_json(&vec![b' '; MAXIMUM_CARD_BYTES + 1]).is_err());
    }
}
