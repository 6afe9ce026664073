//! The planner: everything that follows from a head's public numbers.
//!
//! A plan is a function of (d, K, feature bits, weight bits, privacy) and the parameter set, by the formulas of
//! `keys/WIRE.md`. So a client recomputes it from a card before it encrypts, and a card tells nothing of the weights
//! beyond these numbers.
//!
//! The bound behind "exact": let q be the modulus, t the bits of the widest score, B the largest possible noise
//! before the switch to 2^r. Switching adds at most (N+1)/2, so the answer is exact when
//! (N+1)/2 + 2^r * B/q < 2^(r-t-1). All noise here is bounded, so this is a proof and not a probability.

use tiresias_keys::{Parameters, RequestShape, ResponseShape, parameters::N2048_Q50};

use crate::Error;

/// The most coordinates of u that the returned coefficients of one group may give away. What is left of the
/// response mask is then a Ring-LWE sample in dimension N - 256, estimated in SECURITY.md.
const HINTED_COORDINATES: usize = 256;

/// The most classes of one head.
pub const MAXIMUM_CLASSES: usize = 4096;

/// How a response protects the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privacy {
    /// Re-randomized mask and a flooded body: a client learns the scores and at most t + 1 bits per score.
    Flooded,
    /// Neither: for weights that are public anyway.
    OpenWeights,
}

impl Privacy {
    /// The name in cards and command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Flooded => "flooded",
            Self::OpenWeights => "open-weights",
        }
    }
}

impl std::str::FromStr for Privacy {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        [Self::Flooded, Self::OpenWeights]
            .into_iter()
            .find(|privacy| privacy.name() == name)
            .ok_or(Error::OutOfRange { what: "privacy", rule: "flooded or open-weights in this version" })
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
    /// log2 of the statistical distance between the flood and the flood shifted by the noise that depends on
    /// weights, summed over the coefficients of a score vector, for clients that encrypt as specified; at most 0.
    /// It says nothing of the mask, which hides weights computationally. `None` where nothing is flooded.
    pub statistical_distance_log2: Option<f64>,
    /// Bits that any client, however malformed its request, can learn from one returned coefficient. `None` where
    /// the weights are open.
    pub bits_per_score: Option<u32>,
    /// Honest score vectors after which exact scores determine a linear head, whatever the cryptography.
    pub vectors_to_determine: usize,
}

/// The plan of a head: moduli, layout, widths and proved bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    shape: HeadShape,
    privacy: Privacy,
    parameters: &'static Parameters,
    response_bits: u32,
    classes_per_group: usize,
    widths: Option<Widths>,
    noise_bound: u64,
}

impl Plan {
    /// Plans a head, or says which of its numbers is out of range, or that no exact answer fits.
    pub fn new(shape: HeadShape, privacy: Privacy) -> Result<Self, Error> {
        let parameters = &N2048_Q50;
        let n = parameters.polynomial_size();
        for (what, rule, holds) in [
            ("features", "1 to 2048", (1..=n).contains(&shape.features)),
            ("classes", "1 to 4096", (1..=MAXIMUM_CLASSES).contains(&shape.classes)),
            ("feature bits", "2 to 8", (2..=8).contains(&shape.feature_bits)),
            ("weight bits", "2 to 8", (2..=8).contains(&shape.weight_bits)),
        ] {
            if !holds {
                return Err(Error::OutOfRange { what, rule });
            }
        }

        let t = shape.plaintext_bits();
        let base_widths = (privacy == Privacy::Flooded).then(|| base_widths(parameters, t));
        let blocks = match base_widths {
            Some(widths) => (n / shape.features).min(hint_cap(&widths, t)),
            None => n / shape.features,
        };
        // As few groups as the blocks allow, then as few blocks as these groups need: same bytes, less noise.
        let classes_per_group = shape.classes.div_ceil(shape.classes.div_ceil(blocks));

        let leveled = leveled_noise(parameters, &shape, classes_per_group);
        let fits = |widths: Option<Widths>| {
            let bound = leveled + widths.map_or(0, |widths| added_noise(parameters, &widths));
            (t + 1..parameters.modulus_bits())
                .find(|&r| is_exact(parameters, t, r, bound))
                .map(|r| (widths, r, bound))
        };
        let candidate = match base_widths {
            None => fits(None),
            // The largest flood that fits, at the smallest r at which it fits.
            Some(base) => (base.body_noise..parameters.modulus_bits())
                .rev()
                .find_map(|flood| fits(Some(Widths { flood, ..base }))),
        };
        let (widths, response_bits, noise_bound) = candidate
            .ok_or_else(|| Error::DoesNotFit { plaintext_bits: t, noise_log2: (leveled as f64).log2() })?;
        Ok(Self { shape, privacy, parameters, response_bits, classes_per_group, widths, noise_bound })
    }

    /// The head's public numbers.
    #[must_use]
    pub fn shape(&self) -> &HeadShape {
        &self.shape
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

    /// Bits t of the widest score.
    #[must_use]
    pub fn plaintext_bits(&self) -> u32 {
        self.shape.plaintext_bits()
    }

    /// Bits r of the response modulus.
    #[must_use]
    pub fn response_bits(&self) -> u32 {
        self.response_bits
    }

    /// Classes c that share one weight polynomial.
    #[must_use]
    pub fn classes_per_group(&self) -> usize {
        self.classes_per_group
    }

    /// The widths of the gateway's randomness, where there is any.
    #[must_use]
    pub fn widths(&self) -> Option<&Widths> {
        self.widths.as_ref()
    }

    /// The proved bound of the noise before the modulus switch, flood included, in units of 1/q.
    #[must_use]
    pub fn noise_bound(&self) -> u64 {
        self.noise_bound
    }

    /// The proved bound of the noise after the modulus switch, in units of 2^-r, rounded up. An exact answer needs
    /// it below 2^(r-t-1).
    #[must_use]
    pub fn switched_noise_bound(&self) -> u64 {
        let (n, q) = (self.parameters.polynomial_size() as u128, u128::from(self.parameters.modulus()));
        let twice = (n + 1) * q + (u128::from(self.noise_bound) << (self.response_bits + 1));
        twice.div_ceil(2 * q) as u64
    }

    /// The exact size and layout of requests.
    #[must_use]
    pub fn request_shape(&self) -> RequestShape {
        RequestShape { parameters: self.parameters, carries_zero: self.widths.is_some() }
    }

    /// The exact size and layout of responses.
    #[must_use]
    pub fn response_shape(&self) -> ResponseShape {
        ResponseShape {
            parameters: self.parameters,
            rerandomized: self.widths.is_some(),
            modulus_bits: self.response_bits,
            classes: self.shape.classes,
            classes_per_group: self.classes_per_group,
        }
    }

    /// What a response may tell about the weights.
    #[must_use]
    pub fn leak(&self) -> Leak {
        let determined = self.shape.features + 1;
        let Some(widths) = self.widths else {
            return Leak { statistical_distance_log2: None, bits_per_score: None, vectors_to_determine: 1 };
        };
        let shift = leveled_noise(self.parameters, &self.shape, self.classes_per_group) as f64;
        let distance = (self.shape.classes as f64 * shift).log2() - f64::from(widths.flood + 1);
        Leak {
            statistical_distance_log2: Some(distance.min(0.0)),
            bits_per_score: Some(self.plaintext_bits() + 1),
            vectors_to_determine: determined,
        }
    }
}

/// The widths that depend on t alone; the flood is filled in by the planner. At t = 24: u TUniform(4),
/// e1 TUniform(10). Their shares of the half step q/2^(t+1) are 1/128 and 1/16.
fn base_widths(parameters: &Parameters, t: u32) -> Widths {
    let half_step = parameters.modulus_bits() - t - 1;
    let n = parameters.polynomial_size().trailing_zeros();
    Widths {
        rerandomizer: half_step - 7 - n - parameters.noise_bits(),
        mask_noise: half_step - 4 - n,
        body_noise: parameters.noise_bits(),
        flood: 0,
    }
}

/// A client that sends a malformed b' reads at most t + 1 bits from a returned coefficient, charged as
/// (t+1)/(b_u+1) coordinates of u given outright.
fn hint_cap(widths: &Widths, t: u32) -> usize {
    HINTED_COORDINATES * (widths.rerandomizer as usize + 1) / (t as usize + 1)
}

/// Noise of the product and of encoding: |e*w_g| <= 2^b * c*d*2^(b_w-1), half a unit for each encoded feature
/// times its weight, and half a unit for the bias.
fn leveled_noise(parameters: &Parameters, shape: &HeadShape, classes_per_group: usize) -> u64 {
    let weights = (shape.features as u64) << (shape.weight_bits - 1);
    ((weights * classes_per_group as u64) << parameters.noise_bits()) + weights / 2 + 1
}

/// Noise that the gateway adds: |u*e'| <= N*2^b_u*2^b, |e1*s| <= N*2^b_e1, |e2| and the flood.
fn added_noise(parameters: &Parameters, widths: &Widths) -> u64 {
    let n = parameters.polynomial_size() as u64;
    (n << (widths.rerandomizer + parameters.noise_bits()))
        + (n << widths.mask_noise)
        + (1 << widths.body_noise)
        + (1 << widths.flood)
}

/// (N+1)/2 + 2^r * bound/q < 2^(r-t-1), times 2q.
fn is_exact(parameters: &Parameters, t: u32, r: u32, bound: u64) -> bool {
    let (n, q) = (parameters.polynomial_size() as u128, u128::from(parameters.modulus()));
    (n + 1) * q + (u128::from(bound) << (r + 1)) < q << (r - t)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(features: usize, classes: usize, bits: u32) -> HeadShape {
        HeadShape { features, classes, feature_bits: bits, weight_bits: bits }
    }

    #[test]
    fn the_plan_of_512_by_14_is_the_published_one() {
        let plan = Plan::new(shape(512, 14, 8), Privacy::Flooded).unwrap();
        assert_eq!((plan.plaintext_bits(), plan.response_bits(), plan.classes_per_group()), (24, 37, 4));
        let widths = Widths { rerandomizer: 4, mask_noise: 10, body_noise: 3, flood: 24 };
        assert_eq!(plan.widths(), Some(&widths));
        assert_eq!(plan.request_shape().encoded_len(), 25_705);
        assert_eq!(plan.response_shape().encoded_len(), 38_060);
        assert_eq!(plan.leak().bits_per_score, Some(25));
        assert_eq!(plan.leak().vectors_to_determine, 513);
    }

    #[test]
    fn every_plan_in_range_is_exact_and_keeps_its_mask() {
        for features in [1, 2, 3, 30, 511, 512, 513, 768, 1024, 1025, 2047, 2048] {
            for classes in [1, 2, 14, 100, 4096] {
                for (feature_bits, weight_bits) in [(2, 2), (2, 8), (8, 2), (4, 4), (8, 8)] {
                    for privacy in [Privacy::Flooded, Privacy::OpenWeights] {
                        let shape = HeadShape { features, classes, feature_bits, weight_bits };
                        let plan = Plan::new(shape, privacy).unwrap();
                        let room = 1 << (plan.response_bits() - plan.plaintext_bits() - 1);
                        assert!(plan.switched_noise_bound() <= room, "{shape:?}");
                        assert!(plan.classes_per_group() * features <= 2048);
                        assert!(shape.bias_limit() > 0);
                        if let Some(widths) = plan.widths() {
                            assert!(widths.rerandomizer >= 2 && widths.mask_noise >= 8);
                            assert!(plan.response_bits() <= plan.plaintext_bits() + 14);
                            let hints = (plan.plaintext_bits() as usize + 1) * plan.classes_per_group();
                            assert!(hints <= 256 * (widths.rerandomizer as usize + 1));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        for (bad, name) in [
            (shape(0, 2, 8), "features"),
            (shape(2049, 2, 8), "features"),
            (shape(30, 0, 8), "classes"),
            (shape(30, 4097, 8), "classes"),
            (shape(30, 2, 1), "feature bits"),
            (shape(30, 2, 9), "feature bits"),
            (HeadShape { weight_bits: 9, ..shape(30, 2, 8) }, "weight bits"),
        ] {
            let error = Plan::new(bad, Privacy::Flooded).unwrap_err();
            assert!(matches!(error, Error::OutOfRange { what, .. } if what == name), "{error}");
        }
    }
}
