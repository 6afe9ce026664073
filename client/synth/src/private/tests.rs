use proptest::prelude::*;

use super::*;
use crate::{correlation, normal};

/// Two classes of a correlated pair, a whole number and a constant.
fn example(rows: usize) -> (Rows, Bounds) {
    let mut stream = Stream::new(&21.into(), Purpose::Sample, 0);
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for row in 0..rows {
        let class = row % 2;
        let [a, b, c] = [(); 3].map(|()| normal::quantile(stream.uniform()));
        let sign = if class == 0 { 1.0 } else { -1.0 };
        values.extend([a, 10.0 * class as f64 + sign * 0.8 * a + 0.6 * b, (a + 0.5 * c).round(), 3.5]);
        labels.push(class);
    }
    let rows = Rows::new(values, 4, labels, vec!["a".into(), "b".into()]).unwrap();
    let bound = |lower, upper, whole| Bound { lower, upper, whole };
    let bounds = vec![
        bound(-4.0, 4.0, false),
        bound(-10.0, 20.0, false),
        bound(-5.0, 5.0, true),
        bound(3.5, 3.5, false),
    ];
    (rows, Bounds::new(bounds).unwrap())
}

fn noise(seed: u8) -> Seed {
    Seed::from_bytes([seed; 32])
}

#[test]
fn many_rows_come_back_through_the_noise() {
    let (rows, bounds) = example(40_000);
    let model = fit_private(&rows, &bounds, Budget::new(2.0, 1e-6).unwrap(), &noise(1)).unwrap();
    let made = model.sample(20_000, &1.into()).unwrap();
    for (class, expected) in [(0, 0.8), (1, -0.8)] {
        let of = made.of(class);
        let column = |at: usize| of.iter().map(|row| row[at]).collect::<Vec<f64>>();
        let pair = [correlation::scores(&column(0)), correlation::scores(&column(1))];
        let found = correlation::correlations(&pair).0.at(1, 0);
        assert!((found - expected).abs() < 0.04, "{found}");
        let (mean, deviation) = correlation::moments(&column(0));
        assert!(mean.abs() < 0.06 && (deviation - 1.0).abs() < 0.06, "{mean} {deviation}");
        assert!(column(2).iter().all(|value| value.fract() == 0.0 && value.abs() <= 5.0));
        assert!(column(3).iter().all(|&value| value == 3.5));
    }
    let spent = model.spent().unwrap();
    assert!(spent.epsilon <= 2.0 && spent.epsilon > 1.9, "{}", spent.epsilon);
    assert_eq!(spent.questions.iter().map(|q| q.sensitivity_squared).collect::<Vec<_>>(), [1, 3, 3]);
    let json = serde_json::to_value(spent).unwrap();
    assert_eq!(json["asked"]["epsilon"], 2.0);
}

#[test]
fn values_stay_within_bounds_and_the_noise_seed_counts() {
    let (rows, _) = example(400);
    let bound = Bound { lower: -0.5, upper: 0.25, whole: false };
    let bounds = Bounds::new(vec![bound; 4]).unwrap();
    let budget = Budget::new(1.0, 1e-5).unwrap();
    let make =
        |seed| fit_private(&rows, &bounds, budget, &noise(seed)).unwrap().sample(500, &1.into()).unwrap();
    assert!(make(1).values().iter().all(|value| (-0.5..=0.25).contains(value)));
    assert_eq!(make(1), make(1));
    assert_ne!(make(1), make(2));
}

#[test]
fn features_that_do_not_vary_cost_nothing() {
    let rows =
        Rows::new(vec![1.0; 400], 2, (0..200).map(|at| at % 2).collect(), vec!["a".into(), "b".into()]);
    let budget = Budget::new(50.0, 1e-5).unwrap();
    let constant = Bound { lower: 2.0, upper: 2.0, whole: true };
    let fitted = |bounds: Vec<Bound>| {
        fit_private(rows.as_ref().unwrap(), &Bounds::new(bounds).unwrap(), budget, &noise(3)).unwrap()
    };
    let model = fitted(vec![constant; 2]);
    assert_eq!(model.spent().unwrap().questions.len(), 1);
    assert!(model.sample(10, &1.into()).unwrap().values().iter().all(|&value| value == 2.0));
    let model = fitted(vec![constant, Bound { lower: 0.0, upper: 1.0, whole: true }]);
    assert_eq!(model.spent().unwrap().questions.len(), 2);
    assert!(model.sample(100, &1.into()).unwrap().iter().filter(|row| row[1] == 1.0).count() > 95);
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let (rows, bounds) = example(400);
    let budget = Budget::new(1.0, 1e-5).unwrap();
    let fewer = Bounds::new(bounds.as_slice()[1..].to_vec()).unwrap();
    assert_eq!(fit_private(&rows, &fewer, budget, &noise(1)).unwrap_err(), Error::BoundsCount);
    // An empty class, with noise of deviation 2.
    let lone = rows.filtered(|row| row % 2 == 0).unwrap();
    let budget = Budget::new(20.0, 1e-5).unwrap();
    assert_eq!(
        fit_private(&lone, &bounds, budget, &noise(1)).unwrap_err(),
        Error::TooFewNoisyRows { class: 2 }
    );
}

#[test]
fn one_row_moves_the_answers_by_what_is_charged() {
    let (rows, bounds) = example(300);
    let spent = Budget::new(1.0, 1e-5).unwrap().plan(3);
    let (of, noise) = (rows.of(0), noise(1));
    let line = Marginal::Line { shares: vec![0.0, 1.0], values: vec![-4.0, 4.0], whole: None };
    // The answers without their noise.
    let answers = |rows: &[&[f64]]| {
        let class =
            Class { rows, bounds: bounds.as_slice(), counted: 30.0, spent: &spent, noise: &noise, class: 0 };
        let histograms =
            (0..3).flat_map(|column| class.histogram(column, 7, (-5.0, 5.0))).collect::<Vec<_>>();
        let sides: Vec<Sides> = (0..3).map(|column| class.sides(column, &line)).collect();
        let pairs = [(1, 0), (2, 0), (2, 1)].map(|(a, b)| sides[a].agreement(&sides[b], rows.len()));
        (histograms, pairs.to_vec())
    };
    let squared = |a: &[i64], b: &[i64]| a.iter().zip(b).map(|(a, b)| (a - b).pow(2) as u64).sum::<u64>();
    for at in 0..of.len() {
        let mut less = of.clone();
        less.remove(at);
        let (all, less) = (answers(&of), answers(&less));
        assert_eq!(squared(&all.0, &less.0), spent.questions[1].sensitivity_squared);
        assert_eq!(squared(&all.1, &less.1), spent.questions[2].sensitivity_squared);
    }
}

proptest! {
    #[test]
    fn shares_are_shares(counts in prop::collection::vec(-100.0f64..100.0, 1..70), total in 10.0f64..1000.0) {
        let shares = nearest_shares(&counts, total);
        prop_assert!(shares.iter().all(|&share| share >= 0.0));
        prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        // Order is kept.
        for (a, share) in counts.iter().zip(&shares) {
            for (b, other) in counts.iter().zip(&shares) {
                prop_assert!(a < b || share >= other);
            }
        }
    }

    #[test]
    fn shares_that_fit_stay(counts in prop::collection::vec(0u32..100, 1..70)) {
        let counts: Vec<f64> = counts.into_iter().map(|count| f64::from(count) + 1.0).collect();
        let total: f64 = counts.iter().sum();
        for (share, count) in nearest_shares(&counts, total).iter().zip(&counts) {
            prop_assert!((share - count / total).abs() < 1e-12);
        }
    }
}
