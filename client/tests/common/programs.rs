//! Programs that nobody here wrote, to check with: found, made and run. Tests of several crates include this file.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Mutex,
};

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

/// The folder of a virtual environment of Python of this name, into which pip has installed what each list asks for: made once and
/// kept with the build. The reason where there is no Python or no package index.
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

/// The interpreter of an environment with these packages, none of which is built here.
pub(crate) fn python_with(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let install = [&["--only-binary", ":all:"], packages].concat();
    environment(&format!("{name}-venv"), &[&install]).map(|environment| python(&environment))
}
