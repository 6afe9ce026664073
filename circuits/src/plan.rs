//! The planner: everything that follows from a head's public numbers.
//!
//! A plan is a function of (d, K, feature bits, weight bits, privacy), by the formulas of `keys/WIRE.md`. So a client
//! recomputes it from a card before it encrypts, and a card tells nothing of the weights beyond these numbers.
//!
//! The bound behind "exact": let q be the modulus, t the bits of the widest score, B the largest possible noise
//! before the switch to 2^r. Switching adds at most (N+1)/2, so the answer is exact when
//! (N+1)/2 + 2^r * B/q < 2^(r-t-1). All noise here is bounded, so this is a proof and not a probability.
//!
//! The search for the best layout stands in `search`; what differs where only a label is answered in `label`.

mod label;
mod search;
#[cfg(test)]
mod tests;

use tiresias_keys::{Parameters, RequestShape, ResponseShape};

pub use label::{Decision, LabelPolicy, MAXIMUM_ARGMAX_CLASSES};

use crate::Error;

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

/// The public numbers of a linear head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadShape {
    /// Features d.
    pub features: usize,
    /// Classes K.
    pub classes: usize,
    /// Width of a quantized feature, 2 to 8 bits: |x| < 2^(bits-1).
    pub feature_bits: u32,
    /// Width of a quantized weight, 2 to 8 bits: |w| < 2^(bits-1).
    pub weight_bits: u32,
}

impl HeadShape {
    /// The largest |x|: 2^(feature_bits-1) - 1.
    #[must_use]
    pub fn feature_limit(&self) -> i64 {
        (1 << (self.feature_bits - 1)) - 1
    }

    /// The largest |w|: 2^(weight_bits-1) - 1.
    #[must_use]
    pub fn weight_limit(&self) -> i64 {
        (1 << (self.weight_bits - 1)) - 1
    }

    /// Bits t of the widest score: feature_bits + weight_bits - 1 + ceil(log2 d).
    #[must_use]
    pub fn plaintext_bits(&self) -> u32 {
        self.feature_bits + self.weight_bits - 1 + self.features.next_power_of_two().trailing_zeros()
    }

    /// The largest |bias| in score units: what t bits leave beside the largest weighted sum.
    #[must_use]
    pub fn bias_limit(&self) -> i64 {
        let widest_sum = self.features as i64 * self.feature_limit() * self.weight_limit();
        (1 << (self.plaintext_bits() - 1)) - 1 - widest_sum
    }

    /// Errors where a number is out of range.
    fn check(&self) -> Result<(), Error> {
        let weights = self.features.saturating_mul(self.classes);
        for (what, rule, holds) in [
            ("features", "1 to 16384", (1..=MAXIMUM_FEATURES).contains(&self.features)),
            ("classes", "1 to 4096", (1..=MAXIMUM_CLASSES).contains(&self.classes)),
            ("features times classes", "at most 8388608", weights <= MAXIMUM_WEIGHTS),
            ("feature bits", "2 to 8", (2..=8).contains(&self.feature_bits)),
            ("weight bits", "2 to 8", (2..=8).contains(&self.weight_bits)),
        ] {
            if !holds {
                return Err(Error::OutOfRange { what, rule });
            }
        }
        Ok(())
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
    /// `None` for labels, of which that depends on the head.
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

    /// Plans a head of which only the label is answered, under `flooded` privacy.
    pub fn label(shape: HeadShape, policy: LabelPolicy) -> Result<Self, Error> {
        shape.check()?;
        policy.check(&shape)?;
        label::plan(shape, policy).ok_or(Error::DoesNotFit { plaintext_bits: shape.plaintext_bits() })
    }

    /// The head's public numbers.
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
        match self.policy {
            Policy::Scores => self.shape.plaintext_bits(),
            Policy::Label(policy) => policy.plaintext_bits(&self.shape),
        }
    }

    /// Bits of the plaintext of one returned coefficient: t for scores.
    #[must_use]
    pub fn answer_bits(&self) -> u32 {
        match self.policy {
            Policy::Scores => self.shape.plaintext_bits(),
            Policy::Label(policy) => policy.answer_bits(&self.shape),
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
        // A label's coefficients come from bootstraps, each in a ciphertext of its own, at coefficient 0.
        let (classes_per_group, block) = match self.policy {
            Policy::Scores => (self.layout.classes_per_group, self.layout.block),
            Policy::Label(_) => (1, 1),
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
        let bits = self.answer_bits() + 1;
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
        let shift = search::hidden_noise(self.parameters, shape, self.privacy, &self.layout, &widths) as f64;
        let distance = (shape.classes as f64 * shift).log2() - f64::from(widths.flood + 1);
        Leak {
            statistical_distance_log2: Some(distance.min(0.0)),
            bits_per_score: Some(bits),
            vectors_to_determine: Some(shape.features + 1),
            vectors_for_any_client: (shape.features * shape.weight_bits as usize).div_ceil(bits as usize),
        }
    }
}
