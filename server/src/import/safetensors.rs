//! A head from a safetensors file: `weight` \[K, d\] and, unless it is zero, `bias` \[K\], both under one prefix such as
//! `fc.`. A file with anything else is refused, for other tensors mean other layers.

use ::safetensors::{Dtype, SafeTensors, tensor::TensorView};
use tiresias_circuits::LinearHead;

use super::{ImportError, Imported, ImportedHead, check_size, numbered_labels};

/// Reads a safetensors file.
pub fn read(bytes: &[u8]) -> Result<Imported, ImportError> {
    check_size(bytes)?;
    let file = SafeTensors::deserialize(bytes).map_err(|_| ImportError::NotSafetensors)?;
    let (weight, bias) = find(&file)?;
    let &[classes, features] = weight.shape() else {
        let got = weight.shape().len();
        return Err(ImportError::ShapeMismatch { what: "dimensions of the weight", got, expected: 2 });
    };
    if classes == 0 || features == 0 {
        return Err(ImportError::ShapeMismatch { what: "weights", got: 0, expected: 1 });
    }
    let labels = numbered_labels(classes)?;
    let weight = values(&weight)?;
    let bias = match bias {
        None => vec![0.0; classes],
        Some(bias) => match *bias.shape() {
            [got] if got == classes => values(&bias)?,
            [got] => return Err(ImportError::ShapeMismatch { what: "biases", got, expected: classes }),
            ref sides => {
                let got = sides.len();
                return Err(ImportError::ShapeMismatch { what: "dimensions of the bias", got, expected: 1 });
            }
        },
    };
    Ok(Imported { head: ImportedHead::Linear(LinearHead::new(weight, bias, labels)?), ignored: Vec::new() })
}

/// The weight, and the bias if there is one, of a file that holds nothing else.
fn find<'a>(file: &SafeTensors<'a>) -> Result<(TensorView<'a>, Option<TensorView<'a>>), ImportError> {
    let (mut weights, mut others) = (Vec::new(), Vec::new());
    for (name, tensor) in file.iter() {
        match name.strip_suffix("weight") {
            Some(prefix) if prefix.is_empty() || prefix.ends_with('.') => weights.push((prefix, tensor)),
            _ => others.push((name, tensor)),
        }
    }
    let Some((prefix, weight)) = weights.pop() else {
        return Err(ImportError::MissingTensor);
    };
    if !weights.is_empty() {
        return Err(ImportError::UnexpectedTensor("more than one tensor is named weight or <prefix>.weight"));
    }
    let bias = others.pop();
    let is_bias = bias.as_ref().is_none_or(|(name, _)| name.strip_prefix(prefix) == Some("bias"));
    if !is_bias || !others.is_empty() {
        return Err(ImportError::UnexpectedTensor(
            "a head's file must hold only a weight and a bias, under one prefix",
        ));
    }
    Ok((weight, bias.map(|(_, tensor)| tensor)))
}

/// The numbers of a tensor. Its bytes are as many as its shape implies: the reader of the file checked it.
fn values(tensor: &TensorView<'_>) -> Result<Vec<f64>, ImportError> {
    let (pairs, quads, octets) =
        (tensor.data().as_chunks().0, tensor.data().as_chunks().0, tensor.data().as_chunks().0);
    Ok(match tensor.dtype() {
        Dtype::F64 => octets.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect(),
        Dtype::F32 => quads.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect(),
        Dtype::F16 => pairs.iter().map(|bytes| half(u16::from_le_bytes(*bytes))).collect(),
        Dtype::BF16 => {
            pairs.iter().map(|&[low, high]| f64::from(f32::from_le_bytes([0, 0, low, high]))).collect()
        }
        other => {
            return Err(ImportError::UnsupportedDtype {
                dtype: dtype_name(other),
                supported: "use F64, F32, F16 or BF16",
            });
        }
    })
}

/// An IEEE 754 half: 1 sign bit, 5 exponent bits, 10 fraction bits.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from((bits >> 10) & 0x1f), f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

fn dtype_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::BOOL => "BOOL",
        Dtype::U8 => "U8",
        Dtype::I8 => "I8",
        Dtype::I16 => "I16",
        Dtype::U16 => "U16",
        Dtype::I32 => "I32",
        Dtype::U32 => "U32",
        Dtype::I64 => "I64",
        Dtype::U64 => "U64",
        Dtype::C64 => "C64",
        _ => "of less than 16 bits",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(tensors: &[(&str, Dtype, Vec<usize>, &[u8])]) -> Vec<u8> {
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, data)| (*name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
        ::safetensors::serialize(views, None).unwrap()
    }

    fn code(tensors: &[(&str, Dtype, Vec<usize>, &[u8])]) -> &'static str {
        read(&file(tensors)).unwrap_err().code()
    }

    #[test]
    fn a_shared_prefix_and_a_missing_bias_are_fine() {
        let weight: Vec<u8> = [1.5_f64, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        for prefix in ["", "fc.", "model.head."] {
            let (weight_name, bias_name) = (format!("{prefix}weight"), format!("{prefix}bias"));
            let alone = file(&[(&weight_name, Dtype::F64, vec![2, 1], &weight)]);
            assert_eq!(read(&alone).unwrap().head.scores(&[2.0]), [3.0, -4.0]);
            let both = file(&[
                (&weight_name, Dtype::F64, vec![2, 1], &weight),
                (&bias_name, Dtype::F64, vec![2], &weight),
            ]);
            assert_eq!(read(&both).unwrap().head.scores(&[2.0]), [4.5, -6.0]);
        }
    }

    #[test]
    fn halves_are_read() {
        // 1, -2, the largest half, the smallest half above zero.
        let halves: Vec<u8> =
            [0x3c00_u16, 0xc000, 0x7bff, 1].iter().flat_map(|bits| bits.to_le_bytes()).collect();
        let head = read(&file(&[("weight", Dtype::F16, vec![4, 1], &halves)])).unwrap().head;
        assert_eq!(head.scores(&[1.0]), [1.0, -2.0, 65504.0, 2_f64.powi(-24)]);
        let brains: Vec<u8> = [0x3f80_u16, 0xc000].iter().flat_map(|bits| bits.to_le_bytes()).collect();
        let head = read(&file(&[("weight", Dtype::BF16, vec![2, 1], &brains)])).unwrap().head;
        assert_eq!(head.scores(&[1.0]), [1.0, -2.0]);
        for not_finite in [0x7c00_u16, 0xfc00, 0x7c01] {
            let bits = not_finite.to_le_bytes();
            assert_eq!(code(&[("weight", Dtype::F16, vec![1, 1], &bits)]), "not_finite");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let weight = ("weight", Dtype::F32, vec![1, 1], &[0; 4][..]);
        let with = |name, dtype, shape, data| code(&[weight.clone(), (name, dtype, shape, data)]);
        assert_eq!(with("fc.weight", Dtype::F32, vec![1, 1], &[0; 4][..]), "unexpected_tensor");
        assert_eq!(with("fc.bias", Dtype::F32, vec![1], &[0; 4][..]), "unexpected_tensor");
        assert_eq!(with("running_mean", Dtype::F32, vec![1], &[0; 4][..]), "unexpected_tensor");
        assert_eq!(with("bias", Dtype::F32, vec![2], &[0; 8][..]), "shape_mismatch");
        assert_eq!(with("bias", Dtype::F32, vec![1, 1], &[0; 4][..]), "shape_mismatch");
        assert_eq!(with("bias", Dtype::I32, vec![1], &[0; 4][..]), "unsupported_dtype");
        assert_eq!(code(&[("weight", Dtype::I8, vec![1, 1], &[0])]), "unsupported_dtype");
        assert_eq!(code(&[("weight", Dtype::F32, vec![1], &[0; 4])]), "shape_mismatch");
        assert_eq!(code(&[("weight", Dtype::F32, vec![1, 0], &[])]), "shape_mismatch");
        assert_eq!(code(&[("weight", Dtype::F32, vec![4097, 1], &[0; 4 * 4097])]), "too_large");
        assert_eq!(code(&[("overweight", Dtype::F32, vec![1, 1], &[0; 4])]), "missing_tensor");
        assert_eq!(code(&[]), "missing_tensor");
        assert_eq!(read(b"").unwrap_err().code(), "not_safetensors");
        assert_eq!(read(&[0xff; 64]).unwrap_err().code(), "not_safetensors");
    }
}
