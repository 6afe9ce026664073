//! The demonstration data, shipped in `client/demo` with its source and licence.

use std::fmt::Write as _;

use tiresias_circuits::Features;

use crate::Error;

/// The trained head, made by `client/demo/train_wdbc.py`.
pub(super) const WDBC_HEAD: &[u8] = include_bytes!("../../../demo/wdbc_head.onnx");
const WDBC: &str = include_str!("../../../demo/wdbc.csv");
const SPLIT: &str = include_str!("../../../demo/wdbc_split.csv");

/// One row of the data.
pub(super) struct Patient {
    /// The row in `wdbc.csv`, from 0.
    pub(super) row: usize,
    pub(super) truth: String,
    pub(super) features: Vec<f64>,
}

/// The training rows and the held-out rows.
pub(super) fn load() -> Result<(Vec<Patient>, Vec<Patient>), Error> {
    const DAMAGED: Error = Error::Usage("the embedded demonstration data is damaged");
    let (mut training, mut held_out) = (Vec::new(), Vec::new());
    let mut rows = csv::Reader::from_reader(WDBC.as_bytes());
    let mut split = csv::Reader::from_reader(SPLIT.as_bytes());
    for (row, (record, part)) in rows.records().zip(split.records()).enumerate() {
        let (record, part) = (record.map_err(|_| DAMAGED)?, part.map_err(|_| DAMAGED)?);
        let mut fields = record.iter();
        let truth = fields.next().ok_or(DAMAGED)?.to_owned();
        let features = fields.map(|field| field.parse().map_err(|_| DAMAGED)).collect::<Result<_, _>>()?;
        let patient = Patient { row, truth, features };
        match part.get(1) {
            Some("train") => training.push(patient),
            Some("test") => held_out.push(patient),
            _ => return Err(DAMAGED),
        }
    }
    Ok((training, held_out))
}

/// The features of patients as a table, without their diagnoses.
pub(super) fn features(patients: &[Patient]) -> Result<Features, Error> {
    let values: Vec<f64> = patients.iter().flat_map(|patient| patient.features.iter().copied()).collect();
    let columns = values.len() / patients.len().max(1);
    Ok(Features::new(values, columns)?)
}

/// The features of patients as a .csv file, without their diagnoses.
pub(super) fn to_csv(patients: &[Patient]) -> String {
    let mut text = String::new();
    for patient in patients {
        for (index, value) in patient.features.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(text, "{separator}{value}");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_is_the_documented_one() {
        let (training, held_out) = load().unwrap();
        assert_eq!((training.len(), held_out.len()), (398, 171));
        let malignant = held_out.iter().filter(|patient| patient.truth == "malignant").count();
        assert_eq!(malignant, 64);
        assert!(training.iter().chain(&held_out).all(|patient| patient.features.len() == 30));
    }
}
