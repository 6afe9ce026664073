//! Where a log is read: its public files, as tlog-tiles has them, in a directory or behind a URL.
//!
//! Nothing that comes from here is trusted before it was checked against a signed checkpoint, and nothing is longer than it
//! may be.

use std::{
    io,
    path::{Path, PathBuf},
};

use tiresias_evidence::{note::MAXIMUM_NOTE_BYTES, tile::WIDTH};

use super::Fault;
use crate::{Error, files, http::Connection};

/// Bytes of a hash in a tile.
const HASH: usize = 32;
/// Bytes of an entry of these logs in a bundle: a hash behind its length.
const ENTRY: usize = 34;

/// Where a log's files are.
#[derive(Debug)]
pub enum LogSource<'a> {
    /// In a directory, such as `log/public` of a gateway's data.
    Directory(PathBuf),
    /// At a server, below a path, which is empty for a gateway.
    Server {
        /// The way there.
        connection: &'a mut Connection,
        /// Without a slash at its end.
        below: String,
    },
}

impl<'a> LogSource<'a> {
    /// The log of the gateway at the other end.
    pub fn gateway(connection: &'a mut Connection) -> Self {
        Self::Server { connection, below: String::new() }
    }

    /// The log's newest checkpoint, a note that is still to be verified.
    pub async fn checkpoint(&mut self) -> Result<String, Fault> {
        let bytes = self.file("checkpoint", MAXIMUM_NOTE_BYTES).await?;
        let bytes = bytes.ok_or_else(|| Fault::NoTile("checkpoint".to_owned()))?;
        String::from_utf8(bytes).map_err(|_| Fault::Tile("checkpoint".to_owned()))
    }

    /// A tile, by its path below the log's root. Of a partial one that is no longer there, the beginning of the full one.
    pub async fn tile(&mut self, path: &str) -> Result<Vec<u8>, Fault> {
        let each = if path.starts_with("tile/entries/") { ENTRY } else { HASH };
        let limit = WIDTH as usize * each;
        if let Some(bytes) = self.file(path, limit).await? {
            return Ok(bytes);
        }
        if let Some((full, width)) = path.split_once(".p/") {
            let width = width.parse().unwrap_or(WIDTH as usize);
            for wider in self.wider(full, width) {
                if let Some(bytes) = self.file(&wider, limit).await? {
                    let beginning = bytes.get(..width * each).map(<[u8]>::to_vec);
                    return beginning.ok_or_else(|| Fault::Tile(path.to_owned()));
                }
            }
        }
        Err(Fault::NoTile(path.to_owned()))
    }

    /// The paths of tiles that begin with a partial one: the full one, and in a directory those in between.
    fn wider(&self, full: &str, width: usize) -> Vec<String> {
        let partial = match self {
            Self::Directory(_) => width + 1..WIDTH as usize,
            // A server that has gateways' wits answers any width that it has.
            Self::Server { .. } => 0..0,
        };
        std::iter::once(full.to_owned()).chain(partial.map(|width| format!("{full}.p/{width}"))).collect()
    }

    async fn file(&mut self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        let read = match self {
            Self::Directory(directory) => read_file(&directory.join(path), limit as u64),
            Self::Server { connection, below } => {
                // Boxed, or the futures of all that read a log would hold that of a request, several times.
                Box::pin(connection.log_file(&format!("{below}/{path}"), limit)).await
            }
        };
        read.map_err(|error| Fault::Unread(error.to_string()))
    }
}

fn read_file(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    match files::read(path, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Error::Io { source, .. })
            if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
