//! A GPU as a worker's device.

use tiresias_gpu::{Device, DeviceKey};
use tiresias_keys::BootstrapParameters;

use super::{Batch, Engine, KEY_BYTES};

pub(super) struct Cuda(Device);

impl Cuda {
    pub(super) fn open(ordinal: usize) -> Result<Self, String> {
        Device::open(ordinal).map(Self).map_err(|error| error.to_string())
    }
}

impl Engine for Cuda {
    type Key = DeviceKey;

    fn name(&self) -> String {
        self.0.name().to_owned()
    }

    fn key_bytes(&self) -> usize {
        self.0.memory().map_or(KEY_BYTES, |(free, _)| free / 4 * 3)
    }

    fn load(
        &mut self,
        parameters: &'static BootstrapParameters,
        rotation: Vec<u64>,
        keyswitch: Vec<u32>,
    ) -> Result<DeviceKey, String> {
        self.0.load(parameters, &rotation, &keyswitch).map_err(|error| error.to_string())
    }

    fn bootstrap(&mut self, key: &DeviceKey, batch: &Batch) -> Result<Vec<u64>, String> {
        let Batch { lwes, tables, table_of } = batch;
        let batch = tiresias_gpu::Batch { lwes, tables, table_of };
        self.0.bootstrap(key, batch).map_err(|error| error.to_string())
    }
}
