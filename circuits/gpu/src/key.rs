//! Evaluation keys on a device.

use cudarc::driver::CudaSlice;
use tiresias_keys::BootstrapParameters;

/// An evaluation key in a device's memory, in the layout of its kernels. Dropped, its memory is free again.
pub struct DeviceKey {
    pub(crate) parameters: &'static BootstrapParameters,
    pub(crate) rotation: CudaSlice<f64>,
    pub(crate) keyswitch: CudaSlice<u32>,
}

impl DeviceKey {
    /// Bytes of the device's memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rotation.num_bytes() + self.keyswitch.num_bytes()
    }
}

impl std::fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceKey").field("parameters", &self.parameters.name()).finish_non_exhaustive()
    }
}
