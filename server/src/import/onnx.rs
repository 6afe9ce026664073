//! A head from an ONNX model. The nodes are read once, in their order, while a table says what each tensor name stands
//! for: a constant, the features, the scores, or an answer made from the scores. A node that does not fit what its
//! input stands for is refused, and so is a model with an output that is not made from the scores.

use std::collections::HashMap;

use self::linear::{Linear, Scaler};
use self::operator::{Operator, is_standard};
use self::proto::{Graph, Model, Node, Tensor, TensorType, ValueInfo};
use super::{ImportError, Imported, ImportedHead, check_classes, check_size, numbered_labels};

mod linear;
mod operator;
mod proto;
mod tensor;

#[cfg(test)]
mod tests;

/// Reads an ONNX model.
pub fn read(bytes: &[u8]) -> Result<Imported, ImportError> {
    check_size(bytes)?;
    let model = proto::decode(bytes)?;
    check_versions(&model)?;
    let graph = model.graph.as_ref().ok_or(ImportError::NotOnnx)?;
    let (mut reader, input) = Reader::new(graph)?;
    for node in &graph.node {
        reader.step(node)?;
    }
    let flattened = reader.flattened;
    let Some(linear) = reader.linear.take() else {
        return Err(ImportError::NoLinearLayer);
    };
    reader.check_outputs()?;
    check_input(input, flattened, linear.features())?;
    Ok(Imported { head: ImportedHead::Linear(linear.into_head()?), ignored: reader.ignored })
}

/// Some exporters list an operator set twice; that is fine as long as both say the same.
fn check_versions(model: &Model) -> Result<(), ImportError> {
    let mut versions = HashMap::new();
    for set in &model.opset_import {
        let domain = if is_standard(&set.domain) { "" } else { set.domain.as_str() };
        if versions.insert(domain, set.version).is_some_and(|version| version != set.version) {
            return Err(ImportError::GraphRule("imports one operator set in two versions"));
        }
    }
    if model.functions.is_some() {
        // A function may give a standard operator's name another meaning.
        return Err(ImportError::GraphRule("must not define functions of its own"));
    }
    Ok(())
}

/// What a tensor name stands for.
#[derive(Clone, Copy)]
enum Value<'a> {
    Constant(&'a Tensor),
    Features {
        scaled: bool,
        flattened: bool,
    },
    /// The product of a MatMul whose bias is still to be added.
    Product,
    /// Scores, or numbers in the same order as the scores.
    Scores,
    /// A label, a position or a map, made from the scores.
    Answer,
}

struct Reader<'a> {
    graph: &'a Graph,
    values: HashMap<&'a str, Value<'a>>,
    scaler: Option<Scaler>,
    linear: Option<Linear>,
    /// Whether the linear layer's input went through a Flatten.
    flattened: bool,
    ignored: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Also gives the graph's one input.
    fn new(graph: &'a Graph) -> Result<(Self, &'a ValueInfo), ImportError> {
        let mut reader = Self {
            graph,
            values: HashMap::new(),
            scaler: None,
            linear: None,
            flattened: false,
            ignored: Vec::new(),
        };
        for tensor in &graph.initializer {
            reader.define(&tensor.name, Value::Constant(tensor))?;
        }
        // Old models list their initializers as inputs too.
        let inputs: Vec<_> =
            graph.input.iter().filter(|input| !reader.values.contains_key(input.name.as_str())).collect();
        let &[input] = inputs.as_slice() else {
            return Err(ImportError::GraphInputs { got: inputs.len() });
        };
        reader.define(&input.name, Value::Features { scaled: false, flattened: false })?;
        Ok((reader, input))
    }

    fn define(&mut self, name: &'a str, value: Value<'a>) -> Result<(), ImportError> {
        if name.is_empty() {
            // An empty name marks an absent input.
            return Err(ImportError::GraphRule("has a tensor without a name"));
        }
        match self.values.insert(name, value) {
            Some(_) => Err(ImportError::GraphRule("gives one name to two tensors")),
            None => Ok(()),
        }
    }

    fn value(&self, name: &str) -> Result<Value<'a>, ImportError> {
        let rule = "uses a tensor that no earlier node, input or initializer gives";
        self.values.get(name).copied().ok_or(ImportError::GraphRule(rule))
    }

    fn constant(
        &self,
        operator: &Operator<'a>,
        at: usize,
        what: &'static str,
    ) -> Result<&'a Tensor, ImportError> {
        match self.value(operator.input(at).unwrap_or_default())? {
            Value::Constant(tensor) => Ok(tensor),
            _ => Err(ImportError::NotConstant { operator: operator.name(), what }),
        }
    }

    /// Reads one node and says what its output stands for.
    fn step(&mut self, node: &'a Node) -> Result<(), ImportError> {
        let operator = Operator::new(node)?;
        let value = match operator.name() {
            "Constant" => Value::Constant(operator.tensor("value")?),
            "Add" => self.add(&operator)?,
            "Gemm" | "MatMul" | "LinearClassifier" => return self.linear(&operator),
            _ => match self.value(operator.input(0).unwrap_or_default())? {
                Value::Features { scaled, flattened } => self.in_front(&operator, scaled, flattened)?,
                value => self.behind(&operator, value)?,
            },
        };
        operator.output(0).map_or(Ok(()), |name| self.define(name, value))
    }

    fn in_front(
        &mut self,
        operator: &Operator<'a>,
        scaled: bool,
        flattened: bool,
    ) -> Result<Value<'a>, ImportError> {
        match operator.name() {
            "Identity" => Ok(Value::Features { scaled, flattened }),
            "Cast" => {
                check_cast(operator)?;
                Ok(Value::Features { scaled, flattened })
            }
            "Flatten" if operator.int("axis", 1)? != 1 => Err(operator.breaks("axis must be 1")),
            "Flatten" => Ok(Value::Features { scaled, flattened: true }),
            "Scaler" if self.scaler.is_some() => Err(operator.breaks("may stand in a model only once")),
            "Scaler" => {
                self.scaler = Some(Scaler::new(operator)?);
                Ok(Value::Features { scaled: true, flattened })
            }
            _ => Err(operator.breaks("must stand behind the linear layer; in front it changes the scores")),
        }
    }

    /// Steps that keep the order of the scores, or make an answer from them.
    fn behind(&mut self, operator: &Operator<'a>, value: Value<'a>) -> Result<Value<'a>, ImportError> {
        let last_axis = |default| Ok::<_, ImportError>(matches!(operator.int("axis", default)?, 1 | -1));
        let value = match (operator.name(), value) {
            ("Identity", Value::Constant(_)) => return Ok(value),
            ("Identity", _) | ("Cast", Value::Answer) => value,
            ("Cast", Value::Scores) => {
                check_cast(operator)?;
                value
            }
            ("Softmax" | "LogSoftmax", Value::Scores) if last_axis(-1)? => value,
            ("Sigmoid", Value::Scores) => value,
            ("ArgMax", Value::Scores) if last_axis(0)? => Value::Answer,
            ("Softmax" | "LogSoftmax" | "ArgMax", Value::Scores) => {
                return Err(operator.breaks("axis must be that of the classes, 1 or -1"));
            }
            // A row of negative scores divided by its maximum is in the opposite order.
            ("Normalizer", Value::Scores) if !matches!(operator.string("norm", "MAX")?, b"L1" | b"L2") => {
                return Err(operator.breaks("norm must be L1 or L2"));
            }
            ("Normalizer", Value::Scores) => value,
            ("ZipMap", Value::Scores) => Value::Answer,
            _ => return Err(operator.breaks("is not supported at this place in the model")),
        };
        self.ignored.push(operator.name().to_owned());
        Ok(value)
    }

    fn linear(&mut self, operator: &Operator<'a>) -> Result<(), ImportError> {
        let (scaled, flattened) = match self.value(operator.input(0).unwrap_or_default())? {
            Value::Features { scaled, flattened } if self.linear.is_none() => (scaled, flattened),
            Value::Constant(_) => return Err(operator.breaks("the features must be its first input")),
            _ => return Err(ImportError::SecondLinearLayer { operator: operator.name() }),
        };
        let scores = operator.output(if operator.name() == "LinearClassifier" { 1 } else { 0 });
        let mut value = Value::Scores;
        let mut linear = match operator.name() {
            "Gemm" => {
                let weight = self.constant(operator, 1, "weight")?;
                let bias = operator.input(2).map(|_| self.constant(operator, 2, "bias")).transpose()?;
                Linear::gemm(operator, weight, bias)?
            }
            "MatMul" => {
                if scores.is_some_and(|scores| self.only_added(scores)) {
                    value = Value::Product;
                }
                Linear::matmul(self.constant(operator, 1, "weight")?)?
            }
            _ => {
                match operator.string("post_transform", "NONE")? {
                    b"NONE" => {}
                    b"SOFTMAX" => self.ignored.push("post_transform SOFTMAX".to_owned()),
                    b"LOGISTIC" => self.ignored.push("post_transform LOGISTIC".to_owned()),
                    _ => return Err(operator.breaks("post_transform must be NONE, SOFTMAX or LOGISTIC")),
                }
                if let Some(label) = operator.output(0) {
                    self.define(label, Value::Answer)?;
                }
                Linear::classifier(operator)?
            }
        };
        if let Some(scaler) = self.scaler.as_ref().filter(|_| scaled) {
            linear.fold(scaler)?;
        }
        (self.linear, self.flattened) = (Some(linear), flattened);
        scores.map_or(Ok(()), |name| self.define(name, value))
    }

    /// Whether a tensor goes nowhere but into one Add, so that the sum takes its place.
    fn only_added(&self, name: &str) -> bool {
        let nodes = &self.graph.node;
        let inputs = nodes.iter().flat_map(|node| &node.input);
        let uses =
            inputs.chain(self.graph.output.iter().map(|output| &output.name)).filter(|used| *used == name);
        let mut adds = nodes.iter().filter(|node| node.op_type == "Add");
        uses.count() == 1 && adds.any(|node| node.input.iter().any(|input| input == name))
    }

    fn add(&mut self, operator: &Operator<'a>) -> Result<Value<'a>, ImportError> {
        let value = |at| self.value(operator.input(at).unwrap_or_default());
        let at = match (value(0)?, value(1)?) {
            (Value::Product, _) => 1,
            (_, Value::Product) => 0,
            _ => return Err(operator.breaks("must add a bias to a MatMul that nothing else uses")),
        };
        let bias = self.constant(operator, at, "bias")?;
        self.linear.as_mut().ok_or(ImportError::NoLinearLayer)?.add(bias)?;
        Ok(Value::Scores)
    }

    fn check_outputs(&self) -> Result<(), ImportError> {
        if self.graph.output.is_empty() {
            return Err(ImportError::GraphRule("has no output"));
        }
        for output in &self.graph.output {
            if !matches!(self.value(&output.name)?, Value::Scores | Value::Answer) {
                return Err(ImportError::GraphRule("has an output that is not made from the scores"));
            }
        }
        Ok(())
    }
}

/// A cast to integers would round.
fn check_cast(operator: &Operator<'_>) -> Result<(), ImportError> {
    match operator.int("to", 0)? {
        1 | 10 | 11 | 16 => Ok(()),
        _ => Err(operator.breaks("features and scores may only be cast to a float type")),
    }
}

/// The input must be rows of as many numbers as the layer has features, as far as the model says.
fn check_input(input: &ValueInfo, flattened: bool, features: usize) -> Result<(), ImportError> {
    let tensor: &TensorType = input
        .r#type
        .as_ref()
        .and_then(|kind| kind.tensor_type.as_ref())
        .ok_or(ImportError::GraphRule("must have a tensor as its input"))?;
    if !matches!(tensor.elem_type, 1 | 6 | 7 | 10 | 11 | 16) {
        return Err(ImportError::UnsupportedDtype {
            dtype: tensor::dtype_name(tensor.elem_type),
            supported: "the input must be a float type, INT32 or INT64",
        });
    }
    let Some(shape) = &tensor.shape else {
        return Ok(());
    };
    if shape.dim.len() != 2 && !flattened {
        let got = shape.dim.len();
        return Err(ImportError::ShapeMismatch { what: "dimensions of the input", got, expected: 2 });
    }
    // A side below 1 stands for one that the caller chooses.
    let side = |side: Option<i64>| usize::try_from(side?).ok().filter(|side| *side > 0);
    let columns =
        shape.dim.iter().skip(1).try_fold(1_usize, |columns, dim| columns.checked_mul(side(dim.dim_value)?));
    match columns {
        Some(got) if got != features => {
            Err(ImportError::ShapeMismatch { what: "features of the input", got, expected: features })
        }
        _ => Ok(()),
    }
}
