//! A Python with packages of PyPI, made once and kept with the build.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

/// The folder of a virtual environment of this name, into which pip has installed what each list asks for. The reason where
/// there is no Python or no package index.
pub(crate) fn environment(name: &str, installs: &[&[&str]]) -> Result<PathBuf, String> {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = MAKING.lock();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let wanted = installs.iter().map(|install| install.join(" ") + "\n").collect::<String>();
    let done = folder.join("packages");
    if fs::read_to_string(&done).is_ok_and(|packages| packages == wanted) {
        return Ok(folder);
    }
    run(Path::new("python3"), &["-m", "venv", "--clear", folder.to_str().unwrap()])?;
    for install in installs {
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(&python(&folder), &[&pip, *install].concat())?;
    }
    fs::write(done, wanted).unwrap();
    Ok(folder)
}

/// The interpreter of an environment.
pub(crate) fn python(environment: &Path) -> PathBuf {
    environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
}

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

fn run(program: &Path, arguments: &[&str]) -> Result<(), String> {
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{}: {error}", program.display())),
    }
}
