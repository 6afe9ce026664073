//! The parts of a card on the wire.

use serde::{Deserialize, Serialize};
use tiresias_keys::{BootstrapParameters, EvaluationKey};

use crate::{
    Calibration, Error, Explanation, Groups, Plan,
    explain::MapShape,
    mlp::MAXIMUM_HIDDEN_LAYERS,
    plan::{CohortPlan, HiddenLayers, LabelPolicy, Policy},
};

/// What a card states of its label.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LabelForm {
    decision: String,
    stages: usize,
    zone: u64,
    bootstrap: String,
}

impl LabelForm {
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        let Policy::Label(policy) = plan.policy() else { return None };
        Some(Self {
            decision: policy.decision.name().to_owned(),
            stages: policy.stages,
            zone: policy.zone,
            bootstrap: policy.bootstrap.name().to_owned(),
        })
    }

    pub(super) fn policy(&self) -> Result<LabelPolicy, Error> {
        Ok(LabelPolicy {
            decision: self.decision.parse()?,
            stages: self.stages,
            zone: self.zone,
            bootstrap: BootstrapParameters::by_name(&self.bootstrap)?,
        })
    }
}

/// What a card states of its hidden layers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HiddenForm {
    neurons: Vec<usize>,
    activation_bits: u32,
    /// Of each layer behind the first.
    weight_bits: Vec<u32>,
    score_bits: u32,
    score_norm: u64,
    range: String,
    bootstrap: String,
}

impl HiddenForm {
    pub(super) fn of(hidden: &HiddenLayers) -> Self {
        let layers = hidden.layers();
        Self {
            neurons: hidden.neurons[..layers].to_vec(),
            activation_bits: hidden.activation_bits,
            weight_bits: hidden.weight_bits[..layers].to_vec(),
            score_bits: hidden.score_bits,
            score_norm: hidden.score_norm,
            range: hidden.range.name().to_owned(),
            bootstrap: hidden.bootstrap.name().to_owned(),
        }
    }

    pub(super) fn layers(&self) -> Result<HiddenLayers, Error> {
        let layers = self.neurons.len();
        if !(1..=MAXIMUM_HIDDEN_LAYERS).contains(&layers) || self.weight_bits.len() != layers {
            return Err(Error::OutOfRange {
                what: "hidden layers",
                rule: "1 to 3, with weight bits of each",
            });
        }
        let (mut neurons, mut weight_bits) = ([0; MAXIMUM_HIDDEN_LAYERS], [0; MAXIMUM_HIDDEN_LAYERS]);
        neurons[..layers].copy_from_slice(&self.neurons);
        weight_bits[..layers].copy_from_slice(&self.weight_bits);
        Ok(HiddenLayers {
            neurons,
            activation_bits: self.activation_bits,
            weight_bits,
            score_bits: self.score_bits,
            score_norm: self.score_norm,
            range: self.range.parse()?,
            bootstrap: BootstrapParameters::by_name(&self.bootstrap)?,
        })
    }
}

/// What a card states of explanations.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub(super) enum ExplainForm {
    Groups {
        names: Vec<String>,
        /// The group of each feature, counted from 0.
        of_feature: Vec<usize>,
    },
    Map {
        height: usize,
        width: usize,
    },
}

impl ExplainForm {
    pub(super) fn of(explanation: &Explanation) -> Self {
        match explanation {
            Explanation::Groups(groups) => {
                Self::Groups { names: groups.names().to_vec(), of_feature: groups.of_feature().to_vec() }
            }
            Explanation::Map(map) => Self::Map { height: map.height(), width: map.width() },
        }
    }

    pub(super) fn explanation(self) -> Result<Explanation, Error> {
        match self {
            Self::Groups { names, of_feature } => Groups::new(names, of_feature).map(Explanation::Groups),
            Self::Map { height, width } => MapShape::new(height, width).map(Explanation::Map),
        }
    }
}

/// What a card states of cohorts: all of it follows from the card's public numbers, but that there are any.
#[derive(PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CohortForm {
    parameters: String,
    r: u32,
    patients_per_block: usize,
    block_bytes: usize,
    answer_bytes: usize,
    leak_bits_per_score: Option<u32>,
    vectors_for_any_client: usize,
}

impl CohortForm {
    pub(super) fn of(plan: &CohortPlan) -> Self {
        let (leak, patients) = (plan.leak(), plan.parameters().maximum_patients());
        Self {
            parameters: plan.parameters().name().to_owned(),
            r: plan.response_bits(),
            patients_per_block: patients,
            block_bytes: plan.request_shape().encoded_len(patients),
            answer_bytes: plan.response_shape(patients).encoded_len(),
            leak_bits_per_score: leak.bits_per_score,
            vectors_for_any_client: leak.vectors_for_any_client,
        }
    }
}

/// What a card states of the features that its quantizer was calibrated on.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CalibrationForm {
    rows: usize,
    mean: Vec<f64>,
    deviation: Vec<f64>,
    distance_limit: f64,
}

impl CalibrationForm {
    pub(super) fn of(calibration: &Calibration) -> Self {
        Self {
            rows: calibration.rows(),
            mean: calibration.mean().to_vec(),
            deviation: calibration.deviation().to_vec(),
            distance_limit: calibration.limit(),
        }
    }

    pub(super) fn calibration(self) -> Result<Calibration, Error> {
        Calibration::new(self.rows, self.mean, self.deviation, self.distance_limit)
    }
}

/// The part of a card that follows from the rest, stated for readers who do not compute it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Implied {
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
    /// With bootstraps: the bits of a returned coefficient, bootstraps an answer, and bytes of the key that they need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer_bits: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bootstraps: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evaluation_key_bytes: Option<usize>,
}

impl Implied {
    pub(super) fn of(plan: &Plan) -> Self {
        let (leak, bootstrap) = (plan.leak(), plan.bootstrap());
        Self {
            t: plan.plaintext_bits(),
            r: plan.response_bits(),
            ciphertexts: plan.layout().ciphertexts,
            features_per_ciphertext: plan.layout().block,
            classes_per_group: plan.classes_per_group(),
            groups: plan.response_shape().groups(),
            request_element_bytes: plan.request_shape().encoded_len(),
            response_element_bytes: plan.response_shape().encoded_len(),
            log2_p_fail: plan.log2_p_fail().map(tenths),
            leak_bits_per_score: leak.bits_per_score,
            leak_distance_log2: leak.statistical_distance_log2.map(tenths),
            vectors_to_determine: leak.vectors_to_determine,
            vectors_for_any_client: leak.vectors_for_any_client,
            answer_bits: bootstrap.map(|_| plan.answer_bits()),
            bootstraps: bootstrap.map(|_| plan.bootstraps()),
            evaluation_key_bytes: bootstrap.map(EvaluationKey::encoded_len),
        }
    }

    pub(super) fn check(&self, plan: &Plan) -> Result<(), Error> {
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

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
