//! Pythons with packages, for comparisons with other programs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A Python with the packages, made once and kept with the build. The reason where there is none.
pub(crate) fn python(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let run = |program: &Path, arguments: &[&str]| match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{}: {error}", program.display())),
    };
    let done = venv.join("packages");
    if fs::read_to_string(&done).is_ok_and(|found| found == packages.join(" ")) {
        return Ok(python);
    }
    run(Path::new("python3"), &["-m", "venv", "--clear", venv.to_str().unwrap()])?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
    run(&python, &[&pip, packages].concat())?;
    fs::write(done, packages.join(" ")).unwrap();
    Ok(python)
}
