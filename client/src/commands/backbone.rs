//! `tiresias backbone`: a backbone's digest, and features of scans for a model owner's calibration.

use std::io::Write as _;

use tiresias_backbone::Backbone;

use crate::{
    Error,
    cli::BackboneArgs,
    files, npy, output,
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
        let bytes = npy::bytes(rows.iter().map(|row| row.as_slice()), columns);
        file.write_all(&bytes).map_err(files::at(path))?;
        output::line(&format!("{} rows of {columns} features written to {}", rows.len(), path.display()))?;
    }
    match failures.len() {
        0 => Ok(()),
        failed => Err(Error::SomeScans { failed, read: cases.len() }),
    }
}
