//! The operators that may stand in a model of linear layers and ReLUs, and their attributes. An attribute that is not
//! listed here could change what an operator does, so it is refused rather than passed over.

use super::ImportError;
use super::proto::{Attribute, Node, Tensor};

struct Signature {
    domain: Domain,
    name: &'static str,
    /// Least and most inputs.
    inputs: (usize, usize),
    outputs: usize,
    attributes: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Domain {
    Standard,
    MachineLearning,
}

const fn standard(
    name: &'static str,
    inputs: (usize, usize),
    attributes: &'static [&'static str],
) -> Signature {
    Signature { domain: Domain::Standard, name, inputs, outputs: 1, attributes }
}

const fn learning(name: &'static str, outputs: usize, attributes: &'static [&'static str]) -> Signature {
    Signature { domain: Domain::MachineLearning, name, inputs: (1, 1), outputs, attributes }
}

const SIGNATURES: &[Signature] = &[
    standard("Constant", (0, 0), &["value"]),
    standard("Identity", (1, 1), &[]),
    standard("Cast", (1, 1), &["to", "saturate", "round_mode"]),
    standard("Flatten", (1, 1), &["axis"]),
    standard("Dropout", (1, 3), &["ratio", "seed"]),
    standard("Gemm", (2, 3), &["alpha", "beta", "transA", "transB"]),
    standard("MatMul", (2, 2), &[]),
    standard("Conv", (2, 3), &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"]),
    standard("Add", (2, 2), &[]),
    standard("Sub", (2, 2), &[]),
    standard("Mul", (2, 2), &[]),
    standard("Div", (2, 2), &[]),
    standard("BatchNormalization", (5, 5), &["epsilon", "momentum", "training_mode", "spatial"]),
    standard("Relu", (1, 1), &[]),
    standard("Softmax", (1, 1), &["axis"]),
    standard("LogSoftmax", (1, 1), &["axis"]),
    standard("Sigmoid", (1, 1), &[]),
    standard("ArgMax", (1, 1), &["axis", "keepdims", "select_last_index"]),
    standard("Concat", (2, 2), &["axis"]),
    standard("Reshape", (2, 2), &["allowzero"]),
    Signature {
        domain: Domain::MachineLearning,
        name: "ArrayFeatureExtractor",
        inputs: (2, 2),
        outputs: 1,
        attributes: &[],
    },
    learning("Scaler", 1, &["offset", "scale"]),
    learning("Normalizer", 1, &["norm"]),
    learning("ZipMap", 1, &["classlabels_strings", "classlabels_int64s"]),
    learning(
        "LinearClassifier",
        2,
        &[
            "coefficients",
            "intercepts",
            "classlabels_strings",
            "classlabels_ints",
            "multi_class",
            "post_transform",
        ],
    ),
];

/// Activations that a hidden layer might have instead of Relu. They are known only for the sake of the error.
const ACTIVATIONS: &[&str] = &[
    "Celu",
    "Clip",
    "Elu",
    "Erf",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Mish",
    "PRelu",
    "Selu",
    "Softplus",
    "Softsign",
    "Swish",
    "Tanh",
    "ThresholdedRelu",
];

/// A node whose operator, inputs and attributes are known. Absent attributes have the default of the standard.
pub(super) struct Operator<'a> {
    name: &'static str,
    node: &'a Node,
}

impl<'a> Operator<'a> {
    pub(super) fn new(node: &'a Node) -> Result<Self, ImportError> {
        let signature = SIGNATURES
            .iter()
            .find(|signature| {
                signature.name == node.op_type
                    && match signature.domain {
                        Domain::Standard => is_standard(&node.domain),
                        Domain::MachineLearning => node.domain == "ai.onnx.ml",
                    }
            })
            .ok_or_else(|| unsupported(node))?;
        let operator = Self { name: signature.name, node };
        let (least, most) = signature.inputs;
        if !(least..=most).contains(&node.input.len()) {
            return Err(operator.breaks("has more or fewer inputs than the standard gives it"));
        }
        if node.output.len() > signature.outputs {
            return Err(operator.breaks("has more outputs than the standard gives it"));
        }
        for (at, attribute) in node.attribute.iter().enumerate() {
            if !signature.attributes.contains(&attribute.name.as_str()) {
                return Err(operator.breaks("has an attribute that is not supported"));
            }
            if node.attribute.iter().take(at).any(|earlier| earlier.name == attribute.name) {
                return Err(operator.breaks("has an attribute twice"));
            }
            if !attribute.ref_attr_name.is_empty() {
                return Err(operator.breaks("has an attribute that refers to a function's"));
            }
        }
        Ok(operator)
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The error that this operator breaks `rule`.
    pub(super) fn breaks(&self, rule: &'static str) -> ImportError {
        ImportError::OperatorRule { operator: self.name, rule }
    }

    /// The name of an input. An absent input has an empty name.
    pub(super) fn input(&self, at: usize) -> Option<&'a str> {
        self.node.input.get(at).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The name of an output. An unused output has an empty name.
    pub(super) fn output(&self, at: usize) -> Option<&'a str> {
        self.node.output.get(at).map(String::as_str).filter(|name| !name.is_empty())
    }

    pub(super) fn float(&self, name: &str, default: f32) -> Result<f64, ImportError> {
        Ok(f64::from(self.attribute(name, 1)?.map_or(default, |attribute| attribute.f)))
    }

    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64, ImportError> {
        Ok(self.attribute(name, 2)?.map_or(default, |attribute| attribute.i))
    }

    pub(super) fn string(&self, name: &str, default: &'static str) -> Result<&'a [u8], ImportError> {
        Ok(self.attribute(name, 3)?.map_or(default.as_bytes(), |attribute| &attribute.s))
    }

    pub(super) fn tensor(&self, name: &str) -> Result<&'a Tensor, ImportError> {
        self.attribute(name, 4)?
            .and_then(|attribute| attribute.t.as_ref())
            .ok_or_else(|| self.breaks("must hold one tensor, in the attribute value"))
    }

    pub(super) fn floats(&self, name: &str) -> Result<Vec<f64>, ImportError> {
        let floats = self.attribute(name, 6)?.map_or(&[][..], |attribute| &attribute.floats);
        Ok(floats.iter().copied().map(f64::from).collect())
    }

    pub(super) fn ints(&self, name: &str) -> Result<&'a [i64], ImportError> {
        Ok(self.attribute(name, 7)?.map_or(&[], |attribute| &attribute.ints))
    }

    pub(super) fn strings(&self, name: &str) -> Result<&'a [Vec<u8>], ImportError> {
        Ok(self.attribute(name, 8)?.map_or(&[], |attribute| &attribute.strings))
    }

    /// An attribute by name; `kind` is its type's number in `onnx.proto`.
    fn attribute(&self, name: &str, kind: i32) -> Result<Option<&'a Attribute>, ImportError> {
        match self.node.attribute.iter().find(|attribute| attribute.name == name) {
            Some(attribute) if attribute.r#type != kind => {
                Err(self.breaks("has an attribute of another type than the standard gives it"))
            }
            found => Ok(found),
        }
    }
}

/// The standard operators' domain has two spellings.
pub(super) fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

fn unsupported(node: &Node) -> ImportError {
    let operator = printable(node);
    match ACTIVATIONS.contains(&operator.as_str()) {
        true => ImportError::UnsupportedActivation { operator },
        false => ImportError::UnsupportedOperator { operator },
    }
}

/// An unknown operator's name with its domain, fit for a terminal and a log.
fn printable(node: &Node) -> String {
    let domain = if is_standard(&node.domain) { "" } else { node.domain.as_str() };
    let dot = if domain.is_empty() { "" } else { "." };
    let name = if node.op_type.is_empty() { "(without a name)" } else { node.op_type.as_str() };
    let shown = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    [domain, dot, name].iter().flat_map(|part| part.chars()).map(shown).take(64).collect()
}
