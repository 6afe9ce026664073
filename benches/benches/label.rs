//! The time of a label beside its stages: encrypted features in, an encrypted label out, checked against the clear twin.
//!
//! The floor is the bootstraps: `benches/peers --bin bootstrap` has the time of one. Rows with little work in a wave (two
//! classes: one difference, so one bootstrap a merge) cannot fill batches, and take longer a bootstrap.

use std::time::Instant;

use tiresias_benches::{Fixture, stats::median};
use tiresias_circuits::{
    Plan, Privacy,
    bootstrap::{Kernel, PreparedKey},
    clear,
    label::{self, PreparedLabel},
    plan::{Decision, LabelPolicy},
    scores,
};
use tiresias_keys::{
    BootstrapParameters, ConfigId, EncryptedFeatures, Seed,
    bootstrap_parameters::{N918_N2048_Q50, N918_N2048_Q50_G2},
    xof::SecretSeed,
};
use tiresias_secret_key::{LongLivedKey, RequestContext};

fn main() {
    // `cargo test` runs benches with `--test`: one short row of work then.
    let is_test = std::env::args().any(|argument| argument == "--test");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let argmax = Decision::Argmax;
    let mut rows = vec![(30, 2, 8, argmax, None, &N918_N2048_Q50_G2)];
    if !is_test {
        for stages in [Some(1), Some(2), Some(3), None] {
            rows.push((512, 14, 8, argmax, stages, &N918_N2048_Q50_G2));
        }
        rows.push((512, 14, 8, Decision::Thresholds, None, &N918_N2048_Q50_G2));
        rows.push((512, 14, 8, Decision::Thresholds, Some(1), &N918_N2048_Q50_G2));
        rows.push((512, 14, 4, Decision::Thresholds, None, &N918_N2048_Q50_G2));
        rows.push((512, 14, 4, Decision::Thresholds, None, &N918_N2048_Q50));
    }
    let mut table = comfy_table::Table::new();
    let seconds = format!("seconds, {cores} cores");
    table.set_header([
        "head",
        "bits",
        "decision",
        "stages",
        "zone",
        "bootstraps",
        "log2 p_fail",
        "seconds, 1 core",
        &seconds,
    ]);
    for (features, classes, bits, decision, stages, parameters) in rows {
        let head = Fixture::with_bits(features, classes, bits, Privacy::Flooded);
        let policy = LabelPolicy::for_head(&head.quantized, decision, parameters, stages).expect("it fits");
        let plan = Plan::label(*head.quantized.shape(), policy).expect("it fits");
        let [one, all] =
            [1, cores].map(|threads| measure(&head, plan, parameters, threads, if is_test { 1 } else { 3 }));
        table.add_row([
            format!("{features} x {classes}"),
            bits.to_string(),
            decision.name().to_owned(),
            policy.stages.to_string(),
            policy.zone.to_string(),
            policy.bootstraps(plan.shape()).to_string(),
            format!("{:.0}", policy.log2_p_fail(plan.shape())),
            format!("{one:.2}"),
            format!("{all:.2}"),
        ]);
    }
    #[expect(clippy::print_stdout, reason = "a bench prints its figures")]
    {
        println!("kernel: {}\n{table}", Kernel::detect().name());
    }
}

/// The median of some evaluations, each checked.
fn measure(
    head: &Fixture,
    plan: Plan,
    parameters: &'static BootstrapParameters,
    threads: usize,
    rounds: usize,
) -> f64 {
    let (config, gateway_seed) = (ConfigId::of_card(b"bench"), Seed::from_bytes([1; 32]));
    let prepared =
        PreparedLabel::new(&head.quantized, plan, config, gateway_seed).expect("the head's own plan");
    let key = LongLivedKey::generate(parameters).expect("entropy");
    let evaluation_key = PreparedKey::new(&key.evaluation_key().expect("entropy"));
    let shape = plan.request_shape();
    let context = RequestContext { config: &config, gateway_seed: &gateway_seed, shape: &shape };
    let plaintexts = scores::encode_features(&plan, &head.row).expect("the row is in range");
    let Some(policy) = plan.label_policy() else { return f64::NAN };
    let expected = clear::label(&head.quantized, policy.decision, &head.row).expect("the row is in range");
    let seconds = (0..rounds as u32).map(|item| {
        let request = key.glwe().encrypt(&plaintexts, &context).expect("entropy");
        let digest = EncryptedFeatures::digest(&request.to_bytes(&shape));
        let seed = SecretSeed::from_bytes([2; 32]);
        let started = Instant::now();
        let answer = prepared.evaluate(&evaluation_key.on(threads), &request, digest, &seed, item);
        let elapsed = started.elapsed().as_secs_f64();
        let phases = key.decrypt(&answer.expect("a good request"), &plan.response_shape()).expect("memory");
        if policy.zone == 0 {
            assert_eq!(label::read(&plan, phases.as_slice()).as_ref(), Some(&expected));
        }
        elapsed
    });
    median(&seconds.collect::<Vec<_>>())
}
