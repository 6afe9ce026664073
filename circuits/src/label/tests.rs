use tiresias_keys::bootstrap_parameters::{
    INSECURE_N64_N256_Q50, INSECURE_N64_N256_Q50_G2, INSECURE_N64_N256_Q50_L2_G2, N918_N2048_Q50,
    N918_N2048_Q50_G2, N918_N2048_Q50_L2_G2,
};
use tiresias_secret_key::{LongLivedKey, RequestContext};

use super::*;
use crate::bootstrap::PreparedKey;
use crate::{HeadShape, clear, scores};

/// A fixed sequence in [-limit, limit].
struct Sequence(u64);

impl Sequence {
    fn next(&mut self, limit: i64) -> i64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as i64 % (2 * limit + 1) - limit
    }
}

struct Clinic {
    key: LongLivedKey,
    prepared: PreparedKey,
}

impl Clinic {
    fn new(parameters: &'static BootstrapParameters) -> Self {
        let key = LongLivedKey::generate(parameters).unwrap();
        let prepared = PreparedKey::new(&key.evaluation_key().unwrap());
        Self { key, prepared }
    }

    /// The label of a row, through encryption, evaluation and decryption.
    fn label(&self, head: &PreparedLabel, row: &[i64], item: u32) -> Label {
        let (plan, config, gateway_seed) =
            (head.plan(), ConfigId::of_card(b"label"), Seed::from_bytes([3; 32]));
        let shape = plan.request_shape();
        let context = RequestContext { config: &config, gateway_seed: &gateway_seed, shape: &shape };
        let plaintexts = scores::encode_features(plan, row).unwrap();
        let request = self.key.glwe().encrypt(&plaintexts, &context).unwrap();
        let digest = EncryptedFeatures::digest(&request.to_bytes(&shape));
        let seed = SecretSeed::from_bytes([9; 32]);
        let response = head.evaluate(&self.prepared.on(2), &request, digest, &seed, item).unwrap();
        let phases = self.key.decrypt(&response, &plan.response_shape()).unwrap();
        read(plan, phases.as_slice()).unwrap()
    }
}

fn head(shape: HeadShape, sequence: &mut Sequence) -> QuantizedHead {
    let weight =
        (0..shape.features * shape.classes).map(|_| sequence.next(shape.weight_limit()) as i8).collect();
    let limit = shape.bias_limit().min(300);
    let bias = (0..shape.classes).map(|_| sequence.next(limit)).collect();
    QuantizedHead::new(shape, weight, bias).unwrap()
}

fn prepare(
    head: &QuantizedHead,
    decision: Decision,
    parameters: &'static BootstrapParameters,
    stages: Option<usize>,
) -> PreparedLabel {
    let policy = LabelPolicy::for_head(head, decision, parameters, stages).unwrap();
    let plan = Plan::label(*head.shape(), policy).unwrap();
    PreparedLabel::new(head, plan, ConfigId::of_card(b"label"), Seed::from_bytes([3; 32])).unwrap()
}

/// Whether a label is the clear twin's, or `review` where a decision is within the zone.
fn check(head: &QuantizedHead, plan: &Plan, row: &[i64], label: &Label) {
    let Policy::Label(policy) = plan.policy() else { panic!("a label's plan") };
    let scores = clear::scores(head, row).unwrap();
    let clear = clear::label(head, policy.decision, row).unwrap();
    match (label, clear) {
        (Label::Class(None), Label::Class(Some(best))) => {
            let close = |(k, score): (usize, &i64)| k != best && scores[best].abs_diff(*score) < policy.zone;
            assert!(
                scores.iter().enumerate().any(close),
                "review outside of the zone: {scores:?}, {policy:?}"
            );
        }
        (Label::Findings(found), Label::Findings(clear)) => {
            for ((found, clear), score) in found.iter().zip(&clear).zip(&scores) {
                match found {
                    None => assert!(score.unsigned_abs() < policy.zone, "{score}, {policy:?}"),
                    _ => assert_eq!(found, clear, "{scores:?}"),
                }
            }
        }
        (label, clear) => assert_eq!(*label, clear, "{scores:?}, {policy:?}"),
    }
}

/// Labels of random rows; returns how many of them were, at least in part, `review`.
fn check_rows(
    clinic: &Clinic,
    head: &QuantizedHead,
    prepared: &PreparedLabel,
    sequence: &mut Sequence,
    rows: u32,
) -> usize {
    let shape = *head.shape();
    let labels = (0..rows).map(|item| {
        // Small rows give close scores.
        let limit = shape.feature_limit() >> (2 * (item % 4)).min(shape.feature_bits - 2);
        let row: Vec<i64> = (0..shape.features).map(|_| sequence.next(limit)).collect();
        let label = clinic.label(prepared, &row, item);
        check(head, prepared.plan(), &row, &label);
        match label {
            Label::Class(class) => class.is_none(),
            Label::Findings(findings) => findings.contains(&None),
        }
    });
    labels.filter(|is_review| *is_review).count()
}

/// Random heads of random shapes, `rows` rows each.
fn check_heads(parameters: &'static BootstrapParameters, seed: u64, heads: usize, rows: u32, largest: usize) {
    let mut sequence = Sequence(seed);
    let clinic = Clinic::new(parameters);
    let mut reviews = 0;
    for _ in 0..heads {
        let mut up_to =
            |low: usize, high: usize| low + sequence.next(1 << 30).unsigned_abs() as usize % (high + 1 - low);
        let decision = [Decision::Argmax, Decision::Thresholds][up_to(0, 1)];
        let stages = [None, Some(1), Some(2), Some(3)][up_to(0, 3)];
        let bits = up_to(2, 8) as u32;
        let shape = HeadShape {
            features: up_to(1, 600),
            classes: up_to(2, largest),
            feature_bits: bits,
            weight_bits: bits,
        };
        let head = head(shape, &mut sequence);
        let prepared = prepare(&head, decision, parameters, stages);
        reviews += check_rows(&clinic, &head, &prepared, &mut sequence, rows);
    }
    println!("{}, seed {seed}: {heads} heads, {rows} rows each, {reviews} reviews", parameters.name());
}

/// `cargo test --release -p tiresias-circuits --lib -- --ignored --nocapture ten_thousand`: some minutes.
#[test]
#[ignore = "long: ten thousand labels under insecure parameters, a thousand under real ones"]
fn ten_thousand_labels_are_those_of_the_clear_twin() {
    check_heads(&INSECURE_N64_N256_Q50_G2, 1, 2500, 4, 12);
    check_heads(&N918_N2048_Q50_G2, 2, 200, 4, 4);
    check_heads(&N918_N2048_Q50_L2_G2, 3, 25, 4, 4);
    check_heads(&N918_N2048_Q50, 4, 25, 4, 4);
}

#[test]
fn labels_of_real_parameters_are_those_of_the_clear_twin() {
    check_heads(&N918_N2048_Q50_G2, 5, 2, 2, 2);
}

#[test]
fn labels_are_those_of_the_clear_twin() {
    let mut sequence = Sequence(4);
    for parameters in [&INSECURE_N64_N256_Q50, &INSECURE_N64_N256_Q50_G2, &INSECURE_N64_N256_Q50_L2_G2] {
        let clinic = Clinic::new(parameters);
        for (features, classes, bits, decision, stages) in [
            (5, 2, 3, Decision::Argmax, None),
            (30, 2, 8, Decision::Argmax, None),
            (30, 3, 8, Decision::Argmax, Some(1)),
            (12, 9, 4, Decision::Argmax, Some(2)),
            (12, 17, 4, Decision::Argmax, None),
            (300, 4, 2, Decision::Argmax, Some(3)),
            (30, 1, 8, Decision::Thresholds, None),
            (30, 6, 8, Decision::Thresholds, Some(1)),
            (64, 14, 4, Decision::Thresholds, None),
        ] {
            let shape = HeadShape { features, classes, feature_bits: bits, weight_bits: bits };
            let head = head(shape, &mut sequence);
            let prepared = prepare(&head, decision, parameters, stages);
            check_rows(&clinic, &head, &prepared, &mut sequence, 6);
        }
    }
}

#[test]
fn classes_with_equal_weights_are_told_as_the_first_of_them() {
    let shape = HeadShape { features: 3, classes: 6, feature_bits: 4, weight_bits: 4 };
    let rows: [[i8; 3]; 3] = [[1, 2, -3], [3, -1, 1], [-2, 2, 2]];
    let order = [0, 1, 0, 2, 1, 0];
    let weight = order.iter().flat_map(|&row| rows[row]).collect();
    let bias = order.iter().map(|&row| row as i64).collect();
    let head = QuantizedHead::new(shape, weight, bias).unwrap();
    for (parameters, stages) in [(&INSECURE_N64_N256_Q50, None), (&INSECURE_N64_N256_Q50_G2, Some(1))] {
        let clinic = Clinic::new(parameters);
        let prepared = prepare(&head, Decision::Argmax, parameters, stages);
        for row in [[7, 7, -7], [7, -7, 0], [-7, 7, 7], [0, 0, 0]] {
            let label = clinic.label(&prepared, &row, 0);
            check(&head, prepared.plan(), &row, &label);
            let Label::Class(class) = label else { panic!("a class") };
            assert!(class.is_none_or(|class| class <= 3), "{class:?}");
        }
    }
}
