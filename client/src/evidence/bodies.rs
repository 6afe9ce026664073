//! What saved HTTP bodies commit to: those of this client, and those of any other that speaks the Open Inference Protocol,
//! with its tensor in binary or as base64.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use tiresias_evidence::{Hash, commitment};

use super::Fault;
use crate::oip;

/// Bodies may be this large.
pub const MAXIMUM_BODY: u64 = 1 << 30;

/// Which tensor of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tensor {
    /// That of a request.
    Input,
    /// That of a response.
    Output,
}

#[derive(Deserialize)]
struct Form {
    #[serde(default)]
    inputs: Vec<TensorForm>,
    #[serde(default)]
    outputs: Vec<TensorForm>,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Deserialize)]
struct TensorForm {
    data: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
struct Parameters {
    receipt: Option<String>,
}

/// A saved body, as far as a receipt speaks of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Saved {
    /// What a leaf commits to.
    pub hash: Hash,
    /// The receipt in a response.
    pub receipt: Option<String>,
}

impl Saved {
    /// Reads a body: its JSON object, and the elements behind it or in it.
    pub fn read(body: &[u8], tensor: Tensor) -> Result<Self, Fault> {
        let malformed = Fault::Body(match tensor {
            Tensor::Input => "the request is no inference request of the protocol with encrypted elements",
            Tensor::Output => "the response is no inference response of the protocol with encrypted elements",
        });
        let length = oip::find_header_length(body).map_err(|_| malformed.clone())?;
        let (json, mut binary) = body.split_at_checked(length).ok_or(malformed.clone())?;
        let form: Form = serde_json::from_slice(json).map_err(|_| malformed.clone())?;
        let tensors = if tensor == Tensor::Input { form.inputs } else { form.outputs };
        let [TensorForm { data }] = tensors.as_slice() else { return Err(malformed) };
        let mut elements = Vec::new();
        for text in data.iter().flatten() {
            elements.push(STANDARD.decode(text).map_err(|_| malformed.clone())?);
        }
        while !binary.is_empty() {
            let (element, rest) = oip::split_element(binary).ok_or(malformed.clone())?;
            elements.push(element.to_vec());
            binary = rest;
        }
        let digests: Option<Vec<Hash>> = elements.iter().map(|element| commitment::digest(element)).collect();
        let digests = digests.filter(|digests| !digests.is_empty()).ok_or(malformed)?;
        Ok(Self { hash: commitment::elements(&digests), receipt: form.parameters.receipt })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use tiresias_keys::Digest;

    use super::*;

    fn frame(content: &[u8]) -> Vec<u8> {
        [content, Digest::of(content).as_bytes(), &[1]].concat()
    }

    fn binary(form: &serde_json::Value, elements: &[Vec<u8>]) -> Vec<u8> {
        let mut body = form.to_string().into_bytes();
        for element in elements {
            body.extend_from_slice(&(element.len() as u32).to_le_bytes());
            body.extend_from_slice(element);
        }
        body
    }

    #[test]
    fn both_forms_of_a_body_commit_to_the_same() {
        let elements = [frame(b"one"), frame(b"three")];
        let expected = commitment::elements(
            &elements.iter().map(|element| commitment::digest(element).unwrap()).collect::<Vec<_>>(),
        );
        let texts: Vec<String> = elements.iter().map(|element| STANDARD.encode(element)).collect();
        for (name, tensor) in [("inputs", Tensor::Input), ("outputs", Tensor::Output)] {
            let form = json!({ name: [{"name": "x"}], "parameters": {"receipt": "r"} });
            let saved = Saved::read(&binary(&form, &elements), tensor).unwrap();
            assert_eq!(saved, Saved { hash: expected, receipt: Some("r".into()) });
            let plain = json!({ name: [{"data": texts}] }).to_string();
            assert_eq!(Saved::read(plain.as_bytes(), tensor).unwrap().hash, expected);
        }
    }

    #[test]
    fn bodies_without_whole_elements_are_refused() {
        let form = json!({"outputs": [{}]});
        let good = binary(&form, &[frame(b"one")]);
        assert!(Saved::read(&good, Tensor::Output).is_ok());
        let mut flipped = good.clone();
        flipped[form.to_string().len() + 5] ^= 1;
        for bad in [
            &good[..good.len() - 1],
            &flipped,
            b"",
            b"{}",
            form.to_string().as_bytes(),
            br#"{"outputs":[{"data":["?"]}]}"#,
            br#"{"outputs":[{"data":[""]}]}"#,
            br#"{"outputs":[{},{}]}"#,
        ] {
            assert_eq!(Saved::read(bad, Tensor::Output).unwrap_err().code(), "malformed_body");
        }
        assert!(Saved::read(&good, Tensor::Input).is_err());
    }

    proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200), tail in any::<Vec<u8>>()) {
            let _ = Saved::read(&body, Tensor::Output);
            let form = [br#"{"outputs":[{}]}"#.as_slice(), &tail].concat();
            let _ = Saved::read(&form, Tensor::Output);
        }
    }
}
