//! The gateway: bytes in, bytes out. It serves heads, linear or with hidden layers, over encrypted features, their scores
//! or their labels, by the Open Inference Protocol.
//!
//! The path of a request, one new type a step, no step calls back up:
//!
//! ```text
//! TcpStream -> tls (Peer) -> router (Tenant, ServedModel) -> body (bytes <= the model's exact size)
//!   -> protocol -> decode (shape-checked against the card) -> admission (budget, rate, fair queue)
//!   -> circuits::evaluate -> encode -> log -> response
//! ```
//!
//! What this crate never does: it cannot name a secret key, because `tiresias-secret-key` is not among its
//! dependencies; it scores nothing in the clear over the network; no error, log line or metric carries a value that
//! came in a request body.
//!
//! Modules in reading order:
//!
//! 1. [`config`]: flags and file become one checked `Config`; [`check`]: `check-config`.
//! 2. [`import`], [`repository`]: heads come in, models are stored and loaded.
//! 3. [`governance`]: who approves what is served; [`joint`]: the board of sums over clinics; [`owner`]: the model owner's commands that answer on standard output.
//! 4. [`sandbox`], [`dumps`]: what the process gives up; [`tls`], [`tenants`], `peer`: certificates, and who is at the other end.
//! 5. [`registry`], `history`: what is served, and what was.
//! 6. [`listener`]: [`serve`], the accept loop, limits in time and number, graceful shutdown; `reload`.
//! 7. `gateway`, `router`, `body`, `protocol`, `handlers`: one request.
//! 8. `admission`, `budget`, `rate`, `compute`: who may be evaluated, and in which order.
//! 9. [`keys`]: evaluation keys of tenants, on disk and prepared; [`device`]: where bootstraps are computed.
//! 10. `seeds`: the randomness of responses.
//! 11. [`data`], `journal`: what outlives the process.
//! 12. [`log`]: the transparency log, and the receipts that answers take along; [`replay`]: an answer computed again.
//! 13. `metrics`, [`error`]: what operators and peers see; [`sbom`]: what the program is built from.
#![forbid(unsafe_code)]

mod admission;
mod body;
mod budget;
pub mod check;
pub mod cli;
mod cohorts;
mod compute;
pub mod config;
pub mod data;
pub mod device;
pub mod dumps;
pub mod error;
#[doc(hidden)]
pub mod fuzzed;
mod gateway;
pub mod governance;
mod handlers;
mod history;
pub mod import;
pub mod joint;
mod journal;
pub mod keys;
pub mod listener;
pub mod log;
mod metrics;
pub mod owner;
mod peer;
mod protocol;
mod rate;
pub mod registry;
mod reload;
pub mod replay;
pub mod repository;
mod router;
pub mod sandbox;
pub mod sbom;
mod seeds;
mod swap;
pub mod tenants;
pub mod tls;

pub use config::Config;
pub use listener::serve;
