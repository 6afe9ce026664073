//! The folder of an audit: new, for its owner alone, and nothing in it is written over.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::relay::Conversation;
use crate::{
    Error,
    files::{self, Readers},
};

/// The page that explains the folder.
pub(super) const PAGE: &str = "audit.html";

/// Where evidence goes.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes it. One that is there already is left alone.
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        let folder = Self(std::path::absolute(path).map_err(files::at(path))?);
        folder.make(&folder.0)?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn page(&self) -> PathBuf {
        self.0.join(PAGE)
    }

    /// Writes a new file.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        files::write_whole(&self.0.join(name), bytes, Readers::Owner, false)
    }

    /// Writes a new file of JSON.
    pub(super) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(value).map_err(|error| Error::Output(error.into()))?;
        self.write(name, &text)
    }

    /// Writes what passed a relay, and gives the files' names.
    pub(super) fn write_wire(&self, conversations: &[Conversation]) -> Result<Vec<String>, Error> {
        self.make(&self.0.join("wire"))?;
        let mut names = Vec::new();
        for (number, conversation) in (1..).zip(conversations) {
            for (_, file, kept) in conversation.streams() {
                let name = format!("wire/{number}-{file}.bin");
                self.write(&name, &kept.bytes())?;
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The names of what is in a folder below.
    pub(super) fn list(&self, below: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.join(below)).into_iter().flatten().filter_map(Result::ok);
        let mut names: Vec<String> =
            entries.map(|entry| format!("{below}/{}", entry.file_name().to_string_lossy())).collect();
        names.sort();
        names
    }

    fn make(&self, path: &Path) -> Result<(), Error> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => Error::OutputExists { path: path.to_owned() },
            _ => Error::Io { path: path.to_owned(), source },
        })
    }
}
