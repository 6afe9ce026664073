//! The clinic's record of decisions: what a model answered, and what a human decided.
//!
//! ```text
//! case -> JSON, padded -> sealed to the record's public key -> a row of SQLite, its hash over the row before
//! rows -> opened by the key under the passphrase, chain and decisions checked -> book -> rates, export
//! ```
//!
//! Writing a case takes no secret: a program that nobody watches can record what it cannot read. A decision is made by
//! whoever has opened the record, and its row is authenticated by the same key, together with all rows before it.
//!
//! What this crate never does: it opens no connection, holds no key of a ciphertext, changes or removes no row, and hands
//! nothing in the clear to SQLite. No error quotes a value.
//!
//! Modules in reading order:
//!
//! 1. [`case`](mod@case): a case and what of it calls for a human. [`decision`]: what a human decided.
//! 2. [`row`]: their bytes. [`key`]: who can seal, and who can open and decide.
//! 3. [`store`]: the file. [`book`]: all of it, opened and checked.
//! 4. [`rates`]: how often humans agree. [`export`]: tables.
#![forbid(unsafe_code)]

pub mod book;
pub mod case;
pub mod decision;
pub mod error;
pub mod export;
pub mod key;
pub mod rates;
pub mod row;
pub mod store;

pub use book::{Book, Entry};
pub use case::{Answer, Case, Column, Distrust, Drift, Reason, Receipt};
pub use decision::{Decision, Verdict};
pub use error::Error;
pub use key::{Key, Recipient};
pub use store::Store;
