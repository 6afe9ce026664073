use tiresias_keys::{
    EvaluationKey, Seed,
    bootstrap_parameters::{N918_N2048_Q50, N918_N2048_Q50_G2, N918_N2048_Q50_L2, N918_N2048_Q50_L2_G2},
};
use tiresias_secret_key::LongLivedKey;

use super::*;
use crate::bootstrap::{LweCiphertext, PreparedKey, Table, tests::phase};

/// Root mean square of centred residues.
fn deviation(errors: &[f64]) -> f64 {
    (errors.iter().map(|error| error * error).sum::<f64>() / errors.len() as f64).sqrt()
}

/// One real key.
struct Measured {
    key: LongLivedKey,
    prepared: PreparedKey,
    seed: Seed,
}

impl Measured {
    fn new(parameters: &'static BootstrapParameters) -> Self {
        let key = LongLivedKey::generate(parameters).unwrap();
        let evaluation_key = key.evaluation_key().unwrap();
        Self { prepared: PreparedKey::new(&evaluation_key), seed: *evaluation_key.seed(), key }
    }

    /// A uniform ciphertext: a mask of the key is as good as any.
    fn input(&self, sample: usize) -> LweCiphertext {
        let parameters = self.key.parameters();
        let glwe = parameters.glwe();
        let mask = EvaluationKey::rotation_mask(parameters, &self.seed, sample);
        LweCiphertext::extract(glwe, &mask, mask[0], sample % glwe.polynomial_size())
    }

    /// By how many places each sample's position errs.
    fn position_errors(&self, samples: usize) -> Vec<f64> {
        let glwe = self.key.parameters().glwe();
        let (n, q) = (glwe.polynomial_size(), glwe.primes()[0]);
        let bits = self.key.export();
        let lwe_bits = &bits[n / 8..];
        let batches = (0..samples).step_by(64).map(|first| first..samples.min(first + 64));
        let errors = batches.flat_map(|batch| {
            let batch: Vec<_> = batch.map(|sample| self.input(sample)).collect();
            let switched = self.prepared.keyswitch(&batch.iter().collect::<Vec<_>>());
            let error = |(input, switched)| {
                let positions = self.prepared.switch(switched);
                let turned: u64 = (positions.mask.iter().enumerate())
                    .map(|(i, &a)| u64::from(a) * u64::from(lwe_bits[i / 8] >> (i % 8) & 1))
                    .sum();
                let circle = 2 * n as u64;
                let position = (u64::from(positions.body) + 1024 * circle - turned) % circle;
                let exact = phase(&self.key, input) as f64 * circle as f64 / q as f64;
                let error = (position as f64 - exact).rem_euclid(circle as f64);
                if error > n as f64 { error - circle as f64 } else { error }
            };
            batch.iter().zip(&switched).map(error).collect::<Vec<_>>()
        });
        errors.collect()
    }

    /// The noise of results of a table of one value, which they hold or its negative.
    fn noise(&self, bootstraps: usize) -> Vec<f64> {
        let glwe = self.key.parameters().glwe();
        let (value, q) = (1_i64 << 46, glwe.primes()[0] as i64);
        let table = Table::new(glwe, |_| value);
        let inputs: Vec<_> = (0..bootstraps).map(|sample| self.input(sample)).collect();
        let jobs: Vec<_> = inputs.iter().map(|input| (input, &table)).collect();
        let noise = self.prepared.bootstrap(&jobs, 2).into_iter().map(|output| {
            let phase = phase(&self.key, &output) as i64;
            let centred = if phase > q / 2 { phase - q } else { phase };
            (centred.abs() - value) as f64
        });
        noise.collect()
    }
}

fn compare(parameters: &'static BootstrapParameters, samples: usize, bootstraps: usize, tolerance: f64) {
    let measured = Measured::new(parameters);
    let (position, noise) =
        (deviation(&measured.position_errors(samples)), deviation(&measured.noise(bootstraps)));
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

/// Failures made countable by margins far inside the real one: the share of positions that err by more than so many
/// predicted deviations, beside the tail of a Gaussian. `cargo test --release -p tiresias-circuits --lib -- --ignored
/// --nocapture tails`: about two minutes.
#[test]
#[ignore = "long: a quarter of a million keyswitches"]
fn tails_of_positions_are_those_of_a_gaussian() {
    const SAMPLES: usize = 1 << 18;
    let parameters = &N918_N2048_Q50;
    let errors = Measured::new(parameters).position_errors(SAMPLES);
    let deviation = position_deviation(parameters, 0);
    // P(|x| > k) of a standard Gaussian.
    for (k, tail) in
        [(1.0, 0.3173), (2.0, 0.045_50), (3.0, 0.002_700), (3.5, 4.653e-4), (4.0, 6.334e-5), (4.5, 6.795e-6)]
    {
        let failures = errors.iter().filter(|error| error.abs() > k * deviation).count() as f64;
        let share = failures / SAMPLES as f64;
        // The interval of 99.9 % for a count: its square root times 3.3, and the Poisson of none.
        let spread = 3.3 * failures.sqrt() + 7.0;
        let (low, high) = ((failures - spread).max(0.0), failures + spread);
        let expected = tail * SAMPLES as f64;
        println!(
            "beyond {k} deviations: {share:.2e} ({low:.0} to {high:.0} of {SAMPLES}), predicted {expected:.0}"
        );
        // A deviation that is 3 % off moves a tail by a factor of about exp(0.03 k^2).
        let slack = (0.03 * k * k).exp();
        assert!(low / slack <= expected && expected <= high * slack);
    }
    let largest = errors.iter().fold(0.0_f64, |largest, error| largest.max(error.abs()));
    println!("largest {largest:.1} places, allowed {}", position_margin(parameters));
}
