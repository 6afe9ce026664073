//! Where a neuron's sums lie on the circle of its bootstrap.
//!
//! An activation is the number of thresholds that a sum h reaches, 0 to n. Seen from the middle of the thresholds it is odd
//! far out: -n/2 below all of them, n/2 above. A bootstrap's table gives minus its value half a circle further on, so the
//! ramp of thresholds takes place once, mirrored on the other side, and all else of the circle of 2N positions is room for
//! sums: twice that of a table for a function that is not odd.
//!
//! ```text
//!   position      -N          -L           0          L          N - L    N
//!   activation   mirrored |  0 ... 0  | 0 1 ... n |  n ... n   |   mirrored
//! ```
//!
//! A position errs by less than a margin. Thresholds lie a margin apart, so an activation is off by one level at most.

use tiresias_keys::{BootstrapParameters, Parameters};

use crate::bootstrap::Table;

/// A neuron's thresholds, increasing, and the sums that it can have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neuron<'a> {
    pub(super) thresholds: &'a [i64],
    /// The least and the largest sum that the circle holds.
    pub(super) sums: (i64, i64),
    /// Positions by which a position may err.
    pub(super) margin: usize,
}

/// What one unit of a sum is worth: `numerator` / 2^`bits` residues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) numerator: u128,
    pub(super) bits: u32,
}

/// Twice the middle between what is just below the first threshold and what is just at the last; 0 without thresholds.
pub(super) fn twice_middle(thresholds: &[i64]) -> i64 {
    match thresholds {
        [first, .., last] => first + last - 1,
        [only] => 2 * only - 1,
        [] => 0,
    }
}

impl Neuron<'_> {
    /// The least unit under which thresholds are a margin apart, `bits` being its denominator's; 1 where that says nothing.
    pub(super) fn least_unit(&self, parameters: &BootstrapParameters, bits: u32) -> u128 {
        let circle = 2 * parameters.glwe().polynomial_size() as u128;
        let spacing = self.thresholds.windows(2).map(|pair| pair[0].abs_diff(pair[1])).min();
        // A position is rounded down, and the sum's own noise is below a position.
        let places = (self.margin as u128 + 2) * (parameters.glwe().modulus() << bits);
        spacing.map_or(1, |spacing| places.div_ceil((u128::from(spacing) * circle).max(1)))
    }

    /// The largest unit under which every sum that the circle is to hold stays off the mirrored ramp.
    pub(super) fn largest_unit(&self, parameters: &BootstrapParameters, bits: u32) -> u128 {
        let middle = twice_middle(self.thresholds);
        let far = middle.abs_diff(2 * self.sums.0).max(middle.abs_diff(2 * self.sums.1));
        // The ramp is a part of what the circle holds.
        let far = u128::from(far).max(self.twice_ramp());
        self.fits_up_to(parameters, bits, far + self.twice_ramp())
    }

    /// Whether a sum is beyond the room that `unit` leaves.
    pub(super) fn is_beyond(&self, parameters: &BootstrapParameters, unit: Unit, sum: i64) -> bool {
        let far = u128::from(twice_middle(self.thresholds).abs_diff(2 * sum));
        self.fits_up_to(parameters, unit.bits, far + self.twice_ramp()) < unit.numerator
    }

    fn twice_ramp(&self) -> u128 {
        match self.thresholds {
            [first, .., last] => u128::from(first.abs_diff(*last)),
            _ => 0,
        }
    }

    /// `twice` half units and a margin may take up to N positions.
    fn fits_up_to(&self, parameters: &BootstrapParameters, bits: u32, twice: u128) -> u128 {
        let n = parameters.glwe().polynomial_size() as u128;
        let places = (parameters.glwe().modulus() << bits) * n.saturating_sub(self.margin as u128 + 2);
        places / (twice.max(1) * n)
    }

    /// The table, in which an activation a of n is worth (2a - n) * `half_height`. A sum in the middle of the thresholds
    /// is at position 0.
    pub(super) fn table(&self, glwe: &Parameters, unit: Unit, half_height: impl Fn(i64) -> i64) -> Table {
        let (n, q) = (glwe.polynomial_size() as i128, glwe.modulus() as i128);
        let middle = twice_middle(self.thresholds);
        // Half a unit below a threshold: where its sum and the one before are told apart.
        let places: Vec<i128> = (self.thresholds.iter())
            .map(|threshold| {
                let twice = i128::from(2 * threshold - 1 - middle);
                (twice * unit.numerator as i128 * n).div_euclid(q << unit.bits)
            })
            .collect();
        let levels = self.thresholds.len() as i64;
        let value = |position: i128| {
            let reached = places.iter().filter(|place| position > **place).count() as i64;
            half_height(2 * reached - levels)
        };
        Table::new(glwe, |position| {
            let position = position as i128;
            if 2 * position < n { value(position) } else { -value(position - n) }
        })
    }
}

#[cfg(test)]
mod tests {
    use tiresias_keys::bootstrap_parameters::N918_N2048_Q50;

    use super::*;

    #[test]
    fn tables_count_thresholds_wherever_sums_may_be() {
        let parameters = &N918_N2048_Q50;
        let (n, q) = (2048_i128, parameters.glwe().modulus() as i128);
        for (thresholds, sums) in [
            (vec![5, 105, 205, 305], (-900, 900)),
            ((0..15).map(|i| 50 + 100 * i).collect(), (-800, 2300)),
            (vec![-7], (-1000, 20)),
            (vec![], (-5, 5)),
        ] {
            let neuron = Neuron { thresholds: &thresholds, sums, margin: 72 };
            let numerator = neuron.largest_unit(parameters, 10);
            assert!(numerator >= neuron.least_unit(parameters, 10), "{thresholds:?}");
            let unit = Unit { numerator, bits: 10 };
            let table = neuron.table(parameters.glwe(), unit, |twice| twice);
            let levels = thresholds.len() as i64;
            for sum in sums.0..=sums.1 {
                assert!(!neuron.is_beyond(parameters, unit, sum));
                let exact = thresholds.iter().filter(|threshold| sum >= **threshold).count() as i64;
                let twice = i128::from(2 * sum - twice_middle(&thresholds));
                let place = (twice * numerator as i128 * n).div_euclid(q << 10);
                for (push, most) in [(0, 0), (-72, 1), (72, 1)] {
                    let position = (place + push).rem_euclid(2 * n);
                    let residue = table.polynomial()[(position % n) as usize] as i128;
                    let centred = if residue > q / 2 { residue - q } else { residue };
                    let value = if position < n { centred } else { -centred };
                    let level = (value as i64 + levels) / 2;
                    // A sum within a place of a threshold may fall to either side.
                    let near = |threshold: &i64| {
                        i128::from((2 * (sum - threshold) + 1).abs()) * numerator as i128 * n < q << 10
                    };
                    let most = most.max(i64::from(thresholds.iter().any(near)));
                    assert!((level - exact).abs() <= most, "{sum} pushed {push}: {level}, {exact}");
                }
            }
        }
    }
}
