//! The least of the objective by Newton's method: each step solves for the second derivatives (by nalgebra's Cholesky factor), and is
//! halved while the loss does not fall.
//!
//! As with L-BFGS, what it does follows from the totals that it gets, to the last bit.

use nalgebra::{Cholesky, DMatrix, DVector};
use tiresias_synth::{lbfgs::Minimum, linear::add};

use crate::{Error, objective::Slopes};

/// Goes from zero until no entry of the gradient is above `tolerance`, or `slopes` was asked `limit` times. Losses are right up to `slack`.
pub(crate) fn minimize<E: From<Error>>(
    parameters: usize,
    tolerance: f64,
    slack: f64,
    limit: usize,
    mut slopes: impl FnMut(&[f64]) -> Result<Slopes, E>,
) -> Result<Minimum, E> {
    let is_flat = |slopes: &Slopes| slopes.gradient.iter().all(|entry| entry.abs() <= tolerance);
    let mut at = vec![0.0; parameters];
    let mut here = slopes(&at)?;
    let mut left = limit.saturating_sub(1);
    while !is_flat(&here) && left > 0 {
        let direction = direction(&here)?;
        let slope: f64 = direction.iter().zip(&here.gradient).map(|(step, entry)| step * entry).sum();
        let mut length = 1.0;
        loop {
            let mut next = at.clone();
            add(&mut next, length, &direction);
            let there = slopes(&next)?;
            left -= 1;
            if there.value <= here.value + 1e-4 * length * slope + slack {
                (at, here) = (next, there);
                break;
            }
            if left == 0 {
                break;
            }
            length /= 2.0;
        }
    }
    Ok(Minimum { is_found: is_flat(&here), at })
}

/// The step that the second derivatives ask for.
fn direction(slopes: &Slopes) -> Result<Vec<f64>, Error> {
    let size = slopes.gradient.len();
    let start = |row: usize| row * (row + 1) / 2;
    // The factorization reads the lower half alone.
    let matrix =
        DMatrix::from_fn(
            size,
            size,
            |row, column| {
                if column <= row { slopes.second[start(row) + column] } else { 0.0 }
            },
        );
    let factor = Cholesky::new(matrix).ok_or(Error::NotPositive)?;
    let step = factor.solve(&DVector::from_column_slice(&slopes.gradient));
    Ok(step.iter().map(|entry| -entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// sqrt(1 + x²) in two directions: whole steps of Newton's method from beyond 1 go ever farther away.
    fn bowl(at: &[f64], from: f64) -> Slopes {
        let x = [at[0] - from, at[1] + from];
        let root = x.map(|x| (1.0 + x * x).sqrt());
        let second = root.map(|root| root.powi(-3));
        Slopes {
            value: root[0] + root[1],
            gradient: vec![x[0] / root[0], x[1] / root[1]],
            second: vec![second[0], 0.0, second[1]],
        }
    }

    #[test]
    fn steps_are_halved_where_they_go_too_far() {
        let mut asked = 0;
        let found = minimize(2, 1e-9, 0.0, 100, |at| {
            asked += 1;
            Ok::<_, Error>(bowl(at, 3.0))
        });
        let found = found.unwrap();
        assert!(found.is_found && (found.at[0] - 3.0).abs() < 1e-8 && (found.at[1] + 3.0).abs() < 1e-8);
        assert!(asked < 30, "{asked}");
    }

    #[test]
    fn limits_and_broken_matrices_end_it() {
        let found = minimize(2, 1e-9, 0.0, 3, |at| Ok::<_, Error>(bowl(at, 0.9))).unwrap();
        assert!(!found.is_found && found.at[0] != 0.0);
        let broken = |at: &[f64]| Ok::<_, Error>(Slopes { second: vec![1.0, 2.0, 1.0], ..bowl(at, 0.9) });
        assert_eq!(minimize(2, 1e-9, 0.0, 9, broken).unwrap_err(), Error::NotPositive);
    }
}
