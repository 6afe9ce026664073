//! How the sign of a wide integer is found with bootstraps that see eleven bits.
//!
//! A bootstrap looks a value up by its position on a circle of 2N places, with an error of up to E places. *Stage* i looks up
//! m_i * (v + 1/2), a free scaling of the leveled ciphertext, in a table of three values {-, 0, +}: 0 within E places of 0, the
//! sign elsewhere. So a sign that is not 0 is right, and 0 says that |v + 1/2| is so small that a larger multiplier still
//! does not wrap around. The first stage that is not 0 decides; each divides what is undecided by 13 or so. Where a
//! multiplier takes even v = 0 beyond E, the last table needs no 0, and every sign is found.
//!
//! A *merge* finds the first that is not 0 among up to three signs, as the sign of 4*s_0 + 2*s_1 + s_2 (or among four, with
//! weights 8 to 1, where the last one is never 0). The weights are in the tables of the stages: nothing amplifies noise.
//!
//! A *gate* says whether all of its inputs are +. A class is the highest where all its comparisons are.

use tiresias_keys::BootstrapParameters;

use crate::{Error, bootstrap::noise::position_margin};

/// The most inputs of a merge or gate.
pub(crate) const MAXIMUM_INPUTS: usize = 14;

/// Signs that the merges of a ladder take, besides the result of the merge before: empty for one stage, whose sign
/// needs none.
pub(crate) fn merges(stages: usize, has_zone: bool) -> Vec<usize> {
    let last = if has_zone { 3 } else { 4 };
    let mut sizes = Vec::new();
    let mut rest = stages;
    while rest > 0 && stages > 1 {
        // Every merge but the first has one input more, the result of the one before.
        let carried = usize::from(!sizes.is_empty());
        let size = if rest + carried <= last { rest } else { 3 - carried };
        sizes.push(size);
        rest -= size;
    }
    sizes
}

/// For each layer of gates, the number of inputs of each gate. Comparisons that may be undecided (0) leave less room.
pub(crate) fn gates(inputs: usize, has_zone: bool) -> Vec<Vec<usize>> {
    let mut layers: Vec<Vec<usize>> = Vec::new();
    let mut count = inputs;
    while layers.is_empty() || count > 1 {
        let most = gate_inputs(layers.is_empty() && has_zone);
        let full = (0..count / most).map(|_| most);
        let layer: Vec<usize> = full.chain((!count.is_multiple_of(most)).then_some(count % most)).collect();
        count = layer.len();
        layers.push(layer);
    }
    layers
}

/// The most inputs of a gate. Its inputs are N/(2*14) places high, or N/(2*7) where they may be 0, so that the nearest sums
/// on either side of its threshold keep N/28 places from it.
pub(crate) fn gate_inputs(has_zeros: bool) -> usize {
    if has_zeros { MAXIMUM_INPUTS / 2 } else { MAXIMUM_INPUTS }
}

/// The multipliers of a head's stages. Private to the model owner: they follow from the weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ladder {
    pub(crate) stages: Vec<Stage>,
    /// Values v with |v| at or above this are never left undecided; 0: none is.
    pub(crate) zone: u64,
}

/// One bootstrap of a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stage {
    /// m_i.
    pub(crate) multiplier: u64,
    /// Half the width of the table's zero, in places; `None` in a last stage that leaves nothing undecided.
    pub(crate) zero: Option<usize>,
}

/// The numbers that a ladder is made for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    /// v is encoded as v * q/2^t.
    pub(crate) plaintext_bits: u32,
    /// The largest |v| that the weights allow.
    pub(crate) largest: u64,
    /// The largest noise of an encoded v, in units of 1/q.
    pub(crate) noise: u128,
}

impl Ladder {
    /// The ladder with the fewest stages that decides every v, or with `stages` where that is fewer.
    ///
    /// Errors where no number of stages decides: then noise hides the last bit of v.
    pub(crate) fn new(
        parameters: &BootstrapParameters,
        range: Range,
        stages: Option<usize>,
    ) -> Result<Self, Error> {
        let (n, t) = (parameters.glwe().polynomial_size() as u128, range.plaintext_bits);
        let (q, margin) = (parameters.glwe().modulus(), position_margin(parameters) as u128);
        // The error of a position: that of a bootstrap, and the scaled noise of the input.
        let error = |multiplier: u128| margin + (range.noise * multiplier * 2 * n).div_ceil(q);
        // Twice v + 1/2 is odd and so an integer. Its position is odd * m * N / 2^t.
        let mut undecided = 2 * u128::from(range.largest) + 1;
        let mut ladder = Self { stages: Vec::new(), zone: 0 };
        loop {
            let fits = |m: u128| (undecided * m * n).div_ceil(1 << t) + 2 * error(m) <= n;
            let multiplier = largest(fits).ok_or(Error::DoesNotFit { plaintext_bits: t })?;
            let places = error(multiplier);
            let decides = multiplier * n >= places << t;
            let zero = (!decides).then_some(places as usize);
            ladder.stages.push(Stage { multiplier: multiplier as u64, zero });
            if decides {
                return Ok(ladder);
            }
            // The table gives 0 where the position is within `places`, so where v's own is within twice that.
            let next = ((2 * places) << t) / (n * multiplier);
            if stages == Some(ladder.stages.len()) {
                ladder.zone = (next as u64).div_ceil(2) + 1;
                return Ok(ladder);
            }
            if next >= undecided {
                return Err(Error::DoesNotFit { plaintext_bits: t });
            }
            undecided = next;
        }
    }
}

/// The largest number for which `fits` holds, which holds below each number for which it does; none where 1 does not fit.
fn largest(fits: impl Fn(u128) -> bool) -> Option<u128> {
    let mut best = fits(1).then_some(1_u128)?;
    let mut step = 1_u128 << 40;
    while step > 0 {
        if fits(best + step) {
            best += step;
        }
        step >>= 1;
    }
    Some(best)
}

#[cfg(test)]
mod tests {
    use tiresias_keys::bootstrap_parameters::{INSECURE_N64_N256_Q50, N918_N2048_Q50};

    use super::*;

    #[test]
    fn merges_take_every_stage_once_and_stay_within_their_inputs() {
        for stages in 1..=12 {
            for has_zone in [false, true] {
                let sizes = merges(stages, has_zone);
                assert_eq!(sizes.iter().sum::<usize>(), if stages == 1 { 0 } else { stages });
                for (index, size) in sizes.iter().enumerate() {
                    let inputs = size + usize::from(index > 0);
                    let is_last = index + 1 == sizes.len();
                    assert!((2..=if is_last && !has_zone { 4 } else { 3 }).contains(&inputs), "{sizes:?}");
                }
            }
        }
        assert_eq!(merges(4, false), [4]);
        assert_eq!(merges(6, false), [3, 3]);
        assert_eq!(merges(8, false), [3, 2, 3]);
    }

    #[test]
    fn gates_take_every_input_once() {
        for inputs in 1..200 {
            for has_zone in [false, true] {
                let layers = gates(inputs, has_zone);
                assert_eq!(layers[0].iter().sum::<usize>(), inputs);
                assert!(layers.windows(2).all(|pair| pair[1].iter().sum::<usize>() == pair[0].len()));
                assert_eq!(layers.last().unwrap().len(), 1);
            }
        }
        assert_eq!(gates(13, false), [[13]]);
        assert_eq!(gates(13, true), [vec![7, 6], vec![2]]);
    }

    /// The ladder itself, with every error that its analysis allows, in plain integers.
    #[test]
    fn a_ladder_finds_every_sign_whatever_the_errors_are() {
        for parameters in [&N918_N2048_Q50, &INSECURE_N64_N256_Q50] {
            let n = parameters.glwe().polynomial_size() as i128;
            for (bits, stages) in
                [(4, None), (13, None), (24, None), (24, Some(1)), (24, Some(2)), (13, Some(2))]
            {
                let largest = (1_u64 << (bits - 1)) - 1;
                let range = Range { plaintext_bits: bits + 1, largest, noise: 1 << 18 };
                let ladder = Ladder::new(parameters, range, stages).unwrap();
                println!("{bits} bits: {ladder:?}");
                let near =
                    (0..40).chain((0..bits - 1).flat_map(|i| [(1_i64 << i) - 1, 1 << i, (1 << i) + 1]));
                let values =
                    near.chain([largest as i64, largest as i64 / 3]).filter(|v| *v <= largest as i64);
                for v in values.flat_map(|v| [v, -v]) {
                    for push in [-1_i128, 0, 1] {
                        let mut found = 0;
                        for stage in &ladder.stages {
                            let margin = position_margin(parameters) as i128;
                            let exact = i128::from(2 * v + 1) * i128::from(stage.multiplier) * n;
                            let place = (exact >> (bits + 1)) + push * margin;
                            let centred = (place + n).rem_euclid(2 * n) - n;
                            let zero = stage.zero.map_or(-1, |zero| zero as i128);
                            let in_zero = centred.abs() <= zero || centred.abs() >= n - zero;
                            if !in_zero {
                                found = centred.signum() + i128::from(centred == 0);
                                break;
                            }
                        }
                        let sign = if v >= 0 { 1 } else { -1 };
                        let is_close = v.unsigned_abs() < ladder.zone;
                        assert!(found == sign || (found == 0 && is_close), "{v}, pushed {push}");
                    }
                }
            }
        }
    }

    #[test]
    fn noise_above_the_last_bit_is_refused() {
        let range = Range { plaintext_bits: 27, largest: 1 << 24, noise: 1 << 23 };
        assert!(Ladder::new(&N918_N2048_Q50, range, None).is_err());
        assert!(Ladder::new(&N918_N2048_Q50, range, Some(2)).is_ok());
    }
}
