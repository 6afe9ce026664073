//! What conforms never panics: requests and keys of arbitrary residues are evaluated, and arbitrary answers decrypted. Labels use
//! parameters that are too small to be secure, so that a bootstrap takes a moment.

use std::sync::LazyLock;

use tiresias_circuits::{
    HeadShape, Plan, Privacy, QuantizedHead,
    bootstrap::PreparedKey,
    cohort::PreparedCohort,
    evaluate::PreparedHead,
    label::{self, PreparedLabel},
    plan::{CohortPlan, Decision, LabelPolicy},
    scores,
};
use tiresias_keys::{
    Digest, EncryptedCohort, EncryptedFeatures, EncryptedScores, EvaluationKey, Parameters, RequestShape,
    ResponseGroup, ResponseShape, Seed, bootstrap_parameters::INSECURE_N64_N256_Q50, xof::SecretSeed,
};
use tiresias_secret_key::{LongLivedKey, SecretKey};

use crate::{choice, frames};

/// The input's bytes as a stream of words without an end.
struct Words<'a> {
    bytes: &'a [u8],
    at: usize,
    round: u64,
}

impl<'a> Words<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, round: 0 }
    }

    fn next(&mut self) -> u64 {
        let Some(chunk) = self.bytes.get(self.at..).filter(|rest| rest.len() >= 8) else {
            // The next round is another one, so that few bytes make many words.
            (self.at, self.round) = (0, self.round.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1));
            return self.round;
        };
        self.at += 8;
        chunk.iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte)) ^ self.round
    }

    /// A polynomial of residues, each below its prime.
    fn polynomial(&mut self, parameters: &Parameters) -> Vec<u64> {
        let primes = parameters.primes();
        let mut residues = Vec::with_capacity(parameters.polynomial_words());
        for prime in primes {
            residues.extend((0..parameters.polynomial_size()).map(|_| self.next() % prime));
        }
        residues
    }

    fn request(&mut self, shape: &RequestShape) -> (EncryptedFeatures, Digest) {
        let seed = Seed::from_bytes([self.next() as u8; 32]);
        let bodies = (0..shape.ciphertexts).map(|_| self.polynomial(shape.parameters)).collect();
        let zero = shape.carries_zero.then(|| self.polynomial(shape.parameters));
        let made = EncryptedFeatures::new(frames::config(), seed, bodies, zero);
        let bytes = made.to_bytes(shape);
        EncryptedFeatures::from_bytes(&bytes, shape, &frames::config())
            .expect("residues below their primes conform")
    }

    fn response(&mut self, shape: &ResponseShape, asked: Digest) -> EncryptedScores {
        let bits = shape.modulus_bits;
        let mut words = |count: usize| (0..count).map(|_| self.next() >> (64 - bits)).collect();
        let size = shape.parameters.polynomial_size();
        let groups = shape.group_sizes().map(|body| ResponseGroup { mask: words(size), body: words(body) });
        let made = EncryptedScores::new(frames::config(), asked, groups.collect());
        let bytes = made.to_bytes(shape);
        EncryptedScores::from_bytes(&bytes, shape, &frames::config(), &asked)
            .expect("words below the modulus conform")
    }
}

fn head(shape: HeadShape) -> QuantizedHead {
    let limit = shape.weight_limit();
    let weight =
        (0..shape.features * shape.classes).map(|at| ((at as i64 * 37) % (2 * limit + 1) - limit) as i8);
    QuantizedHead::new(shape, weight.collect(), vec![0; shape.classes]).expect("weights within their limit")
}

fn gateway_seed() -> Seed {
    Seed::from_bytes([3; 32])
}

pub(crate) fn scores(data: &[u8]) {
    static HEADS: LazyLock<Vec<PreparedHead>> = LazyLock::new(|| {
        let prepare = |choice| {
            let plan = frames::plan(choice);
            PreparedHead::new(&head(*plan.shape()), plan, frames::config(), gateway_seed())
        };
        (0..3).map(prepare).collect()
    });
    let (choice, input) = choice(data);
    let head = &HEADS[usize::from(choice) % HEADS.len()];
    let (plan, mut words) = (head.plan(), Words::new(input));
    let (request, digest) = words.request(&plan.request_shape());
    let seed = SecretSeed::from_bytes([9; 32]);
    let answer = head.evaluate(&request, digest, &seed, 0).expect("a request that conforms is evaluated");
    let shape = plan.response_shape();
    for scores in [answer, words.response(&shape, digest)] {
        let key = SecretKey::generate(plan.parameters()).expect("there is entropy");
        let phases = key.decrypt(&scores, &shape).expect("an answer that conforms is decrypted");
        let decoded = scores::decode_phases(plan, phases.as_slice());
        let _ = scores::read(&decoded, 1.0);
    }
}

pub(crate) fn cohort(data: &[u8]) {
    static HEAD: LazyLock<PreparedCohort> = LazyLock::new(|| {
        let plan = frames::plan(0);
        let cohort = CohortPlan::new(&plan).expect("a small head scores cohorts");
        PreparedCohort::new(&head(*plan.shape()), cohort, frames::config(), gateway_seed())
    });
    let (choice, input) = choice(data);
    let (shape, mut words) = (HEAD.plan().request_shape(), Words::new(input));
    let patients = usize::from(choice) + 1;
    let bodies =
        (0..shape.features).map(|_| (0..patients).map(|_| words.next() >> 16).collect()).collect::<Vec<_>>();
    let zero = shape.carries_zero.then(|| words.polynomial(shape.parameters.glwe()));
    let seeds = (Seed::from_bytes([choice; 32]), Seed::from_bytes([choice ^ 1; 32]));
    let made = EncryptedCohort::new(&shape, &frames::config(), seeds, patients, bodies.into_iter(), zero);
    let block = EncryptedCohort::from_bytes(made.into_bytes(), &shape, &frames::config());
    let block = block.expect("bodies of 48 bits conform");
    let masks = HEAD.mask_sums(block.run());
    let answer = HEAD.evaluate(&block, &masks, &SecretSeed::from_bytes([9; 32]));
    answer.expect("a block that conforms is evaluated");
}

pub(crate) fn label(data: &[u8]) {
    static LABELS: LazyLock<Vec<PreparedLabel>> = LazyLock::new(|| {
        let shape = HeadShape { features: 20, classes: 3, feature_bits: 4, weight_bits: 4 };
        let head = head(shape);
        let prepare = |decision| {
            let policy =
                LabelPolicy::for_head(&head, decision, &INSECURE_N64_N256_Q50, Some(1)).expect("it fits");
            let plan = Plan::label(shape, policy).expect("it fits");
            PreparedLabel::new(&head, plan, frames::config(), gateway_seed()).expect("it fits")
        };
        [Decision::Argmax, Decision::Thresholds].map(prepare).into()
    });
    static KEY: LazyLock<LongLivedKey> =
        LazyLock::new(|| LongLivedKey::generate(&INSECURE_N64_N256_Q50).expect("there is entropy"));
    let (choice, input) = choice(data);
    let head = &LABELS[usize::from(choice) % LABELS.len()];
    let (plan, mut words) = (head.plan(), Words::new(input));
    assert_ne!(plan.privacy(), Privacy::OpenWeights);
    let parameters = &INSECURE_N64_N256_Q50;
    let (request, digest) = words.request(&plan.request_shape());
    let rotation =
        (0..parameters.rotation_rows()).flat_map(|_| words.polynomial(parameters.glwe())).collect();
    let keyswitch = (0..parameters.keyswitch_rows()).map(|_| words.next() as u32).collect();
    let key = EvaluationKey::new(parameters, Seed::from_bytes([choice; 32]), rotation, keyswitch);
    let prepared = PreparedKey::new(&key);
    let seed = SecretSeed::from_bytes([9; 32]);
    let answer = head.evaluate(&prepared.on(1), &request, digest, &seed, 0);
    let answer = answer.expect("a request that conforms is evaluated");
    let shape = plan.response_shape();
    for scores in [answer, words.response(&shape, digest)] {
        let phases = KEY.decrypt(&scores, &shape).expect("an answer that conforms is decrypted");
        assert!(label::read(plan, phases.as_slice()).is_some(), "a label's plan gives labels");
    }
}
