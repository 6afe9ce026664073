//! Passphrases for state and key files: asked for on the terminal or read from a file, wiped after use.

use std::{
    fs::File,
    io::{self, IsTerminal as _},
    path::Path,
};

use age::secrecy::SecretString;
use zeroize::Zeroizing;

use crate::{Error, files};

const MAXIMUM_FILE_BYTES: u64 = 4 << 10;
const NO_TERMINAL: Error =
    Error::Passphrase("there is no terminal to ask for it: name a file with --passphrase-file");

/// What a passphrase protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// What `encrypt` leaves for `decrypt`.
    State,
    /// A long-lived key.
    Key,
    /// The record of decisions.
    Record,
}

impl Subject {
    fn noun(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Key => "key file",
            Self::Record => "record",
        }
    }
}

/// A passphrase for something new: typed twice, or from a file.
pub fn choose(subject: Subject, file: Option<&Path>) -> Result<SecretString, Error> {
    if let Some(file) = file {
        return from_file(file);
    }
    if subject == Subject::Key && !io::stdin().is_terminal() {
        // Scripts make keys too, and a prompt would hang where nobody looks.
        return Err(Error::Passphrase(
            "there is no terminal to ask for one: name a file with --passphrase-file, or keep the key in the clear, under \
             its file mode alone, with --unencrypted-key-file",
        ));
    }
    if subject == Subject::Record && !io::stdin().is_terminal() {
        return Err(NO_TERMINAL);
    }
    let first = ask(&format!("Passphrase for the {}: ", subject.noun()))?;
    if *first != *ask("The same again: ")? {
        return Err(Error::Passphrase("the two differ: run the command again"));
    }
    checked(&first)
}

/// The passphrase that was chosen before.
pub fn recall(subject: Subject, file: Option<&Path>) -> Result<SecretString, Error> {
    match file {
        Some(file) => from_file(file),
        None if subject != Subject::State && !io::stdin().is_terminal() => Err(NO_TERMINAL),
        None => checked(&ask(&format!("Passphrase of the {}: ", subject.noun()))?),
    }
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, Error> {
    let typed = rpassword::prompt_password(prompt);
    typed.map(Zeroizing::new).map_err(|_| NO_TERMINAL)
}

fn from_file(path: &Path) -> Result<SecretString, Error> {
    let file = File::open(path).map_err(files::at(path))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file.metadata().map_err(files::at(path))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Error::Passphrase("other users can reach its file: chmod 600 it"));
        }
    }
    let bytes = files::read_secret(&file, path, MAXIMUM_FILE_BYTES)?;
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    checked(
        std::str::from_utf8(line)
            .map_err(|_| Error::Passphrase("the first line of its file is not UTF-8"))?,
    )
}

fn checked(text: &str) -> Result<SecretString, Error> {
    if text.is_empty() {
        return Err(Error::Passphrase("an empty one protects nothing"));
    }
    Ok(SecretString::from(text))
}
