//! A device as circuits see it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tiresias_circuits::bootstrap::{Backend, LweCiphertext, PreparedKey, Table};
use tiresias_keys::BootstrapParameters;

use super::{
    messages::LARGEST_BATCH,
    supervisor::{Supervisor, Work},
};

/// A device with a key, for one request. What the device cannot do the CPU does, and [`OnDevice::name`] tells.
pub struct OnDevice<'a> {
    supervisor: &'a Supervisor,
    key: &'a Arc<PreparedKey>,
    threads: usize,
    is_whole: AtomicBool,
}

impl<'a> OnDevice<'a> {
    /// `threads` of the CPU stand in for the device.
    pub(super) fn new(supervisor: &'a Supervisor, key: &'a Arc<PreparedKey>, threads: usize) -> Self {
        Self { supervisor, key, threads, is_whole: AtomicBool::new(true) }
    }

    /// Where all that was asked so far was computed: the device, or `cpu` where that had to help.
    #[must_use]
    pub fn name(&self) -> &str {
        if self.is_whole.load(Ordering::Relaxed) { self.supervisor.name() } else { "cpu" }
    }

    fn on_device(&self, jobs: &[(&LweCiphertext, &Table)]) -> Option<Vec<LweCiphertext>> {
        let glwe = self.parameters().glwe();
        let lwes: Vec<&[u64]> = jobs.iter().map(|(lwe, _)| lwe.residues()).collect();
        let work =
            Work { lwes: lwes.concat(), tables: jobs.iter().map(|(_, table)| (*table).clone()).collect() };
        let results = self.supervisor.bootstrap(self.key, work)?;
        let results = results.chunks_exact(glwe.polynomial_size() + 1);
        results.map(|residues| LweCiphertext::from_residues(glwe, residues.to_vec())).collect()
    }
}

impl Backend for OnDevice<'_> {
    fn parameters(&self) -> &'static BootstrapParameters {
        self.key.parameters()
    }

    fn bootstrap(&self, jobs: &[(&LweCiphertext, &Table)]) -> Vec<LweCiphertext> {
        let on_cpu = |jobs| {
            self.is_whole.store(false, Ordering::Relaxed);
            self.key.bootstrap(jobs, self.threads)
        };
        jobs.chunks(LARGEST_BATCH)
            .flat_map(|jobs| self.on_device(jobs).unwrap_or_else(|| on_cpu(jobs)))
            .collect()
    }
}
