//! Cuts a model in two at a tensor: what makes the tensor stays with the clinic, what is made of it is the head.
//!
//! The parts are cut on the level of protobuf fields, so that nothing of the backbone is lost which this program does not
//! know. The backbone's file holds no initializer that the head alone reads: those are the owner's weights.

use std::collections::HashSet;

use prost::{Message as _, decode_length_delimiter, encode_length_delimiter};

use super::{
    ImportError,
    proto::{Node, ValueInfo},
};

const GRAPH: u64 = 7;
const TRAINING: u64 = 20;

const NODE: u64 = 1;
const INITIALIZER: u64 = 5;
const INPUT: u64 = 11;
const OUTPUT: u64 = 12;
const VALUE_INFO: u64 = 13;
const SPARSE_INITIALIZER: u64 = 15;

/// Two ONNX models: the one whose only output is the tensor, and the one whose only input it is.
pub struct Split {
    /// For the clinic.
    pub backbone: Vec<u8>,
    /// For the gateway.
    pub head: Vec<u8>,
}

/// Cuts a model at `tensor`. Errors where there is no such tensor, where nothing stands on a side of it, or where the part
/// behind it reads more of the part in front.
pub fn split(model: &[u8], tensor: &str) -> Result<Split, ImportError> {
    let (mut backbone, mut head) = (Vec::new(), Vec::new());
    for field in fields(model) {
        let field = field?;
        match field.number {
            GRAPH => {
                let (front, behind) = graph(field.payload, tensor)?;
                put(&mut backbone, GRAPH, &front);
                put(&mut head, GRAPH, &behind);
            }
            // How the model was trained, perhaps with other weights.
            TRAINING => {}
            _ => {
                backbone.extend_from_slice(field.whole);
                head.extend_from_slice(field.whole);
            }
        }
    }
    Ok(Split { backbone, head })
}

fn graph(bytes: &[u8], tensor: &str) -> Result<(Vec<u8>, Vec<u8>), ImportError> {
    let all = fields(bytes).collect::<Result<Vec<Field<'_>>, _>>()?;
    let nodes = all.iter().filter(|field| field.number == NODE);
    let nodes = nodes.map(|field| Node::decode(field.payload).map_err(|_| ImportError::NotOnnx));
    let nodes = nodes.collect::<Result<Vec<Node>, _>>()?;
    if all.iter().any(|field| field.number == SPARSE_INITIALIZER) {
        return Err(ImportError::Split("a model with sparse initializers is not cut"));
    }

    // Nodes stand in the order in which they run: from the last to the first, those that the tensor is made of.
    let mut needed = HashSet::from([tensor]);
    let mut is_front = vec![false; nodes.len()];
    for (node, is_front) in nodes.iter().zip(&mut is_front).rev() {
        if node.output.iter().any(|output| needed.contains(output.as_str())) {
            *is_front = true;
            needed.extend(node.input.iter().map(String::as_str));
        }
    }
    let side =
        |front: bool| nodes.iter().zip(&is_front).filter(move |(_, is)| **is == front).map(|(node, _)| node);
    let is_made = side(true).any(|node| node.output.iter().any(|output| output == tensor));
    if !is_made {
        return Err(ImportError::Split(
            "no step of the model gives a tensor of that name: look at the model in a viewer such as Netron",
        ));
    }
    let read_behind: HashSet<&str> = side(false).flat_map(|node| &node.input).map(String::as_str).collect();
    let read_in_front: HashSet<&str> = side(true).flat_map(|node| &node.input).map(String::as_str).collect();
    if !read_behind.contains(tensor) {
        return Err(ImportError::Split("nothing stands behind the tensor: there is no head"));
    }
    let made_in_front = side(true).flat_map(|node| &node.output).map(String::as_str);
    if made_in_front.filter(|name| *name != tensor && !name.is_empty()).any(|name| read_behind.contains(name))
    {
        return Err(ImportError::Split(
            "the part behind the tensor also reads another tensor of the part in front",
        ));
    }
    let made_behind: HashSet<&str> = side(false).flat_map(|node| &node.output).map(String::as_str).collect();

    let (mut front, mut behind) = (Vec::new(), Vec::new());
    let mut described = None;
    let mut at = 0;
    for field in &all {
        match field.number {
            NODE => {
                let side = if is_front[at] { &mut front } else { &mut behind };
                side.extend_from_slice(field.whole);
                at += 1;
            }
            INITIALIZER => {
                let name = name_of(field.payload, 8)?;
                if read_behind.contains(name) {
                    behind.extend_from_slice(field.whole);
                }
                if read_in_front.contains(name) || !read_behind.contains(name) {
                    front.extend_from_slice(field.whole);
                }
            }
            INPUT => {
                // Old models list their initializers as inputs too.
                let name = name_of(field.payload, 1)?;
                if read_in_front.contains(name) {
                    front.extend_from_slice(field.whole);
                }
            }
            OUTPUT => behind.extend_from_slice(field.whole),
            VALUE_INFO => match name_of(field.payload, 1)? {
                name if name == tensor => described = Some(field.payload),
                name if made_behind.contains(name) || read_behind.contains(name) => {}
                _ => front.extend_from_slice(field.whole),
            },
            _ => {
                front.extend_from_slice(field.whole);
                behind.extend_from_slice(field.whole);
            }
        }
    }
    put(&mut front, OUTPUT, described.unwrap_or(&floats(tensor)));
    put(&mut behind, INPUT, &floats(tensor));
    Ok((front, behind))
}

/// A `ValueInfoProto` of a tensor of floats, of any shape.
fn floats(name: &str) -> Vec<u8> {
    const FLOAT: i32 = 1;
    let tensor = super::proto::TensorType { elem_type: FLOAT, shape: None };
    let kind = super::proto::Type { tensor_type: Some(tensor) };
    ValueInfo { name: name.to_owned(), r#type: Some(kind) }.encode_to_vec()
}

/// The text of one field of a message.
fn name_of(message: &[u8], number: u64) -> Result<&str, ImportError> {
    for field in fields(message) {
        let field = field?;
        if field.number == number {
            return std::str::from_utf8(field.payload).map_err(|_| ImportError::NotOnnx);
        }
    }
    Ok("")
}

/// One field of a message: its number, its content where it has a length, and all of its bytes.
struct Field<'a> {
    number: u64,
    payload: &'a [u8],
    whole: &'a [u8],
}

/// The fields of a message in their order.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = Result<Field<'_>, ImportError>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let field = field(bytes);
        // Nothing is read behind an error.
        bytes = field.as_ref().map_or(&[], |field| &bytes[field.whole.len()..]);
        Some(field.ok_or(ImportError::NotOnnx))
    })
}

fn field(bytes: &[u8]) -> Option<Field<'_>> {
    let mut rest = bytes;
    let key = decode_length_delimiter(&mut rest).ok()? as u64;
    let start = bytes.len() - rest.len();
    let (skipped, length) = match key & 7 {
        0 => {
            decode_length_delimiter(&mut rest).ok()?;
            (bytes.len() - rest.len() - start, 0)
        }
        1 => (8, 0),
        2 => {
            let length = decode_length_delimiter(&mut rest).ok()?;
            (bytes.len() - rest.len() - start, length)
        }
        5 => (4, 0),
        _ => return None,
    };
    let from = start + skipped;
    let end = from.checked_add(length)?;
    Some(Field { number: key >> 3, payload: bytes.get(from..end)?, whole: bytes.get(..end)? })
}

/// A field with a length.
fn put(message: &mut Vec<u8>, number: u64, payload: &[u8]) {
    for varint in [(number << 3 | 2) as usize, payload.len()] {
        // A vector grows: this cannot fail.
        let _ = encode_length_delimiter(varint, message);
    }
    message.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::import::{ImportedHead, onnx::read};

    fn tiny() -> Vec<u8> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../client/backbone/tests/fixtures/tiny.onnx");
        fs::read(path).unwrap()
    }

    fn holds(bytes: &[u8], part: &[u8]) -> bool {
        bytes.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn the_backbone_holds_no_weight_of_the_head() {
        let Split { backbone, head } = split(&tiny(), "flat").unwrap();
        let ImportedHead::Linear(linear) = read(&head).unwrap().head else { unreachable!("a Gemm") };
        assert_eq!((linear.features(), linear.classes()), (4, 3));
        for name in ["weight", "bias", "scores"] {
            assert!(holds(&tiny(), name.as_bytes()) && !holds(&backbone, name.as_bytes()), "{name}");
        }
        // The first row of weights, as the score of each unit vector without the bias.
        let score = |unit: usize| {
            let row: Vec<f64> = (0..4).map(|at| f64::from(u8::from(at == unit))).collect();
            linear.scores(&row)[0]
        };
        let first: Vec<u8> =
            (0..4).flat_map(|unit| ((score(unit) - score(9)) as f32).to_le_bytes()).collect();
        assert!(holds(&tiny(), &first) && holds(&head, &first) && !holds(&backbone, &first));
        for name in ["kernel", "offset", "Conv", "GlobalAveragePool"] {
            assert!(holds(&backbone, name.as_bytes()) && !holds(&head, name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn tensors_that_do_not_divide_the_model_are_refused() {
        for tensor in ["none", "", "picture", "kernel", "scores"] {
            assert!(matches!(split(&tiny(), tensor), Err(ImportError::Split(_))), "{tensor}");
        }
        let whole = tiny();
        for length in 0..whole.len() {
            if let Ok(Split { head, .. }) = split(&whole[..length], "flat") {
                let _ = read(&head);
            }
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            if let Ok(Split { head, .. }) = split(&damaged, "flat") {
                let _ = read(&head);
            }
        }
    }
}
