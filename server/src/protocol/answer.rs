//! A response of the protocol, read back: for a replay.

use serde::Deserialize;

use super::elements::{decode_base64, split_element};

/// What a replay takes from a response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SavedAnswer {
    pub(crate) elements: Vec<Vec<u8>>,
    pub(crate) receipt: Option<String>,
}

#[derive(Deserialize)]
struct Form {
    #[serde(default)]
    parameters: Parameters,
    outputs: Vec<Output>,
}

#[derive(Deserialize, Default)]
struct Parameters {
    receipt: Option<String>,
}

#[derive(Deserialize)]
struct Output {
    data: Option<Vec<String>>,
}

/// Reads a response body whose first `json` bytes are its JSON part. Errors with the rule that it breaks.
pub(crate) fn read_answer(body: &[u8], json: usize) -> Result<SavedAnswer, &'static str> {
    let (json, mut binary) = body.split_at_checked(json).ok_or("shorter than its JSON part")?;
    let form: Form = serde_json::from_slice(json).map_err(|_| "not an inference response of the protocol")?;
    let [output] = form.outputs.as_slice() else { return Err("a response has exactly one output") };
    let mut elements = Vec::new();
    if let Some(texts) = &output.data {
        let decoded: Option<Vec<Vec<u8>>> = texts.iter().map(|text| decode_base64(text)).collect();
        elements = decoded.ok_or("`data` is not base64")?;
    }
    while !binary.is_empty() {
        let (element, rest) = split_element(binary).ok_or("an element's length prefix exceeds the tensor")?;
        elements.push(element.to_vec());
        binary = rest;
    }
    Ok(SavedAnswer { elements, receipt: form.parameters.receipt })
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "the tests cut bytes at places they know")]
mod tests {
    use super::*;

    #[test]
    fn responses_are_read_either_way_and_refused_otherwise() {
        let binary = br#"{"parameters":{"receipt":"r"},"outputs":[{"parameters":{}}]}"#.to_vec();
        let length = binary.len();
        let body = [binary.as_slice(), &[3, 0, 0, 0], b"one", &[0, 0, 0, 0]].concat();
        let read = read_answer(&body, length).unwrap();
        assert_eq!((read.elements, read.receipt), (vec![b"one".to_vec(), Vec::new()], Some("r".to_owned())));
        let plain = br#"{"outputs":[{"data":["b25l"]}]}"#;
        let read = read_answer(plain, plain.len()).unwrap();
        assert_eq!((read.elements, read.receipt), (vec![b"one".to_vec()], None));
        for (body, length) in [
            (&body[..body.len() - 1], length),
            (&body, body.len() + 1),
            (&body, length - 1),
            (br#"{"outputs":[]}"#, 14),
            (br#"{"outputs":[{"data":["?"]}]}"#, 28),
            (b"", 0),
        ] {
            assert!(read_answer(body, length).is_err());
        }
    }
}
