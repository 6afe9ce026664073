//! The few messages and fields of `onnx.proto` that a head needs. Field numbers are those of the ONNX standard;
//! fields that do not stand here are skipped. Nothing here prints: the messages hold weights.

use prost::{Message, decode_length_delimiter};

use super::ImportError;

/// Heads have a handful of nodes and tensors. Without a limit a small file of empty messages would take many
/// times its size in memory.
const MAX_PARTS: usize = 65_536;

#[derive(Message)]
#[prost(skip_debug)]
pub(super) struct Model {
    #[prost(message, optional, tag = "7")]
    pub(super) graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    pub(super) opset_import: Vec<OperatorSet>,
    /// Only whether there are any matters.
    #[prost(bytes = "vec", optional, tag = "25")]
    pub(super) functions: Option<Vec<u8>>,
}

#[derive(Message)]
#[prost(skip_debug)]
pub(super) struct OperatorSet {
    #[prost(string, tag = "1")]
    pub(super) domain: String,
    #[prost(int64, tag = "2")]
    pub(super) version: i64,
}

#[derive(Message)]
#[prost(skip_debug)]
pub(super) struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub(super) node: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    pub(super) initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    pub(super) input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub(super) output: Vec<ValueInfo>,
}

#[derive(Message)]
#[prost(skip_debug)]
pub(super) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub(super) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(super) output: Vec<String>,
    #[prost(string, tag = "4")]
    pub(super) op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) attribute: Vec<Attribute>,
    #[prost(string, tag = "7")]
    pub(super) domain: String,
}

#[derive(Message)]
#[prost(skip_debug)]
pub(super) struct Attribute {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(float, tag = "2")]
    pub(super) f: f32,
    #[prost(int64, tag = "3")]
    pub(super) i: i64,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) s: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    pub(super) t: Option<Tensor>,
    #[prost(float, repeated, tag = "7")]
    pub(super) floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    pub(super) ints: Vec<i64>,
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub(super) strings: Vec<Vec<u8>>,
    #[prost(int32, tag = "20")]
    pub(super) r#type: i32,
    #[prost(string, tag = "21")]
    pub(super) ref_attr_name: String,
}

#[derive(Message)]
#[prost(skip_debug)]
pub(super) struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    pub(super) dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub(super) data_type: i32,
    /// Only whether the tensor is cut into segments matters.
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(super) segment: Option<Vec<u8>>,
    #[prost(float, repeated, tag = "4")]
    pub(super) float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub(super) int32_data: Vec<i32>,
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub(super) string_data: Vec<Vec<u8>>,
    #[prost(int64, repeated, tag = "7")]
    pub(super) int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    pub(super) name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub(super) raw_data: Vec<u8>,
    #[prost(double, repeated, tag = "10")]
    pub(super) double_data: Vec<f64>,
    /// Only whether there is any matters.
    #[prost(bytes = "vec", optional, tag = "13")]
    pub(super) external_data: Option<Vec<u8>>,
    #[prost(int32, tag = "14")]
    pub(super) data_location: i32,
}

#[derive(Message)]
#[prost(skip_debug)]
pub(super) struct ValueInfo {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) r#type: Option<Type>,
}

#[derive(Message)]
#[prost(skip_debug)]
pub(super) struct Type {
    #[prost(message, optional, tag = "1")]
    pub(super) tensor_type: Option<TensorType>,
}

#[derive(Message)]
#[prost(skip_debug)]
pub(super) struct TensorType {
    #[prost(int32, tag = "1")]
    pub(super) elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) shape: Option<Shape>,
}

#[derive(Message)]
#[prost(skip_debug)]
pub(super) struct Shape {
    #[prost(message, repeated, tag = "1")]
    pub(super) dim: Vec<Dimension>,
}

#[derive(Message)]
#[prost(skip_debug)]
pub(super) struct Dimension {
    /// Absent for a side that the caller chooses.
    #[prost(int64, optional, tag = "1")]
    pub(super) dim_value: Option<i64>,
}

/// Decodes a model after counting its parts.
pub(super) fn decode(bytes: &[u8]) -> Result<Model, ImportError> {
    let mut left = MAX_PARTS;
    count(bytes, Part::Model, &mut left)?;
    Model::decode(bytes).map_err(|_| ImportError::NotOnnx)
}

/// The messages above, as far as something in them is repeated.
#[derive(Clone, Copy)]
enum Part {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    /// Integers, of which each takes at least one byte here and more in memory.
    Integers,
    /// Something that counts as one, whatever it holds.
    Leaf,
}

impl Part {
    /// What a field of this message holds, if it is one that is decoded and counted.
    fn field(self, number: usize) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) => Self::Graph,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 11 | 12) => Self::ValueInfo,
            (Self::Node, 5) => Self::Attribute,
            (Self::Graph, 5) | (Self::Attribute, 5) => Self::Tensor,
            (Self::Tensor, 5 | 7) | (Self::Attribute, 8) => Self::Integers,
            (Self::ValueInfo, 2) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Model, 8)
            | (Self::Node, 1 | 2)
            | (Self::Attribute, 9)
            | (Self::Tensor, 6)
            | (Self::Shape, 1) => Self::Leaf,
            _ => return None,
        })
    }
}

/// Walks the wire format without keeping anything. The depth is that of the messages above.
fn count(mut bytes: &[u8], part: Part, left: &mut usize) -> Result<(), ImportError> {
    while !bytes.is_empty() {
        let mut varint = || decode_length_delimiter(&mut bytes).map_err(|_| ImportError::NotOnnx);
        let key = varint()?;
        let length = match key & 7 {
            0 => {
                varint()?;
                0
            }
            1 => 8,
            2 => varint()?,
            5 => 4,
            _ => return Err(ImportError::NotOnnx),
        };
        let (field, rest) = bytes.split_at_checked(length).ok_or(ImportError::NotOnnx)?;
        bytes = rest;
        if let (2, Some(part)) = (key & 7, part.field(key >> 3)) {
            let what = "nodes, tensors, names and integers in a model";
            let parts = if matches!(part, Part::Integers) { length } else { 1 };
            *left = left.checked_sub(parts).ok_or(ImportError::TooLarge { what, limit: MAX_PARTS })?;
            if !matches!(part, Part::Leaf | Part::Integers) {
                count(field, part, left)?;
            }
        }
    }
    Ok(())
}
