//! The Open Inference Protocol, version 2, with the binary tensor data extension: an inference request becomes the
//! bytes of its elements, and encoded scores become an inference response. Counts are checked before anything is read.
#![warn(clippy::indexing_slicing)]

use serde::{Deserialize, Serialize};
use tiresias_circuits::plan::Policy;

use crate::error::ApiError;

/// The header that says how many bytes of a body are JSON.
pub(crate) const HEADER_LENGTH: &str = "inference-header-content-length";
/// The input tensor of a model: its elements are vectors.
pub(crate) const INPUT: &str = "features";
/// The other input of a model that scores cohorts: its one element is a block of patients.
pub(crate) const COHORT: &str = "cohort";
/// The one output tensor of a model, by its policy.
pub(crate) fn output(policy: &Policy) -> &'static str {
    match policy {
        Policy::Scores => "scores",
        Policy::Label(_) => "label",
    }
}
/// The largest batch that a gateway can be configured to take.
pub(crate) const LARGEST_BATCH: usize = 4096;
/// JSON beside the ciphertexts may take this much.
pub(crate) const JSON_ALLOWANCE: usize = 16 << 10;

/// What a request for one model may look like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    /// Bytes of one element.
    pub(crate) element_bytes: usize,
    /// Elements in one request.
    pub(crate) maximum_batch: usize,
    /// What a cohort may look like, where the model scores cohorts.
    pub(crate) cohort: Option<ExpectedBlock>,
}

/// What a block of a cohort may look like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExpectedBlock {
    /// Patients in one request.
    pub(crate) maximum_patients: usize,
    /// Bytes of the block with so many patients.
    pub(crate) element_bytes: usize,
}

impl Expected {
    /// The longest body: JSON, and each element in base64 with its quotes and comma (longer than in binary). A block of a
    /// cohort comes in binary.
    pub(crate) fn maximum_body(&self) -> usize {
        let vectors = self.maximum_batch * (self.element_bytes.div_ceil(3) * 4 + 3);
        JSON_ALLOWANCE + vectors.max(self.cohort.map_or(0, |block| 4 + block.element_bytes))
    }
}

/// A request with as many elements as it states.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InferRequest {
    /// Echoed in the response.
    pub(crate) id: Option<String>,
    /// The id of the evaluation key, where the model needs one.
    pub(crate) evaluation_key: Option<String>,
    /// Whether the answers go back as binary tensor data.
    pub(crate) binary_output: bool,
    /// The elements of `features`, whatever they hold, or the one of `cohort`.
    pub(crate) elements: Vec<Vec<u8>>,
    /// Whether it is a block of a cohort.
    pub(crate) is_cohort: bool,
}

#[derive(Deserialize)]
struct RequestForm {
    id: Option<String>,
    #[serde(default)]
    parameters: RequestParameters,
    inputs: Vec<TensorForm>,
    #[serde(default)]
    outputs: Vec<OutputForm>,
}

#[derive(Deserialize, Default)]
struct RequestParameters {
    config_id: Option<String>,
    evaluation_key: Option<String>,
    #[serde(default)]
    binary_data_output: bool,
}

#[derive(Deserialize)]
struct TensorForm {
    name: String,
    datatype: String,
    shape: Vec<u64>,
    #[serde(default)]
    parameters: TensorParameters,
    data: Option<Texts>,
}

#[derive(Deserialize, Default)]
struct TensorParameters {
    binary_data_size: Option<usize>,
    binary_data: Option<bool>,
}

/// Strings, no more than a batch can hold: a body of empty strings must not become a long vector.
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Texts;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a batch of strings")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut texts: A) -> Result<Texts, A::Error> {
                let mut found = Vec::new();
                while let Some(text) = texts.next_element()? {
                    if found.len() == LARGEST_BATCH {
                        return Err(serde::de::Error::custom("too many strings"));
                    }
                    found.push(text);
                }
                Ok(Texts(found))
            }
        }

        deserializer.deserialize_seq(Visitor)
    }
}

#[derive(Deserialize)]
struct OutputForm {
    name: String,
    #[serde(default)]
    parameters: TensorParameters,
}

/// A request's JSON part, read, and its binary part, which nothing has looked at yet.
pub(crate) struct Envelope<'a> {
    form: RequestForm,
    binary: Option<&'a [u8]>,
}

impl<'a> Envelope<'a> {
    /// Opens a body. `header_length` is the value of the header of that name, where there is one.
    pub(crate) fn open(body: &'a [u8], header_length: Option<&str>) -> Result<Self, ApiError> {
        const HEADER: ApiError =
            ApiError::MalformedRequest("Inference-Header-Content-Length is not the length of the JSON part");
        let (json, binary) = match header_length {
            None => (body, None),
            Some(length) => {
                let length = length.parse().map_err(|_| HEADER)?;
                let (json, binary) = body.split_at_checked(length).ok_or(HEADER)?;
                (json, Some(binary))
            }
        };
        if binary.is_some() && json.len() > JSON_ALLOWANCE {
            return Err(ApiError::MalformedRequest("the JSON part is longer than 16 KiB"));
        }
        let form: RequestForm = serde_json::from_slice(json).map_err(|_| {
            ApiError::MalformedRequest("the JSON part is not an inference request object of the protocol")
        })?;
        if form.id.as_ref().is_some_and(|id| id.len() > 128) {
            return Err(ApiError::MalformedRequest("the id is longer than 128 bytes"));
        }
        Ok(Self { form, binary })
    }

    /// The card that the client says it used.
    pub(crate) fn config_id(&self) -> Option<&str> {
        self.form.parameters.config_id.as_deref()
    }

    /// Takes the elements out of a request for a model whose output tensor is `output`, and which scores cohorts or not.
    pub(crate) fn into_request(
        self,
        maximum_batch: usize,
        scores_cohorts: bool,
        output: &str,
    ) -> Result<InferRequest, ApiError> {
        let Self { form, binary } = self;
        let [input] = form.inputs.as_slice() else {
            return Err(ApiError::WrongTensor("a request has exactly one input, `features`"));
        };
        let is_cohort = input.name == COHORT;
        if is_cohort && !scores_cohorts {
            return Err(ApiError::WrongTensor(
                "this model scores no cohorts: its owner can let it by `import --cohort`",
            ));
        }
        let elements =
            if is_cohort { read_block(input, binary)? } else { read_elements(input, binary, maximum_batch)? };
        let binary_output = match form.outputs.as_slice() {
            [] => form.parameters.binary_data_output,
            [wanted] if wanted.name == output => {
                wanted.parameters.binary_data.unwrap_or(form.parameters.binary_data_output)
            }
            _ => {
                return Err(ApiError::WrongTensor(
                    "the one output of a model is `scores` or `label`, as its policy is",
                ));
            }
        };
        Ok(InferRequest {
            id: form.id,
            evaluation_key: form.parameters.evaluation_key,
            binary_output,
            elements,
            is_cohort,
        })
    }
}

/// A response: its body and the length of its JSON part, where binary data follows.
pub(crate) struct InferResponse {
    pub(crate) body: Vec<u8>,
    pub(crate) header_length: Option<usize>,
}

/// What a response says beside its tensor.
pub(crate) struct ResponseFacts<'a> {
    pub(crate) model: &'a str,
    pub(crate) version: u32,
    /// The output tensor.
    pub(crate) output: &'static str,
    pub(crate) config_id: String,
    /// Where it was computed.
    pub(crate) device: &'a str,
    pub(crate) evaluate_us: u64,
    /// Vectors left of the tenant's budget, where there is one.
    pub(crate) budget_left: Option<u64>,
    /// The receipt's text, where answers are logged.
    pub(crate) receipt: Option<String>,
}

impl InferResponse {
    /// Writes the response to `request` from its encoded scores.
    pub(crate) fn new(
        request: &InferRequest,
        facts: &ResponseFacts<'_>,
        elements: &[Vec<u8>],
    ) -> Result<Self, serde_json::Error> {
        use base64::Engine as _;
        #[derive(Serialize)]
        struct Form<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            id: Option<&'a str>,
            model_name: &'a str,
            model_version: String,
            parameters: Parameters<'a>,
            outputs: [Output; 1],
        }
        #[derive(Serialize)]
        struct Parameters<'a> {
            config_id: &'a str,
            device: &'a str,
            evaluate_us: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            budget_left: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            receipt: Option<&'a str>,
        }
        #[derive(Serialize)]
        struct Output {
            name: &'static str,
            datatype: &'static str,
            shape: [usize; 1],
            #[serde(skip_serializing_if = "Option::is_none")]
            parameters: Option<BinarySize>,
            #[serde(skip_serializing_if = "Option::is_none")]
            data: Option<Vec<String>>,
        }
        #[derive(Serialize)]
        struct BinarySize {
            binary_data_size: usize,
        }

        let binary_size: usize = elements.iter().map(|element| 4 + element.len()).sum();
        let encode = |element: &Vec<u8>| base64::engine::general_purpose::STANDARD.encode(element);
        let form = Form {
            id: request.id.as_deref(),
            model_name: facts.model,
            model_version: facts.version.to_string(),
            parameters: Parameters {
                config_id: &facts.config_id,
                device: facts.device,
                evaluate_us: facts.evaluate_us,
                budget_left: facts.budget_left,
                receipt: facts.receipt.as_deref(),
            },
            outputs: [Output {
                name: facts.output,
                datatype: "BYTES",
                shape: [elements.len()],
                parameters: request.binary_output.then_some(BinarySize { binary_data_size: binary_size }),
                data: (!request.binary_output).then(|| elements.iter().map(encode).collect()),
            }],
        };
        let mut body = serde_json::to_vec(&form)?;
        if !request.binary_output {
            return Ok(Self { body, header_length: None });
        }
        let header_length = Some(body.len());
        body.reserve(binary_size);
        for element in elements {
            body.extend_from_slice(&(element.len() as u32).to_le_bytes());
            body.extend_from_slice(element);
        }
        Ok(Self { body, header_length })
    }
}

mod answer;
mod elements;
#[cfg(test)]
mod tests;

pub(crate) use answer::read_answer;
use elements::{read_block, read_elements};
