//! The tables of the demo.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../../../tests/common/programs.rs"]
pub(crate) mod programs;

use std::{fs, path::Path};

use tiresias_synth::{Bound, Bounds, Rows};

/// A table of `client/demo`, whose first column is the class.
pub(crate) fn table(name: &str) -> Rows {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo").join(name);
    let bytes = fs::read(path).unwrap();
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for record in csv::Reader::from_reader(&bytes[..]).records() {
        let record = record.unwrap();
        labels.push(record[0].to_owned());
        values.extend(record.iter().skip(1).map(|field| field.parse::<f64>().unwrap()));
    }
    let columns = values.len() / labels.len();
    Rows::with_names(values, columns, &labels).unwrap()
}

/// Bounds of such a table. They come from its rows, which in earnest gives them away: bounds must be chosen without looking.
pub(crate) fn bounds(rows: &Rows) -> Bounds {
    let bound = |column: usize| {
        let values = rows.column(column);
        let lower = values.iter().copied().fold(f64::INFINITY, f64::min);
        let upper = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Bound { lower, upper, whole: values.iter().all(|value| value.fract() == 0.0) }
    };
    Bounds::new((0..rows.columns()).map(bound).collect()).unwrap()
}
