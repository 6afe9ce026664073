//! The signs of encrypted values, by the stages and merges of a [`Ladder`].

use tiresias_keys::{BootstrapParameters, Parameters};

use crate::{
    bootstrap::{Backend, LweCiphertext, Table},
    ladder::{Ladder, merges},
};

/// The tables of a ladder. Signs come out at the heights that what follows wants.
#[derive(Debug)]
pub(super) struct Signs {
    stages: Vec<StageInput>,
    /// One for each stage but, where there are no merges, the last.
    stage_tables: Vec<Table>,
    /// Signs that each merge takes besides the result of the one before.
    merges: Vec<usize>,
    /// One for each merge but the last.
    merge_tables: Vec<Table>,
    /// The table of the last bootstrap, for each height in turn.
    last: Vec<Table>,
}

/// What a stage makes of its value.
#[derive(Debug)]
struct StageInput {
    multiplier: u64,
    /// The multiplier times the encoding of 1/2.
    offset: u64,
}

impl Signs {
    /// `heights`: the residues at which signs are wanted, for the values in turn. Values are encoded as v * q/2^t.
    pub(super) fn new(
        parameters: &BootstrapParameters,
        plaintext_bits: u32,
        ladder: &Ladder,
        heights: &[i64],
    ) -> Self {
        let (glwe, has_zone) = (parameters.glwe(), ladder.zone > 0);
        let n = glwe.polynomial_size();
        let q = glwe.modulus();
        let offset = |m: u64| ((u128::from(m) * q) >> (plaintext_bits + 1)) as u64;
        let stages = ladder.stages.iter();
        let stages =
            stages.map(|stage| StageInput { multiplier: stage.multiplier, offset: offset(stage.multiplier) });

        // What a merge takes: the carried sign first, then the stages from coarse to fine. The last merge of a ladder without a
        // zone has up to four inputs, never all 0, so its unit may be half as high.
        let sizes = merges(ladder.stages.len(), has_zone);
        let unit = |merge: usize| if merge + 1 == sizes.len() && !has_zone { q / 32 } else { q / 16 };
        let mut stage_heights = Vec::new();
        let mut carried_heights = Vec::new();
        for (merge, &size) in sizes.iter().enumerate() {
            if merge > 0 {
                carried_heights.push((unit(merge) << size) as i64);
            }
            stage_heights.extend((0..size).rev().map(|place| (unit(merge) << place) as i64));
        }
        let zeros: Vec<Option<usize>> = ladder.stages.iter().map(|stage| stage.zero).collect();
        let stage_tables =
            (stage_heights.iter().zip(&zeros)).map(|(&height, &zero)| sign_table(glwe, zero, height));
        // Half a unit is zero in a merge whose inputs may all be 0.
        let merge_zero = Some(n / 16);
        let merge_tables =
            carried_heights.iter().map(|&height| sign_table(glwe, merge_zero, height)).collect();
        let last_zero = match (sizes.is_empty(), has_zone) {
            (true, _) => zeros.last().copied().flatten(),
            (false, true) => merge_zero,
            (false, false) => None,
        };
        Self {
            stages: stages.collect(),
            stage_tables: stage_tables.collect(),
            last: heights.iter().map(|&height| sign_table(glwe, last_zero, height)).collect(),
            merges: sizes,
            merge_tables,
        }
    }

    /// The signs of values, at the heights in turn.
    pub(super) fn evaluate(&self, backend: &dyn Backend, values: &[LweCiphertext]) -> Vec<LweCiphertext> {
        let last = |index: usize| &self.last[index % self.last.len()];
        let scaled = |stage: &StageInput, value: &LweCiphertext| {
            let mut input = value.scaled(stage.multiplier);
            input.add_constant(stage.offset);
            input
        };
        // Stage after stage, the values of each in order.
        let inputs: Vec<LweCiphertext> =
            self.stages.iter().flat_map(|stage| values.iter().map(|value| scaled(stage, value))).collect();
        let table = |place: usize| {
            let (stage, index) = (place / values.len().max(1), place % values.len().max(1));
            self.stage_tables.get(stage).unwrap_or_else(|| last(index))
        };
        let jobs: Vec<_> = inputs.iter().enumerate().map(|(place, input)| (input, table(place))).collect();
        let mut signs = backend.bootstrap(&jobs);
        let mut rest = signs.split_off(if self.merges.is_empty() { signs.len() } else { 0 });

        for (merge, &size) in self.merges.iter().enumerate() {
            let following = rest.split_off(size * values.len());
            let mut sums = signs;
            for part in rest.chunks_exact(values.len().max(1)) {
                if sums.is_empty() {
                    sums = part.to_vec();
                } else {
                    sums.iter_mut().zip(part).for_each(|(sum, sign)| sum.add(sign));
                }
            }
            let table = |index: usize| self.merge_tables.get(merge).unwrap_or_else(|| last(index));
            let jobs: Vec<_> = sums.iter().enumerate().map(|(index, sum)| (sum, table(index))).collect();
            signs = backend.bootstrap(&jobs);
            rest = following;
        }
        signs
    }
}

/// Plus or minus `height` where the sign of a position is, and 0 within `zero` places of 0, and so of N.
fn sign_table(glwe: &Parameters, zero: Option<usize>, height: i64) -> Table {
    let n = glwe.polynomial_size();
    Table::new(glwe, |position| match zero {
        Some(zero) if position <= zero || position >= n - zero => 0,
        _ => height,
    })
}
