//! The largest number of features, by hand:
//!
//! ```sh
//! cargo test --release -p tiresias-synth --test size -- --ignored --nocapture   # 2 minutes
//! ```

use std::time::Instant;

use tiresias_synth::{Bound, Bounds, Budget, Rows, Seed, evaluate, fit, fit_private, split};

#[test]
#[ignore = "takes two minutes in release mode"]
fn features_2048() {
    let (rows, columns) = (3000, 2048);
    // Sixteen factors behind all features, from a linear congruential generator.
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / 2f64.powi(53)
    };
    let loads: Vec<f64> = (0..columns * 16).map(|_| uniform() - 0.5).collect();
    let mut values = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        let factors: Vec<f64> = (0..16).map(|_| uniform() - 0.5).collect();
        for loads in loads.chunks(16) {
            let sum: f64 = loads.iter().zip(&factors).map(|(load, factor)| load * factor).sum();
            values.push(sum + 0.3 * uniform() + 0.2 * (row % 2) as f64);
        }
    }
    let labels = (0..rows).map(|row| row % 2).collect();
    let rows = Rows::new(values, columns, labels, vec!["a".into(), "b".into()]).unwrap();
    let start = Instant::now();
    let said = |what: &str, since: Instant| println!("{what}: {:.1} s", since.elapsed().as_secs_f64());
    let (train, test) = split(&rows, 0.3, &1.into()).unwrap();
    said("split", start);
    let start = Instant::now();
    let model = fit(&train).unwrap();
    said("fit", start);
    let start = Instant::now();
    let synthetic = model.sample(2000, &1.into()).unwrap();
    said("2000 rows", start);
    let start = Instant::now();
    let found = evaluate(&train, &test, &synthetic).unwrap();
    said("evaluate", start);
    println!(
        "accuracy {:.3}, on synthetic {:.3}; KS {:.3}; correlations off by {:.3}",
        found.train_on_real.accuracy,
        found.train_on_synthetic.accuracy,
        found.shape.largest,
        found.shape.largest_correlation_difference
    );
    let start = Instant::now();
    let bounds = Bounds::new(vec![Bound { lower: -3.0, upper: 3.0, whole: false }; columns]).unwrap();
    let model =
        fit_private(&train, &bounds, Budget::new(10.0, 1e-5).unwrap(), &Seed::from_bytes([1; 32])).unwrap();
    said("fit with privacy", start);
    assert_eq!(model.sample(10, &1.into()).unwrap().columns(), columns);
}
