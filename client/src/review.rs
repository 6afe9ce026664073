//! The record of decisions where people meet it: as a file under a passphrase, and as a page on this machine alone.
//!
//! 1. `file`: the record, made and opened. `shown`: what is seen of a case.
//! 2. `door`: who may see the page. `form`: what a browser sends. `page`: what it shows. [`serve`]: requests.

mod door;
pub(crate) mod file;
mod form;
mod page;
pub mod serve;
pub(crate) mod shown;
