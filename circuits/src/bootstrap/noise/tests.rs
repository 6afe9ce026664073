use tiresias_keys::{
    EvaluationKey,
    bootstrap_parameters::{N918_N2048_Q50, N918_N2048_Q50_G2, N918_N2048_Q50_L2, N918_N2048_Q50_L2_G2},
};
use tiresias_secret_key::LongLivedKey;

use super::*;
use crate::bootstrap::{LweCiphertext, PreparedKey, Table, tests::phase};

/// Root mean square of centred residues.
fn deviation(errors: &[f64]) -> f64 {
    (errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64).sqrt()
}

/// With one real key: positions of uniform ciphertexts, and results of a table of one value, which they hold or its negative.
fn measure(parameters: &'static BootstrapParameters, samples: usize, bootstraps: usize) -> (f64, f64) {
    let (glwe, n) = (parameters.glwe(), parameters.glwe().polynomial_size());
    let q = glwe.primes()[0];
    let key = LongLivedKey::generate(parameters).unwrap();
    let evaluation_key = key.evaluation_key().unwrap();
    let prepared = PreparedKey::new(&evaluation_key);
    let bits = key.export();
    let lwe_bits = &bits[n / 8..];
    let input = |sample: usize| {
        let mask = EvaluationKey::rotation_mask(parameters, evaluation_key.seed(), sample);
        LweCiphertext::extract(glwe, &mask, mask[0], sample % n)
    };
    let inputs: Vec<_> = (0..samples).map(input).collect();
    let mut errors = Vec::new();
    for batch in inputs.chunks(64) {
        let switched = prepared.keyswitch(&batch.iter().collect::<Vec<_>>());
        for (input, switched) in batch.iter().zip(&switched) {
            let positions = prepared.switch(switched);
            let turned: u64 = (positions.mask.iter().enumerate())
                .map(|(i, &a)| u64::from(a) * u64::from(lwe_bits[i / 8] >> (i % 8) & 1))
                .sum();
            let position = (u64::from(positions.body) + 2 * n as u64 * 1024 - turned) % (2 * n as u64);
            let exact = phase(&key, input) as f64 * (2 * n) as f64 / q as f64;
            let error = (position as f64 - exact).rem_euclid(2.0 * n as f64);
            errors.push(if error > n as f64 { error - 2.0 * n as f64 } else { error });
        }
    }
    let value = 1_i64 << 46;
    let table = Table::new(glwe, |_| value);
    let jobs: Vec<_> = inputs.iter().take(bootstraps).map(|input| (input, &table)).collect();
    let noise: Vec<f64> = (prepared.bootstrap(&jobs, 2).iter())
        .map(|output| {
            let phase = phase(&key, output) as i64;
            let centred = if phase > q as i64 / 2 { phase - q as i64 } else { phase };
            (centred.abs() - value) as f64
        })
        .collect();
    (deviation(&errors), deviation(&noise))
}

fn compare(parameters: &'static BootstrapParameters, samples: usize, bootstraps: usize, tolerance: f64) {
    let (position, noise) = measure(parameters, samples, bootstraps);
    let predicted = (position_deviation(parameters, 0), (output_variance(parameters) as f64).sqrt());
    println!(
        "{}: position {position:.2}, predicted {:.2}; result 2^{:.2}, predicted 2^{:.2} of q",
        parameters.name(),
        predicted.0,
        noise.log2() - 50.0,
        predicted.1.log2() - 50.0
    );
    assert!((position / predicted.0).ln().abs() < tolerance);
    assert!((noise / predicted.1).ln().abs() < tolerance);
}

#[test]
fn predictions_meet_a_real_key() {
    compare(&N918_N2048_Q50_G2, 512, 48, 0.5);
}

/// `cargo test --release -p tiresias-circuits --lib -- --ignored --nocapture predictions`: about two minutes.
#[test]
#[ignore = "long: thousands of samples under each parameter set"]
fn predictions_meet_real_keys_closely() {
    for parameters in [&N918_N2048_Q50, &N918_N2048_Q50_G2, &N918_N2048_Q50_L2, &N918_N2048_Q50_L2_G2] {
        compare(parameters, 8192, 1024, 0.08);
    }
}

#[test]
fn margins_are_never_exceeded_in_a_circuit_of_ten_thousand_bootstraps() {
    for parameters in BootstrapParameters::ALL {
        let deviations = margin_deviations(parameters, 14);
        println!("{}: {deviations:.1} deviations", parameters.name());
        assert!(log2_tail(deviations, 10_000) < -128.0);
    }
}
