//! Where bootstraps are computed: on this processor, or on a device behind a process of its own.
//!
//! A CUDA driver can end the process that uses it, and a kernel can hang. So a device belongs to a worker, a second process of
//! this program that computes and knows nothing else: no network, no file, no tenant. A supervisor feeds it, puts the work of
//! all requests of one key together, restarts it when it dies or takes too long, and sends what it was doing again. Work that
//! fails twice is done on this processor, to the same bytes. So an accepted request does not notice.
//!
//! Modules in reading order: `choice`, what the operator asks for; `messages`, what goes over the pipes; `worker`, the
//! process at their end; `child`, that process as its parent sees it; `supervisor`, which keeps one; `backend`, the circuits'
//! view of it; `at_once`, how a request keeps it busy.

mod at_once;
mod backend;
mod child;
mod choice;
mod messages;
mod supervisor;
#[cfg(test)]
mod tests;
mod worker;

use std::{sync::Arc, time::Duration};

use tiresias_circuits::bootstrap::PreparedKey;

pub use at_once::at_once;
pub use backend::OnDevice;
use child::Command;
pub use choice::DeviceChoice;
pub(crate) use supervisor::DeviceMetrics;
use supervisor::Supervisor;
pub use worker::{WorkerArgs, WorkerError, work};

/// Reads all messages in some bytes, as either end of the pipes would.
pub(crate) fn read_messages(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some(_)) = messages::Received::read(&mut rest) {}
    let _ = messages::Reply::read(&mut &*bytes, &[3]);
}

/// Why a device that the operator names cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{choice} cannot be used: {why}")]
pub struct Error {
    choice: DeviceChoice,
    why: String,
}

/// A gateway's device, where it has one.
pub struct Device(Option<Supervisor>);

impl Device {
    /// Starts the worker of a choice: this program, with [`WorkerArgs`] behind `bootstrap-worker`. It keeps keys in `key_bytes`
    /// of the device's memory, by default in most of it, and is started anew where a batch takes longer than `limit`.
    ///
    /// `auto` goes on without a device where there is none, and the log says so; a device that was named must be there.
    pub fn open(choice: DeviceChoice, key_bytes: Option<usize>, limit: Duration) -> Result<Self, Error> {
        let device = match choice {
            DeviceChoice::Cpu => return Ok(Self(None)),
            DeviceChoice::Auto if !cfg!(feature = "gpu") => {
                tracing::info!(
                    "bootstraps are computed on the CPU: this build has no GPU support (feature `gpu`)"
                );
                return Ok(Self(None));
            }
            DeviceChoice::Auto => DeviceChoice::Cuda(0),
            named => named,
        };
        match Supervisor::start(Command::this_program(device, key_bytes, limit)) {
            Ok(supervisor) => {
                tracing::info!(device = supervisor.name(), "bootstraps are computed on a device");
                Ok(Self(Some(supervisor)))
            }
            Err(why) if choice == DeviceChoice::Auto => {
                tracing::warn!("bootstraps are computed on the CPU: {why}");
                Ok(Self(None))
            }
            Err(why) => Err(Error { choice, why }),
        }
    }

    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Whether there is one.
    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// The device with a key, for one request; `threads` of the CPU stand in for it. `None` where there is none.
    #[must_use]
    pub fn with_key<'a>(&'a self, key: &'a Arc<PreparedKey>, threads: usize) -> Option<OnDevice<'a>> {
        self.0.as_ref().map(|supervisor| OnDevice::new(supervisor, key, threads))
    }

    pub(crate) fn metrics(&self) -> Option<&DeviceMetrics> {
        self.0.as_ref().map(Supervisor::metrics)
    }
}
