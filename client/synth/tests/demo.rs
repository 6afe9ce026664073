//! Synthetic patients of the demo's tables: how good they are, with and without privacy.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

mod common;

use common::{bounds, table};
use tiresias_synth::{Budget, Evaluation, Rows, Seed, evaluate, fit, fit_private, split};

/// As many synthetic rows as fitted ones, without privacy.
fn run(name: &str, seed: u64) -> (Rows, Rows, Evaluation) {
    let rows = table(name);
    let (train, test) = split(&rows, 0.3, &seed.into()).unwrap();
    let synthetic = fit(&train).unwrap().sample(train.len(), &seed.into()).unwrap();
    let found = evaluate(&train, &test, &synthetic).unwrap();
    (train, synthetic, found)
}

fn show(what: &str, found: &Evaluation) {
    let (real, synthetic) = (found.train_on_real, found.train_on_synthetic);
    println!(
        "{what}: {} rows; trained on real {:.4} ({:.4}), on synthetic {:.4} ({:.4}); closer {:.3}, copies {}; KS {:.3} \
         mean {:.3}, correlation {:.3}; nearest {:.2} against {:.2}",
        found.train_rows,
        real.accuracy,
        real.balanced_accuracy,
        synthetic.accuracy,
        synthetic.balanced_accuracy,
        found.distances.share_closer,
        found.distances.synthetic_copies,
        found.shape.largest,
        found.shape.mean,
        found.shape.largest_correlation_difference,
        found.distances.synthetic.median,
        found.distances.held_out.median,
    );
}

#[test]
fn breast_cancer_without_privacy() {
    let mut lost = 0.0;
    for seed in 1..=5 {
        let (train, synthetic, found) = run("wdbc.csv", seed);
        show(&format!("wdbc, seed {seed}"), &found);
        let (real, made) = (found.train_on_real, found.train_on_synthetic);
        assert!(real.is_converged && made.is_converged && real.accuracy > 0.93);
        assert!(made.accuracy > real.accuracy - 0.06 && made.balanced_accuracy > 0.88);
        lost += (real.accuracy - made.accuracy) / 5.0;
        // Synthetic patients are no closer to those fitted than other patients are.
        assert_eq!(found.distances.synthetic_copies, 0);
        assert!(found.distances.share_closer < 0.08, "{}", found.distances.share_closer);
        assert!(found.shape.mean < 0.06 && found.shape.largest < 0.14);
        assert!(found.shape.largest_correlation_difference < 0.35);
        assert_eq!(found.distances.of_each.len(), synthetic.len());
        // The classes keep their shares.
        let apart = train.counts()[0].abs_diff(synthetic.counts()[0]);
        assert!(apart <= 1, "{apart}");
    }
    assert!(lost < 0.03, "{lost}");
}

#[test]
fn digits_without_privacy() {
    // Ten classes, whole numbers, and pixels that are always empty.
    let (_, synthetic, found) = run("digits.csv", 1);
    show("digits, seed 1", &found);
    assert!(found.train_on_synthetic.accuracy > found.train_on_real.accuracy - 0.06);
    assert!(synthetic.values().iter().all(|value| value.fract() == 0.0 && (0.0..=16.0).contains(value)));
    assert!(found.shape.mean < 0.03);
}

#[test]
fn breast_cancer_with_privacy() {
    let rows = table("wdbc.csv");
    let (train, test) = split(&rows, 0.3, &1.into()).unwrap();
    let mut accuracies = Vec::new();
    for epsilon in [1.0, 4.0, 10.0, 50.0] {
        let budget = Budget::new(epsilon, 1e-5).unwrap();
        let mut sum = 0.0;
        for noise in 0..5 {
            let model = fit_private(&train, &bounds(&rows), budget, &Seed::from_bytes([noise; 32])).unwrap();
            assert!(model.spent().unwrap().epsilon <= epsilon);
            let synthetic = model.sample(train.len(), &1.into()).unwrap();
            let found = evaluate(&train, &test, &synthetic).unwrap();
            show(&format!("wdbc, epsilon {epsilon}, noise {noise}"), &found);
            assert_eq!(found.distances.synthetic_copies, 0);
            sum += found.train_on_synthetic.accuracy / 5.0;
        }
        accuracies.push(sum);
    }
    println!("wdbc, mean accuracy by epsilon 1, 4, 10, 50: {accuracies:.3?}");
    assert!(accuracies[3] > 0.88 && accuracies[2] > 0.8, "{accuracies:?}");
}
