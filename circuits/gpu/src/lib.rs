//! Programmable bootstrapping on an NVIDIA GPU: the integers of [`tiresias_circuits::bootstrap`], bit for bit.
//!
//! A blind rotation is a few hundred external products in turn, each four transforms modulo the 50-bit prime. The kernels,
//! in `kernels/`, do one bootstrap a thread block and all of its steps in one launch: the accumulator stays in registers, and
//! the key streams by. Residues are integers in doubles, where a product modulo the prime takes six instructions and is exact.
//! So a GPU's answer has the bytes of a processor's, and a replay need not know where an answer was computed.
//!
//! What this crate never does: it has no secret key, opens no file, and needs nothing of CUDA to be built. The driver's
//! library is loaded when a device is asked for; the kernels are embedded as PTX, which the driver compiles for its device.
//!
//! The driver can end the process on some faults, so the gateway runs this in a process of its own.
//!
//! Modules in reading order: [`Device`] in `device`, [`DeviceKey`] in `key`, `kernels`, the one module that launches.

mod device;
mod error;
mod kernels;
mod key;

pub use device::{Batch, Device, twiddles};
pub use error::Error;
pub use key::DeviceKey;
