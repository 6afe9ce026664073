//! The model: of each class, how its features are distributed and how they hang together. Fitted, and sampled.

use crate::{
    Error, Rows, Seed,
    budget::Spent,
    correlation,
    error::{MAXIMUM_ENTRIES, MAXIMUM_ROWS, MAXIMUM_VALUES, MINIMUM_ROWS},
    linear::{Lower, dot},
    marginal::Marginal,
    normal,
    seed::{Purpose, Stream},
};

/// A class-conditional Gaussian copula.
#[derive(Debug, Clone)]
pub struct Model {
    pub(crate) columns: usize,
    pub(crate) classes: Vec<String>,
    pub(crate) parts: Vec<Part>,
    pub(crate) spent: Option<Spent>,
}

/// What is known of a class.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Its rows, perhaps with noise.
    pub(crate) rows: f64,
    pub(crate) marginals: Vec<Marginal>,
    /// The factor of the correlation matrix of the features that are not constant.
    pub(crate) factor: Lower,
    /// How far that matrix was drawn to the identity.
    pub(crate) weight: f64,
}

/// Fits a model without privacy: what it makes can tell of the rows.
pub fn fit(rows: &Rows) -> Result<Model, Error> {
    expect_size(rows)?;
    if let Some(class) = rows.counts().iter().position(|&count| count < MINIMUM_ROWS) {
        return Err(Error::TooFewRows { class: class + 1 });
    }
    let parts = (0..rows.classes().len()).map(|class| fit_class(&rows.of(class)));
    Ok(Model {
        columns: rows.columns(),
        classes: rows.classes().to_vec(),
        parts: parts.collect::<Result<_, _>>()?,
        spent: None,
    })
}

/// Checks that the matrices fit in memory.
pub(crate) fn expect_size(rows: &Rows) -> Result<(), Error> {
    let entries = rows.columns() * (rows.columns() + 1) / 2;
    match entries * rows.classes().len() <= MAXIMUM_ENTRIES {
        true => Ok(()),
        false => Err(Error::TooLarge),
    }
}

fn fit_class(rows: &[&[f64]]) -> Result<Part, Error> {
    let (mut marginals, mut scores) = (Vec::new(), Vec::new());
    for column in 0..rows[0].len() {
        let values: Vec<f64> = rows.iter().map(|row| row[column]).collect();
        let column_scores = correlation::scores(&values);
        let marginal = Marginal::of(values);
        if !marginal.is_constant() {
            scores.push(column_scores);
        }
        marginals.push(marginal);
    }
    let (matrix, variances) = correlation::correlations(&scores);
    let weight = correlation::weight(&matrix, variances);
    Ok(Part { rows: rows.len() as f64, marginals, factor: matrix.shrunk(weight).cholesky()?, weight })
}

impl Model {
    /// What privacy cost, where the model was fitted with it.
    #[must_use]
    pub fn spent(&self) -> Option<&Spent> {
        self.spent.as_ref()
    }

    /// How far each class's correlations were drawn to none: 0 not at all, 1 wholly.
    pub fn shrinkage(&self) -> impl Iterator<Item = f64> + '_ {
        self.parts.iter().map(|part| part.weight)
    }

    /// Makes patients: classes in their shares (each has a row at least), in an order of chance.
    pub fn sample(&self, rows: usize, seed: &Seed) -> Result<Rows, Error> {
        let values = rows.checked_mul(self.columns);
        if rows < self.parts.len()
            || rows > MAXIMUM_ROWS
            || values.is_none_or(|values| values > MAXIMUM_VALUES)
        {
            return Err(Error::Rows);
        }
        let mut labels = Vec::with_capacity(rows);
        for (class, count) in shares(&self.parts, rows).into_iter().enumerate() {
            labels.extend(std::iter::repeat_n(class, count));
        }
        let mut order = Stream::new(seed, Purpose::Order, 0);
        for at in (1..rows).rev() {
            labels.swap(at, order.below(at as u128 + 1) as usize);
        }
        let mut streams: Vec<Stream> =
            (0..self.parts.len()).map(|class| Stream::new(seed, Purpose::Sample, class)).collect();
        let mut values = Vec::with_capacity(rows * self.columns);
        for &class in &labels {
            self.parts[class].draw(&mut streams[class], &mut values);
        }
        Rows::new(values, self.columns, labels, self.classes.clone())
    }
}

impl Part {
    fn draw(&self, stream: &mut Stream, values: &mut Vec<f64>) {
        let normals: Vec<f64> = (0..self.factor.size()).map(|_| normal::quantile(stream.uniform())).collect();
        let mut varying = 0;
        for marginal in &self.marginals {
            if marginal.is_constant() {
                values.push(marginal.quantile(0.5));
                continue;
            }
            let score = dot(self.factor.row(varying), &normals);
            values.push(marginal.quantile(normal::distribution(score)));
            varying += 1;
        }
    }
}

/// How many of `rows` each class gets: its share, rounded so that the sum is right, and one at least.
fn shares(parts: &[Part], rows: usize) -> Vec<usize> {
    let all: f64 = parts.iter().map(|part| part.rows).sum();
    let quotas: Vec<f64> = parts.iter().map(|part| part.rows / all * rows as f64).collect();
    let mut counts: Vec<usize> = quotas.iter().map(|quota| (quota.floor() as usize).max(1)).collect();
    loop {
        let sum: usize = counts.iter().sum();
        let missing = |class: &usize| quotas[*class] - counts[*class] as f64;
        let by_missing = |a: &usize, b: &usize| missing(a).total_cmp(&missing(b)).then(b.cmp(a));
        if sum < rows {
            let Some(class) = (0..parts.len()).max_by(by_missing) else { return counts };
            counts[class] += 1;
        } else if sum > rows {
            let Some(class) = (0..parts.len()).filter(|&class| counts[class] > 1).min_by(by_missing) else {
                return counts;
            };
            counts[class] -= 1;
        } else {
            return counts;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(rows: f64) -> Part {
        let factor = Lower::from_fn(0, |_, _| 0.0);
        Part { rows, marginals: Vec::new(), factor, weight: 1.0 }
    }

    /// Two classes of 400 rows: a correlated pair, a constant, a flag, a whole number.
    pub(crate) fn example() -> Rows {
        let mut stream = Stream::new(&11.into(), Purpose::Sample, 0);
        let (mut values, mut labels) = (Vec::new(), Vec::new());
        for row in 0..800 {
            let class = row % 2;
            let [a, b] = [(); 2].map(|()| normal::quantile(stream.uniform()));
            let sign = if class == 0 { 1.0 } else { -1.0 };
            let second = sign * 0.9 * a + 0.19f64.sqrt() * b;
            values.extend([
                a.exp(),
                second + class as f64,
                7.25,
                f64::from(u8::from(b > 1.0)),
                (20.0 * a).round(),
            ]);
            labels.push(class);
        }
        Rows::new(values, 5, labels, vec!["a".into(), "b".into()]).unwrap()
    }

    #[test]
    fn what_was_fitted_comes_back() {
        let rows = example();
        let model = fit(&rows).unwrap();
        let made = model.sample(20_000, &1.into()).unwrap();
        assert_eq!(made.counts(), [10_000, 10_000]);
        for (class, expected) in [(0, 0.9), (1, -0.9)] {
            let of = made.of(class);
            let column = |at: usize| of.iter().map(|row| row[at]).collect::<Vec<f64>>();
            let pair = [correlation::scores(&column(0)), correlation::scores(&column(1))];
            let (matrix, _) = correlation::correlations(&pair);
            // 400 rows know it to 0.01.
            assert!((matrix.at(1, 0) - expected).abs() < 0.03, "{}", matrix.at(1, 0));
            assert!(column(2).iter().all(|&value| value == 7.25));
            assert!(column(3).iter().all(|&value| value == 0.0 || value == 1.0));
            let real: f64 = rows.of(class).iter().map(|row| row[3]).sum::<f64>() / 400.0;
            assert!((column(3).iter().sum::<f64>() / 10_000.0 - real).abs() < 0.02);
            assert!(column(4).iter().all(|value| value.fract() == 0.0));
        }
    }

    #[test]
    fn seeds_fix_every_bit() {
        let model = fit(&example()).unwrap();
        let draw = |seed: u64| model.sample(50, &seed.into()).unwrap();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn what_cannot_be_fitted_or_sampled_is_refused() {
        let rows = example();
        let few = rows.filtered(|row| row % 2 == 0 || row < 19).unwrap();
        assert_eq!(fit(&few).unwrap_err(), Error::TooFewRows { class: 2 });
        fit(&rows.filtered(|row| row < 20).unwrap()).unwrap();
        let model = fit(&rows).unwrap();
        for rows in [0, 1, MAXIMUM_ROWS + 1, usize::MAX] {
            assert_eq!(model.sample(rows, &1.into()).unwrap_err(), Error::Rows);
        }
        let names: Vec<String> = (0..65).map(|at| at.to_string()).collect();
        let wide = Rows::new(vec![0.0; 2048], 2048, vec![0], names).unwrap();
        assert_eq!(fit(&wide).unwrap_err(), Error::TooLarge);
        assert!(!format!("{model:?}").contains("7.25"));
    }

    proptest! {
        #[test]
        fn shares_sum_and_leave_none_out(counts in prop::collection::vec(1u32..1000, 2..20), more in 0usize..500) {
            let parts: Vec<Part> = counts.iter().map(|&count| part(f64::from(count))).collect();
            let rows = parts.len() + more;
            let shared = shares(&parts, rows);
            prop_assert_eq!(shared.iter().sum::<usize>(), rows);
            prop_assert!(shared.iter().all(|&count| count > 0));
        }
    }
}
