//! The numbers of an ONNX tensor, checked against its sides before anything is allocated.

use super::proto::Tensor;
use super::{ImportError, check_classes};

/// Numbers in row order.
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) values: Vec<f64>,
}

impl Matrix {
    pub(super) fn read(tensor: &Tensor) -> Result<Self, ImportError> {
        match *sides(tensor)?.as_slice() {
            [rows, columns] => Self::of(rows, columns, tensor),
            ref sides => {
                let got = sides.len();
                Err(ImportError::ShapeMismatch { what: "dimensions of the weight", got, expected: 2 })
            }
        }
    }

    /// The weight of a 1 x 1 convolution, of shape \[classes, features, 1, 1\].
    pub(super) fn read_pointwise(tensor: &Tensor) -> Result<Self, ImportError> {
        match *sides(tensor)?.as_slice() {
            [rows, columns, 1, 1] => Self::of(rows, columns, tensor),
            [_, _, height, width] => {
                let got = height.saturating_mul(width);
                Err(ImportError::ShapeMismatch { what: "points of the kernel", got, expected: 1 })
            }
            ref sides => {
                let got = sides.len();
                Err(ImportError::ShapeMismatch { what: "dimensions of the kernel", got, expected: 4 })
            }
        }
    }

    fn of(rows: usize, columns: usize, tensor: &Tensor) -> Result<Self, ImportError> {
        if rows == 0 || columns == 0 {
            return Err(ImportError::ShapeMismatch { what: "weights", got: 0, expected: 1 });
        }
        Ok(Self { rows, columns, values: values(tensor)? })
    }

    pub(super) fn transposed(self) -> Self {
        let column = |at| self.values.iter().skip(at).step_by(self.columns);
        let values = (0..self.columns).flat_map(column).copied().collect();
        Self { rows: self.columns, columns: self.rows, values }
    }
}

/// A bias of shape \[classes\] or \[1, classes\].
pub(super) fn bias(tensor: &Tensor, classes: usize) -> Result<Vec<f64>, ImportError> {
    match *sides(tensor)?.as_slice() {
        [got] | [1, got] if got == classes => values(tensor),
        [got] | [1, got] => Err(ImportError::ShapeMismatch { what: "biases", got, expected: classes }),
        ref sides => {
            let got = sides.len();
            Err(ImportError::ShapeMismatch { what: "dimensions of the bias", got, expected: 1 })
        }
    }
}

/// A row of shape \[n\] or \[1, n\], or a single number, that an operator repeats for each row of a batch.
pub(super) fn row(tensor: &Tensor) -> Result<Vec<f64>, ImportError> {
    match *sides(tensor)?.as_slice() {
        [0] | [1, 0] => Err(ImportError::ShapeMismatch { what: "numbers in a row", got: 0, expected: 1 }),
        [] | [_] | [1, _] => values(tensor),
        ref sides => {
            let got = sides.len();
            Err(ImportError::ShapeMismatch { what: "dimensions of a row of constants", got, expected: 1 })
        }
    }
}

/// Whether a tensor is the single number 1.
pub(super) fn is_one(tensor: &Tensor) -> bool {
    matches!(row(tensor).as_deref(), Ok([1.0]))
}

/// Whether a tensor is BOOL and false.
pub(super) fn is_false(tensor: &Tensor) -> bool {
    const BOOL: i32 = 9;
    let zero =
        tensor.raw_data.iter().all(|byte| *byte == 0) && tensor.int32_data.iter().all(|value| *value == 0);
    tensor.data_type == BOOL && tensor.external_data.is_none() && zero
}

/// Class names, text or integers, of shape \[classes\].
pub(super) fn labels(tensor: &Tensor) -> Result<Vec<String>, ImportError> {
    let &[classes] = sides(tensor)?.as_slice() else {
        let got = tensor.dims.len();
        return Err(ImportError::ShapeMismatch { what: "dimensions of the class names", got, expected: 1 });
    };
    check_classes(classes)?;
    check_stored_whole(tensor)?;
    let raw = tensor.raw_data.as_slice();
    let labels: Vec<String> = match tensor.data_type {
        6 => {
            let stored = raw.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes));
            tensor.int32_data.iter().copied().chain(stored).map(|label| label.to_string()).collect()
        }
        7 => {
            let stored = raw.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes));
            tensor.int64_data.iter().copied().chain(stored).map(|label| label.to_string()).collect()
        }
        8 => {
            let text = |text: &Vec<u8>| String::from_utf8(text.clone());
            let texts: Result<_, _> = tensor.string_data.iter().map(text).collect();
            texts.map_err(|_| ImportError::BadLabels("must be UTF-8"))?
        }
        other => {
            return Err(ImportError::UnsupportedDtype {
                dtype: dtype_name(other),
                supported: "class names must be STRING, INT32 or INT64",
            });
        }
    };
    if labels.len() != classes {
        let got = labels.len();
        return Err(ImportError::ShapeMismatch { what: "class names in a tensor", got, expected: classes });
    }
    Ok(labels)
}

/// The name of an element type in `onnx.proto`.
pub(super) fn dtype_name(dtype: i32) -> &'static str {
    match dtype {
        1 => "FLOAT",
        2 => "UINT8",
        3 => "INT8",
        4 => "UINT16",
        5 => "INT16",
        6 => "INT32",
        7 => "INT64",
        8 => "STRING",
        9 => "BOOL",
        10 => "FLOAT16",
        11 => "DOUBLE",
        12 => "UINT32",
        13 => "UINT64",
        14 => "COMPLEX64",
        15 => "COMPLEX128",
        16 => "BFLOAT16",
        17..=20 => "FLOAT8",
        21 => "UINT4",
        22 => "INT4",
        _ => "UNDEFINED",
    }
}

fn sides(tensor: &Tensor) -> Result<Vec<usize>, ImportError> {
    let side = |&side| {
        usize::try_from(side).map_err(|_| ImportError::GraphRule("has a tensor with a negative side"))
    };
    tensor.dims.iter().map(side).collect()
}

fn check_stored_whole(tensor: &Tensor) -> Result<(), ImportError> {
    const EXTERNAL: i32 = 1;
    if tensor.data_location == EXTERNAL || tensor.external_data.is_some() {
        return Err(ImportError::ExternalData);
    }
    if tensor.segment.is_some() {
        return Err(ImportError::GraphRule("has a tensor that is cut into segments"));
    }
    Ok(())
}

fn values(tensor: &Tensor) -> Result<Vec<f64>, ImportError> {
    check_stored_whole(tensor)?;
    let expected = sides(tensor)?
        .into_iter()
        .try_fold(1, usize::checked_mul)
        .ok_or(ImportError::GraphRule("has a tensor of impossible size"))?;
    let (width, listed) = match tensor.data_type {
        1 => (4, tensor.float_data.len()),
        11 => (8, tensor.double_data.len()),
        other => {
            return Err(ImportError::UnsupportedDtype {
                dtype: dtype_name(other),
                supported: "weights must be FLOAT or DOUBLE, not quantized",
            });
        }
    };
    let raw = tensor.raw_data.as_slice();
    if !raw.is_empty() && listed != 0 {
        return Err(ImportError::GraphRule("has a tensor that is stored twice"));
    }
    if !raw.len().is_multiple_of(width) {
        return Err(ImportError::GraphRule("has a tensor that ends within a number"));
    }
    let got = listed + raw.len() / width;
    if got != expected {
        return Err(ImportError::ShapeMismatch { what: "numbers in a tensor", got, expected });
    }
    let wide = |value: f32| f64::from(value);
    Ok(match (width, raw.is_empty()) {
        (4, true) => tensor.float_data.iter().copied().map(wide).collect(),
        (4, false) => raw.as_chunks().0.iter().map(|bytes| wide(f32::from_le_bytes(*bytes))).collect(),
        (_, true) => tensor.double_data.clone(),
        (_, false) => raw.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
    })
}
