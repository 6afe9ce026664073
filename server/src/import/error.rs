//! Why a file was refused. Messages name the operator or the rule and never quote a weight.

/// What keeps a file from being a head. [`ImportError::code`] is stable; the messages may change.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file's name says neither format.
    #[error("a model file's name must end in .onnx or .safetensors")]
    UnknownFormat,
    /// The file is larger, or has more parts, than any head needs.
    #[error("the file is too large: at most {limit} {what} are read")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// The bytes are not an ONNX model.
    #[error("not a readable ONNX model")]
    NotOnnx,
    /// The model cannot be cut in two there.
    #[error("--split-at: {0}")]
    Split(&'static str),
    /// The ONNX graph as a whole breaks a rule.
    #[error("the ONNX model {0}")]
    GraphRule(&'static str),
    /// The graph wants more or less than one input from its caller.
    #[error("the ONNX graph must have exactly one input without an initializer, it has {got}")]
    GraphInputs {
        /// Inputs found.
        got: usize,
    },
    /// An operator that a head does not need.
    #[error(
        "the operator {operator} is not supported: only linear layers with ReLU between them can be imported"
    )]
    UnsupportedOperator {
        /// The operator's name, printable and at most 64 characters.
        operator: String,
    },
    /// Another activation than ReLU.
    #[error("the activation {operator} is not supported: only Relu can be imported")]
    UnsupportedActivation {
        /// The operator's name.
        operator: String,
    },
    /// A known operator in a form or at a place that is not supported.
    #[error("{operator}: {rule}")]
    OperatorRule {
        /// The operator's name.
        operator: &'static str,
        /// The rule it broke.
        rule: &'static str,
    },
    /// A weight or bias that is computed or comes from the caller.
    #[error("{operator}: the {what} must be stored in the file")]
    NotConstant {
        /// The operator's name.
        operator: &'static str,
        /// Weight or bias.
        what: &'static str,
    },
    /// A linear layer that is not the first and has no ReLU in front.
    #[error("{operator}: a second linear layer must stand behind a ReLU of the layer before it")]
    SecondLinearLayer {
        /// The second layer's operator.
        operator: &'static str,
    },
    /// No linear layer at all.
    #[error("the model has no linear layer (Gemm, MatMul or LinearClassifier)")]
    NoLinearLayer,
    /// Numbers in a form that is not read.
    #[error("numbers of type {dtype} are not supported here: {supported}")]
    UnsupportedDtype {
        /// The type found.
        dtype: &'static str,
        /// The types that are read.
        supported: &'static str,
    },
    /// Numbers that are in another file.
    #[error("a tensor is stored in another file: save the model as one file")]
    ExternalData,
    /// Two sizes that must agree do not.
    #[error("{what}: got {got}, expected {expected}")]
    ShapeMismatch {
        /// What was counted.
        what: &'static str,
        /// The number found.
        got: usize,
        /// The number wanted.
        expected: usize,
    },
    /// Class names that cannot be shown.
    #[error("the class names: {0}")]
    BadLabels(&'static str),
    /// The bytes are not a safetensors file.
    #[error("not a readable safetensors file")]
    NotSafetensors,
    /// No tensor that can be the weight.
    #[error("no tensor is named weight or <prefix>.weight")]
    MissingTensor,
    /// Tensors beside one weight and its bias.
    #[error("{0}")]
    UnexpectedTensor(&'static str),
    /// The numbers were read but are no head: one is not finite, or the class names are not usable.
    #[error(transparent)]
    Head(#[from] tiresias_circuits::Error),
}

impl ImportError {
    /// A short name of the broken rule, for programs to compare.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownFormat => "unknown_format",
            Self::TooLarge { .. } => "too_large",
            Self::NotOnnx => "not_onnx",
            Self::Split(_) => "split",
            Self::GraphRule(_) => "graph_rule",
            Self::GraphInputs { .. } => "graph_inputs",
            Self::UnsupportedOperator { .. } => "unsupported_operator",
            Self::UnsupportedActivation { .. } => "unsupported_activation",
            Self::OperatorRule { .. } => "operator_rule",
            Self::NotConstant { .. } => "not_constant",
            Self::SecondLinearLayer { .. } => "second_linear_layer",
            Self::NoLinearLayer => "no_linear_layer",
            Self::UnsupportedDtype { .. } => "unsupported_dtype",
            Self::ExternalData => "external_data",
            Self::ShapeMismatch { .. } => "shape_mismatch",
            Self::BadLabels(_) => "bad_labels",
            Self::NotSafetensors => "not_safetensors",
            Self::MissingTensor => "missing_tensor",
            Self::UnexpectedTensor(_) => "unexpected_tensor",
            Self::Head(tiresias_circuits::Error::NotFinite { .. }) => "not_finite",
            Self::Head(tiresias_circuits::Error::Shape { .. }) => "shape_mismatch",
            // Behind the checks of this module, only the rules for labels are left.
            Self::Head(_) => "bad_labels",
        }
    }
}
