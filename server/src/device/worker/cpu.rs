//! This processor as a worker's device.

use tiresias_circuits::bootstrap::{Kernel, LweCiphertext, PreparedKey, Table};
use tiresias_keys::BootstrapParameters;

use super::{Batch, Engine, KEY_BYTES};

pub(super) struct Cpu {
    threads: usize,
}

impl Cpu {
    pub(super) fn new() -> Self {
        Self { threads: std::thread::available_parallelism().map_or(1, usize::from) }
    }
}

impl Engine for Cpu {
    type Key = PreparedKey;

    fn name(&self) -> String {
        format!("{} threads, {}", self.threads, Kernel::detect().name())
    }

    fn key_bytes(&self) -> usize {
        KEY_BYTES
    }

    fn load(
        &mut self,
        parameters: &'static BootstrapParameters,
        rotation: Vec<u64>,
        keyswitch: Vec<u32>,
    ) -> Result<PreparedKey, String> {
        PreparedKey::from_parts(parameters, rotation, keyswitch)
            .ok_or_else(|| "the key has another shape".into())
    }

    fn bootstrap(&mut self, key: &PreparedKey, batch: &Batch) -> Result<Vec<u64>, String> {
        const SHAPE: &str = "the batch has another shape";
        let glwe = key.parameters().glwe();
        let tables = batch.tables.chunks(glwe.polynomial_size());
        let tables: Option<Vec<Table>> =
            tables.map(|table| Table::from_residues(glwe, table.to_vec())).collect();
        let lwes = batch.lwes.chunks(glwe.polynomial_size() + 1);
        let lwes: Option<Vec<_>> = lwes.map(|lwe| LweCiphertext::from_residues(glwe, lwe.to_vec())).collect();
        let (tables, lwes) = tables.zip(lwes).ok_or(SHAPE)?;
        if lwes.len() != batch.table_of.len() {
            return Err(SHAPE.into());
        }
        let jobs = lwes.iter().zip(&batch.table_of);
        let jobs = jobs.map(|(lwe, &table)| Some((lwe, tables.get(table as usize)?)));
        let jobs: Vec<_> = jobs.collect::<Option<_>>().ok_or(SHAPE)?;
        let results = key.bootstrap(&jobs, self.threads);
        Ok(results.iter().flat_map(|result| result.residues().iter().copied()).collect())
    }
}
