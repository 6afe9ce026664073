//! The plan of a head of which only the label is answered. Each class is evaluated alone, its score is bootstrapped, and
//! what is returned has a few bits.

use tiresias_keys::BootstrapParameters;

use super::{HeadShape, Leak, Plan, Policy, Widths, search};
use crate::{
    Error,
    bootstrap::noise::{log2_tail, margin_deviations, output_bound},
    ladder,
};

/// The most classes of which the highest is found: all pairs are compared.
pub const MAXIMUM_ARGMAX_CLASSES: usize = 128;

/// The most stages of a sign.
const MAXIMUM_STAGES: usize = 12;

/// Findings that share one returned coefficient: two bits each. Four would leave the flood of one level too little room.
pub(crate) const FINDINGS_PER_ANSWER: usize = 3;

/// The most classes of an argmax under one level: the noise of a sum of 64 results is above half a step of their answer.
const MAXIMUM_ONE_LEVEL_CLASSES: usize = 63;

/// What a label is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The class with the highest score, the first of equals.
    Argmax,
    /// For each class whether its score is 0 or more.
    Thresholds,
}

impl Decision {
    /// The name in cards and command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Argmax => "argmax",
            Self::Thresholds => "thresholds",
        }
    }
}

impl std::str::FromStr for Decision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        [Self::Argmax, Self::Thresholds]
            .into_iter()
            .find(|decision| decision.name() == name)
            .ok_or(Error::OutOfRange { what: "a decision", rule: "argmax or thresholds" })
    }
}

/// The public numbers of a label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelPolicy {
    /// What the label is.
    pub decision: Decision,
    /// Bootstraps in which a sign is found, from the coarsest to the finest. See `ladder.rs`.
    pub stages: usize,
    /// A decision closer than this many score units may be answered `review`; 0: none is.
    pub zone: u64,
    /// The parameter set of the bootstraps.
    pub bootstrap: &'static BootstrapParameters,
}

impl LabelPolicy {
    pub(super) fn check(&self, shape: &HeadShape) -> Result<(), Error> {
        if self.decision == Decision::Argmax && !(2..=MAXIMUM_ARGMAX_CLASSES).contains(&shape.classes) {
            return Err(Error::OutOfRange { what: "the classes of an argmax", rule: "2 to 128" });
        }
        let one_level = self.bootstrap.rotation().levels == 1;
        if self.decision == Decision::Argmax && one_level && shape.classes > MAXIMUM_ONE_LEVEL_CLASSES {
            return Err(Error::OutOfRange {
                what: "the classes of an argmax under a bootstrap set of one level",
                rule: "at most 63; those of two levels (N918_N2048_Q50_L2, N918_N2048_Q50_L2_G2) take 128",
            });
        }
        if !(1..=MAXIMUM_STAGES).contains(&self.stages) {
            return Err(Error::OutOfRange { what: "the stages of a label", rule: "1 to 12" });
        }
        Ok(())
    }

    /// Bits t of an encoded feature. A difference of scores has one bit more than a score, and the widest value must
    /// keep a distance from the end of the circle.
    #[must_use]
    pub fn plaintext_bits(&self, shape: &HeadShape) -> u32 {
        shape.plaintext_bits() + self.room_bits()
    }

    /// Bits of the circle above the widest score.
    pub(crate) fn room_bits(&self) -> u32 {
        match self.decision {
            Decision::Argmax => 2,
            Decision::Thresholds => 1,
        }
    }

    /// Bits of one returned coefficient: 0 for `review` or the class from 1; or three findings of two bits.
    pub(super) fn answer_bits(&self, shape: &HeadShape) -> u32 {
        match self.decision {
            Decision::Argmax => (shape.classes + 1).next_power_of_two().ilog2(),
            Decision::Thresholds => 2 * shape.classes.min(FINDINGS_PER_ANSWER) as u32,
        }
    }

    pub(super) fn answers(&self, shape: &HeadShape) -> usize {
        match self.decision {
            Decision::Argmax => 1,
            Decision::Thresholds => shape.classes.div_ceil(FINDINGS_PER_ANSWER),
        }
    }

    /// Bootstraps whose results are summed in one returned coefficient.
    pub(super) fn terms(&self, shape: &HeadShape) -> usize {
        match self.decision {
            Decision::Argmax => shape.classes,
            Decision::Thresholds => shape.classes.min(FINDINGS_PER_ANSWER),
        }
    }

    /// Bootstraps of one answer.
    #[must_use]
    pub fn bootstraps(&self, shape: &HeadShape) -> usize {
        let (has_zone, classes) = (self.zone > 0, shape.classes);
        let sign = self.stages + ladder::merges(self.stages, has_zone).len();
        match self.decision {
            Decision::Argmax => {
                let gates: usize = ladder::gates(classes - 1, has_zone).iter().map(Vec::len).sum();
                classes * (classes - 1) / 2 * sign + classes * gates
            }
            Decision::Thresholds => classes * sign,
        }
    }

    /// log2 of the probability that an answer differs from the clear twin's where it is not `review`.
    #[must_use]
    pub fn log2_p_fail(&self, shape: &HeadShape) -> f64 {
        let deviations = margin_deviations(self.bootstrap, ladder::MAXIMUM_INPUTS);
        log2_tail(deviations, self.bootstraps(shape) + self.answers(shape))
    }
}

/// The largest flood that fits under N ciphertext coefficients, at the smallest r.
pub(super) fn plan(shape: HeadShape, policy: LabelPolicy) -> Option<Plan> {
    let parameters = policy.bootstrap.glwe();
    let results = output_bound(policy.bootstrap, policy.terms(&shape));
    let answer = search::Answer { parameters, bits: policy.answer_bits(&shape), results };
    let fitted = search::bootstrapped(&answer)?;
    Some(fitted.into_plan(shape, Policy::Label(policy), None, parameters))
}

/// Bits are all that a label bounds: how many labels determine a head depends on the head.
pub(super) fn leak(shape: &HeadShape, policy: &LabelPolicy, widths: &Widths) -> Leak {
    let bits = search::told_bits(policy.bootstrap.glwe(), widths);
    let answers = policy.answers(shape);
    let hidden = output_bound(policy.bootstrap, policy.terms(shape)) as f64;
    let distance = (answers as f64 * hidden).log2() - f64::from(widths.flood + 1);
    let weight_bits = shape.features * shape.classes * shape.weight_bits as usize;
    let vectors = weight_bits.div_ceil(answers * bits as usize);
    Leak {
        statistical_distance_log2: Some(distance.min(0.0)),
        bits_per_score: Some(bits),
        vectors_to_determine: None,
        vectors_for_any_client: vectors,
    }
}
