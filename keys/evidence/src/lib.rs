//! Evidence: receipts of answers, and the append-only public log that they are in.
//!
//! The formats are those of C2SP: signed notes, tlog checkpoints, tiles and proofs, over the Merkle tree of RFC 6962 with
//! SHA-256 and Ed25519, so that software which nobody here wrote can verify them.
//!
//! What this crate never does: no I/O, no clock, no entropy; bytes come in and go out. It holds no value of a request: a leaf
//! has hashes alone.
//!
//! Modules in reading order:
//!
//! 1. [`merkle`]: hashes, and the proofs that a leaf is in a tree and that a tree grew out of another.
//! 2. [`tile`]: where a log keeps its hashes.
//! 3. [`reader`]: proofs out of tiles, wherever they lie.
//! 4. [`note`]: texts with signatures.
//! 5. [`checkpoint`]: a log's size and root as a note.
//! 6. [`leaf`]: what is logged of an event.
//! 7. [`commitment`]: the hashes in a leaf.
//! 8. [`receipt`]: a leaf with its proof.
//! 9. [`witness`]: what a log and its witnesses say to each other.
//! 10. [`model_card`] and [`approval`]: what a model is for, and who approved that it is served.
//! 11. [`joint`]: who takes part in joint sums, and what they sign.
#![forbid(unsafe_code)]

pub mod approval;
pub mod checkpoint;
pub mod commitment;
mod error;
pub mod joint;
pub mod leaf;
pub mod merkle;
pub mod model_card;
pub mod note;
pub mod reader;
pub mod receipt;
pub mod tile;
pub mod witness;

pub use approval::Approval;
pub use checkpoint::Checkpoint;
pub use error::Error;
pub use leaf::{Event, Leaf};
pub use merkle::Hash;
pub use model_card::ModelCard;
pub use note::{LogKey, NoteVerifier};
pub use reader::{ReadError, TileReader};
pub use receipt::Receipt;
