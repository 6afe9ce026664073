//! How the sums of a neuron are cut into levels.

use super::MlpOptions;
use crate::plan::ActivationRange;

/// Sums may go so much farther from 0 than in calibration.
const SLACK: f64 = 1.5;

/// The share of a circle that ranges are planned for: rounding takes the rest.
const SHARE: f64 = 0.9;

/// The inputs of a layer: integers for each calibration row, each worth offset + step * integer.
pub(super) struct Inputs {
    pub(super) rows: Vec<Vec<i64>>,
    pub(super) steps: Vec<f64>,
    pub(super) offsets: Vec<f64>,
    /// The least and the largest integer of each.
    pub(super) ends: Vec<(i64, i64)>,
}

/// A neuron for integer inputs: its sum is bias + weights . inputs.
pub(super) struct FloatNeuron {
    pub(super) weights: Vec<f64>,
    pub(super) bias: f64,
    /// The least and the largest sum: in calibration, and at all.
    seen: (f64, f64),
    possible: (f64, f64),
}

/// How a neuron's sums are cut into levels.
pub(super) struct Ramp {
    /// The most thresholds n.
    pub(super) levels: usize,
    /// What n stands for: the largest sum in calibration, or 0.
    pub(super) top: f64,
    /// The sums that the circle is to hold.
    pub(super) held: (f64, f64),
    /// Positions for each unit of the sum.
    pub(super) places: f64,
}

impl FloatNeuron {
    /// The neuron with a row of weights for the values that the inputs stand for.
    pub(super) fn new(row: &[f64], bias: f64, inputs: &Inputs) -> Self {
        let weights = row.iter().zip(&inputs.steps).map(|(w, step)| w * step).collect();
        let offset = row.iter().zip(&inputs.offsets).map(|(w, offset)| w * offset).sum::<f64>();
        Self::of(weights, bias + offset, inputs)
    }

    /// The neuron whose weights are `step` times integers.
    pub(super) fn rounded(&self, row: &[i8], step: f64, inputs: &Inputs) -> Self {
        Self::of(row.iter().map(|&w| f64::from(w) * step).collect(), self.bias, inputs)
    }

    fn of(weights: Vec<f64>, bias: f64, inputs: &Inputs) -> Self {
        let sum = |row: &Vec<i64>| bias + weights.iter().zip(row).map(|(w, &x)| w * x as f64).sum::<f64>();
        let seen = inputs.rows.iter().map(sum);
        let seen =
            seen.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), sum| (low.min(sum), high.max(sum)));
        let ends = |(w, &(low, high)): (&f64, &(i64, i64))| {
            let (a, b) = (w * low as f64, w * high as f64);
            (a.min(b), a.max(b))
        };
        let possible = (weights.iter().zip(&inputs.ends).map(ends))
            .fold((bias, bias), |(low, high), (a, b)| (low + a, high + b));
        Self { weights, bias, seen, possible }
    }

    pub(super) fn is_finite(&self) -> bool {
        let numbers = [self.bias, self.possible.0, self.possible.1];
        numbers.iter().chain(&self.weights).all(|number| number.is_finite() && number.abs() < 1e30)
    }

    pub(super) fn largest(&self) -> f64 {
        self.weights.iter().fold(0.0, |largest, weight| largest.max(weight.abs()))
    }

    /// As many levels as the circle has room for beside the range.
    pub(super) fn ramp(&self, options: &MlpOptions, margin: usize) -> Ramp {
        let n = options.bootstrap.glwe().polynomial_size() as f64;
        let margin = margin as f64 + 2.0;
        let room = SHARE * (n - margin);
        let top = self.seen.1.max(0.0);
        let held = match options.range {
            ActivationRange::Proved => self.possible,
            ActivationRange::Calibrated => {
                let low = (SLACK * self.seen.0).min(0.0).max(self.possible.0);
                (low, (SLACK * top).min(self.possible.1).max(low))
            }
        };
        // Distances from the middle of the ramp, which goes from 0 to the top.
        let far = (top / 2.0 - held.0).max(held.1 - top / 2.0).max(f64::MIN_POSITIVE);
        let most = (1_usize << options.activation_bits) - 1;
        let levels = if top > 0.0 {
            let fitting = (room / margin + 0.5) / (far / top + 0.5);
            (fitting as usize).clamp(1, most)
        } else {
            0
        };
        let ramp = top * levels.saturating_sub(1) as f64 / (2 * levels.max(1)) as f64;
        Ramp { levels, top, held, places: room / (far + ramp) }
    }
}
