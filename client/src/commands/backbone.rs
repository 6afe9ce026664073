//! `tiresias backbone`: a backbone's digest, and features of scans for a model owner's calibration.

use std::io::Write as _;

use tiresias_backbone::Backbone;

use crate::{
    Error,
    cli::BackboneArgs,
    files, output,
    scans::{self, Rows},
};

/// Runs the command.
pub fn run(args: &BackboneArgs) -> Result<(), Error> {
    let backbone = Backbone::open(&args.backbone)?;
    let Some(path) = &args.out else { return output::line(&hex::encode(backbone.digest())) };
    let rows = if args.locations { Rows::Locations(None) } else { Rows::Whole };
    let progress = output::files_progress();
    let (cases, failures) = scans::read(&args.scan, &backbone, rows, || progress.inc(1))?;
    progress.finish_and_clear();
    for failure in &failures {
        output::scan_failed(failure);
    }
    let rows: Vec<&Vec<f64>> = cases.iter().flat_map(|case| &case.rows).collect();
    let columns = rows.first().map_or(0, |row| row.len());
    if rows.iter().any(|row| row.len() != columns) {
        return Err(Error::Scans("the backbone gives features of different numbers for these scans"));
    }
    if !rows.is_empty() {
        let mut file = files::create_own(path)?;
        file.write_all(&npy(&rows, columns)).map_err(files::at(path))?;
        output::line(&format!("{} rows of {columns} features written to {}", rows.len(), path.display()))?;
    }
    match failures.len() {
        0 => Ok(()),
        failed => Err(Error::SomeScans { failed, read: cases.len() }),
    }
}

/// A NumPy array of rows of float64, version 1.0.
fn npy(rows: &[&Vec<f64>], columns: usize) -> Vec<u8> {
    let dictionary =
        format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({}, {columns}), }}", rows.len());
    // Header and data meet at a multiple of 64 bytes.
    let padded = (10 + dictionary.len() + 1).next_multiple_of(64) - 11;
    let header = format!("{dictionary:padded$}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(rows.iter().flat_map(|row| row.iter()).flat_map(|value| value.to_le_bytes()));
    bytes
}
