//! The record as a file of its user's alone, and its key under a passphrase.

use std::{fs, path::Path};

use age::secrecy::ExposeSecret as _;
use tiresias_record::{Book, Key, Store};

use crate::{
    Error, files,
    passphrase::{self, Subject},
    sealed,
};

/// Names the record that an operation failed on.
pub(crate) fn at(path: &Path) -> impl Fn(tiresias_record::Error) -> Error + '_ {
    |source| Error::Record { path: path.to_owned(), source }
}

/// Makes a record under a new passphrase.
pub(crate) fn create(path: &Path, passphrase_file: Option<&Path>) -> Result<(), Error> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(Error::OutputExists { path: path.to_owned() });
    }
    let key = Key::generate();
    let passphrase = passphrase::choose(Subject::Record, passphrase_file)?;
    let sealed = sealed::seal(key.text().expose_secret().as_bytes(), passphrase)?;
    drop(files::create_own(path)?);
    let made = Store::create(path, &key.recipient(), &sealed).map_err(at(path));
    if made.is_err() {
        let _ = fs::remove_file(path);
    }
    made.and_then(|()| files::sync_directory_of(path))
}

/// Opens a record to write to, which takes no passphrase.
pub(crate) fn open(path: &Path) -> Result<Store, Error> {
    let file = files::open_own_to_read(path)?;
    if let Some(reason) = files::exposure(&file).map_err(files::at(path))? {
        return Err(at(path)(tiresias_record::Error::File(reason)));
    }
    Store::open(path).map_err(at(path))
}

/// Opens a record and all its rows.
pub(crate) fn read(path: &Path, passphrase_file: Option<&Path>) -> Result<(Store, Book), Error> {
    let mut store = open(path)?;
    let passphrase = passphrase::recall(Subject::Record, passphrase_file)?;
    const DAMAGED: &str = "its key is damaged: restore the record from a backup";
    let damaged = || at(path)(tiresias_record::Error::File(DAMAGED));
    let key = sealed::open(store.sealed_key(), passphrase, damaged)?;
    let key = Key::parse(&key).map_err(at(path))?;
    let book = Book::read(&mut store, key).map_err(at(path))?;
    Ok((store, book))
}
