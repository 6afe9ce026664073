//! Files with a fuzzer's bytes, for what reads files: one directory a thread, which is used again.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

thread_local! {
    static DIRECTORY: TempDir = tempfile::tempdir().expect("there is a temporary directory");
}

/// A file of this name with these bytes, readable for its owner alone.
pub(crate) fn file(name: &str, bytes: &[u8]) -> PathBuf {
    DIRECTORY.with(|directory| {
        let path = directory.path().join(name);
        write(&path, bytes);
        path
    })
}

/// Puts a file there, and the directories that it is in.
pub(crate) fn write(path: &Path, bytes: &[u8]) {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).expect("a temporary directory takes directories");
    }
    fs::write(path, bytes).expect("a temporary directory takes files");
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(path, mode).expect("its owner may say who reads a file");
    }
}

/// A directory of this name, as empty as a new one.
pub(crate) fn directory(name: &str) -> PathBuf {
    DIRECTORY.with(|directory| {
        let path = directory.path().join(name);
        // It may not be there yet.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a temporary directory takes directories");
        path
    })
}
