//! From encrypted scores to an encrypted label.

use super::sign::Signs;
use crate::{
    Plan,
    bootstrap::{Backend, LweCiphertext, Table},
    ladder::{self, Ladder},
    plan::{Decision, FINDINGS_PER_ANSWER, LabelPolicy},
};

/// Values that are taken through all stages together: what bounds memory, 16 KiB for each value and stage. A multiple of
/// the findings that share an answer.
const CHUNK: usize = 63;

/// The circuit behind the scores.
#[derive(Debug)]
pub(crate) struct Decider {
    plan: Plan,
    policy: LabelPolicy,
    score_bits: u32,
    signs: Signs,
    /// Whether a class has the weights and the bias of an earlier one, and so never is the first of equals.
    repeats: Vec<bool>,
    /// For an argmax: the tables of each layer of gates but the last, and of the last one for each class.
    gates: Vec<Table>,
    winners: Vec<Table>,
}

impl Decider {
    /// The circuit of a label's plan, for scores encoded as v * q/2^`score_bits`. `repeats` says of each class whether it
    /// has the weights and the bias of an earlier one.
    pub(crate) fn new(
        plan: Plan,
        policy: LabelPolicy,
        score_bits: u32,
        ladder: &Ladder,
        repeats: Vec<bool>,
    ) -> Self {
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
            Decision::Thresholds => {
                (0..FINDINGS_PER_ANSWER).map(|place| answer_step(&plan, 1 << (2 * place))).collect()
            }
        };
        let signs = Signs::new(policy.bootstrap, score_bits, ladder, &last);
        Self { plan, policy, signs, repeats, gates, winners, score_bits }
    }

    /// The coefficients of the answer.
    pub(crate) fn decide(&self, backend: &dyn Backend, scores: &[LweCiphertext]) -> Vec<LweCiphertext> {
        match self.policy.decision {
            Decision::Argmax => vec![self.argmax(backend, scores)],
            Decision::Thresholds => self.thresholds(backend, scores),
        }
    }

    /// The sum over the classes of class + 1 where all comparisons of the class are won, else of 0.
    fn argmax(&self, backend: &dyn Backend, scores: &[LweCiphertext]) -> LweCiphertext {
        let glwe = self.policy.bootstrap.glwe();
        let zero = LweCiphertext::trivial(glwe, 0);
        let (classes, has_zone) = (scores.len(), self.policy.zone > 0);
        let layers = ladder::gates(classes - 1, has_zone);
        let mut sums = vec![vec![zero.clone(); layers[0].len()]; classes];
        let pairs: Vec<_> = (0..classes).flat_map(|i| (i + 1..classes).map(move |j| (i, j))).collect();
        for pairs in pairs.chunks(CHUNK) {
            // Class i wins against a later class j where score i - score j >= 0: of equals the first.
            let difference = |&(i, j): &(usize, usize)| {
                if self.repeats[i] || self.repeats[j] {
                    return self.decided(self.repeats[j]);
                }
                let mut difference = scores[i].clone();
                difference.subtract(&scores[j]);
                difference
            };
            let values: Vec<_> = pairs.iter().map(difference).collect();
            for (&(i, j), sign) in pairs.iter().zip(self.signs.evaluate(backend, &values)) {
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
            let results = backend.bootstrap(&jobs);
            let most = ladder::gate_inputs(false);
            sums = (results.chunks_exact(gates.len()))
                .map(|results| results.chunks(most).map(|part| sum(&zero, part)).collect())
                .collect();
        }
        let mut label = zero;
        for (class, sums) in sums.iter().enumerate() {
            label.add(&sums[0]);
            // A gate gives plus or minus half of what the class counts.
            label.add_constant(answer_step(&self.plan, class as u64 + 1) as u64 / 2);
        }
        label
    }

    /// A difference that is decided: not a ciphertext that would be compared twice, whose equal noise would add up.
    fn decided(&self, is_won: bool) -> LweCiphertext {
        let glwe = self.policy.bootstrap.glwe();
        let (q, zone) = (glwe.modulus(), u128::from(self.policy.zone));
        let phase =
            if is_won { (zone * q) >> self.score_bits } else { q - (((zone + 1) * q) >> self.score_bits) };
        LweCiphertext::trivial(glwe, phase as u64)
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

    fn thresholds(&self, backend: &dyn Backend, scores: &[LweCiphertext]) -> Vec<LweCiphertext> {
        let zero = LweCiphertext::trivial(self.policy.bootstrap.glwe(), 0);
        let chunks = scores.chunks(CHUNK);
        let findings: Vec<_> = chunks.flat_map(|values| self.signs.evaluate(backend, values)).collect();
        findings.chunks(FINDINGS_PER_ANSWER).map(|part| sum(&zero, part)).collect()
    }
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
