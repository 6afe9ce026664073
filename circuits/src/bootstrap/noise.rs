//! What a bootstrap does to a phase, predicted: the error of the position that it looks up, and the noise of its result.
//!
//! Both are sums of very many small independent terms, so their tails are taken as those of a Gaussian of the same variance
//! (each term is bounded and symmetric, hence sub-Gaussian with about its own variance). Digits count as uniform and key
//! bits as fair. Results of different inputs count as independent; a bootstrap is deterministic, so those of equal inputs are
//! equal, and circuits do not sum them. Measured beside this in `noise/tests.rs`.
//!
//! Bounds that client and gateway must agree on are integers; floating point appears in reported logarithms alone.

use tiresias_keys::BootstrapParameters;

#[cfg(test)]
mod tests;

/// Standard deviations that count as never: 2 * exp(-15^2/2) = 2^-161.
const NEVER: u128 = 15;

/// The error of a position that circuits allow for, in positions: 9/256 of N, so 72 of 2048. In standard deviations
/// see [`margin_deviations`].
#[must_use]
pub fn position_margin(parameters: &BootstrapParameters) -> usize {
    parameters.glwe().polynomial_size() * 9 / 256
}

/// The variance of the noise of a bootstrap's result, in units of 1/q squared, rounded up.
///
/// A step multiplies 2l polynomials of digits with 2l key rows, whose noise is TUniform(b) times the number of GGSWs in the
/// bundle (for g = 1, X^a - 1 counts twice), and rounds what lies below the gadget, in the mask times a key bit.
#[must_use]
pub fn output_variance(parameters: &BootstrapParameters) -> u128 {
    let gadget = parameters.rotation();
    let (n, steps) = (parameters.glwe().polynomial_size() as u128, parameters.steps() as u128);
    let terms = if parameters.group() == 1 { 2 } else { parameters.ggsw_per_step() as u128 };
    let digits = 1 << (2 * gadget.base_log);
    let noise = tuniform_variance_x6(parameters.glwe().noise_bits());
    let key = steps * terms * parameters.rows_per_ggsw() as u128 * n * digits * noise / 72;
    let dropped = 50 - gadget.base_log * gadget.levels as u32;
    let rounding = steps * (n + 2) * (1 << (2 * dropped)) / 24;
    key + rounding + 1
}

/// A bound of the noise of a sum of `terms` results, in units of 1/q, that is exceeded with a probability below 2^-160.
#[must_use]
pub fn output_bound(parameters: &BootstrapParameters, terms: usize) -> u128 {
    NEVER * ((output_variance(parameters) * terms as u128).isqrt() + 1)
}

/// As [`position_margin`], for an input that is a sum of results of other bootstraps, each times a factor: `norm2` is the
/// sum of the factors' squares. Exceeded with a probability below 2^-160 where [`position_margin`] is.
#[must_use]
pub fn sum_margin(parameters: &BootstrapParameters, norm2: u128) -> usize {
    let margin = position_margin(parameters) as u128;
    let place = parameters.glwe().modulus() / (2 * parameters.glwe().polynomial_size() as u128);
    let sum = (NEVER * NEVER * output_variance(parameters) * norm2).div_ceil(place * place);
    if norm2 == 0 { margin as usize } else { (margin * margin + sum).isqrt() as usize + 1 }
}

/// The standard deviation of a position's error, in positions, for an input that is a sum of `terms` results of other
/// bootstraps (0: a leveled ciphertext, whose noise the caller bounds): keyswitch noise, its rounding, the centred
/// modulus switch, and the noise of the input.
#[must_use]
pub fn position_deviation(parameters: &BootstrapParameters, terms: usize) -> f64 {
    let gadget = parameters.keyswitch();
    let (n, dimension) = (parameters.glwe().polynomial_size() as f64, parameters.lwe_dimension() as f64);
    let base = f64::from(1_u32 << gadget.base_log);
    let lwe_noise = tuniform_variance_x6(parameters.lwe_noise_bits()) as f64 / 6.0;
    let keyswitch = n * gadget.levels as f64 * (base * base + 2.0) / 12.0 * lwe_noise;
    let dropped = f64::from(32 - gadget.base_log * gadget.levels as u32).exp2();
    let rounding = n / 2.0 * dropped * dropped / 12.0;
    let per_word = 2.0 * n / 32_f64.exp2();
    let switch = (dimension / 4.0 + 1.0) / 12.0;
    let q = parameters.glwe().primes()[0] as f64;
    let input = output_variance(parameters) as f64 * terms as f64 * (2.0 * n / q).powi(2);
    ((keyswitch + rounding) * per_word * per_word + switch + input).sqrt()
}

/// [`position_margin`] in standard deviations of an input that is a sum of `terms` results.
#[must_use]
pub fn margin_deviations(parameters: &BootstrapParameters, terms: usize) -> f64 {
    position_margin(parameters) as f64 / position_deviation(parameters, terms)
}

/// log2 of the probability that any of `count` positions errs by more than `deviations` standard deviations.
#[must_use]
pub fn log2_tail(deviations: f64, count: usize) -> f64 {
    1.0 + (count as f64).log2() - deviations * deviations / 2.0 * std::f64::consts::LOG2_E
}

/// Six times the variance of TUniform(b).
fn tuniform_variance_x6(bits: u32) -> u128 {
    (1 << (2 * bits + 1)) + 1
}
