//! Sample reports, and programs that nobody here wrote to check their files with.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

pub(crate) mod samples;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

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

/// Runs a program to its end. The reason where it cannot be run or fails.
pub(crate) fn run(program: &Path, arguments: &[&str]) -> Result<Output, String> {
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => Ok(output),
        Ok(output) => Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{}: {error}", program.display())),
    }
}

/// The first of these programs that starts. The reason where none does.
pub(crate) fn program(names: &[&str], probe: &str) -> Result<PathBuf, String> {
    let starts = |name: &&&str| Command::new(name).arg(probe).output().is_ok();
    let found = names.iter().find(starts);
    found.map(PathBuf::from).ok_or_else(|| format!("none of {} can be started", names.join(", ")))
}

/// Says why a test did not run.
#[expect(clippy::print_stdout, reason = "a skipped test is not a silent one")]
pub(crate) fn skipped(what: &str, reason: &str) {
    println!("SKIPPED: {what}: {reason}");
}
