//! What is minimized: the sum over patients of weight times -ln p(class), plus half of the strength times the squares of the weights of
//! features. Biases are free.
//!
//! Two classes have one score, the second class's over the first's (what scikit-learn calls C is 1 / strength); more classes have one
//! score each, and their biases are drawn to a sum of zero, which changes no probability.
//!
//! Parameters stand score by score: the bias, then a weight for each feature. Second derivatives are the lower half of a symmetric
//! matrix, row by row.

use tiresias_synth::linear::{add, dot};

use crate::{
    Counts, Error, Patients, Weighing,
    fixed::{accumulate, float},
    scaling::Scaling,
};

/// How many features, classes and parameters there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Features, and 1 for the bias.
    pub(crate) columns: usize,
    pub(crate) classes: usize,
}

impl Shape {
    pub(crate) fn of(patients: &Patients) -> Self {
        Self { columns: patients.rows().columns() + 1, classes: patients.rows().classes().len() }
    }

    /// Scores that have parameters.
    pub(crate) fn outputs(self) -> usize {
        if self.classes == 2 { 1 } else { self.classes }
    }

    /// Classes in front of these, whose score is 0.
    fn offset(self) -> usize {
        self.classes - self.outputs()
    }

    pub(crate) fn parameters(self) -> usize {
        self.outputs() * self.columns
    }

    /// Entries of the lower half of the second derivatives.
    fn halves(self) -> usize {
        self.parameters() * (self.parameters() + 1) / 2
    }

    /// The score of each class.
    pub(crate) fn scores(self, parameters: &[f64], row: &[f64], scores: &mut [f64]) {
        scores.fill(0.0);
        for (score, part) in scores[self.offset()..].iter_mut().zip(parameters.chunks_exact(self.columns)) {
            *score = dot(part, row);
        }
    }
}

/// Turns scores into probabilities less 1 at the class that is true; returns -ln of that one's probability.
pub(crate) fn residuals(scores: &mut [f64], class: usize) -> f64 {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let right = scores[class] - most;
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = libm::exp(*score - most);
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
    scores[class] -= 1.0;
    libm::log(sum) - right
}

/// Standardized patients with their weights.
pub(crate) struct Design {
    pub(crate) shape: Shape,
    rows: Vec<f64>,
    classes: Vec<usize>,
    weights: Vec<f64>,
}

impl Design {
    pub(crate) fn new(patients: &Patients, scaling: &Scaling, counts: &Counts, weighing: Weighing) -> Self {
        let weights = patients.cells().map(|(class, group)| counts.weight(class, group, weighing)).collect();
        let classes = patients.rows().labels().to_vec();
        Self { shape: Shape::of(patients), rows: scaling.apply(patients.rows()), classes, weights }
    }

    pub(crate) fn len(&self) -> usize {
        self.classes.len()
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = (&[f64], usize, f64)> {
        let rows = self.rows.chunks_exact(self.shape.columns);
        rows.zip(self.classes.iter().zip(&self.weights)).map(|(row, (&class, &weight))| (row, class, weight))
    }

    /// The loss, without the penalty; fills in the gradient.
    pub(crate) fn gradient(&self, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let mut scores = vec![0.0; self.shape.classes];
        gradient.fill(0.0);
        let mut loss = 0.0;
        for (row, class, weight) in self.each() {
            self.shape.scores(parameters, row, &mut scores);
            loss += weight * residuals(&mut scores, class);
            let residuals = &scores[self.shape.offset()..];
            for (part, residual) in gradient.chunks_exact_mut(self.shape.columns).zip(residuals) {
                add(part, weight * residual, row);
            }
        }
        loss
    }

    /// The same in fixed point: loss and gradient, then the second derivatives where they are asked for.
    pub(crate) fn totals(&self, parameters: &[f64], second: bool) -> Result<Vec<i64>, Error> {
        let (shape, columns) = (self.shape, self.shape.columns);
        let halves = if second { shape.halves() } else { 0 };
        let mut sums = vec![0i64; 1 + shape.parameters() + halves];
        let mut scores = vec![0.0; shape.classes];
        for (row, class, weight) in self.each() {
            shape.scores(parameters, row, &mut scores);
            accumulate(&mut sums[0], weight * residuals(&mut scores, class))?;
            let residuals = &scores[shape.offset()..];
            for (part, residual) in sums[1..=shape.parameters()].chunks_exact_mut(columns).zip(residuals) {
                for (sum, value) in part.iter_mut().zip(row) {
                    accumulate(sum, weight * residual * value)?;
                }
            }
            if !second {
                continue;
            }
            scores[class] += 1.0;
            let chances = &scores[shape.offset()..];
            let mut entries = sums[1 + shape.parameters()..].iter_mut();
            for (at, &chance) in chances.iter().enumerate() {
                for (a, value) in row.iter().enumerate() {
                    for (other, &of_other) in chances[..=at].iter().enumerate() {
                        let is_same = other == at;
                        let kept = if is_same { chance * (1.0 - chance) } else { -chance * of_other };
                        let factor = weight * kept * value;
                        let until = if is_same { a + 1 } else { columns };
                        // The row first: it must not take an entry more than it has numbers.
                        for (value, sum) in row[..until].iter().zip(entries.by_ref()) {
                            accumulate(sum, factor * value)?;
                        }
                    }
                }
            }
        }
        Ok(sums)
    }
}

/// Loss, gradient and perhaps second derivatives of all patients, with the penalty.
#[derive(Debug, Clone)]
pub(crate) struct Slopes {
    pub(crate) value: f64,
    pub(crate) gradient: Vec<f64>,
    /// The lower half.
    pub(crate) second: Vec<f64>,
}

impl Slopes {
    pub(crate) fn of(totals: &[i64], shape: Shape, parameters: &[f64], strength: f64) -> Self {
        let numbers: Vec<f64> = totals.iter().map(|&total| float(total)).collect();
        let (first, second) = numbers.split_at(1 + shape.parameters());
        let mut slopes = Self { value: first[0], gradient: first[1..].to_vec(), second: second.to_vec() };
        slopes.value += penalty(shape, parameters, strength, &mut slopes.gradient);
        if slopes.second.is_empty() {
            return slopes;
        }
        let several = shape.outputs() > 1;
        let mut start = 0;
        for row in 0..shape.parameters() {
            let is_bias = row % shape.columns == 0;
            if !is_bias {
                slopes.second[start + row] += strength;
            } else if several {
                (0..=row).step_by(shape.columns).for_each(|column| slopes.second[start + column] += 1.0);
            }
            start += row + 1;
        }
        slopes
    }
}

/// The penalty; adds its gradient.
pub(crate) fn penalty(shape: Shape, parameters: &[f64], strength: f64, gradient: &mut [f64]) -> f64 {
    let mut value = 0.0;
    for (part, slopes) in parameters.chunks_exact(shape.columns).zip(gradient.chunks_exact_mut(shape.columns))
    {
        value += strength * dot(&part[1..], &part[1..]) / 2.0;
        add(&mut slopes[1..], strength, &part[1..]);
    }
    if shape.outputs() > 1 {
        let sum: f64 = parameters.iter().step_by(shape.columns).sum();
        value += sum * sum / 2.0;
        gradient.iter_mut().step_by(shape.columns).for_each(|slope| *slope += sum);
    }
    value
}

#[cfg(test)]
pub(crate) mod tests {
    use tiresias_synth::{Bound, Bounds, Rows};

    use super::*;
    use crate::Alone;

    /// Three classes of small numbers, or the first two of them.
    pub(crate) fn example(classes: usize, rows: usize) -> Patients {
        let values = (0..rows * 3).map(|at| f64::from((at * at % 23) as u32) - (at % 7) as f64).collect();
        let labels = (0..rows).map(|row| (row * row + row / 5) % classes).collect();
        let names = (0..classes).map(|class| format!("class {class}")).collect();
        Patients::new(Rows::new(values, 3, labels, names).unwrap())
    }

    fn design(patients: &Patients) -> Design {
        let counts = Counts::of(patients);
        let scaling = Scaling::of(patients.rows()).unwrap();
        Design::new(patients, &scaling, &counts, Weighing { balanced: true, reweighed: false })
    }

    #[test]
    fn derivatives_are_those_of_the_loss() {
        for classes in [2, 3] {
            let design = design(&example(classes, 40));
            let shape = design.shape;
            let at: Vec<f64> = (0..shape.parameters()).map(|at| (at as f64 * 0.37).sin()).collect();
            let slopes = |at: &[f64], second| Slopes::of(&design.totals(at, second).unwrap(), shape, at, 0.7);
            let here = slopes(&at, true);
            let step = 1e-4;
            let mut start = 0;
            for row in 0..shape.parameters() {
                let moved = |by: f64| {
                    let mut moved = at.clone();
                    moved[row] += by;
                    slopes(&moved, false)
                };
                let (up, down) = (moved(step), moved(-step));
                assert!(((up.value - down.value) / (2.0 * step) - here.gradient[row]).abs() < 1e-4, "{row}");
                for column in 0..=row {
                    let found = (up.gradient[column] - down.gradient[column]) / (2.0 * step);
                    assert!((found - here.second[start + column]).abs() < 1e-4, "{row} {column}");
                }
                start += row + 1;
            }
            let mut gradient = vec![0.0; shape.parameters()];
            let value = design.gradient(&at, &mut gradient);
            let value = value + penalty(shape, &at, 0.7, &mut gradient);
            assert!((value - here.value).abs() < 1e-7);
            assert!(gradient.iter().zip(&here.gradient).all(|(a, b)| (a - b).abs() < 1e-7));
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let patients = example(2, 40);
        let rows = patients.rows();
        let far = rows.values().iter().enumerate().map(|(at, &value)| if at == 3 { 1e30 } else { value });
        let rows = Rows::new(far.collect(), 3, rows.labels().to_vec(), rows.classes().to_vec()).unwrap();
        let counts = Counts::of(&patients);
        let bounds = Bounds::new(vec![Bound { lower: -9.0, upper: 9.0, whole: false }; 3]).unwrap();
        assert_eq!(Scaling::pooled(&rows, &bounds, 40, &mut Alone).unwrap_err(), Error::Overflow);
        let scaling = Scaling::of_bounds(&rows, &bounds).unwrap();
        let design = Design::new(&Patients::new(rows), &scaling, &counts, Weighing::default());
        assert_eq!(design.totals(&[0.0; 4], true).unwrap_err(), Error::Overflow);
    }
}
