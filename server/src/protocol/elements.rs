//! The elements of a BYTES tensor. Counts are checked before anything is read.
#![warn(clippy::indexing_slicing)]

use super::{INPUT, TensorForm, Texts};
use crate::error::ApiError;

/// The one element of a cohort, in binary: base64 of megabytes would only cost.
pub(super) fn read_block(input: &TensorForm, binary: Option<&[u8]>) -> Result<Vec<Vec<u8>>, ApiError> {
    const FORM: ApiError = ApiError::WrongTensor(
        "`cohort` is one element of datatype BYTES and shape [1], as binary tensor data with binary_data_size",
    );
    let is_one = input.datatype == "BYTES" && input.shape == [1] && input.data.is_none();
    let (Some(binary), Some(size), true) = (binary, input.parameters.binary_data_size, is_one) else {
        return Err(FORM);
    };
    match split_element(binary) {
        Some((element, [])) if binary.len() == size => Ok(vec![element.to_vec()]),
        _ => Err(FORM),
    }
}

pub(super) fn read_elements(
    input: &TensorForm,
    binary: Option<&[u8]>,
    maximum_batch: usize,
) -> Result<Vec<Vec<u8>>, ApiError> {
    const COUNT: ApiError =
        ApiError::WrongTensor("the number of elements differs from the shape of `features`");
    if input.name != INPUT {
        return Err(ApiError::WrongTensor("the one input of this model is `features`"));
    }
    if input.datatype != "BYTES" {
        return Err(ApiError::WrongTensor("the datatype of `features` is BYTES"));
    }
    let batch = match *input.shape.as_slice() {
        [batch] if (1..=maximum_batch as u64).contains(&batch) => batch as usize,
        [0] => return Err(ApiError::WrongTensor("`features` holds at least one element")),
        [_] => return Err(ApiError::TooManyVectors { limit: maximum_batch }),
        _ => return Err(ApiError::WrongTensor("`features` has shape [B], one element a vector")),
    };
    let elements = match (binary, input.parameters.binary_data_size, &input.data) {
        (Some(binary), Some(size), None) => {
            if binary.len() != size {
                return Err(ApiError::MalformedRequest(
                    "binary_data_size is not the number of bytes behind the JSON part",
                ));
            }
            split_elements(binary, batch)?
        }
        (None | Some([]), None, Some(Texts(texts))) if texts.len() != batch => return Err(COUNT),
        (None | Some([]), None, Some(Texts(texts))) => {
            let texts = texts.iter().map(|text| decode_base64(text));
            texts.collect::<Option<Vec<_>>>().ok_or(ApiError::MalformedRequest("`data` is not base64"))?
        }
        _ => {
            return Err(ApiError::MalformedRequest(
                "`features` comes either as binary tensor data with binary_data_size or as base64 in `data`",
            ));
        }
    };
    if elements.len() != batch {
        return Err(COUNT);
    }
    Ok(elements)
}

/// Splits a BYTES tensor: each element is a 32-bit little-endian length and that many bytes. Stops one element behind
/// `batch`.
fn split_elements(mut binary: &[u8], batch: usize) -> Result<Vec<Vec<u8>>, ApiError> {
    let mut elements = Vec::new();
    while !binary.is_empty() && elements.len() <= batch {
        let (element, rest) = split_element(binary)
            .ok_or(ApiError::MalformedRequest("an element's length prefix exceeds the tensor"))?;
        elements.push(element.to_vec());
        binary = rest;
    }
    Ok(elements)
}

pub(super) fn split_element(binary: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = binary.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

/// Standard base64 with padding (RFC 4648, section 4).
pub(super) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}
