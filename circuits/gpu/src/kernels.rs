//! The kernels and their launches. The only module with `unsafe`: a launch hands pointers to code that the compiler does not
//! see. Each function below checks that its buffers have the lengths that its kernel reads and writes.
#![expect(unsafe_code, reason = "launching a kernel cannot be checked by the compiler")]

use std::sync::Arc;

use cudarc::{
    driver::{
        CudaContext, CudaFunction, CudaSlice, CudaStream, LaunchConfig, PushKernelArg,
        sys::{
            self,
            CUdevice_attribute::{CU_DEVICE_ATTRIBUTE_CLOCK_RATE, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT},
            CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
        },
    },
    nvrtc::Ptx,
};
use tiresias_keys::BootstrapParameters;

use crate::Error;

/// Made from `kernels/bootstrap.cu` by `kernels/build`.
const PTX: &str = include_str!("../kernels/bootstrap.ptx");

/// N of all kernels.
pub(crate) const N: usize = 2048;
/// Doubles of one padded polynomial in shared memory.
const PADDED: usize = N + N / 16;
/// Ciphertexts that one block of the keyswitch takes.
const KEYSWITCH_LWES: usize = 16;
/// Columns that one block of the keyswitch takes.
const KEYSWITCH_COLUMNS: usize = 128;
/// Blocks that keep a device's keyswitch busy.
const KEYSWITCH_BLOCKS: usize = 1024;

/// Whether the driver's library can be loaded.
pub(crate) fn is_driver_present() -> bool {
    // SAFETY: looks the library up and loads it; its initializers are the driver's own.
    unsafe { sys::is_culib_present() }
}

/// The loaded kernels and the stream that they run on.
pub(crate) struct Kernels {
    pub(crate) stream: Arc<CudaStream>,
    /// Where ciphertexts come and go, beside the computing. The driver's wrapper makes a stream wait for what it uses.
    pub(crate) copies: Arc<CudaStream>,
    digits: CudaFunction,
    keyswitch: CudaFunction,
    switch: CudaFunction,
    prepare: CudaFunction,
    /// For (levels, group) of (1, 1), (1, 2), (2, 1), (2, 2).
    rotate: [CudaFunction; 4],
    multiprocessors: u32,
    /// psi^brv(k), centred.
    twiddles: CudaSlice<f64>,
}

impl Kernels {
    pub(crate) fn load(context: &Arc<CudaContext>, twiddles: &[f64]) -> Result<Self, Error> {
        if twiddles.len() != N {
            return Err(Error::Shape("twiddles"));
        }
        let module = context.load_module(Ptx::from_src(PTX))?;
        let stream = context.new_stream()?;
        let rotate = |levels: i32, group: i32| {
            let function = module.load_function(&format!("blind_rotate_l{levels}_g{group}"))?;
            function.set_attribute(
                CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                rotate_bytes(levels as usize) as i32,
            )?;
            Ok::<_, Error>(function)
        };
        Ok(Self {
            twiddles: stream.clone_htod(twiddles)?,
            digits: module.load_function("keyswitch_digits")?,
            keyswitch: module.load_function("keyswitch")?,
            switch: module.load_function("switch_modulus")?,
            prepare: module.load_function("prepare_key")?,
            rotate: [rotate(1, 1)?, rotate(1, 2)?, rotate(2, 1)?, rotate(2, 2)?],
            multiprocessors: u32::try_from(context.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?)
                .unwrap_or(1),
            copies: context.new_stream()?,
            stream,
        })
    }

    /// The key of a blind rotation in the layout of the kernels.
    pub(crate) fn prepare(
        &self,
        parameters: &BootstrapParameters,
        rotation: &CudaSlice<u64>,
    ) -> Result<CudaSlice<f64>, Error> {
        let (rows, ggsws) = (parameters.rows_per_ggsw() as i32, parameters.ggsw_per_step() as i32);
        if rotation.len() != parameters.rotation_residues() {
            return Err(Error::Shape("polynomials of the key"));
        }
        let mut prepared = self.stream.alloc_zeros(rotation.len())?;
        let length = rotation.len() as u64;
        let mut launch = self.stream.launch_builder(&self.prepare);
        launch.arg(rotation).arg(&mut prepared).arg(&length).arg(&rows).arg(&ggsws);
        // SAFETY: reads and writes `length` values, the length of both buffers: each index maps into its own step, because
        // the length is a multiple of one step's.
        unsafe { launch.launch(config((4096, 1, 1), 256, 0)) }?;
        Ok(prepared)
    }

    pub(crate) fn double_rate(&self) -> Result<f64, Error> {
        let context = self.stream.context();
        let units = if context.compute_capability()?.0 >= 9 { 64.0 } else { 32.0 };
        let khz = f64::from(context.attribute(CU_DEVICE_ATTRIBUTE_CLOCK_RATE)?);
        Ok(units * f64::from(self.multiprocessors) * khz * 1e3)
    }

    /// Ciphertexts that the device rotates at once. Blocks that start together stay together, so the key comes from memory once
    /// for all of them; later ones would find it gone from the cache.
    pub(crate) fn wave(&self, parameters: &BootstrapParameters) -> Result<usize, Error> {
        let (levels, function) = self.rotation_of(parameters);
        let blocks =
            function.occupancy_max_active_blocks_per_multiprocessor(256, rotate_bytes(levels), None)?;
        Ok((blocks * self.multiprocessors).max(1) as usize)
    }

    fn rotation_of(&self, parameters: &BootstrapParameters) -> (usize, &CudaFunction) {
        let (levels, group) = (parameters.rotation().levels, parameters.group());
        (levels, &self.rotate[2 * (levels - 1) + group - 1])
    }

    /// Keyswitch and modulus switch of `count` ciphertexts: positions, n + 1 of each.
    pub(crate) fn positions(
        &self,
        parameters: &BootstrapParameters,
        key: &CudaSlice<u32>,
        lwes: &CudaSlice<u64>,
        count: usize,
    ) -> Result<CudaSlice<u32>, Error> {
        let columns = parameters.lwe_dimension() + 1;
        if lwes.len() != count * (N + 1) || key.len() != parameters.keyswitch_words() {
            return Err(Error::Shape("ciphertexts"));
        }
        let mut digits = self.stream.alloc_zeros::<u32>(count * N)?;
        let mut sums = self.stream.alloc_zeros::<u32>(count * columns)?;
        let n = parameters.lwe_dimension() as i32;
        let ratio = ((1_u128 << 96) / parameters.glwe().modulus()) as u64;
        let mut launch = self.stream.launch_builder(&self.digits);
        launch.arg(lwes).arg(&mut digits).arg(&mut sums).arg(&n).arg(&ratio);
        // SAFETY: block i < count reads N + 1 residues and writes N digits and n + 1 sums, each at i times that.
        unsafe { launch.launch(config((count as u32, 1, 1), 256, 0)) }?;

        let (across, down) = (columns.div_ceil(KEYSWITCH_COLUMNS), count.div_ceil(KEYSWITCH_LWES));
        // A power of two, so that it divides N.
        let parts = (KEYSWITCH_BLOCKS / (across * down)).clamp(1, 64).next_power_of_two();
        let count = count as i32;
        let mut launch = self.stream.launch_builder(&self.keyswitch);
        launch.arg(&digits).arg(key).arg(&mut sums).arg(&n).arg(&count);
        // SAFETY: columns beyond n and ciphertexts beyond `count` are skipped by the kernel; N / parts coefficients, a
        // multiple of 32, are one block's share, and the key has four rows of n + 1 words for each of N coefficients.
        unsafe { launch.launch(config((across as u32, down as u32, parts as u32), 128, 0)) }?;

        let mut launch = self.stream.launch_builder(&self.switch);
        launch.arg(&mut sums).arg(&n);
        // SAFETY: block i < count reads and writes n + 1 words at i times that.
        unsafe { launch.launch(config((count as u32, 1, 1), 256, 0)) }?;
        Ok(sums)
    }

    /// Blind rotation and extraction of `count` ciphertexts: N + 1 residues of each.
    pub(crate) fn rotate(
        &self,
        parameters: &BootstrapParameters,
        key: &CudaSlice<f64>,
        positions: &CudaSlice<u32>,
        tables: &CudaSlice<u64>,
        table_of: &[u32],
    ) -> Result<CudaSlice<u64>, Error> {
        let (levels, function) = self.rotation_of(parameters);
        let count = table_of.len();
        if positions.len() != count * (parameters.lwe_dimension() + 1) || !tables.len().is_multiple_of(N) {
            return Err(Error::Shape("positions"));
        }
        if key.len() != parameters.rotation_residues() {
            return Err(Error::Shape("polynomials of the key"));
        }
        if table_of.iter().any(|&table| table as usize >= tables.len() / N) {
            return Err(Error::Table);
        }
        let mut out = self.stream.alloc_zeros::<u64>(count * (N + 1))?;
        let table_of = self.stream.clone_htod(table_of)?;
        let n = parameters.lwe_dimension() as i32;
        let mut launch = self.stream.launch_builder(function);
        launch.arg(positions).arg(tables).arg(&table_of).arg(key).arg(&self.twiddles).arg(&mut out).arg(&n);
        // SAFETY: block i < count reads n + 1 positions at i times that, one table that is there, the whole key and the N
        // twiddles, and writes N + 1 residues at i times that. Its shared memory is what the kernel lays out.
        unsafe { launch.launch(config((count as u32, 1, 1), 256, rotate_bytes(levels))) }?;
        Ok(out)
    }
}

fn config(grid: (u32, u32, u32), threads: u32, shared: usize) -> LaunchConfig {
    LaunchConfig { grid_dim: grid, block_dim: (threads, 1, 1), shared_mem_bytes: shared as u32 }
}

/// The twiddles, and one polynomial for each row of a GGSW.
fn rotate_bytes(levels: usize) -> usize {
    (1 + 2 * levels) * PADDED * size_of::<f64>()
}
