//! The planner: everything that follows from a head's public numbers.
//!
//! A plan is a function of (d, K, feature bits, weight bits, privacy), by the formulas of `keys/WIRE.md`. So a client
//! recomputes it from a card before it encrypts, and a card tells nothing of the weights beyond these numbers.
//!
//! The bound behind "exact": let q be the modulus, t the bits of the widest score, B the largest possible noise
//! before the switch to 2^r. Switching adds at most (N+1)/2, so the answer is exact when
//! (N+1)/2 + 2^r * B/q < 2^(r-t-1). All noise here is bounded, so this is a proof and not a probability.
//!
//! The search for the best layout stands in `search`; what differs where only a label is answered in `label`, and for heads
//! with hidden layers in `hidden`.

mod cohort;
mod hidden;
mod label;
mod search;
mod shape;
#[cfg(test)]
mod tests;

use tiresias_keys::{BootstrapParameters, Parameters, RequestShape, ResponseShape};

pub use cohort::CohortPlan;
pub use hidden::{ActivationRange, HiddenLayers};
pub(crate) use label::FINDINGS_PER_ANSWER;
pub use label::{Decision, LabelPolicy, MAXIMUM_ARGMAX_CLASSES};
pub use shape::HeadShape;

use crate::{Error, explain::Grouping};

/// The most features of one head.
pub const MAXIMUM_FEATURES: usize = 16_384;

/// The most classes of one head.
pub const MAXIMUM_CLASSES: usize = 4096;

/// The most weights of one head: 4,096 classes of 2,048 features.
pub const MAXIMUM_WEIGHTS: usize = 1 << 23;

/// How a response protects the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// Re-randomized mask and a flooded body: a client learns the scores and at most t + 1 bits per score.
    Flooded,
    /// As `Flooded`, with a flood that hides all other noise up to a statistical distance of 2^-40 or less a score
    /// vector, at twice the modulus. What remains is the Ring-LWE assumption for the response mask.
    Statistical,
    /// Neither: for weights that are public anyway.
    OpenWeights,
}

impl Privacy {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Flooded, Self::Statistical, Self::OpenWeights];

    /// The name in cards and command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Flooded => "flooded",
            Self::Statistical => "statistical",
            Self::OpenWeights => "open-weights",
        }
    }

    /// Whether responses are re-randomized and flooded.
    #[must_use]
    pub fn protects_weights(self) -> bool {
        self != Self::OpenWeights
    }
}

impl std::str::FromStr for Privacy {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|privacy| privacy.name() == name)
            .ok_or(Error::OutOfRange { what: "privacy", rule: "flooded, statistical or open-weights" })
    }
}

/// What an answer tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Policy {
    /// The exact scores.
    Scores,
    /// The label alone.
    Label(LabelPolicy),
}

/// The widths of the gateway's randomness, each a TUniform(b).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widths {
    /// u, the secret of the re-randomized mask.
    pub rerandomizer: u32,
    /// e1, the mask's noise.
    pub mask_noise: u32,
    /// e2, the body's noise.
    pub body_noise: u32,
    /// The flood over the body.
    pub flood: u32,
}

/// What a response may tell about the weights beyond the scores themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leak {
    /// log2 of a statistical distance, summed over the coefficients of a score vector, for clients that encrypt as
    /// specified; at most 0. `Flooded`: between the flood and the flood shifted by the noise that depends on weights;
    /// it says nothing of the mask, and the body's other noise gives hints about it. `Statistical`: between the flood
    /// and the flood shifted by all noise, so that the body is a function of the scores alone up to this distance,
    /// and the mask is a plain Ring-LWE sample. `None` where nothing is flooded.
    pub statistical_distance_log2: Option<f64>,
    /// Bits that any client, however malformed its request, can learn from one returned coefficient. `None` where
    /// the weights are open.
    pub bits_per_score: Option<u32>,
    /// Honest score vectors after which exact scores determine a linear head, whatever the cryptography.
    /// `None` for labels and hidden layers, of which that depends on the head.
    pub vectors_to_determine: Option<usize>,
    /// Score vectors before which no client, however malformed its requests, has been sent as many bits as the
    /// weights have: budgets should stay below it.
    pub vectors_for_any_client: usize,
}

/// How features and classes lie in polynomials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Ciphertexts m of a request; feature i lies in ciphertext i / block.
    pub ciphertexts: usize,
    /// Coefficients D = ceil(d/m) that a ciphertext uses, and that one class takes in a weight polynomial.
    pub block: usize,
    /// Classes c that share one weight polynomial, at most N/D.
    pub classes_per_group: usize,
}

/// The plan of a head: moduli, layout, widths and proved bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    shape: HeadShape,
    policy: Policy,
    hidden: Option<HiddenLayers>,
    grouping: Option<Grouping>,
    privacy: Privacy,
    parameters: &'static Parameters,
    layout: Layout,
    response_bits: u32,
    widths: Option<Widths>,
    noise_bound: u128,
}

impl Plan {
    /// Plans a head whose scores are answered, or says which of its numbers is out of range, or that no exact answer fits.
    pub fn new(shape: HeadShape, privacy: Privacy) -> Result<Self, Error> {
        shape.check()?;
        search::best(shape, privacy).ok_or(Error::DoesNotFit { plaintext_bits: shape.plaintext_bits() })
    }

    /// Plans a linear head of which the contributions of feature groups are answered beside the scores: of `shape`'s
    /// classes each has 1 + G rows, and those are the classes of the plan's own shape.
    pub fn explained(shape: HeadShape, grouping: Grouping, privacy: Privacy) -> Result<Self, Error> {
        shape.check()?;
        if !(1..=shape.features).contains(&grouping.groups)
            || !(1..=shape.features).contains(&grouping.largest)
        {
            return Err(Error::OutOfRange {
                what: "groups of features",
                rule: "1 to the number of features",
            });
        }
        let rows = shape.classes.saturating_mul(1 + grouping.groups);
        Ok(Self { grouping: Some(grouping), ..Self::new(HeadShape { classes: rows, ..shape }, privacy)? })
    }

    /// Plans a head of which only the label is answered, under `flooded` privacy.
    pub fn label(shape: HeadShape, policy: LabelPolicy) -> Result<Self, Error> {
        shape.check()?;
        policy.check(&shape)?;
        label::plan(shape, policy).ok_or(Error::DoesNotFit { plaintext_bits: shape.plaintext_bits() })
    }

    /// Plans a head with hidden layers, of which scores or a label are answered, under `flooded` privacy.
    pub fn mlp(shape: HeadShape, hidden: HiddenLayers, label: Option<LabelPolicy>) -> Result<Self, Error> {
        hidden::plan(shape, hidden, label)
    }

    /// The head's public numbers. With hidden layers its weight bits are those of the first.
    #[must_use]
    pub fn shape(&self) -> &HeadShape {
        &self.shape
    }

    /// What an answer tells.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The numbers of a label, where that is what an answer tells.
    #[must_use]
    pub fn label_policy(&self) -> Option<&LabelPolicy> {
        match &self.policy {
            Policy::Scores => None,
            Policy::Label(policy) => Some(policy),
        }
    }

    /// The numbers of the hidden layers, where there are any.
    #[must_use]
    pub fn hidden(&self) -> Option<&HiddenLayers> {
        self.hidden.as_ref()
    }

    /// The groups of features whose contributions are answered, where they are.
    #[must_use]
    pub fn grouping(&self) -> Option<Grouping> {
        self.grouping
    }

    /// Rows of the evaluated head for each class: its score, and the contributions of its groups.
    #[must_use]
    pub fn rows_per_class(&self) -> usize {
        self.grouping.map_or(1, |grouping| 1 + grouping.groups)
    }

    /// The parameter set of the evaluation key that the circuit needs; none for a linear head's scores.
    #[must_use]
    pub fn bootstrap(&self) -> Option<&'static BootstrapParameters> {
        self.label_policy().map(|policy| policy.bootstrap).or(self.hidden.map(|hidden| hidden.bootstrap))
    }

    /// Bootstraps of one answer.
    #[must_use]
    pub fn bootstraps(&self) -> usize {
        self.label_policy().map_or(0, |policy| policy.bootstraps(&self.shape))
            + self.hidden.map_or(0, |hidden| hidden.bootstraps())
    }

    /// log2 of the probability that an answer is not what the circuit promises; none where it always is.
    #[must_use]
    pub fn log2_p_fail(&self) -> Option<f64> {
        match (&self.hidden, &self.policy) {
            (Some(hidden), _) => Some(hidden.log2_p_fail(&self.shape, self.label_policy())),
            (None, Policy::Label(policy)) => Some(policy.log2_p_fail(&self.shape)),
            (None, Policy::Scores) => None,
        }
    }

    /// The linear head that is evaluated without bootstraps: the head itself, or its first layer.
    #[must_use]
    pub fn leveled_shape(&self) -> HeadShape {
        self.hidden.map_or(self.shape, |hidden| hidden.first_layer(&self.shape))
    }

    /// How responses protect the weights.
    #[must_use]
    pub fn privacy(&self) -> Privacy {
        self.privacy
    }

    /// The parameter set.
    #[must_use]
    pub fn parameters(&self) -> &'static Parameters {
        self.parameters
    }

    /// How features and classes lie in polynomials.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Bits t of the plaintext of a feature, which is round(x * q/2^t): those of the widest score, and for labels room
    /// above it.
    #[must_use]
    pub fn plaintext_bits(&self) -> u32 {
        match (&self.hidden, self.policy) {
            (Some(hidden), _) => hidden.plaintext_bits(&self.shape),
            (None, Policy::Scores) => self.shape.plaintext_bits(),
            (None, Policy::Label(policy)) => policy.plaintext_bits(&self.shape),
        }
    }

    /// Bits of the plaintext of one returned coefficient: t for scores.
    #[must_use]
    pub fn answer_bits(&self) -> u32 {
        match (&self.hidden, self.policy) {
            (_, Policy::Label(policy)) => policy.answer_bits(&self.shape),
            (Some(hidden), Policy::Scores) => hidden.score_bits - hidden.coarse_bits(),
            (None, Policy::Scores) => self.shape.plaintext_bits(),
        }
    }

    /// Returned coefficients: one a class for scores.
    #[must_use]
    pub fn answers(&self) -> usize {
        match self.policy {
            Policy::Scores => self.shape.classes,
            Policy::Label(policy) => policy.answers(&self.shape),
        }
    }

    /// Bits r of the response modulus.
    #[must_use]
    pub fn response_bits(&self) -> u32 {
        self.response_bits
    }

    /// Classes c that share one weight polynomial.
    #[must_use]
    pub fn classes_per_group(&self) -> usize {
        self.layout.classes_per_group
    }

    /// The widths of the gateway's randomness, where there is any.
    #[must_use]
    pub fn widths(&self) -> Option<&Widths> {
        self.widths.as_ref()
    }

    /// The proved bound of the noise before the modulus switch, flood included, in units of 1/q.
    #[must_use]
    pub fn noise_bound(&self) -> u128 {
        self.noise_bound
    }

    /// The proved bound of the noise after the modulus switch, in units of 2^-r, rounded up. An exact answer needs
    /// it below 2^(r-t-1), t being the bits of an answer.
    #[must_use]
    pub fn switched_noise_bound(&self) -> u64 {
        let (n, q) = (self.parameters.polynomial_size() as u128, self.parameters.modulus());
        let twice = (n + 1) * q + (self.noise_bound << (self.response_bits + 1));
        twice.div_ceil(2 * q) as u64
    }

    /// The exact size and layout of requests.
    #[must_use]
    pub fn request_shape(&self) -> RequestShape {
        RequestShape {
            parameters: self.parameters,
            ciphertexts: self.layout.ciphertexts,
            carries_zero: self.widths.is_some(),
        }
    }

    /// The exact size and layout of responses.
    #[must_use]
    pub fn response_shape(&self) -> ResponseShape {
        // Coefficients that come from bootstraps have a ciphertext of their own each, at coefficient 0.
        let (classes_per_group, block) = match self.bootstrap() {
            None => (self.layout.classes_per_group, self.layout.block),
            Some(_) => (1, 1),
        };
        ResponseShape {
            parameters: self.parameters,
            rerandomized: self.widths.is_some(),
            modulus_bits: self.response_bits,
            classes: self.answers(),
            classes_per_group,
            block,
        }
    }

    /// What a response may tell about the weights.
    #[must_use]
    pub fn leak(&self) -> Leak {
        let shape = &self.shape;
        if let (Some(hidden), Some(widths)) = (&self.hidden, &self.widths) {
            return hidden::leak(self, hidden, widths);
        }
        if let (Policy::Label(policy), Some(widths)) = (self.policy, self.widths) {
            return label::leak(shape, &policy, &widths);
        }
        let Some(widths) = self.widths else {
            return Leak {
                statistical_distance_log2: None,
                bits_per_score: None,
                vectors_to_determine: Some(1),
                vectors_for_any_client: 1,
            };
        };
        let bits = search::told_bits(self.parameters, &widths);
        let shift = search::hidden_noise(self.parameters, shape, self.privacy, &self.layout, &widths) as f64;
        let distance = (shape.classes as f64 * shift).log2() - f64::from(widths.flood + 1);
        Leak {
            statistical_distance_log2: Some(distance.min(0.0)),
            bits_per_score: Some(bits),
            // Contributions come without a bias, so each vector is an equation in a group's weights.
            vectors_to_determine: Some(self.grouping.map_or(shape.features + 1, |grouping| grouping.largest)),
            vectors_for_any_client: (shape.features * shape.weight_bits as usize)
                .div_ceil(bits as usize * self.rows_per_class()),
        }
    }
}
