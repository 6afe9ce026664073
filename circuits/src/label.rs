//! Answers that are a label and nothing finer. Start at [`PreparedLabel::evaluate`].
//!
//! The scores are evaluated as in [`crate::evaluate`], and stay at the gateway. Bootstraps find the signs that decide (of
//! each difference of two scores, or of each score), gates combine them, and the label's few bits are answered in
//! ciphertexts that are re-randomized and flooded like scores. A label equals that of [`crate::clear::label`], or is
//! `review` where the plan has a zone and a decision is closer than that.

mod decide;
mod sign;
#[cfg(test)]
mod tests;

use tiresias_keys::{
    BootstrapParameters, ConfigId, Digest, EncryptedFeatures, EncryptedScores, Seed, xof::SecretSeed,
};

use crate::{
    Error, Plan, QuantizedHead,
    bootstrap::Backend,
    evaluate::PreparedHead,
    ladder::{Ladder, Range},
    plan::{Decision, FINDINGS_PER_ANSWER, LabelPolicy, Policy},
};
pub(crate) use decide::Decider;

/// What a clinic learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// The class with the highest score; `None` is `review`: a human decides.
    Class(Option<usize>),
    /// For each class whether its score is 0 or more; `None` is `review`.
    Findings(Vec<Option<bool>>),
}

impl LabelPolicy {
    /// The policy of a head: the fewest stages that leave nothing undecided, or `stages` where that is fewer, and the zone
    /// that these leave. Errors where the head does not fit.
    pub fn for_head(
        head: &QuantizedHead,
        decision: Decision,
        bootstrap: &'static BootstrapParameters,
        stages: Option<usize>,
    ) -> Result<Self, Error> {
        let mut policy = Self { decision, stages: 1, zone: 0, bootstrap };
        Plan::label(*head.shape(), policy)?;
        policy.fit(range(head, &policy), stages)?;
        Ok(policy)
    }

    /// Takes the stages and the zone of the ladder for a range.
    pub(crate) fn fit(&mut self, range: Range, stages: Option<usize>) -> Result<(), Error> {
        let ladder = Ladder::new(self.bootstrap, range, stages)?;
        (self.stages, self.zone) = (ladder.stages.len(), ladder.zone);
        Ok(())
    }

    /// The ladder for a range; errors where it is not this policy's.
    pub(crate) fn ladder(&self, range: Range) -> Result<Ladder, Error> {
        let ladder = Ladder::new(self.bootstrap, range, Some(self.stages))?;
        if (ladder.stages.len(), ladder.zone) != (self.stages, self.zone) {
            return Err(Error::CardMismatch("review zone"));
        }
        Ok(ladder)
    }
}

/// Whether each row equals an earlier one.
pub(crate) fn repeats<T: PartialEq>(rows: &[T]) -> Vec<bool> {
    (0..rows.len()).map(|index| rows[..index].contains(&rows[index])).collect()
}

/// The range of the values whose signs decide, proved from the weights and the range of the features.
fn range(head: &QuantizedHead, policy: &LabelPolicy) -> Range {
    let (shape, weight, bias) = (head.shape(), head.weight(), head.bias());
    let rows: Vec<(&[i8], i64)> = weight.chunks_exact(shape.features).zip(bias.iter().copied()).collect();
    let zeros = vec![0; shape.features];
    let mut largest = (0, 0);
    for (index, row) in rows.iter().enumerate() {
        let others = match policy.decision {
            Decision::Argmax => &rows[..index],
            Decision::Thresholds => &[(zeros.as_slice(), 0)],
        };
        for other in others {
            let weights =
                row.0.iter().zip(other.0).map(|(&a, &b)| i64::from(a).abs_diff(i64::from(b))).sum::<u64>();
            let value = weights * shape.feature_limit().unsigned_abs() + row.1.abs_diff(other.1);
            largest = (largest.0.max(weights), largest.1.max(value));
        }
    }
    let weights = u128::from(largest.0);
    // e*w, half a unit for each encoded feature times its weight, and half a unit for each of two biases.
    let noise = (weights << policy.bootstrap.glwe().noise_bits()) + weights.div_ceil(2) + 1;
    Range { plaintext_bits: policy.plaintext_bits(shape), largest: largest.1, noise }
}

/// A head of which only the label is answered, ready to be evaluated. Private to the model owner.
#[derive(Debug)]
pub struct PreparedLabel {
    head: PreparedHead,
    policy: LabelPolicy,
    decider: Decider,
}

impl PreparedLabel {
    /// Prepares a head. `plan` must be a label's plan of the head's own shape; errors where its stages or its zone are
    /// not those of the head.
    pub fn new(
        head: &QuantizedHead,
        plan: Plan,
        config: ConfigId,
        gateway_seed: Seed,
    ) -> Result<Self, Error> {
        let Policy::Label(policy) = *plan.policy() else {
            return Err(Error::CardMismatch("policy"));
        };
        let ladder = policy.ladder(range(head, &policy))?;
        let rows: Vec<_> = head.weight().chunks_exact(plan.shape().features).zip(head.bias()).collect();
        let bits = policy.plaintext_bits(plan.shape());
        let decider = Decider::new(plan, policy, bits, &ladder, repeats(&rows));
        Ok(Self { head: PreparedHead::new(head, plan, config, gateway_seed), policy, decider })
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        self.head.plan()
    }

    /// Evaluates one encrypted feature vector, with bootstraps on a backend that has the evaluation key of the client that sent
    /// it. The other arguments and the guarantees are those of [`PreparedHead::evaluate`].
    ///
    /// Errors where the request was made for another card, or the key for other parameters.
    pub fn evaluate(
        &self,
        backend: &dyn Backend,
        request: &EncryptedFeatures,
        digest: Digest,
        response_seed: &SecretSeed,
        item: u32,
    ) -> Result<EncryptedScores, Error> {
        if backend.parameters() != self.policy.bootstrap {
            return Err(Error::KeyParameters);
        }
        let scores = self.head.leveled_scores(request)?;
        let results = self.decider.decide(backend, &scores);
        Ok(self.head.answer(request, digest, &results, response_seed, item))
    }
}

/// Reads the label off the phases of an answer. A value that no label has reads as `review`.
#[must_use]
pub fn read(plan: &Plan, phases: &[u64]) -> Option<Label> {
    let Policy::Label(policy) = plan.policy() else { return None };
    let answers = crate::scores::decode_phases(plan, phases);
    let classes = plan.shape().classes;
    Some(match policy.decision {
        Decision::Argmax => {
            let value = answers.first().map_or(0, |answer| answer.rem_euclid(1 << plan.answer_bits()));
            Label::Class((value as usize).checked_sub(1).filter(|class| *class < classes))
        }
        Decision::Thresholds => {
            let digits = answers.iter().flat_map(|&answer| {
                let mut rest = answer;
                (0..FINDINGS_PER_ANSWER).map(move |_| {
                    let digit = ((rest + 1) & 3) - 1;
                    rest = (rest - digit) >> 2;
                    digit
                })
            });
            let finding = |digit| match digit {
                1 => Some(true),
                -1 => Some(false),
                _ => None,
            };
            Label::Findings(digits.take(classes).map(finding).collect())
        }
    })
}
