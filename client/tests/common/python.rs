//! Examples, run in a Python environment.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{fs, path::Path, process::Command};

/// Runs a script of `examples` with this environment and the programs under test; returns what it printed.
#[cfg(unix)]
pub(crate) fn example(name: &str, environment: &Path, folder: &Path, more: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name).join("run.sh");
    let programs = Path::new(env!("CARGO_BIN_EXE_tiresias")).parent().unwrap();
    assert!(crate::gateway::program().starts_with(programs));
    let mut command = Command::new("bash");
    command.arg(script).arg("--bin").arg(programs).arg("--venv").arg(environment).args(more).arg(folder);
    super::Ended::from(command.output().unwrap()).done()
}

/// The objects of a file of JSON lines.
pub(crate) fn json_lines(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
