//! Reads a head from the files that training tools write: ONNX and safetensors.
//!
//! A file is accepted only if it is exactly one linear layer, or in ONNX up to three hidden layers of ReLU neurons and
//! a linear layer behind them, apart from steps that do not change the numbers or that are left to the client.
//! Everything else is refused with the rule it broke: a head that is not what its owner
//! trained would give wrong answers that nobody can see, since the gateway never sees a score.
//!
//! This module never opens a file, never follows a path that a file names, never runs any part of a model, and never
//! puts a weight into an error. It does not trust its bytes.

use tiresias_circuits::plan::MAXIMUM_CLASSES;

mod error;
mod head;
pub mod onnx;
pub mod safetensors;

#[cfg(test)]
mod tests;

pub use error::ImportError;
pub use head::ImportedHead;

/// The largest file that is read.
pub const MAX_BYTES: usize = 64 << 20;

/// A head, and what its file did behind it.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The head. Its scores are those before any step named in `ignored`.
    pub head: ImportedHead,
    /// Names of steps behind the last linear layer, such as Softmax, in the order of the file. They are left to the client.
    pub ignored: Vec<String>,
}

/// Reads a head by the ending of the file's name, `.onnx` or `.safetensors`.
pub fn read_head(file_name: &str, bytes: &[u8]) -> Result<Imported, ImportError> {
    match file_name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
        Some("onnx") => onnx::read(bytes),
        Some("safetensors") => safetensors::read(bytes),
        _ => Err(ImportError::UnknownFormat),
    }
}

fn check_size(bytes: &[u8]) -> Result<(), ImportError> {
    if bytes.len() > MAX_BYTES {
        return Err(ImportError::TooLarge { what: "MiB in the file", limit: MAX_BYTES >> 20 });
    }
    Ok(())
}

/// Names for the classes of a file that has none.
fn numbered_labels(classes: usize) -> Result<Vec<String>, ImportError> {
    check_classes(classes)?;
    Ok((0..classes).map(|class| format!("class {class}")).collect())
}

/// A larger head cannot be evaluated. It is refused before a name is made for each of its classes.
fn check_classes(classes: usize) -> Result<(), ImportError> {
    if classes > MAXIMUM_CLASSES {
        return Err(ImportError::TooLarge { what: "classes", limit: MAXIMUM_CLASSES });
    }
    Ok(())
}
