//! `tiresias-gateway log`: the log's keys, for operators.

use std::{
    io::{self, Write},
    path::Path,
};

use serde_json::json;

use super::{DIRECTORY, Error, book::Book, keys::Keys, leaves::Facts, make};
use crate::{
    cli::{LogCommand, RotateArgs},
    data::{self, DataDirectory},
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The log could not be read or written.
    #[error(transparent)]
    Log(#[from] Error),
    /// The data directory could not be used.
    #[error(transparent)]
    Data(#[from] data::Error),
    /// Standard output is gone.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Log(error) => error.code(),
            Self::Data(error) => error.code(),
            Self::Output(_) => "output",
        }
    }
}

/// Runs `log key` or `log rotate`.
pub fn run(command: &LogCommand, out: &mut impl Write) -> Result<(), CommandError> {
    match command {
        LogCommand::Key { data } => key(data, out),
        LogCommand::Rotate(args) => rotate(args, out),
    }
}

/// Prints what verifies the log, a key a line, the newest first.
fn key(data: &Path, out: &mut impl Write) -> Result<(), CommandError> {
    let directory = data.join(DIRECTORY);
    for key in Keys::read(&directory)?.verifiers() {
        writeln!(out, "{key}")?;
    }
    Ok(())
}

/// Draws the next key, or ends the use of the old one. No gateway may use the directory meanwhile.
fn rotate(args: &RotateArgs, out: &mut impl Write) -> Result<(), CommandError> {
    let data = DataDirectory::open(&args.data)?;
    let directory = data.file(DIRECTORY);
    make(&directory)?;
    let facts = Facts::open(&directory)?;
    let mut book = Book::open(&directory, None, None)?;
    let mut line = json!({});
    if args.finish {
        book.finish_rotation(&directory)?;
    } else {
        let receipt = book.rotate(&directory, &facts)?;
        line["receipt"] = receipt.to_text().into();
    }
    line["keys"] = book.verifiers().iter().map(ToString::to_string).collect();
    writeln!(out, "{line}")?;
    Ok(())
}
