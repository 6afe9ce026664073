//! The numbers of an ONNX tensor, checked against its sides before anything is allocated.

use super::ImportError;
use super::proto::Tensor;

/// Numbers in row order.
pub(super) struct Matrix {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) values: Vec<f64>,
}

impl Matrix {
    pub(super) fn read(tensor: &Tensor) -> Result<Self, ImportError> {
        let sides = sides(tensor)?;
        let &[rows, columns] = sides.as_slice() else {
            let got = sides.len();
            return Err(ImportError::ShapeMismatch { what: "dimensions of the weight", got, expected: 2 });
        };
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

fn values(tensor: &Tensor) -> Result<Vec<f64>, ImportError> {
    const EXTERNAL: i32 = 1;
    if tensor.data_location == EXTERNAL || tensor.external_data.is_some() {
        return Err(ImportError::ExternalData);
    }
    if tensor.segment.is_some() {
        return Err(ImportError::GraphRule("has a tensor that is cut into segments"));
    }
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
