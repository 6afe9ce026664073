//! The time of a head with hidden layers: encrypted features in, encrypted scores or an encrypted label out.
//!
//! The floor is one bootstrap a neuron: `benches/peers --bin bootstrap` has the time of one, and of tfhe's.

use std::time::Instant;

use tiresias_benches::stats::median;
use tiresias_circuits::{
    Features, LinearHead, MlpHead, Quantizer,
    bootstrap::{Kernel, PreparedKey},
    mlp::{HiddenLayer, MlpOptions, MlpQuantization, PreparedMlp, QuantizedMlp},
    plan::{ActivationRange, Decision},
    quantize::Granularity,
    scores,
};
use tiresias_keys::{
    BootstrapParameters, ConfigId, EncryptedFeatures, Seed,
    bootstrap_parameters::{N918_N2048_Q50_G2, N918_N2048_Q50_L2_G2},
    xof::SecretSeed,
};
use tiresias_secret_key::{LongLivedKey, RequestContext};

/// Calibration rows.
const ROWS: usize = 200;

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

/// Numbers around 0 of a fixed sequence, like those of a trained net's weights.
fn numbers(count: usize, scale: f64, seed: u64) -> Vec<f64> {
    let mut word = seed;
    let mut uniform = move || {
        word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (word >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
    };
    (0..count).map(|_| scale * (uniform() + uniform() + uniform())).collect()
}

/// A random net with 4-bit activations, quantized, and one of its calibration rows.
fn net(
    sizes: &[usize],
    decision: Option<Decision>,
    bootstrap: &'static BootstrapParameters,
) -> (MlpQuantization, Vec<i64>) {
    let (last, hidden) = sizes.split_last().expect("sizes");
    let layers = hidden.windows(2).map(|pair| {
        let (inputs, neurons) = (pair[0], pair[1]);
        let weight = numbers(inputs * neurons, 1.0, inputs as u64);
        HiddenLayer::new(weight, numbers(neurons, 0.5, 2), vec![1.0; neurons], vec![0.0; neurons])
            .expect("shapes")
    });
    let inputs = hidden[hidden.len() - 1];
    let labels = (0..*last).map(|class| format!("class {class}")).collect();
    let output =
        LinearHead::new(numbers(inputs * last, 1.0, 3), numbers(*last, 1.0, 4), labels).expect("shapes");
    let head = MlpHead::new(layers.collect(), output).expect("layers follow each other");
    let rows = Features::new(numbers(ROWS * sizes[0], 1.0, 5), sizes[0]).expect("rows");
    let quantizer = Quantizer::calibrate(&rows, 8, Granularity::PerTensor).expect("a range");
    let options = MlpOptions {
        weight_bits: 8,
        inner_weight_bits: None,
        activation_bits: 4,
        bootstrap,
        range: ActivationRange::Calibrated,
        decision,
        stages: None,
    };
    let quantized = QuantizedMlp::quantize(&head, &quantizer, &rows, &options).expect("it fits");
    let row = rows.iter().next().map(|row| quantizer.quantize(row).expect("a row").values);
    (quantized, row.unwrap_or_default())
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
