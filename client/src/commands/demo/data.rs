//! The demonstration data, shipped in `client/demo` with its source and licence.

use tiresias_circuits::Features;

use crate::Error;

/// A data set with heads that were trained on a part of it by `client/demo/train.py`.
pub(in crate::commands) struct DataSet {
    /// The model's name.
    pub(in crate::commands) name: &'static str,
    /// What a row is of.
    pub(in crate::commands) rows: &'static str,
    pub(in crate::commands) head: &'static [u8],
    /// The head with a hidden layer.
    pub(in crate::commands) mlp: &'static [u8],
    table: &'static str,
    split: &'static str,
}

/// Two classes of 30 measurements: breast cancer, Wisconsin.
pub(in crate::commands) static WDBC: DataSet = DataSet {
    name: "wdbc",
    rows: "patients",
    head: include_bytes!("../../../demo/wdbc_head.onnx"),
    mlp: include_bytes!("../../../demo/wdbc_mlp.onnx"),
    table: include_str!("../../../demo/wdbc.csv"),
    split: include_str!("../../../demo/wdbc_split.csv"),
};

/// Ten classes of 8 x 8 pixels: handwritten digits.
pub(in crate::commands) static DIGITS: DataSet = DataSet {
    name: "digits",
    rows: "images",
    head: include_bytes!("../../../demo/digits_head.onnx"),
    mlp: include_bytes!("../../../demo/digits_mlp.onnx"),
    table: include_str!("../../../demo/digits.csv"),
    split: include_str!("../../../demo/digits_split.csv"),
};

/// One row of the data.
pub(in crate::commands) struct Patient {
    /// The row in the table, from 0.
    pub(in crate::commands) row: usize,
    pub(in crate::commands) truth: String,
    pub(in crate::commands) features: Vec<f64>,
}

impl AsRef<[f64]> for Patient {
    fn as_ref(&self) -> &[f64] {
        &self.features
    }
}

impl DataSet {
    /// The training rows and the held-out rows.
    pub(in crate::commands) fn load(&self) -> Result<(Vec<Patient>, Vec<Patient>), Error> {
        const DAMAGED: Error = Error::Usage("the embedded demonstration data is damaged");
        let (mut training, mut held_out) = (Vec::new(), Vec::new());
        let mut rows = csv::Reader::from_reader(self.table.as_bytes());
        let mut split = csv::Reader::from_reader(self.split.as_bytes());
        for (row, (record, part)) in rows.records().zip(split.records()).enumerate() {
            let (record, part) = (record.map_err(|_| DAMAGED)?, part.map_err(|_| DAMAGED)?);
            let mut fields = record.iter();
            let truth = fields.next().ok_or(DAMAGED)?.to_owned();
            let features =
                fields.map(|field| field.parse().map_err(|_| DAMAGED)).collect::<Result<_, _>>()?;
            let patient = Patient { row, truth, features };
            match part.get(1) {
                Some("train") => training.push(patient),
                Some("test") => held_out.push(patient),
                _ => return Err(DAMAGED),
            }
        }
        Ok((training, held_out))
    }
}

/// The features of patients as a table, without their diagnoses.
pub(in crate::commands) fn features(patients: &[Patient]) -> Result<Features, Error> {
    let values: Vec<f64> = patients.iter().flat_map(|patient| patient.features.iter().copied()).collect();
    let columns = values.len() / patients.len().max(1);
    Ok(Features::new(values, columns)?)
}

/// Rows of features as a .csv file, those of patients without their diagnoses.
pub(in crate::commands) fn to_csv(rows: &[impl AsRef<[f64]>]) -> String {
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.as_ref().iter().map(f64::to_string).collect();
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_is_the_documented_one() {
        for (set, sizes, columns, class, count) in
            [(&WDBC, (398, 171), 30, "malignant", 64), (&DIGITS, (1257, 540), 64, "7", 54)]
        {
            let (training, held_out) = set.load().unwrap();
            assert_eq!((training.len(), held_out.len()), sizes);
            assert_eq!(held_out.iter().filter(|patient| patient.truth == class).count(), count);
            assert!(training.iter().chain(&held_out).all(|patient| patient.features.len() == columns));
        }
    }
}
