//! The data directory: where the gateway keeps what must outlive it. One process at a time uses it.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use crate::journal::Lines;

/// Why the data directory could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file system call failed.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The path at fault.
        path: PathBuf,
        /// The operating system's word on it.
        source: io::Error,
    },
    /// Another process has it.
    #[error("{path}: another gateway uses this data directory: stop it or name another", path = path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A file of ours that is not as we left it.
    #[error("{path}: line {line} is not one of this gateway's: restore the file from a backup", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::InUse { .. } => "data_in_use",
            Self::Damaged { .. } => "data_damaged",
        }
    }
}

/// An open data directory. The lock lasts as long as this, or as the process.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Makes the directory where there is none, and takes its lock.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(io)?;
        let lock = path.join("lock");
        let file = File::options().create(true).write(true).truncate(false).open(&lock);
        let file = file.map_err(|source| Error::Io { path: lock.clone(), source })?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: file }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(Error::Io { path: lock, source }),
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Reads a journal of the data directory, line by line, without changing it.
pub(crate) fn read<T>(path: &Path, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Error> {
    let lines = Lines::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    lines.parse(parse).map_err(|line| Error::Damaged { path: path.to_owned(), line })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_uses_a_data_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/data");
        let first = DataDirectory::open(&path).unwrap();
        assert!(matches!(DataDirectory::open(&path), Err(Error::InUse { .. })));
        drop(first);
        DataDirectory::open(&path).unwrap();
    }
}
