//! The tables of the demo.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

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

/// A Python with these packages, made once and kept with the build. The reason where there is none.
pub(crate) fn python(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-venv"));
    let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let done = venv.join("packages");
    if fs::read_to_string(&done).is_ok_and(|made| made == packages.join(" ")) {
        return Ok(python);
    }
    run(Path::new("python3"), &["-m", "venv", "--clear", venv.to_str().unwrap()])?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
    run(&python, &[&pip, packages].concat())?;
    fs::write(done, packages.join(" ")).unwrap();
    Ok(python)
}

/// What a program printed. The reason where it cannot be run or fails.
pub(crate) fn run(program: &Path, arguments: &[&str]) -> Result<String, String> {
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{}: {error}", program.display())),
    }
}
