//! How good synthetic patients are, and how close to real ones. What is computed here is about real rows, and no noise is on it:
//! with or without privacy of the model, these figures stay where the rows are.

use serde::Serialize;

use crate::{
    Error, Rows,
    classify::{Classifier, Scaling, Score},
    correlation::{correlations, standardized},
    linear::Lower,
    nearest::{Quantiles, nearest},
};

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Rows that the model was fitted to.
    pub train_rows: usize,
    /// Rows that it never saw.
    pub test_rows: usize,
    /// Synthetic rows.
    pub synthetic_rows: usize,
    /// A classifier that learned from the rows that the model was fitted to, tested on those it never saw.
    pub train_on_real: Score,
    /// The same classifier that learned from synthetic rows, tested on the same.
    pub train_on_synthetic: Score,
    /// How close synthetic rows are to those that the model was fitted to.
    pub distances: Distances,
    /// How like their features are.
    pub shape: Shape,
}

/// Distances to the nearest row that the model was fitted to, of whatever class: Euclidean, features standardized by these rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Distances {
    /// Of synthetic rows.
    pub synthetic: Quantiles,
    /// Of real rows that the model never saw: what is usual between patients.
    pub held_out: Quantiles,
    /// The share of synthetic rows that are closer than 5 % of the held-out ones are. About 0.05 is what other patients have.
    pub share_closer: f64,
    /// Synthetic rows at distance 0.
    pub synthetic_copies: usize,
    /// Held-out rows at distance 0.
    pub held_out_copies: usize,
    /// Of each synthetic row, in order.
    pub of_each: Vec<f64>,
}

/// Synthetic rows beside those that the model was fitted to, all classes together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shape {
    /// Of each feature the Kolmogorov-Smirnov distance: how far the shares below any value are apart.
    pub of_each: Vec<f64>,
    /// The largest of them.
    pub largest: f64,
    /// Its feature, counted from 1.
    pub largest_feature: usize,
    /// Their mean.
    pub mean: f64,
    /// How far a correlation (Pearson's) is from the real one, at most.
    pub largest_correlation_difference: f64,
    /// Of which features, counted from 1; none where there is one only.
    pub largest_correlation_features: Option<(usize, usize)>,
}

/// Compares synthetic rows with real ones.
pub fn evaluate(train: &Rows, test: &Rows, synthetic: &Rows) -> Result<Evaluation, Error> {
    train.expect_alike(test)?;
    train.expect_alike(synthetic)?;
    Ok(Evaluation {
        train_rows: train.len(),
        test_rows: test.len(),
        synthetic_rows: synthetic.len(),
        train_on_real: Classifier::learn(train).test(test),
        train_on_synthetic: Classifier::learn(synthetic).test(test),
        distances: distances(train, test, synthetic),
        shape: shape(train, synthetic),
    })
}

fn distances(train: &Rows, test: &Rows, synthetic: &Rows) -> Distances {
    let scaling = Scaling::of(train);
    let among = scaling.apply(train);
    let to_train = |rows| nearest(&scaling.apply(rows), &among, train.columns());
    let (synthetic, held_out) = (to_train(synthetic), to_train(test));
    let usual = Quantiles::of(&held_out);
    let count =
        |distances: &[f64], is: &dyn Fn(f64) -> bool| distances.iter().filter(|&&each| is(each)).count();
    Distances {
        share_closer: count(&synthetic, &|each| each < usual.p05) as f64 / synthetic.len() as f64,
        synthetic_copies: count(&synthetic, &|each| each == 0.0),
        held_out_copies: count(&held_out, &|each| each == 0.0),
        synthetic: Quantiles::of(&synthetic),
        held_out: usual,
        of_each: synthetic,
    }
}

fn shape(real: &Rows, synthetic: &Rows) -> Shape {
    let of_each: Vec<f64> = (0..real.columns())
        .map(|column| kolmogorov_smirnov(real.column(column), synthetic.column(column)))
        .collect();
    let largest_at =
        (0..of_each.len()).reduce(|best, at| if of_each[at] > of_each[best] { at } else { best });
    let largest_at = largest_at.unwrap_or(0);
    let of = |rows: &Rows| -> Lower {
        let columns: Vec<Vec<f64>> = (0..rows.columns()).map(|at| standardized(rows.column(at))).collect();
        correlations(&columns).0
    };
    let (real_pairs, synthetic_pairs) = (of(real), of(synthetic));
    let mut apart: (f64, Option<(usize, usize)>) = (0.0, None);
    for row in 1..real.columns() {
        for column in 0..row {
            let difference = (real_pairs.at(row, column) - synthetic_pairs.at(row, column)).abs();
            if apart.1.is_none() || difference > apart.0 {
                apart = (difference, Some((column + 1, row + 1)));
            }
        }
    }
    Shape {
        largest: of_each[largest_at],
        largest_feature: largest_at + 1,
        mean: of_each.iter().sum::<f64>() / of_each.len() as f64,
        largest_correlation_difference: apart.0,
        largest_correlation_features: apart.1,
        of_each,
    }
}

/// The largest difference between the shares of two samples that are not above a value.
pub(crate) fn kolmogorov_smirnov(mut a: Vec<f64>, mut b: Vec<f64>) -> f64 {
    a.sort_unstable_by(f64::total_cmp);
    b.sort_unstable_by(f64::total_cmp);
    let (mut at_a, mut at_b, mut largest) = (0, 0, 0.0f64);
    while at_a < a.len() && at_b < b.len() {
        let value = a[at_a].min(b[at_b]);
        while at_a < a.len() && a[at_a] <= value {
            at_a += 1;
        }
        while at_b < b.len() && b[at_b] <= value {
            at_b += 1;
        }
        largest = largest.max((at_a as f64 / a.len() as f64 - at_b as f64 / b.len() as f64).abs());
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: Vec<f64>, columns: usize) -> Rows {
        let labels = (0..values.len() / columns).map(|row| row % 2).collect();
        Rows::new(values, columns, labels, vec!["a".into(), "b".into()]).unwrap()
    }

    #[test]
    fn kolmogorov_smirnov_of_a_few() {
        let ks = |a: &[f64], b: &[f64]| kolmogorov_smirnov(a.to_vec(), b.to_vec());
        assert_eq!(ks(&[1.0, 2.0], &[3.0]), 1.0);
        assert_eq!(ks(&[1.0, 2.0, 3.0, 4.0], &[4.0, 3.0, 2.0, 1.0]), 0.0);
        assert_eq!(ks(&[1.0, 1.0, 2.0, 5.0], &[1.0, 3.0]), 0.25);
        assert_eq!(ks(&[0.0, -0.0], &[-0.0, 0.0]), 0.0);
    }

    #[test]
    fn a_copy_is_seen_for_what_it_is() {
        let value = |at: usize| ((at * at * 7919 + at * 31) % 997) as f64;
        let train = rows((0..300).map(value).collect(), 3);
        let test = rows((300..450).map(value).collect(), 3);
        let found = evaluate(&train, &test, &train).unwrap();
        assert_eq!((found.distances.synthetic_copies, found.distances.held_out_copies), (100, 0));
        assert_eq!((found.distances.share_closer, found.shape.largest), (1.0, 0.0));
        assert_eq!(found.train_on_real, found.train_on_synthetic);
        assert_eq!(found.shape.largest_correlation_difference, 0.0);
        let other = evaluate(&train, &test, &test).unwrap();
        assert_eq!(other.distances.synthetic, other.distances.held_out);
        assert!(other.distances.share_closer <= 0.06);
    }

    #[test]
    fn tables_that_do_not_belong_together_are_refused() {
        let (a, b) = (rows(vec![0.0; 8], 2), rows(vec![0.0; 8], 4));
        assert_eq!(evaluate(&a, &b, &a).unwrap_err(), Error::Mismatch);
        let other = Rows::new(vec![0.0; 4], 2, vec![0, 1], vec!["a".into(), "c".into()]).unwrap();
        assert_eq!(evaluate(&a, &a, &other).unwrap_err(), Error::Mismatch);
    }
}
