//! Evidence that no plaintext was handled: what must stay with the clinic is looked for, in every form in which it could
//! have left, in bytes of the wire, in files and in a process's memory.
//!
//! A search that finds nothing shows nothing by itself: it goes with a control, the same search of a place where the same
//! canaries are known to be.
//!
//! 1. [`canaries`]: what is looked for, and its forms.
//! 2. [`search`]: in bytes and files. [`memory`]: in another process of this machine, on Linux.
//! 3. [`processes`]: which processes belong to a program, and what they have open, on Linux.
//! 4. [`symbols`]: what a program's symbol table says that it can do.

pub mod canaries;
#[cfg(target_os = "linux")]
pub mod memory;
#[cfg(target_os = "linux")]
pub mod processes;
pub mod search;
pub mod symbols;

pub use canaries::{Canaries, TooCommon};
pub use search::{Found, Search};
