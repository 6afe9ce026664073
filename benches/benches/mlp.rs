//! The time of a head with hidden layers: encrypted features in, encrypted scores or an encrypted label out.
//!
//! The floor is one bootstrap a neuron: `benches/peers --bin bootstrap` has the time of one, and of tfhe's.

use std::time::Instant;

use tiresias_benches::{nets::net, stats::median};
use tiresias_circuits::{
    bootstrap::{Kernel, PreparedKey},
    mlp::{MlpQuantization, PreparedMlp},
    plan::Decision,
    scores,
};
use tiresias_keys::{
    BootstrapParameters, ConfigId, EncryptedFeatures, Seed,
    bootstrap_parameters::{N918_N2048_Q50_G2, N918_N2048_Q50_L2_G2},
    xof::SecretSeed,
};
use tiresias_secret_key::{LongLivedKey, RequestContext};

fn main() {
    // `cargo test` runs benches with `--test`: one small net then.
    let is_test = std::env::args().any(|argument| argument == "--test");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut nets: Vec<(&[usize], Option<Decision>, &BootstrapParameters)> =
        vec![(&[30, 4, 2], None, &N918_N2048_Q50_G2)];
    if !is_test {
        nets = vec![
            (&[512, 64, 14], None, &N918_N2048_Q50_G2),
            (&[512, 64, 14], None, &N918_N2048_Q50_L2_G2),
            (&[512, 64, 14], Some(Decision::Thresholds), &N918_N2048_Q50_G2),
            (&[512, 64, 14], Some(Decision::Thresholds), &N918_N2048_Q50_L2_G2),
            (&[30, 16, 2], None, &N918_N2048_Q50_L2_G2),
            (&[64, 128, 256, 4], None, &N918_N2048_Q50_L2_G2),
        ];
    }
    let mut table = comfy_table::Table::new();
    let seconds = format!("seconds, {cores} cores");
    table.set_header([
        "net",
        "answer",
        "sums",
        "range",
        "inner weight bits",
        "bootstraps",
        "log2 p_fail",
        "seconds, 1 core",
        &seconds,
    ]);
    for (sizes, decision, parameters) in nets {
        let (quantized, row) = net(sizes, decision, parameters);
        let plan = quantized.plan().expect("it was planned before");
        let public = quantized.head.public();
        let rounds = if is_test { 1 } else { 5 };
        let [one, all] = [1, cores].map(|threads| measure(&quantized, &row, threads, rounds));
        table.add_row([
            sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("-"),
            decision.map_or("scores", Decision::name).to_owned(),
            public.precision().to_owned(),
            public.range.name().to_owned(),
            format!("{:?}", &public.weight_bits[..public.layers()]),
            plan.bootstraps().to_string(),
            format!("{:.0}", plan.log2_p_fail().unwrap_or(f64::NAN)),
            format!("{one:.3}"),
            format!("{all:.3}"),
        ]);
    }
    #[expect(clippy::print_stdout, reason = "a bench prints its figures")]
    {
        println!("kernel: {}\n{table}", Kernel::detect().name());
    }
}

/// The median of some evaluations.
fn measure(quantized: &MlpQuantization, row: &[i64], threads: usize, rounds: u32) -> f64 {
    let (config, gateway_seed) = (ConfigId::of_card(b"bench"), Seed::from_bytes([1; 32]));
    let plan = quantized.plan().expect("it was planned before");
    let prepared =
        PreparedMlp::new(&quantized.head, plan, config, gateway_seed).expect("the head's own plan");
    let key = LongLivedKey::generate(quantized.head.public().bootstrap).expect("entropy");
    let evaluation_key = PreparedKey::new(&key.evaluation_key().expect("entropy"));
    let shape = plan.request_shape();
    let context = RequestContext { config: &config, gateway_seed: &gateway_seed, shape: &shape };
    let plaintexts = scores::encode_features(&plan, row).expect("the row is in range");
    let seconds = (0..rounds).map(|item| {
        let request = key.glwe().encrypt(&plaintexts, &context).expect("entropy");
        let digest = EncryptedFeatures::digest(&request.to_bytes(&shape));
        let seed = SecretSeed::from_bytes([2; 32]);
        let started = Instant::now();
        let answer = prepared.evaluate(&evaluation_key.on(threads), &request, digest, &seed, item);
        let elapsed = started.elapsed().as_secs_f64();
        key.decrypt(&answer.expect("a good request"), &plan.response_shape()).expect("memory");
        elapsed
    });
    median(&seconds.collect::<Vec<_>>())
}
