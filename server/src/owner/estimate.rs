//! `estimate`: what a head of some shape would cost, before there is one.
//!
//! Bytes come from the planner. Times are measured: a head of random weights answers a request of random residues, on this
//! machine, by the code that serves. What HTTP and TLS add is a line through measurements of the gateway (`benches/README.md`).

use std::{
    io::Write,
    num::NonZero,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tiresias_circuits::{
    Card, Features, HeadShape, LinearHead, Plan, Privacy, Quantizer,
    bootstrap::{Backend, PreparedKey},
    card::CardParts,
    mlp::{HiddenLayer, MlpHead},
    quantize::Granularity,
};
use tiresias_keys::{
    BootstrapParameters, ConfigId, Digest, EncryptedFeatures, EvaluationKey, Seed,
    xof::{Role, SecretSeed, Xof},
};

use super::{
    Error,
    quantize::{Quantized, quantize},
};
use crate::{
    cli::EstimateArgs, error::ApiError, import::ImportedHead, registry::ServedModel, repository::StoredModel,
};

/// Calibration rows of a random head.
const ROWS: usize = 64;

/// Requests are timed for so long, and three at least.
const TIMED: Duration = Duration::from_millis(500);

/// What HTTP, TLS and the kernel take of a kept connection: microseconds a request, and a KiB up and down.
const TRANSPORT: (f64, f64) = (11.0, 0.8);

/// Microseconds of one thread.
struct Times {
    decode: f64,
    evaluate: f64,
    encode: f64,
}

/// Says what a head of this shape costs.
pub fn estimate(args: &EstimateArgs, out: &mut impl Write) -> Result<(), Error> {
    let model = served(args)?;
    let plan = model.card.plan();
    let key = plan.bootstrap().map(|set| PreparedKey::new(&random_key(set)));
    let times = time(&model, key.as_ref()).map_err(|_| Error::Estimate)?;
    let cores = match args.cores {
        Some(cores) => cores.max(1),
        None => thread::available_parallelism().map_or(1, NonZero::get),
    };
    let facts = facts(plan, &times, cores);
    if args.json {
        writeln!(out, "{facts}")?;
        return Ok(());
    }
    for (key, value) in facts.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        writeln!(out, "{key:>22}  {value}")?;
    }
    writeln!(
        out,
        "\nTimes are those of one thread of this machine, now: run this on the gateway's own, while it is quiet. \
         transport_us is not measured here: benches/README.md says how far estimates were from gateways."
    )?;
    Ok(())
}

fn facts(plan: &Plan, times: &Times, cores: usize) -> Value {
    let (request, response) = (plan.request_shape(), plan.response_shape());
    let (up, down) = (request.encoded_len(), response.encoded_len());
    let polynomial = 8 * plan.parameters().polynomial_words();
    let groups = plan.leveled_shape().classes.div_ceil(plan.classes_per_group());
    let polynomials = request.ciphertexts + usize::from(request.carries_zero);
    let transport = TRANSPORT.0 + TRANSPORT.1 * (up + down) as f64 / 1024.0;
    let cpu = times.decode + times.evaluate + times.encode + transport;
    let tenth = |value: f64| (10.0 * value).round() / 10.0;
    json!({
        "parameters": plan.parameters().name(),
        "bootstrap_parameters": plan.bootstrap().map(BootstrapParameters::name),
        "bootstraps": plan.bootstraps(),
        "log2_p_fail": plan.log2_p_fail(),
        "request_bytes": up,
        "response_bytes": down,
        "evaluation_key_bytes": plan.bootstrap().map_or(0, EvaluationKey::encoded_len),
        "model_memory_bytes": groups * plan.layout().ciphertexts * polynomial,
        "request_memory_bytes": up + down + 2 * polynomials * polynomial,
        "key_memory_bytes": plan.bootstrap().map_or(0, PreparedKey::bytes),
        "decode_us": tenth(times.decode),
        "evaluate_us": tenth(times.evaluate),
        "encode_us": tenth(times.encode),
        "transport_us": tenth(transport),
        "cpu_us": tenth(cpu),
        "cores": cores,
        "requests_per_second": tenth(1e6 * cores as f64 / cpu),
    })
}

/// A head of random weights, as it would be served.
fn served(args: &EstimateArgs) -> Result<ServedModel, Error> {
    let (bits, mut random) = (args.circuit.bits, uniform());
    let widths: Vec<usize> =
        [args.features].into_iter().chain(args.neurons.iter().copied()).chain([args.classes]).collect();
    // Nothing is allocated for what no plan allows.
    for pair in widths.windows(2) {
        let shape = HeadShape { features: pair[0], classes: pair[1], feature_bits: bits, weight_bits: 2 };
        Plan::new(shape, Privacy::OpenWeights)?;
    }
    let mut draw = |count: usize| -> Vec<f64> { (0..count).map(|_| random()).collect() };
    let rows = Features::new(draw(ROWS * args.features), args.features)?;
    let labels: Vec<String> = (0..args.classes).map(|class| format!("class {class}")).collect();
    let inputs = widths[widths.len() - 2];
    let output = LinearHead::new(draw(inputs * args.classes), vec![0.0; args.classes], labels.clone())?;
    let head = if args.neurons.is_empty() {
        ImportedHead::Linear(output)
    } else {
        let layers = widths.windows(2).take(args.neurons.len()).map(|pair| {
            let neurons = pair[1];
            let (ones, zeros) = (vec![1.0; neurons], vec![0.0; neurons]);
            HiddenLayer::new(draw(pair[0] * neurons), zeros.clone(), ones, zeros)
        });
        ImportedHead::Mlp(MlpHead::new(layers.collect::<Result<_, _>>()?, output)?)
    };
    let quantizer = Quantizer::calibrate(&rows, bits, Granularity::PerTensor)?;
    let Quantized { head, plan, score_scale, .. } = quantize(&args.circuit, &head, &quantizer, &rows, None)?;
    let seed = Seed::from_bytes([1; 32]);
    let card = Card::new(CardParts::new("estimate", 1, labels, quantizer, score_scale, plan, seed))?;
    let card_bytes = card.to_json();
    let (config, weights) = (ConfigId::of_card(&card_bytes), Digest::of(b"random"));
    Ok(ServedModel::new(StoredModel { card, card_bytes, config, head, weights })?)
}

/// Medians over requests of random residues, which take as long as those that encrypt something.
fn time(model: &ServedModel, key: Option<&PreparedKey>) -> Result<Times, ApiError> {
    let (plan, seed) = (model.card.plan(), SecretSeed::from_bytes([2; 32]));
    let (parameters, shape) = (plan.parameters(), plan.request_shape());
    let mut stream = Xof::randomness(parameters, &seed, Role::FeaturesMask, 0, 0);
    let mut polynomial = || stream.uniform(parameters);
    let bodies = (0..shape.ciphertexts).map(|_| polynomial()).collect();
    let zero = shape.carries_zero.then(polynomial);
    let bytes =
        EncryptedFeatures::new(model.config, Seed::from_bytes([3; 32]), bodies, zero).to_bytes(&shape);

    let on = key.map(|key| key.on(1));
    let backend = on.as_ref().map(|backend| backend as &dyn Backend);
    let (mut rounds, started) = (Vec::new(), Instant::now());
    while rounds.len() < 3 || started.elapsed() < TIMED {
        let begin = Instant::now();
        let (features, digest) =
            EncryptedFeatures::from_bytes(&bytes, &shape, &model.config).map_err(|_| ApiError::Internal)?;
        let decoded = Instant::now();
        let answer = model.answer(backend, &features, digest, &seed, 0)?;
        let evaluated = Instant::now();
        std::hint::black_box(answer.to_bytes(&plan.response_shape()));
        rounds.push([decoded - begin, evaluated - decoded, evaluated.elapsed()]);
    }
    let median = |part: usize| {
        let mut times: Vec<Duration> = rounds.iter().map(|round| round[part]).collect();
        times.sort_unstable();
        1e6 * times[times.len() / 2].as_secs_f64()
    };
    Ok(Times { decode: median(0), evaluate: median(1), encode: median(2) })
}

/// Uniform residues in the place of a key: arithmetic takes as long with them.
fn random_key(parameters: &'static BootstrapParameters) -> EvaluationKey {
    let seed = Seed::from_bytes([4; 32]);
    let rows = 0..parameters.rotation_rows();
    let rotation = rows.flat_map(|row| EvaluationKey::rotation_mask(parameters, &seed, row)).collect();
    let mut keyswitch = vec![0; parameters.keyswitch_rows()];
    Xof::evaluation_key(parameters, Role::KeyswitchMask, u32::MAX, &seed).uniform_words(&mut keyswitch);
    EvaluationKey::new(parameters, seed, rotation, keyswitch)
}

/// Numbers between -1 and 1, the same each time (SplitMix64).
fn uniform() -> impl FnMut() -> f64 {
    let mut state = 0_u64;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn estimated(options: &[&str]) -> Result<Value, Error> {
        let start = ["tiresias-gateway", "estimate", "--json"];
        let Command::Estimate(args) = Cli::parse_from(start.iter().chain(options)).command else { panic!() };
        let mut out = Vec::new();
        estimate(&args, &mut out)?;
        Ok(serde_json::from_slice(&out).unwrap())
    }

    #[test]
    fn bytes_are_the_planners_and_times_are_measured() {
        let facts = estimated(&["--features", "512", "--classes", "14", "--cores", "3"]).unwrap();
        assert_eq!((&facts["request_bytes"], &facts["response_bytes"]), (&json!(38_505), &json!(19_115)));
        assert_eq!((&facts["bootstraps"], &facts["key_memory_bytes"]), (&json!(0), &json!(0)));
        // Two groups of two ciphertexts, and a request of three.
        assert_eq!(facts["model_memory_bytes"], 2 * 2 * 16_384);
        let part = |name: &str| facts[name].as_f64().unwrap();
        let sum = part("decode_us") + part("evaluate_us") + part("encode_us") + part("transport_us");
        assert!(part("evaluate_us") > 0.0 && (sum - part("cpu_us")).abs() < 0.3);
        assert!((part("requests_per_second") - 3e6 / part("cpu_us")).abs() < 1.0);
    }

    #[test]
    fn a_shape_that_no_plan_allows_is_refused() {
        for options in [
            &["--features", "0", "--classes", "2"][..],
            &["--features", "16385", "--classes", "2"],
            &["--features", "16384", "--classes", "4096"],
            &["--features", "30", "--classes", "2", "--bits", "9"],
            &["--features", "30", "--classes", "2", "--neurons", "5000"],
            &["--features", "30", "--classes", "2", "--neurons", "0"],
        ] {
            assert!(matches!(estimated(options), Err(Error::Circuit(_))), "{options:?}");
        }
    }
}
