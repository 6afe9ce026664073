//! The least of a smooth convex function: L-BFGS (Liu and Nocedal 1989) with ten pairs of memory and a backtracking search.
//!
//! What it does next follows from the values and gradients that it was given, to the last bit: whoever asks the same questions of
//! the same answers goes the same way.

use std::collections::VecDeque;

use crate::linear::{add, dot};

/// Pairs that are remembered.
const MEMORY: usize = 10;

/// Where a minimum was looked for, and whether it was found.
#[derive(Debug, Clone)]
pub struct Minimum {
    /// The best place that was found.
    pub at: Vec<f64>,
    /// Whether no entry of the gradient is above the tolerance there.
    pub is_found: bool,
}

/// A step and how it changed the gradient.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    product: f64,
}

/// Starts at `at` and goes until no entry of the gradient is above `tolerance`, or `function` was asked `limit` times. `function`
/// gives a value and fills in the gradient; its error ends the search.
pub fn minimize<E>(
    mut at: Vec<f64>,
    tolerance: f64,
    limit: usize,
    mut function: impl FnMut(&[f64], &mut [f64]) -> Result<f64, E>,
) -> Result<Minimum, E> {
    let mut gradient = vec![0.0; at.len()];
    let mut value = function(&at, &mut gradient)?;
    let mut left = limit.saturating_sub(1);
    let mut pairs: VecDeque<Pair> = VecDeque::new();
    while !is_flat(&gradient, tolerance) && left > 0 {
        let mut direction = direction(&pairs, &gradient);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 || slope.is_nan() {
            pairs.clear();
            direction = gradient.iter().map(|entry| -entry).collect();
            slope = -dot(&gradient, &gradient);
        }
        let mut length = if pairs.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt() } else { 1.0 };
        let (mut next, mut next_gradient) = (at.clone(), gradient.clone());
        let next_value = loop {
            if left == 0 {
                return Ok(Minimum { at, is_found: false });
            }
            next.copy_from_slice(&at);
            add(&mut next, length, &direction);
            let next_value = function(&next, &mut next_gradient)?;
            left -= 1;
            if next_value <= value + 1e-4 * length * slope {
                break next_value;
            }
            length /= 2.0;
            if length < 1e-18 {
                // Nothing is to be gained within the precision of doubles.
                return Ok(Minimum { is_found: is_flat(&gradient, tolerance), at });
            }
        };
        let difference = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f64>>();
        let (step, change) = (difference(&next, &at), difference(&next_gradient, &gradient));
        let product = dot(&step, &change);
        if product > 1e-14 * dot(&change, &change) {
            if pairs.len() == MEMORY {
                pairs.pop_front();
            }
            pairs.push_back(Pair { step, change, product });
        }
        (at, gradient, value) = (next, next_gradient, next_value);
    }
    Ok(Minimum { is_found: is_flat(&gradient, tolerance), at })
}

fn is_flat(gradient: &[f64], tolerance: f64) -> bool {
    gradient.iter().all(|entry| entry.abs() <= tolerance)
}

/// The two loops.
fn direction(pairs: &VecDeque<Pair>, gradient: &[f64]) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|entry| -entry).collect();
    let mut weights = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let weight = dot(&pair.step, &direction) / pair.product;
        add(&mut direction, -weight, &pair.change);
        weights.push(weight);
    }
    if let Some(last) = pairs.back() {
        let scale = last.product / dot(&last.change, &last.change);
        direction.iter_mut().for_each(|entry| *entry *= scale);
    }
    for (pair, weight) in pairs.iter().zip(weights.iter().rev()) {
        let back = dot(&pair.change, &direction) / pair.product;
        add(&mut direction, weight - back, &pair.step);
    }
    direction
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn a_narrow_bowl() {
        // Sum of (i + 1)^3 (x_i - i)² / 2, and a ridge that couples neighbours.
        let found = minimize(vec![0.0; 12], 1e-8, 1000, |x, gradient| {
            gradient.fill(0.0);
            let mut value = 0.0;
            for at in 0..12 {
                let (off, weight) = (x[at] - at as f64, (at as f64 + 1.0).powi(3));
                value += weight * off * off / 2.0;
                gradient[at] += weight * off;
                if at > 0 {
                    let gap = x[at] - x[at - 1] - 1.0;
                    value += gap.powi(4);
                    gradient[at] += 4.0 * gap.powi(3);
                    gradient[at - 1] -= 4.0 * gap.powi(3);
                }
            }
            Ok::<_, Infallible>(value)
        });
        let found = found.unwrap();
        assert!(found.is_found);
        assert!(found.at.iter().enumerate().all(|(at, x)| (x - at as f64).abs() < 1e-7));
    }

    #[test]
    fn a_minimum_at_the_start_is_found_there() {
        let found = minimize(vec![3.0], 1e-6, 1000, |_, gradient| {
            gradient[0] = 0.0;
            Ok::<_, Infallible>(1.0)
        });
        let found = found.unwrap();
        assert!(found.is_found && found.at == [3.0]);
    }

    #[test]
    fn a_limit_and_an_error_end_the_search() {
        let mut asked = 0;
        let mut bowl = |x: &[f64], gradient: &mut [f64]| {
            asked += 1;
            gradient[0] = 4.0 * x[0].powi(3);
            if asked < 12 { Ok(x[0].powi(4)) } else { Err(asked) }
        };
        let found = minimize(vec![9.0], 1e-12, 5, &mut bowl).unwrap();
        assert!(!found.is_found && found.at[0].abs() < 9.0);
        assert_eq!(minimize(vec![9.0], 1e-12, 50, &mut bowl).unwrap_err(), 12);
        assert_eq!(asked, 12);
    }
}
