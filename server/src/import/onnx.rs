//! A head from an ONNX model. The nodes are read once, in their order, while a table says what each tensor name stands
//! for: a constant, a tensor of the chain of layers that the features go through, or something made from the scores at
//! its end. A node that does not fit what its input stands for is refused, and so is a model with an output that is not
//! made from the scores.

use std::collections::HashMap;

use self::affine::Affine;
use self::chain::Chain;
use self::linear::Linear;
use self::operator::{Operator, is_standard};
use self::proto::{Graph, Model, Node, Tensor, TensorType, ValueInfo};
use super::{ImportError, Imported, ImportedHead, check_classes, check_size, numbered_labels};

mod affine;
mod answer;
mod chain;
mod linear;
mod operator;
mod proto;
pub mod split;
mod tensor;

#[cfg(test)]
mod tests;

/// Reads an ONNX model.
pub fn read(bytes: &[u8]) -> Result<Imported, ImportError> {
    check_size(bytes)?;
    let model = proto::decode(bytes)?;
    let opset = check_versions(&model)?;
    let graph = model.graph.as_ref().ok_or(ImportError::NotOnnx)?;
    let (mut reader, input) = Reader::new(graph, opset)?;
    for node in &graph.node {
        reader.step(node)?;
    }
    let features = reader.chain.features().ok_or(ImportError::NoLinearLayer)?;
    let (flattened, pointwise) = (reader.chain.flattened(), reader.chain.pointwise());
    let outputs = reader.check_outputs(graph);
    let head = reader.chain.into_head()?;
    outputs?;
    check_input(input, (flattened, pointwise), features)?;
    Ok(Imported { head, ignored: reader.ignored })
}

/// Gives the version of the standard operators, 0 if the model does not say. Some exporters list an operator set twice;
/// that is fine as long as both say the same.
fn check_versions(model: &Model) -> Result<i64, ImportError> {
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
    Ok(versions.get("").copied().unwrap_or_default())
}

/// What a tensor name stands for.
#[derive(Clone, Copy)]
enum Value<'a> {
    Constant(&'a Tensor),
    /// What the features are after so many steps of the chain.
    Chain(usize),
    /// Numbers in the same order as the scores.
    Scores,
    /// A Sigmoid of each score.
    Probabilities,
    /// 1 - the one probability.
    Complement,
    /// The one probability behind its complement.
    Pair,
    /// The position of the highest score, or of the higher of a pair.
    Position {
        of_pair: bool,
    },
    /// A label, a position or a map, made from the scores.
    Answer,
}

struct Reader<'a> {
    values: HashMap<&'a str, Value<'a>>,
    opset: i64,
    chain: Chain,
    /// Names of steps behind the chain's end, as far as it has been read.
    ignored: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Also gives the graph's one input.
    fn new(graph: &'a Graph, opset: i64) -> Result<(Self, &'a ValueInfo), ImportError> {
        let (values, chain) = (HashMap::new(), Chain::default());
        let mut reader = Self { values, opset, chain, ignored: Vec::new() };
        for tensor in &graph.initializer {
            reader.define(&tensor.name, Value::Constant(tensor))?;
        }
        // Old models list their initializers as inputs too.
        let inputs: Vec<_> =
            graph.input.iter().filter(|input| !reader.values.contains_key(input.name.as_str())).collect();
        let &[input] = inputs.as_slice() else {
            return Err(ImportError::GraphInputs { got: inputs.len() });
        };
        reader.define(&input.name, Value::Chain(reader.chain.end()))?;
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

    /// What the input of an operator stands for.
    fn input(&self, operator: &Operator<'a>, at: usize) -> Result<Value<'a>, ImportError> {
        self.value(operator.input(at).unwrap_or_default())
    }

    /// Reads one node and says what its output stands for.
    fn step(&mut self, node: &'a Node) -> Result<(), ImportError> {
        let operator = Operator::new(node)?;
        let value = match operator.name() {
            "Constant" => Value::Constant(operator.tensor("value")?),
            "Gemm" | "MatMul" | "Conv" | "LinearClassifier" => return self.linear(&operator),
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(&operator)?,
            "Concat" => self.pair(&operator)?,
            "ArrayFeatureExtractor" => self.pick(&operator)?,
            name => match self.input(&operator, 0)? {
                value @ Value::Constant(_) if name == "Identity" => value,
                Value::Chain(step) => self.layer(&operator, step)?,
                value => self.behind(&operator, value)?,
            },
        };
        operator.output(0).map_or(Ok(()), |name| self.define(name, value))
    }

    /// A step that stands among the layers, or the first behind the last of them.
    fn layer(&mut self, operator: &Operator<'a>, step: usize) -> Result<Value<'a>, ImportError> {
        match operator.name() {
            "Identity" | "Cast" | "Dropout" => {
                self.check_unchanged(operator)?;
                if self.chain.has_scores() {
                    self.ignored.push(operator.name().to_owned());
                }
                return Ok(Value::Chain(step));
            }
            "Flatten" | "Scaler" | "BatchNormalization" | "Relu" => {}
            _ => {
                self.close(operator, step)?;
                let value = self.behind(operator, Value::Scores)?;
                return Ok(if operator.name() == "Sigmoid" { Value::Probabilities } else { value });
            }
        }
        self.check_end(operator, step)?;
        match operator.name() {
            "Flatten" => self.chain.flatten(operator)?,
            "Relu" => self.chain.relu(operator)?,
            "Scaler" => self.chain.affine(operator, &Affine::scaler(operator)?)?,
            _ => {
                let [gamma, beta, mean, variance] = [(1, "scale"), (2, "bias"), (3, "mean"), (4, "variance")]
                    .map(|(at, what)| self.constant(operator, at, what));
                let affine =
                    Affine::batch_normalization(operator, self.opset, [gamma?, beta?, mean?, variance?])?;
                self.chain.affine(operator, &affine)?;
            }
        }
        Ok(self.grown())
    }

    /// The tensor at the chain's new end. What was passed over in front of it is not behind the layers.
    fn grown(&mut self) -> Value<'a> {
        self.ignored.clear();
        Value::Chain(self.chain.end())
    }

    /// A layer reads what the one before it made, and nothing else does.
    fn check_end(&self, operator: &Operator<'a>, step: usize) -> Result<(), ImportError> {
        if step != self.chain.end() {
            return Err(
                operator.breaks("its input goes into another step too; only a chain of layers is read")
            );
        }
        Ok(())
    }

    /// A step that keeps the numbers as they are.
    fn check_unchanged(&self, operator: &Operator<'a>) -> Result<(), ImportError> {
        match operator.name() {
            "Cast" => check_cast(operator),
            "Dropout" if self.opset < 7 => {
                Err(operator.breaks("is read from operator set 7 on, where inference is the default"))
            }
            "Dropout" if operator.output(1).is_some() => Err(operator.breaks("must not give its mask")),
            "Dropout" if operator.input(2).is_some() => {
                match tensor::is_false(self.constant(operator, 2, "training_mode")?) {
                    true => Ok(()),
                    false => {
                        Err(operator.breaks("training_mode must be false: export the model for inference"))
                    }
                }
            }
            _ => Ok(()),
        }
    }

    fn linear(&mut self, operator: &Operator<'a>) -> Result<(), ImportError> {
        match self.input(operator, 0)? {
            Value::Chain(step) if step == self.chain.end() => {}
            Value::Constant(_) => return Err(operator.breaks("the features must be its first input")),
            _ => return Err(ImportError::SecondLinearLayer { operator: operator.name() }),
        }
        if operator.name() == "LinearClassifier" {
            return self.classifier(operator);
        }
        let weight = self.constant(operator, 1, "weight")?;
        let bias = operator.input(2).map(|_| self.constant(operator, 2, "bias")).transpose()?;
        match operator.name() {
            "Gemm" => self.chain.linear(operator, Linear::gemm(operator, weight, bias)?)?,
            "MatMul" => self.chain.linear(operator, Linear::matmul(weight)?)?,
            _ => self.chain.convolution(operator, Linear::pointwise(operator, weight, bias)?)?,
        }
        let end = self.grown();
        let value = if self.chain.pointwise() { Value::Scores } else { end };
        operator.output(0).map_or(Ok(()), |name| self.define(name, value))
    }

    /// A linear layer that gives labels, and scores behind a step of its own.
    fn classifier(&mut self, operator: &Operator<'a>) -> Result<(), ImportError> {
        let transform = match operator.string("post_transform", "NONE")? {
            b"NONE" => None,
            b"SOFTMAX" => Some("post_transform SOFTMAX"),
            b"LOGISTIC" => Some("post_transform LOGISTIC"),
            _ => return Err(operator.breaks("post_transform must be NONE, SOFTMAX or LOGISTIC")),
        };
        self.chain.linear(operator, Linear::classifier(operator)?)?;
        self.grown();
        self.chain.close();
        self.ignored.extend(transform.map(str::to_owned));
        for (at, value) in [(0, Value::Answer), (1, Value::Scores)] {
            operator.output(at).map_or(Ok(()), |name| self.define(name, value))?;
        }
        Ok(())
    }

    /// Add, Sub, Mul or Div: with a constant, a step that scales or shifts.
    fn arithmetic(&mut self, operator: &Operator<'a>) -> Result<Value<'a>, ImportError> {
        let (constant, step, constant_first) = match (self.input(operator, 0)?, self.input(operator, 1)?) {
            (Value::Constant(constant), Value::Chain(step)) => (constant, step, true),
            (Value::Chain(step), Value::Constant(constant)) => (constant, step, false),
            (Value::Chain(_), Value::Chain(_)) => {
                return Err(operator.breaks("joins two computed tensors; only a chain of layers is read"));
            }
            (Value::Constant(one), Value::Probabilities) => return self.complement(operator, one),
            _ => return Err(operator.breaks("is not supported at this place in the model")),
        };
        self.check_end(operator, step)?;
        let affine = Affine::arithmetic(operator, constant, constant_first)?;
        self.chain.affine(operator, &affine)?;
        Ok(self.grown())
    }

    fn check_outputs(&self, graph: &Graph) -> Result<(), ImportError> {
        if graph.output.is_empty() {
            return Err(ImportError::GraphRule("has no output"));
        }
        for output in &graph.output {
            let made_from_scores = match self.value(&output.name)? {
                Value::Chain(step) => step == self.chain.end(),
                Value::Constant(_) | Value::Complement => false,
                Value::Scores
                | Value::Probabilities
                | Value::Pair
                | Value::Position { .. }
                | Value::Answer => true,
            };
            if !made_from_scores {
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
fn check_input(
    input: &ValueInfo,
    (flattened, pointwise): (bool, bool),
    features: usize,
) -> Result<(), ImportError> {
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
    let expected = if pointwise { 4 } else { 2 };
    if shape.dim.len() != expected && !flattened {
        let got = shape.dim.len();
        return Err(ImportError::ShapeMismatch { what: "dimensions of the input", got, expected });
    }
    // A side below 1 stands for one that the caller chooses.
    let side = |side: Option<i64>| usize::try_from(side?).ok().filter(|side| *side > 0);
    // Of a map, its channels.
    let mut dims = shape.dim.iter().skip(1).take(if pointwise { 1 } else { usize::MAX });
    let columns = dims.try_fold(1_usize, |columns, dim| columns.checked_mul(side(dim.dim_value)?));
    match columns {
        Some(got) if got != features => {
            Err(ImportError::ShapeMismatch { what: "features of the input", got, expected: features })
        }
        _ => Ok(()),
    }
}
