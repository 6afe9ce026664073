//! Where the bootstraps of a circuit are computed.

use tiresias_keys::BootstrapParameters;

use super::{LweCiphertext, PreparedKey, Table};

/// Computes bootstraps under one evaluation key: this processor, or a device. All backends give the same bytes, so that what
/// one has answered another can replay.
pub trait Backend: Sync {
    /// The parameter set of the key.
    fn parameters(&self) -> &'static BootstrapParameters;

    /// Bootstraps each input with its table. Results are in the order of the inputs.
    fn bootstrap(&self, jobs: &[(&LweCiphertext, &Table)]) -> Vec<LweCiphertext>;
}

/// Some threads of this processor; see [`PreparedKey::on`].
#[derive(Debug, Clone, Copy)]
pub struct Cpu<'a> {
    key: &'a PreparedKey,
    threads: usize,
}

impl PreparedKey {
    /// The backend of this processor, with up to `threads` threads.
    #[must_use]
    pub fn on(&self, threads: usize) -> Cpu<'_> {
        Cpu { key: self, threads }
    }
}

impl Backend for Cpu<'_> {
    fn parameters(&self) -> &'static BootstrapParameters {
        self.key.parameters()
    }

    fn bootstrap(&self, jobs: &[(&LweCiphertext, &Table)]) -> Vec<LweCiphertext> {
        self.key.bootstrap(jobs, self.threads)
    }
}
