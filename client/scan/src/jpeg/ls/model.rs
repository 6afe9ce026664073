//! What a sample is, by those around it: a prediction, and an error whose code depends on a context that learns (T.87,
//! annex A).

use super::{bits::Bits, parameters::Parameters};

/// Contexts of regular mode: three gradients of nine regions, without their signs.
const CONTEXTS: usize = 365;

/// Samples that are already known: left, above, above to the left and to the right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around {
    pub(super) a: i32,
    pub(super) b: i32,
    pub(super) c: i32,
    pub(super) d: i32,
}

/// What the samples of a context were.
#[derive(Debug, Clone, Copy)]
struct Context {
    /// Magnitudes of errors.
    a: i32,
    /// Errors, less their correction.
    b: i32,
    /// The correction of predictions.
    c: i32,
    /// Samples.
    n: i32,
}

/// What the samples that ended runs were.
#[derive(Debug, Clone, Copy)]
struct RunContext {
    a: i32,
    n: i32,
    negative: i32,
}

/// The context of a sample, and whether its gradients have the sign that is turned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    context: usize,
    sign: i32,
}

impl Place {
    /// Whether all around it is flat: a run begins.
    pub(super) fn is_flat(self) -> bool {
        self.context == 0
    }
}

/// The contexts of a scan.
pub(super) struct Model {
    parameters: Parameters,
    /// Two errors beside the step between them.
    step: i32,
    contexts: [Context; CONTEXTS],
    runs: [RunContext; 2],
}

impl Model {
    pub(super) fn new(parameters: Parameters) -> Self {
        let a = 2.max((parameters.range + 32) / 64);
        Self {
            parameters,
            step: 2 * parameters.near + 1,
            contexts: [Context { a, b: 0, c: 0, n: 1 }; CONTEXTS],
            runs: [RunContext { a, n: 1, negative: 0 }; 2],
        }
    }

    /// The context of a sample, by its gradients.
    pub(super) fn place(&self, around: Around) -> Place {
        let Around { a, b, c, d } = around;
        let index = 81 * self.region(d - b) + 9 * self.region(b - c) + self.region(c - a);
        Place { context: index.unsigned_abs() as usize, sign: if index < 0 { -1 } else { 1 } }
    }

    /// The region of a gradient, from -4 to 4.
    fn region(&self, gradient: i32) -> i32 {
        let Parameters { near, thresholds: [t1, t2, t3], .. } = self.parameters;
        let magnitude = gradient.abs();
        let region = match magnitude {
            _ if magnitude <= near => 0,
            _ if magnitude < t1 => 1,
            _ if magnitude < t2 => 2,
            _ if magnitude < t3 => 3,
            _ => 4,
        };
        region * gradient.signum()
    }

    /// Whether two samples are as good as the same.
    pub(super) fn is_near(&self, left: i32, right: i32) -> bool {
        (left - right).abs() <= self.parameters.near
    }

    /// The next sample, in regular mode.
    pub(super) fn regular(&mut self, place: Place, around: Around, bits: &mut Bits<'_>) -> Option<i32> {
        let Parameters { near, limit, error_bits, reset, maximum, .. } = self.parameters;
        let context = &mut self.contexts[place.context];
        let Around { a, b, c, .. } = around;
        let predicted = match c {
            _ if c >= a.max(b) => a.min(b),
            _ if c <= a.min(b) => a.max(b),
            _ => a + b - c,
        };
        let predicted = (predicted + place.sign * context.c).clamp(0, maximum);
        let k = low_bits(context.n, context.a)?;
        let code = bits.golomb(k, limit, error_bits)?;
        let mut error = if code & 1 == 0 { code >> 1 } else { -(code >> 1) - 1 };
        if near == 0 && k == 0 && 2 * context.b <= -context.n {
            error = -error - 1;
        }
        context.learn(error, self.step, reset);
        Some(self.sample(predicted, place.sign * error))
    }

    /// The sample that ends a run, beside those left of it and above. `is_alone`: there is one component.
    pub(super) fn after_run(
        &mut self,
        (left, above): (i32, i32),
        is_alone: bool,
        run_bits: u32,
        bits: &mut Bits<'_>,
    ) -> Option<i32> {
        let Parameters { limit, error_bits, reset, .. } = self.parameters;
        let is_level = is_alone && self.is_near(left, above);
        let context = &mut self.runs[usize::from(is_level)];
        let k = low_bits(context.n, context.a.saturating_add(if is_level { context.n >> 1 } else { 0 }))?;
        let code = bits.golomb(k, limit.checked_sub(run_bits + 1)?, error_bits)?;
        let number = code + i32::from(is_level);
        let is_odd = number & 1 == 1;
        let magnitude = (number + 1) >> 1;
        let is_negative = is_odd == (k != 0 || 2 * context.negative >= context.n);
        let error = if is_negative { -magnitude } else { magnitude };
        context.negative += i32::from(error < 0);
        context.a = context.a.saturating_add((code + 1 - i32::from(is_level)) >> 1);
        if context.n == reset {
            context.a >>= 1;
            context.n >>= 1;
            context.negative >>= 1;
        }
        context.n += 1;
        Some(match is_level {
            true => self.sample(left, error),
            false => self.sample(above, if left > above { -error } else { error }),
        })
    }

    /// The sample at an error from its prediction, modulo the range of errors.
    fn sample(&self, predicted: i32, error: i32) -> i32 {
        let Parameters { near, maximum, range, .. } = self.parameters;
        let mut sample = predicted + error * self.step;
        if sample < -near {
            sample += range * self.step;
        } else if sample > maximum + near {
            sample -= range * self.step;
        }
        sample.clamp(0, maximum)
    }
}

impl Context {
    fn learn(&mut self, error: i32, step: i32, reset: i32) {
        self.a = self.a.saturating_add(error.abs());
        self.b += error * step;
        if self.n == reset {
            self.a >>= 1;
            self.b >>= 1;
            self.n >>= 1;
        }
        self.n += 1;
        if self.b <= -self.n {
            self.b = (self.b + self.n).max(1 - self.n);
            self.c = (self.c - 1).max(-128);
        } else if self.b > 0 {
            self.b = (self.b - self.n).min(0);
            self.c = (self.c + 1).min(127);
        }
    }
}

/// The low bits of a code: those of the mean magnitude. None where no sound stream gets to.
fn low_bits(samples: i32, magnitudes: i32) -> Option<u32> {
    (0..=20).find(|k| i64::from(samples) << k >= i64::from(magnitudes))
}
