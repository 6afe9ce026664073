//! Limits in number, bytes and time.

use std::time::Duration;

use serde::Deserialize;

use super::Error;
use crate::protocol::LARGEST_BATCH;

/// Limits in number, bytes and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Open connections.
    pub connections: usize,
    /// Vectors in one request.
    pub batch: usize,
    /// Evaluations at once; the number of cores where not given.
    pub workers: usize,
    /// Requests waiting for a worker.
    pub queue: usize,
    /// Memory for bodies of requests in flight, in MiB.
    pub body_mib: usize,
    /// TLS handshake and request headers.
    pub header_timeout: Duration,
    /// A whole body.
    pub body_timeout: Duration,
    /// Requests in flight at shutdown.
    pub shutdown_timeout: Duration,
    /// A batch of bootstraps on a device.
    pub device_timeout: Duration,
}

/// `[limits]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FileLimits {
    connections: usize,
    batch: usize,
    workers: Option<usize>,
    queue: usize,
    body_mib: usize,
    header_timeout_s: u64,
    body_timeout_s: u64,
    shutdown_timeout_s: u64,
    device_timeout_s: u64,
}

impl Default for FileLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            batch: 256,
            workers: None,
            queue: 64,
            body_mib: 256,
            header_timeout_s: 10,
            body_timeout_s: 30,
            shutdown_timeout_s: 30,
            device_timeout_s: 300,
        }
    }
}

impl FileLimits {
    pub(super) fn check(&self) -> Result<Limits, Error> {
        let workers =
            self.workers.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let in_range = (1..=100_000).contains(&self.connections)
            && (1..=LARGEST_BATCH).contains(&self.batch)
            && (1..=1024).contains(&workers)
            && self.queue <= 100_000
            && (64..=65_536).contains(&self.body_mib)
            && [self.header_timeout_s, self.body_timeout_s, self.shutdown_timeout_s, self.device_timeout_s]
                .iter()
                .all(|seconds| (1..=3600).contains(seconds));
        if !in_range {
            return Err(Error::Rule(
                "limits: connections 1 to 100000, batch 1 to 4096, workers 1 to 1024, queue at most 100000, \
                 body_mib 64 to 65536, timeouts 1 to 3600 seconds",
            ));
        }
        Ok(Limits {
            connections: self.connections,
            batch: self.batch,
            workers,
            queue: self.queue,
            body_mib: self.body_mib,
            header_timeout: Duration::from_secs(self.header_timeout_s),
            body_timeout: Duration::from_secs(self.body_timeout_s),
            shutdown_timeout: Duration::from_secs(self.shutdown_timeout_s),
            device_timeout: Duration::from_secs(self.device_timeout_s),
        })
    }
}
