//! The two halves of a cohort's diagnosis: [`Cohort::encrypt`] makes a block of patients that goes to the gateway,
//! [`decrypt`] reads what came back for it, when the last one is back.
//!
//! In reading order: this file, [`rows`] (features, a block at a time), [`spool`] (answers on their way).

pub mod rows;
pub mod spool;

use std::sync::Arc;

use tiresias_circuits::{plan::CohortPlan, scores};
use tiresias_keys::{CohortRun, Digest, EncryptedScores, Seed};
use tiresias_secret_key::{CohortMasks, SecretKey};
use zeroize::Zeroizing;

use crate::{Error, Model};

/// A model, and the masks of one run over it.
#[derive(Debug)]
pub struct Cohort {
    model: Arc<Model>,
    plan: CohortPlan,
    masks: CohortMasks,
}

/// One encrypted block, and what is needed to read its answer.
#[derive(Debug)]
pub struct Block {
    /// The element to send.
    pub element: Vec<u8>,
    /// What stays here.
    pub pending: PendingBlock,
    /// How many features lay outside the calibrated range.
    pub clipped: usize,
}

/// A block in flight.
#[derive(Debug)]
pub struct PendingBlock {
    /// What decrypts its answer, once.
    pub key: SecretKey,
    /// The block's digest, which its answer repeats.
    pub digest: Digest,
    /// For each patient whether the features lie far from those of the calibration.
    pub far_out: Vec<bool>,
}

impl Cohort {
    /// Begins a run over a model, with masks from a fresh seed. Errors where the model's owner allows no cohorts.
    pub fn begin(model: Arc<Model>) -> Result<Self, Error> {
        let plan = *model.card().cohort().ok_or(Error::NoCohorts)?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(tiresias_secret_key::Error::from)?;
        let run = CohortRun {
            config: *model.config(),
            gateway_seed: *model.card().gateway_seed(),
            seed: Seed::from_bytes(seed),
        };
        let masks = CohortMasks::new(plan.parameters(), run, plan.shape().features);
        Ok(Self { model, plan, masks })
    }

    /// Quantizes rows of d features, no more than a block takes, and encrypts them under a fresh key.
    pub fn encrypt(&self, rows: &[f64]) -> Result<Block, Error> {
        let (card, features) = (self.model.card(), self.plan.shape().features);
        let patients = rows.len() / features;
        let mut quantized_rows = Zeroizing::new(Vec::with_capacity(features * patients));
        let (mut clipped, mut far_out) = (0, Vec::with_capacity(patients));
        for row in rows.chunks_exact(features) {
            let quantized = card.quantizer().quantize(row)?;
            clipped += quantized.clipped;
            quantized_rows.extend(quantized.values.iter().map(|&value| value as i16));
            far_out.push(card.calibration().is_some_and(|calibration| {
                let distance = calibration.distance(row);
                tiresias_circuits::Drift::new(calibration, distance, quantized.clipped, features).is_far_out()
            }));
        }
        let columns = transposed(&quantized_rows, features);
        let key = SecretKey::generate(self.plan.parameters().glwe())?;
        let (t, shape) = (self.plan.plaintext_bits(), self.plan.request_shape());
        let block = key.encrypt_cohort(&columns, patients, t, &self.masks, &shape)?;
        let digest = block.digest();
        Ok(Block { element: block.into_bytes(), pending: PendingBlock { key, digest, far_out }, clipped })
    }
}

/// The columns of rows of so many values, one after the other.
fn transposed(rows: &[i16], width: usize) -> Zeroizing<Vec<i16>> {
    /// Columns that are written at once, so that their places stay in the cache.
    const COLUMNS: usize = 32;
    let height = rows.len() / width;
    let mut columns = Zeroizing::new(vec![0; rows.len()]);
    for (first, columns) in (0..width).step_by(COLUMNS).zip(columns.chunks_mut(COLUMNS * height)) {
        for (place, row) in rows.chunks_exact(width).enumerate() {
            for (column, &value) in columns.chunks_exact_mut(height).zip(&row[first..]) {
                column[place] = value;
            }
        }
    }
    columns
}

/// Checks that `element` is an undamaged answer to a block with this digest. Uses no secret.
pub fn check(
    model: &Model,
    digest: &Digest,
    patients: usize,
    element: &[u8],
) -> Result<EncryptedScores, Error> {
    let plan = model.card().cohort().ok_or(Error::NoCohorts)?;
    let shape = plan.response_shape(patients);
    Ok(EncryptedScores::from_bytes(element, &shape, model.config(), digest)?)
}

/// Decrypts a block's answer, which uses its key up: the integer scores, patient by patient.
pub fn decrypt(model: &Model, pending: PendingBlock, element: &[u8]) -> Result<Vec<Vec<i64>>, Error> {
    let plan = model.card().cohort().ok_or(Error::NoCohorts)?;
    let patients = pending.far_out.len();
    let answer = check(model, &pending.digest, patients, element)?;
    let phases = pending.key.decrypt(&answer, &plan.response_shape(patients))?;
    let scores = scores::decode_cohort(plan, phases.as_slice());
    let of = |patient: usize| scores.iter().skip(patient).step_by(patients).copied().collect();
    Ok((0..patients).map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_the_rows() {
        for (width, height) in [(1, 1), (3, 2), (32, 5), (33, 7), (100, 64)] {
            let rows: Vec<i16> = (0..width * height).map(|i| i as i16).collect();
            let expected: Vec<i16> = (0..width)
                .flat_map(|column| (0..height).map(move |row| (row * width + column) as i16))
                .collect();
            assert_eq!(*transposed(&rows, width), expected);
        }
    }
}
