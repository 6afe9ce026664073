//! Open Inference Protocol bodies, as a client writes and reads them.

use serde::Deserialize;
use serde_json::json;
use tiresias_evidence::receipt::MAXIMUM_RECEIPT_BYTES;
use tiresias_keys::KeyId;

use crate::{Error, Model};

/// The header that says how many bytes of a body are JSON.
pub const HEADER_LENGTH: &str = "inference-header-content-length";

/// JSON beside the ciphertexts of a response is at most this long, with a receipt of any length in it.
const JSON_ALLOWANCE: usize = (16 << 10) + MAXIMUM_RECEIPT_BYTES;

/// An HTTP body with the length of its JSON part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// JSON and binary tensor data.
    pub bytes: Vec<u8>,
    /// Bytes of JSON.
    pub header_length: usize,
}

/// Writes an inference request of one or more elements. `key` is the clinic's evaluation key, where the model needs one.
#[must_use]
pub fn request_body(model: &Model, key: Option<&KeyId>, elements: &[&[u8]]) -> Body {
    body(model, key, "features", elements)
}

/// Writes an inference request of one block of a cohort.
#[must_use]
pub fn cohort_body(model: &Model, block: &[u8]) -> Body {
    body(model, None, "cohort", &[block])
}

fn body(model: &Model, key: Option<&KeyId>, input: &str, elements: &[&[u8]]) -> Body {
    let size: usize = elements.iter().map(|element| 4 + element.len()).sum();
    let mut header = json!({
        "parameters": { "config_id": model.config().to_string() },
        "inputs": [{
            "name": input,
            "datatype": "BYTES",
            "shape": [elements.len()],
            "parameters": { "binary_data_size": size },
        }],
        "outputs": [{ "name": output_name(model), "parameters": { "binary_data": true } }],
    });
    if let Some(key) = key.filter(|_| model.needs_enrolment()) {
        header["parameters"]["evaluation_key"] = key.to_string().into();
    }
    let mut bytes = header.to_string().into_bytes();
    let header_length = bytes.len();
    bytes.reserve(size);
    for element in elements {
        bytes.extend_from_slice(&(element.len() as u32).to_le_bytes());
        bytes.extend_from_slice(element);
    }
    Body { bytes, header_length }
}

/// The one output tensor of a model.
#[must_use]
pub fn output_name(model: &Model) -> &'static str {
    if model.card().plan().label_policy().is_some() { "label" } else { "scores" }
}

/// An answer of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The elements of the output tensor.
    pub elements: Vec<Vec<u8>>,
    /// The gateway's own measure of the evaluation, in microseconds.
    pub evaluate_us: Option<u64>,
    /// The receipt's text, unread.
    pub receipt: Option<String>,
    /// The whole body.
    pub body: Vec<u8>,
}

#[derive(Deserialize)]
struct ResponseForm {
    #[serde(default)]
    parameters: ResponseParameters,
    outputs: Vec<OutputForm>,
}

#[derive(Deserialize, Default)]
struct ResponseParameters {
    evaluate_us: Option<u64>,
    receipt: Option<String>,
}

#[derive(Deserialize)]
struct OutputForm {
    name: String,
    datatype: String,
    shape: Vec<u64>,
    parameters: OutputParameters,
}

#[derive(Deserialize)]
struct OutputParameters {
    binary_data_size: usize,
}

/// The longest response body to a request of `batch` elements.
#[must_use]
pub fn maximum_response(batch: usize, element_bytes: usize) -> usize {
    JSON_ALLOWANCE + batch * (4 + element_bytes)
}

/// Reads a response body whose first `header_length` bytes are JSON, and whose output is called `name`.
pub fn read_response(body: &[u8], header_length: usize, name: &str) -> Result<Answer, Error> {
    let (json, binary) = body
        .split_at_checked(header_length)
        .ok_or(Error::Protocol("the JSON part is longer than the body"))?;
    let form: ResponseForm = serde_json::from_slice(json)
        .map_err(|_| Error::Protocol("the JSON part is no inference response with binary tensor data"))?;
    let [output] = form.outputs.as_slice() else {
        return Err(Error::Protocol("a response has exactly one output"));
    };
    if output.name != name || output.datatype != "BYTES" {
        return Err(Error::Protocol("the output is not the BYTES tensor of this model"));
    }
    if output.parameters.binary_data_size != binary.len() {
        return Err(Error::Protocol("binary_data_size is not the number of bytes behind the JSON part"));
    }
    let mut elements = Vec::new();
    let mut rest = binary;
    while !rest.is_empty() {
        let (element, tail) =
            split_element(rest).ok_or(Error::Protocol("an element's length prefix exceeds the tensor"))?;
        elements.push(element.to_vec());
        rest = tail;
    }
    if output.shape != [elements.len() as u64] {
        return Err(Error::Protocol("the number of elements differs from the shape of the output"));
    }
    let ResponseParameters { evaluate_us, receipt } = form.parameters;
    Ok(Answer { elements, evaluate_us, receipt, body: body.to_vec() })
}

pub(crate) fn split_element(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

/// Finds the length of the JSON part of a saved body, where no header came with it: the end of the JSON object.
pub fn find_header_length(body: &[u8]) -> Result<usize, Error> {
    let mut stream = serde_json::Deserializer::from_slice(body).into_iter::<serde::de::IgnoredAny>();
    match stream.next() {
        Some(Ok(_)) => Ok(stream.byte_offset()),
        _ => Err(Error::Protocol("the saved body does not begin with a JSON object")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(elements: &[&[u8]], shape: usize, size: usize) -> Vec<u8> {
        let header = format!(
            r#"{{"parameters":{{"evaluate_us":9}},"outputs":[{{"name":"scores","datatype":"BYTES","shape":[{shape}],"parameters":{{"binary_data_size":{size}}}}}]}}"#
        );
        let mut body = header.into_bytes();
        for element in elements {
            body.extend_from_slice(&(element.len() as u32).to_le_bytes());
            body.extend_from_slice(element);
        }
        body
    }

    #[test]
    fn responses_are_read_and_their_json_found() {
        let body = response(&[b"one", b"three"], 2, 16);
        let length = find_header_length(&body).unwrap();
        let answer = read_response(&body, length, "scores").unwrap();
        assert_eq!(answer.elements, [b"one".to_vec(), b"three".to_vec()]);
        assert_eq!((answer.evaluate_us, answer.receipt, answer.body), (Some(9), None, body));
    }

    #[test]
    fn responses_that_lie_are_refused() {
        let good = response(&[b"one"], 1, 7);
        let length = find_header_length(&good).unwrap();
        for (body, length) in [
            (good.clone(), good.len() + 1),
            (good.clone(), length - 1),
            (good[..good.len() - 1].to_vec(), length),
            (response(&[b"one"], 2, 7), length),
            (response(&[b"one"], 1, 8), length),
            (b"{}".to_vec(), 2),
            (Vec::new(), 0),
        ] {
            assert!(matches!(read_response(&body, length, "scores"), Err(Error::Protocol(_))));
        }
        assert!(find_header_length(b"").is_err());
    }
}
