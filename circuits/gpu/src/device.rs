//! A device. Start at [`Device::open`].

use cudarc::driver::CudaContext;
use tiresias_circuits::bootstrap;
use tiresias_keys::{BootstrapParameters, bootstrap_parameters::N918_N2048_Q50};

use crate::{
    DeviceKey, Error,
    kernels::{self, Kernels, N},
};

/// An NVIDIA GPU with the kernels loaded. Its calls run one after the other.
pub struct Device {
    name: String,
    kernels: Kernels,
}

/// Ciphertexts to be bootstrapped under one key, as flat arrays.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// N + 1 residues of each ciphertext, the body last.
    pub lwes: &'a [u64],
    /// N residues of each table.
    pub tables: &'a [u64],
    /// For each ciphertext the number of its table.
    pub table_of: &'a [u32],
}

impl Device {
    /// How many devices the driver has. [`Error::NoDriver`] where there is no driver.
    pub fn count() -> Result<usize, Error> {
        if !kernels::is_driver_present() {
            return Err(Error::NoDriver);
        }
        Ok(usize::try_from(CudaContext::device_count()?).unwrap_or_default())
    }

    /// Opens a device and compiles the kernels for it: a second or so. Errors where there is no driver, no such device, or
    /// where the driver is too old for the kernels.
    pub fn open(ordinal: usize) -> Result<Self, Error> {
        let count = Self::count()?;
        if ordinal >= count {
            return Err(Error::NoDevice { ordinal, count });
        }
        let context = CudaContext::new(ordinal)?;
        Ok(Self { name: context.name()?, kernels: Kernels::load(&context, &twiddles())? })
    }

    /// The device's name, as its driver has it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Double-precision instructions that it starts in a second, one for each thread: what bounds a bootstrap. Of devices of
    /// compute capability 8.0 and 9.0, whose multiprocessors have units for 32 and 64 of them.
    pub fn double_rate(&self) -> Result<f64, Error> {
        self.kernels.double_rate()
    }

    /// The fewest double-precision instructions of a bootstrap with this arithmetic: 8 a butterfly and 6 a product, and no
    /// more. Kernels have about a quarter more, to keep numbers small and to find digits.
    #[must_use]
    pub fn instructions(parameters: &BootstrapParameters) -> f64 {
        let rows = parameters.rows_per_ggsw();
        let transforms = (rows + 2) * (N / 2) * N.ilog2() as usize;
        // Of a pair, the first GGSW has no factor; and each bundle is multiplied by a digit.
        let products = 2 * N * rows * if parameters.group() == 1 { 2 } else { 4 };
        (parameters.steps() * (8 * transforms + 6 * products)) as f64
    }

    /// Free and total bytes of its memory.
    pub fn memory(&self) -> Result<(usize, usize), Error> {
        Ok(self.kernels.stream.context().mem_get_info()?)
    }

    /// Moves a prepared key to the device. `rotation` and `keyswitch` are those of
    /// [`tiresias_circuits::bootstrap::PreparedKey`].
    pub fn load(
        &self,
        parameters: &'static BootstrapParameters,
        rotation: &[u64],
        keyswitch: &[u32],
    ) -> Result<DeviceKey, Error> {
        check_parameters(parameters)?;
        if keyswitch.len() != parameters.keyswitch_words() {
            return Err(Error::Shape("rows of the keyswitch"));
        }
        let stream = &self.kernels.stream;
        let residues = stream.clone_htod(rotation)?;
        let rotation = self.kernels.prepare(parameters, &residues)?;
        let keyswitch = stream.clone_htod(keyswitch)?;
        stream.synchronize()?;
        Ok(DeviceKey { parameters, rotation, keyswitch })
    }

    /// Bootstraps each ciphertext with its table: N + 1 residues of each, those of
    /// [`tiresias_circuits::bootstrap::PreparedKey::bootstrap`].
    pub fn bootstrap(&self, key: &DeviceKey, batch: Batch<'_>) -> Result<Vec<u64>, Error> {
        if batch.lwes.len() != batch.table_of.len() * (N + 1) {
            return Err(Error::Shape("ciphertexts"));
        }
        let (kernels, parameters) = (&self.kernels, key.parameters);
        let wave = kernels.wave(parameters)?;
        let tables = kernels.stream.clone_htod(batch.tables)?;
        let mut results = Vec::with_capacity(batch.lwes.len());
        let mut before = None;
        for (lwes, table_of) in batch.lwes.chunks(wave * (N + 1)).zip(batch.table_of.chunks(wave)) {
            let lwes = kernels.copies.clone_htod(lwes)?;
            let positions = kernels.positions(parameters, &key.keyswitch, &lwes, table_of.len())?;
            let out = kernels.rotate(parameters, &key.rotation, &positions, &tables, table_of)?;
            // While this wave is computed, the results of the one before are fetched.
            if let Some(before) = before.replace(out) {
                results.extend(kernels.copies.clone_dtoh(&before)?);
            }
        }
        if let Some(last) = before {
            results.extend(kernels.copies.clone_dtoh(&last)?);
        }
        Ok(results)
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The twiddles as the kernels take them: centred residues.
#[must_use]
pub fn twiddles() -> Vec<f64> {
    let q = N918_N2048_Q50.glwe().primes()[0];
    let centred = |residue: u64| if residue > q / 2 { residue as f64 - q as f64 } else { residue as f64 };
    bootstrap::twiddles(N918_N2048_Q50.glwe()).into_iter().map(centred).collect()
}

fn check_parameters(parameters: &'static BootstrapParameters) -> Result<(), Error> {
    let fits = parameters.glwe() == N918_N2048_Q50.glwe()
        && parameters.keyswitch() == N918_N2048_Q50.keyswitch()
        && (1..=2).contains(&parameters.group())
        && matches!((parameters.rotation().levels, parameters.rotation().base_log), (1, 23) | (2, 15));
    if fits { Ok(()) } else { Err(Error::Parameters(parameters.name())) }
}
