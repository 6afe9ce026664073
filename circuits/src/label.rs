//! Answers that are a label and nothing finer. Start at [`PreparedLabel::evaluate`].
//!
//! The scores are evaluated as in [`crate::evaluate`], and stay at the gateway. Bootstraps find the signs that decide (of
//! each difference of two scores, or of each score), gates combine them, and the label's few bits are answered in
//! ciphertexts that are re-randomized and flooded like scores. A label equals that of [`crate::clear::label`], or is
//! `review` where the plan has a zone and a decision is closer than that.

mod sign;
#[cfg(test)]
mod tests;

use tiresias_keys::{
    BootstrapParameters, ConfigId, Digest, EncryptedFeatures, EncryptedScores, Seed, xof::SecretSeed,
};

use crate::{
    Error, Plan, QuantizedHead,
    bootstrap::{LweCiphertext, PreparedKey, Table},
    evaluate::PreparedHead,
    ladder::{self, Ladder, Range},
    plan::{Decision, LabelPolicy, Policy},
};
use sign::Signs;

/// What a clinic learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// The class with the highest score; `None` is `review`: a human decides.
    Class(Option<usize>),
    /// For each class whether its score is 0 or more; `None` is `review`.
    Findings(Vec<Option<bool>>),
}

/// Values that are taken through all stages together: what bounds memory, 16 KiB for each value and stage. A multiple of
/// the findings that share an answer.
const CHUNK: usize = 64;

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
        let ladder = Ladder::new(bootstrap, range(head, &policy), stages)?;
        policy.stages = ladder.stages.len();
        policy.zone = ladder.zone;
        Ok(policy)
    }
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
    signs: Signs,
    /// For an argmax: the tables of each layer of gates but the last, and of the last one for each class.
    gates: Vec<Table>,
    winners: Vec<Table>,
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
        let ladder = Ladder::new(policy.bootstrap, range(head, &policy), Some(policy.stages))?;
        if (ladder.stages.len(), ladder.zone) != (policy.stages, policy.zone) {
            return Err(Error::CardMismatch("review zone"));
        }
        let glwe = policy.bootstrap.glwe();
        let (places, has_zone) = (glwe.polynomial_size(), policy.zone > 0);
        let (mut gates, mut winners) = (Vec::new(), Vec::new());
        let last = match policy.decision {
            Decision::Argmax => {
                let layers = ladder::gates(plan.shape().classes - 1, has_zone);
                let height = residue(&policy, places / (2 * ladder::gate_inputs(false)));
                gates = (1..layers.len()).map(|_| Table::new(glwe, |_| height)).collect();
                let win = |class: usize| answer_step(&plan, (class + 1) as u64) / 2;
                winners = (0..plan.shape().classes).map(|class| Table::new(glwe, |_| win(class))).collect();
                vec![residue(&policy, places / (2 * ladder::gate_inputs(has_zone)))]
            }
            // Findings share an answer, in base 4.
            Decision::Thresholds => (0..4).map(|place| answer_step(&plan, 1 << (2 * place))).collect(),
        };
        let signs = Signs::new(policy.bootstrap, policy.plaintext_bits(plan.shape()), &ladder, &last);
        Ok(Self { head: PreparedHead::new(head, plan, config, gateway_seed), policy, signs, gates, winners })
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        self.head.plan()
    }

    /// Evaluates one encrypted feature vector under the evaluation key of the client that sent it, on up to `threads`
    /// threads. The other arguments and the guarantees are those of [`PreparedHead::evaluate`].
    ///
    /// Errors where the request was made for another card, or the key for other parameters.
    pub fn evaluate(
        &self,
        key: &PreparedKey,
        request: &EncryptedFeatures,
        digest: Digest,
        response_seed: &SecretSeed,
        item: u32,
        threads: usize,
    ) -> Result<EncryptedScores, Error> {
        if key.parameters() != self.policy.bootstrap {
            return Err(Error::KeyParameters);
        }
        let scores = self.head.leveled_scores(request)?;
        let results = match self.policy.decision {
            Decision::Argmax => vec![self.argmax(key, &scores, threads)],
            Decision::Thresholds => self.thresholds(key, &scores, threads),
        };
        Ok(self.head.answer(request, digest, &results, response_seed, item))
    }

    /// The sum over the classes of class + 1 where all comparisons of the class are won, else of 0.
    fn argmax(&self, key: &PreparedKey, scores: &[LweCiphertext], threads: usize) -> LweCiphertext {
        let glwe = self.policy.bootstrap.glwe();
        let zero = LweCiphertext::trivial(glwe, 0);
        let (classes, has_zone) = (scores.len(), self.policy.zone > 0);
        let layers = ladder::gates(classes - 1, has_zone);
        let mut sums = vec![vec![zero.clone(); layers[0].len()]; classes];
        let pairs: Vec<_> = (0..classes).flat_map(|i| (i + 1..classes).map(move |j| (i, j))).collect();
        for pairs in pairs.chunks(CHUNK) {
            // Class i wins against a later class j where score i - score j >= 0: of equals the first.
            let difference = |&(i, j): &(usize, usize)| {
                let mut difference = scores[i].clone();
                difference.subtract(&scores[j]);
                difference
            };
            let values: Vec<_> = pairs.iter().map(difference).collect();
            for (&(i, j), sign) in pairs.iter().zip(self.signs.evaluate(key, &values, threads)) {
                let most = ladder::gate_inputs(has_zone);
                sums[i][(j - 1) / most].add(&sign);
                sums[j][i / most].subtract(&sign);
            }
        }
        for (layer, gates) in layers.iter().enumerate() {
            let is_last = layer + 1 == layers.len();
            let inputs: Vec<Vec<LweCiphertext>> = (sums.iter())
                .map(|sums| {
                    let shifted = |(sum, &inputs): (&LweCiphertext, &usize)| {
                        let mut sum = sum.clone();
                        sum.add_constant(self.gate_shift(inputs, layer == 0 && has_zone));
                        sum
                    };
                    sums.iter().zip(gates).map(shifted).collect()
                })
                .collect();
            let table = |class: usize| if is_last { &self.winners[class] } else { &self.gates[layer] };
            let jobs: Vec<_> = (inputs.iter().enumerate())
                .flat_map(|(class, inputs)| inputs.iter().map(move |input| (input, table(class))))
                .collect();
            let results = key.bootstrap(&jobs, threads);
            let most = ladder::gate_inputs(false);
            sums = (results.chunks_exact(gates.len()))
                .map(|results| results.chunks(most).map(|part| sum(&zero, part)).collect())
                .collect();
        }
        let mut label = zero;
        for (class, sums) in sums.iter().enumerate() {
            label.add(&sums[0]);
            // A gate gives plus or minus half of what the class counts.
            label.add_constant(answer_step(self.plan(), class as u64 + 1) as u64 / 2);
        }
        label
    }

    /// What puts the sum of a gate's inputs on the side of its table that says whether all are +.
    fn gate_shift(&self, inputs: usize, has_zeros: bool) -> u64 {
        let q = self.policy.bootstrap.glwe().primes()[0];
        let places = self.policy.bootstrap.glwe().polynomial_size();
        let height = residue(&self.policy, places / (2 * ladder::gate_inputs(has_zeros))) as u64;
        // All are +: inputs * height. The next sum is 1 height below where inputs may be 0, else 2.
        let threshold =
            if has_zeros { (2 * inputs as u64 - 1) * height / 2 } else { (inputs as u64 - 1) * height };
        (q - threshold) % q
    }

    fn thresholds(&self, key: &PreparedKey, scores: &[LweCiphertext], threads: usize) -> Vec<LweCiphertext> {
        let zero = LweCiphertext::trivial(self.policy.bootstrap.glwe(), 0);
        let chunks = scores.chunks(CHUNK);
        let findings: Vec<_> = chunks.flat_map(|values| self.signs.evaluate(key, values, threads)).collect();
        findings.chunks(4).map(|part| sum(&zero, part)).collect()
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
                (0..4).map(move |_| {
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

/// round(value * q / 2^(bits of an answer)).
fn answer_step(plan: &Plan, value: u64) -> i64 {
    let bits = plan.answer_bits();
    ((u128::from(value) * plan.parameters().modulus() + (1 << (bits - 1))) >> bits) as i64
}

/// The residue at so many places of the circle of 2N.
fn residue(policy: &LabelPolicy, places: usize) -> i64 {
    let glwe = policy.bootstrap.glwe();
    (places as u128 * glwe.modulus() / (2 * glwe.polynomial_size() as u128)) as i64
}

fn sum(zero: &LweCiphertext, terms: &[LweCiphertext]) -> LweCiphertext {
    let mut sum = zero.clone();
    terms.iter().for_each(|term| sum.add(term));
    sum
}
