//! Patients that exist nowhere else: features drawn at random inside a model's calibrated range. What is found of them has come
//! from this audit.

use tiresias_circuits::scores;
use tiresias_keys::parameters::RESIDUE_BITS;

use crate::{
    Error, Model,
    audit::{Canaries, Search, TooCommon},
    canaries::Lottery,
    commands::demo::data,
};

/// Rows of features.
pub(super) struct Patients(Vec<Vec<f64>>);

impl Patients {
    /// Draws so many of them.
    pub(super) fn draw(model: &Model, count: usize) -> Result<Self, Error> {
        let (quantizer, features) = (model.card().quantizer(), model.card().plan().shape().features);
        let limit = f64::from((1_u32 << (quantizer.bits() - 1)) - 1);
        let mut lottery = Lottery::new()?;
        // From 0 to 1, with 53 random bits.
        let mut uniform = || lottery.below(1 << 53) as f64 / (1_u64 << 53) as f64;
        let mut rows = Vec::with_capacity(count);
        for _ in 0..count {
            let mut row = Vec::with_capacity(features);
            for feature in 0..features {
                let reach = limit * quantizer.scale_of(feature);
                row.push(quantizer.offset_of(feature) + (2.0 * uniform() - 1.0) * reach);
            }
            rows.push(row);
        }
        Ok(Self(rows))
    }

    /// As a table.
    pub(super) fn to_csv(&self) -> String {
        data::to_csv(&self.0)
    }

    /// What must not be found of them, and of their keys: features in rows and alone, quantized, and encoded as plaintexts.
    pub(super) fn canaries(&self, model: &Model, keys: &[u8]) -> Result<Canaries, Error> {
        let mut canaries = Canaries::new();
        for row in &self.0 {
            self.add(&mut canaries, model, row)?;
        }
        if !keys.is_empty() {
            canaries.key("a secret key", keys).map_err(unusable)?;
        }
        Ok(canaries)
    }

    /// How many single numbers are looked for, and how many there are: those of few digits would be found by chance.
    pub(super) fn singles(&self) -> (usize, usize) {
        let mut canaries = Canaries::new();
        let all = self.0.iter().flatten();
        let found = all.clone().filter(|value| canaries.number("", **value).is_ok()).count();
        (found, all.count())
    }

    fn add(&self, canaries: &mut Canaries, model: &Model, row: &[f64]) -> Result<(), Error> {
        let (card, plan) = (model.card(), model.card().plan());
        let quantized = card.quantizer().quantize(row)?.values;
        canaries.floats("features", row).map_err(unusable)?;
        for value in row {
            // One of few digits would be found by chance, and is not looked for alone.
            let _ = canaries.number("one feature", *value);
        }
        // A row of a coarse model may have too few different values to be looked for in these two forms.
        let _ = canaries.integers("quantized features", &quantized);
        for plaintext in scores::encode_features(plan, &quantized)? {
            // Behind the features the polynomial is 0.
            let used = plaintext.get(..quantized.len().min(plaintext.len())).unwrap_or_default();
            let _ = canaries.residues("plaintext", used, RESIDUE_BITS);
        }
        Ok(())
    }
}

/// Bytes to be sent to a gateway on purpose: other patients, in a few forms each.
pub(super) fn planted(model: &Model) -> Result<(Search, Vec<u8>), Error> {
    let mut canaries = Patients::draw(model, 1)?.canaries(model, &[])?;
    let mut lottery = Lottery::new()?;
    let name: [u8; 12] = std::array::from_fn(|_| lottery.below(256) as u8);
    canaries.text("text", &hex::encode(name)).map_err(unusable)?;
    let search = Search::new(canaries);
    let samples = search.samples();
    let bytes = samples.iter().filter(|(_, form, _)| is_planted(form)).flat_map(|sample| sample.2).copied();
    let bytes = bytes.collect();
    Ok((search, bytes))
}

/// The forms of what is sent on purpose: those in which a leak is likeliest.
pub(super) fn is_planted(form: &str) -> bool {
    matches!(form, "UTF-8" | "f64, little endian" | "decimals of f64, with commas" | "8 bits")
}

fn unusable(_: TooCommon) -> Error {
    Error::Audit(
        "the model takes too few features, or too few bits, for what is drawn not to be found by chance: audit with a model of at \
         least 16 features"
            .to_owned(),
    )
}
