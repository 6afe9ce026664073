//! Files: bounded reads, and files of our own that hold secrets or results. Those are created for their owner alone,
//! and never reached through a symbolic link.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::Path,
};

use zeroize::Zeroizing;

use crate::Error;

/// Memory for a secret that is not read from a file of known length, such as a pipe.
const UNKNOWN_LENGTH: u64 = 64 << 10;

/// How the names of files begin that are being written, and that a crash may leave.
pub(crate) const UNFINISHED: &str = ".tiresias-";

/// Names the file that an operation failed on.
pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    |source| Error::Io { path: path.to_owned(), source }
}

/// Reads a file of at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    read_open(&File::open(path).map_err(at(path))?, path, limit)
}

/// The same from an open file.
pub(crate) fn read_open(file: &File, path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = Vec::with_capacity(length.min(limit) as usize + 1);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(at(path))?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

/// Reads a file of at most `limit` bytes that holds a secret, into one place in memory that is wiped, whatever happens
/// to the file meanwhile: a vector that grew would leave copies.
pub(crate) fn read_secret(file: &File, path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let limit = length.max(UNKNOWN_LENGTH).min(limit);
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit as usize + 1));
    file.take(limit + 1).read_to_end(&mut bytes).map_err(at(path))?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

/// Errors where there is something of that name already.
pub(crate) fn refuse_existing(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(Error::OutputExists { path: path.to_owned() }),
        Err(_) => Ok(()),
    }
}

/// Makes a folder for its owner alone, and those that it lies in, where there is none.
pub(crate) fn create_own_directory(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(at(path))
}

/// Creates a file that only its owner can read; it must not exist.
pub(crate) fn create_own(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(at(path))
}

/// Who may read a file that is written whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner alone.
    Owner,
    /// Whoever the process's mask allows.
    All,
}

/// Writes a file whole or not at all: under another name beside it, flushed to the disk, then renamed. A file of that
/// name is replaced only where that is asked for.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], readers: Readers, replace: bool) -> Result<(), Error> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    {
        let mode = if readers == Readers::Owner { 0o600 } else { 0o644 };
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = readers;
    let mut file = builder.tempfile_in(parent.unwrap_or(Path::new("."))).map_err(at(path))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(at(path))?;
    let named = if replace { file.persist(path) } else { file.persist_noclobber(path) };
    named.map_err(|failed| match failed.error.kind() {
        io::ErrorKind::AlreadyExists => Error::OutputExists { path: path.to_owned() },
        _ => at(path)(failed.error),
    })?;
    sync_directory_of(path)
}

/// Opens a file for reading and writing, if it is a regular file and no symbolic link.
pub(crate) fn open_own(path: &Path) -> Result<File, Error> {
    open_regular(path, OpenOptions::new().read(true).write(true))
}

/// The same for reading alone.
pub(crate) fn open_own_to_read(path: &Path) -> Result<File, Error> {
    open_regular(path, OpenOptions::new().read(true))
}

fn open_regular(path: &Path, options: &mut OpenOptions) -> Result<File, Error> {
    let not_regular = || Error::NotRegular { path: path.to_owned() };
    let named = fs::symlink_metadata(path).map_err(at(path))?;
    if !named.is_file() {
        return Err(not_regular());
    }
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        // A link or a pipe that is put there now is not followed or waited for.
        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    }
    let file = options.open(path).map_err(at(path))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        // Another file that was put there in between.
        let opened = file.metadata().map_err(at(path))?;
        if (opened.dev(), opened.ino()) != (named.dev(), named.ino()) {
            return Err(not_regular());
        }
    }
    Ok(file)
}

/// Why a file with a secret is not its user's alone, if it is not.
pub(crate) fn exposure(file: &File) -> io::Result<Option<&'static str>> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let found = file.metadata()?;
        if found.mode() & 0o077 != 0 {
            return Ok(Some("other users can reach this file of secrets: chmod 600 it"));
        }
        // Whose file it is knows its secrets, or chose them.
        if ![0, rustix::process::geteuid().as_raw()].contains(&found.uid()) {
            return Ok(Some("this file of secrets belongs to another user"));
        }
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(None)
}

/// Makes a new name in a directory survive a crash.
pub(crate) fn sync_directory_of(path: &Path) -> Result<(), Error> {
    // Windows has no such call.
    #[cfg(unix)]
    {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        File::open(parent).and_then(|directory| directory.sync_all()).map_err(at(parent))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn a_secret_is_read_into_one_place() {
        const LIMIT: u64 = 4096;
        // Its length is not known before.
        for length in [3000, LIMIT as usize] {
            let (reader, mut writer) = io::pipe().unwrap();
            writer.write_all(&vec![7; length]).unwrap();
            drop(writer);
            let file = File::from(OwnedFd::from(reader));
            let bytes = read_secret(&file, Path::new("pipe"), LIMIT).unwrap();
            assert_eq!((bytes.len(), bytes.capacity()), (length, LIMIT as usize + 1));
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = || read_secret(file.as_file(), file.path(), LIMIT);
        file.as_file().set_len(LIMIT + 1).unwrap();
        assert!(matches!(read(), Err(Error::TooLarge { .. })));
    }
}
