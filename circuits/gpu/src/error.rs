//! Why a device could not be used. Messages name no value of a key or a ciphertext.

/// Why a device could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The driver's library is not on this machine.
    #[error("there is no CUDA driver on this machine (libcuda was not found)")]
    NoDriver,
    /// The driver has no device of this number.
    #[error("there is no device cuda:{ordinal}; the driver has {count}")]
    NoDevice {
        /// The number asked for.
        ordinal: usize,
        /// Devices that the driver has.
        count: usize,
    },
    /// No kernels for a parameter set.
    #[error("the kernels are made for N = 2048 and steps of one or two key bits, not for {0}")]
    Parameters(&'static str),
    /// Arrays whose lengths do not go together.
    #[error("{0} do not have the length that the parameters and the number of ciphertexts ask for")]
    Shape(&'static str),
    /// A table number beyond the tables.
    #[error("a ciphertext names a table that is not in the batch")]
    Table,
    /// The driver refused something.
    #[error("the CUDA driver failed: {0}")]
    Driver(String),
}

impl From<cudarc::driver::DriverError> for Error {
    fn from(error: cudarc::driver::DriverError) -> Self {
        Self::Driver(error.to_string())
    }
}
