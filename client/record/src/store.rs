//! The file: a database of SQLite with numbered rows, each sealed and with a hash over the row before it.
//!
//! Rows are only added, one process at a time, and are on the disk when adding returns. SQLite's own files beside it (a
//! rollback journal while a row is written) hold pages of it, and so nothing in the clear either.

use std::{fs::File, io::Read as _, ops::RangeInclusive, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior, params};
use sha2::{Digest as _, Sha256};

use crate::{
    Case, Error, Recipient,
    row::{self, MAXIMUM_SEALED_BYTES},
};

/// The hash of a row and all before it.
pub type Hash = [u8; 32];

/// "TREC": what the file is of.
const APPLICATION: i32 = 0x5452_4543;
const VERSION: i32 = 1;
/// How every file of SQLite begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Another process writes for milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// A secret key under a passphrase is some hundred bytes.
const MAXIMUM_KEY_BYTES: usize = 16 << 10;

const META: &str = "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID";
const ROWS: &str =
    "CREATE TABLE rows (seq INTEGER PRIMARY KEY, sealed BLOB NOT NULL, hash BLOB NOT NULL) STRICT";

/// An open record: whoever has it can add cases, and reads nothing.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    recipient: Recipient,
    sealed_key: Vec<u8>,
}

impl Store {
    /// Makes a record of an empty file. `sealed_key` is the secret key under a passphrase.
    pub fn create(path: &Path, recipient: &Recipient, sealed_key: &[u8]) -> Result<(), Error> {
        let mut connection = connect(path)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.execute(META, [])?;
        transaction.execute(ROWS, [])?;
        let mut insert = transaction.prepare("INSERT INTO meta (name, value) VALUES (?1, ?2)")?;
        insert.execute(params!["recipient", recipient.to_string().as_bytes()])?;
        insert.execute(params!["sealed_key", sealed_key])?;
        drop(insert);
        transaction.commit()?;
        connection.close().map_err(|(_, error)| error.into())
    }

    /// Opens a record, and refuses any other file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        // SQLite would take an empty file for an empty database.
        let mut magic = [0; MAGIC.len()];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
        match read {
            Ok(()) if magic == *MAGIC => {}
            Ok(()) => return Err(Error::NotARecord),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Err(Error::NotARecord),
            Err(_) => return Err(Error::Unwritable),
        }
        let connection = connect(path)?;
        let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let schema = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let mut select = connection.prepare(schema)?;
        let tables = select.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        drop(select);
        // Whoever makes such a file must not choose what else runs when we write to it.
        let is_ours = tables == [META, ROWS];
        if number("application_id")? != APPLICATION || number("user_version")? != VERSION || !is_ours {
            return Err(Error::NotARecord);
        }
        let recipient = String::from_utf8(meta(&connection, "recipient")?).map_err(|_| Error::NotARecord)?;
        let sealed_key = meta(&connection, "sealed_key")?;
        Ok(Self { recipient: Recipient::parse(&recipient)?, sealed_key, connection })
    }

    /// The secret key under its passphrase.
    #[must_use]
    pub fn sealed_key(&self) -> &[u8] {
        &self.sealed_key
    }

    /// The key that rows are sealed to.
    #[must_use]
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// Errors unless rows can be added now.
    pub fn expect_writable(&mut self) -> Result<(), Error> {
        // The lock alone needs no permission to write; a page of the file does.
        let transaction = self.begin()?;
        transaction.pragma_update(None, "user_version", VERSION + 1)?;
        transaction.rollback().map_err(Into::into)
    }

    /// Adds cases, all or none. When it returns they are on the disk. Gives their numbers.
    pub fn add(&mut self, cases: &[Case]) -> Result<Option<RangeInclusive<u64>>, Error> {
        // Before the file is locked: sealing takes longer than writing.
        let sealed = cases.iter().map(|case| self.recipient.seal(&row::of_case(case)?));
        let sealed = sealed.collect::<Result<Vec<_>, Error>>()?;
        let recipient = self.recipient.clone();
        let transaction = self.begin()?;
        let (last, mut hash) = last(&transaction, &recipient)?;
        for (row, sealed) in (last + 1..).zip(&sealed) {
            hash = append(&transaction, row, &hash, sealed)?;
        }
        transaction.commit()?;
        let numbers = last + 1..=last + sealed.len() as u64;
        Ok((!sealed.is_empty()).then_some(numbers))
    }

    /// Locks the file for writing.
    pub(crate) fn begin(&mut self) -> Result<Transaction<'_>, Error> {
        Ok(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    /// A view of the file that does not change.
    pub(crate) fn view(&mut self) -> Result<Transaction<'_>, Error> {
        Ok(self.connection.transaction_with_behavior(TransactionBehavior::Deferred)?)
    }
}

/// The hash that the first row's stands on: it fixes the key.
pub(crate) fn root(recipient: &Recipient) -> Hash {
    Sha256::digest(format!("tiresias-record/v1 {recipient}")).into()
}

/// The hash of a row.
pub(crate) fn chain(before: &Hash, row: u64, sealed: &[u8]) -> Hash {
    Sha256::new().chain_update(before).chain_update(row.to_be_bytes()).chain_update(sealed).finalize().into()
}

/// Adds a row, and gives its hash.
pub(crate) fn append(at: &Transaction<'_>, row: u64, before: &Hash, sealed: &[u8]) -> Result<Hash, Error> {
    if sealed.len() > MAXIMUM_SEALED_BYTES {
        return Err(Error::TooLarge);
    }
    let hash = chain(before, row, sealed);
    let mut insert = at.prepare("INSERT INTO rows (seq, sealed, hash) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![row.cast_signed(), sealed, hash])?;
    Ok(hash)
}

/// Gives rows from this one on, in order. One that is missing is an error; one too large is given as `None`.
pub(crate) fn each_from(
    at: &Transaction<'_>,
    first: u64,
    mut each: impl FnMut(u64, Option<&[u8]>, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    // A row that is too large is never read.
    let query = "SELECT seq, CASE WHEN length(sealed) <= ?2 THEN sealed END, substr(hash, 1, 33) FROM rows \
                 WHERE seq >= ?1 ORDER BY seq";
    let mut rows = at.prepare(query)?;
    let mut rows = rows.query(params![first.cast_signed(), MAXIMUM_SEALED_BYTES.cast_signed()])?;
    let mut expected = first;
    while let Some(row) = rows.next()? {
        let damaged = |_| Error::Damaged(expected);
        if row.get::<_, i64>(0)?.cast_unsigned() != expected {
            return Err(Error::Damaged(expected));
        }
        let sealed = row.get_ref(1)?.as_blob_or_null().map_err(damaged)?;
        each(expected, sealed, row.get_ref(2)?.as_blob().map_err(damaged)?)?;
        expected += 1;
    }
    Ok(())
}

fn last(at: &Transaction<'_>, recipient: &Recipient) -> Result<(u64, Hash), Error> {
    let query = "SELECT seq, hash FROM rows ORDER BY seq DESC LIMIT 1";
    let row = at.query_row(query, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Hash>(1)?))).optional();
    match row {
        Ok(None) => Ok((0, root(recipient))),
        Ok(Some((row, hash))) if (1..i64::MAX).contains(&row) => Ok((row.cast_unsigned(), hash)),
        Ok(Some((row, _))) => Err(Error::Damaged(row.cast_unsigned())),
        Err(error) if error.sqlite_error().is_some() => Err(error.into()),
        Err(_) => Err(Error::NotARecord),
    }
}

fn meta(connection: &Connection, name: &str) -> Result<Vec<u8>, Error> {
    let query = "SELECT value FROM meta WHERE name = ?1 AND length(value) <= ?2";
    let limit = MAXIMUM_KEY_BYTES.cast_signed();
    Ok(connection.query_row(query, params![name, limit], |row| row.get(0))?)
}

fn connect(path: &Path) -> Result<Connection, Error> {
    // Not created where it is missing, and no name is an address.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    // What was committed survives a loss of power, the journal's removal included.
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

#[cfg(test)]
mod tests;
