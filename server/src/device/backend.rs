//! A device as circuits see it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
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
        let results = self.supervisor.bootstrap(self.key, flatten(jobs))?;
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

fn flatten(jobs: &[(&LweCiphertext, &Table)]) -> Work {
    let mut work = Work::default();
    let mut places = HashMap::new();
    for (lwe, table) in jobs {
        work.lwes.extend_from_slice(lwe.residues());
        let place = *places.entry(table.polynomial().as_ptr()).or_insert_with(|| {
            work.tables.push((*table).clone());
            work.tables.len() as u32 - 1
        });
        work.table_of.push(place);
    }
    work
}
