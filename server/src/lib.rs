//! The gateway: bytes in, bytes out. It serves linear heads over encrypted features by the Open Inference Protocol.
//!
//! The path of a request, one new type a step, no step calls back up:
//!
//! ```text
//! TcpStream -> tls (Tenant) -> router -> body (bytes <= the model's exact size)
//!   -> protocol (shape-checked against the card) -> compute (bounded queue)
//!   -> circuits::evaluate -> encode -> response
//! ```
//!
//! What this crate never does: it cannot name a secret key, because `tiresias-secret-key` is not among its
//! dependencies; it scores nothing in the clear over the network; no error, log line or metric carries a value that
//! came in a request body.
//!
//! Modules in reading order:
//!
//! 1. [`config`]: flags and file become one checked `Config`.
//! 2. [`import`], [`repository`]: heads come in, models are stored and loaded.
//! 3. [`inspect`]: the model owner's commands that answer on standard output.
//! 4. [`tls`]: certificates and tenants.
//! 5. [`listener`]: [`serve`], the accept loop, limits in time and number, graceful shutdown.
//! 6. `router`, `body`, `protocol`, `handlers`: one request.
//! 7. `compute`, `seeds`: the bounded queue and the randomness of responses.
//! 8. `metrics`, [`error`]: what operators and peers see.
#![forbid(unsafe_code)]

mod body;
pub mod cli;
mod compute;
pub mod config;
pub mod error;
mod handlers;
pub mod import;
pub mod inspect;
pub mod listener;
mod metrics;
mod protocol;
pub mod repository;
mod router;
mod seeds;
pub mod tls;

pub use config::Config;
pub use listener::serve;
