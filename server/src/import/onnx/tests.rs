//! Rules of the graph, on small models built here.

use prost::Message;

use super::proto::{Attribute, Dimension, OperatorSet, Shape, Type};
use super::*;

mod convolution;
mod mlp;

/// A float tensor of the given sides that counts 1, 2, 3, ...
fn tensor(name: &str, dims: &[i64]) -> Tensor {
    let count = dims.iter().product::<i64>();
    let float_data = (1..=count).map(|value| value as f32).collect();
    Tensor { name: name.into(), dims: dims.to_vec(), data_type: 1, float_data, ..Tensor::default() }
}

fn node(op_type: &str, input: &[&str], output: &[&str]) -> Node {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Node { op_type: op_type.into(), input: names(input), output: names(output), ..Node::default() }
}

fn learning(op_type: &str, input: &[&str], output: &[&str]) -> Node {
    Node { domain: "ai.onnx.ml".into(), ..node(op_type, input, output) }
}

impl Node {
    fn with(mut self, attribute: Attribute) -> Self {
        self.attribute.push(attribute);
        self
    }

    fn int(self, name: &str, i: i64) -> Self {
        self.with(Attribute { name: name.into(), r#type: 2, i, ..Attribute::default() })
    }

    fn text(self, name: &str, text: &str) -> Self {
        self.with(Attribute { name: name.into(), r#type: 3, s: text.into(), ..Attribute::default() })
    }

    fn floats(self, name: &str, floats: &[f32]) -> Self {
        self.with(Attribute { name: name.into(), r#type: 6, floats: floats.to_vec(), ..Attribute::default() })
    }

    fn ints(self, name: &str, ints: &[i64]) -> Self {
        self.with(Attribute { name: name.into(), r#type: 7, ints: ints.to_vec(), ..Attribute::default() })
    }
}

fn value_info(name: &str, sides: &[i64]) -> ValueInfo {
    let dim = sides.iter().map(|&side| Dimension { dim_value: (side > 0).then_some(side) }).collect();
    let tensor_type = Some(TensorType { elem_type: 1, shape: Some(Shape { dim }) });
    ValueInfo { name: name.into(), r#type: Some(Type { tensor_type }) }
}

/// A graph from x \[batch, 2\] to y, with a weight w \[2, 3\], a bias b \[3\] and a row r \[1, 3\].
fn model(node: Vec<Node>) -> Model {
    let initializer = vec![tensor("w", &[2, 3]), tensor("b", &[3]), tensor("r", &[1, 3])];
    let graph = Graph {
        node,
        initializer,
        input: vec![value_info("x", &[0, 2])],
        output: vec![value_info("y", &[])],
    };
    Model { graph: Some(graph), ..Model::default() }
}

fn import(nodes: Vec<Node>) -> Result<Imported, ImportError> {
    read(&model(nodes).encode_to_vec())
}

fn code(nodes: Vec<Node>) -> &'static str {
    import(nodes).unwrap_err().code()
}

/// Changes a good model and gives the code of the error.
fn changed(change: impl FnOnce(&mut Graph)) -> &'static str {
    let mut model = model(vec![node("Gemm", &["x", "w", "b"], &["y"])]);
    change(model.graph.as_mut().unwrap());
    read(&model.encode_to_vec()).unwrap_err().code()
}

#[test]
fn a_bias_may_stand_on_either_side_and_be_a_row() {
    for inputs in [["p", "b"], ["b", "p"], ["p", "r"], ["r", "p"]] {
        let nodes = vec![node("MatMul", &["x", "w"], &["p"]), node("Add", &inputs, &["y"])];
        assert_eq!(import(nodes).unwrap().head.scores(&[1.0, 10.0]), [42.0, 54.0, 66.0]);
    }
}

#[test]
fn steps_that_keep_the_numbers_are_passed_through() {
    let constant =
        Attribute { name: "value".into(), r#type: 4, t: Some(tensor("", &[2, 3])), ..Attribute::default() };
    let imported = import(vec![
        node("Constant", &[], &["c"]).with(constant),
        node("Identity", &["c"], &["weight"]),
        node("Identity", &["x"], &["x1"]),
        node("Cast", &["x1"], &["x2"]).int("to", 11),
        node("Flatten", &["x2"], &["x3"]),
        node("Gemm", &["x3", "weight", ""], &["s"]),
        node("Cast", &["s"], &["s1"]).int("to", 1),
        node("Sigmoid", &["s1"], &["s2"]),
        node("ArgMax", &["s2"], &["a"]).int("axis", -1).int("keepdims", 0),
        node("Cast", &["a"], &["y"]).int("to", 6),
    ]);
    let imported = imported.unwrap();
    assert_eq!(imported.head.scores(&[1.0, 10.0]), [41.0, 52.0, 63.0]);
    assert_eq!(imported.ignored, ["Cast", "Sigmoid", "ArgMax", "Cast"]);
}

#[test]
fn a_scaler_is_folded_in_and_one_row_becomes_two() {
    for (offset, scale) in [(&[1.0, 2.0][..], &[2.0, 4.0][..]), (&[1.0], &[2.0]), (&[1.0, 2.0], &[2.0])] {
        let head = import(vec![
            learning("Scaler", &["x"], &["scaled"]).floats("offset", offset).floats("scale", scale),
            learning("LinearClassifier", &["scaled"], &["label", "y"])
                .floats("coefficients", &[3.0, -5.0])
                .floats("intercepts", &[7.0])
                .ints("classlabels_ints", &[-1, 1]),
        ]);
        let head = head.unwrap().head;
        let at = |values: &[f32], index: usize| f64::from(*values.get(index).unwrap_or(&values[0]));
        let scaled = |index, x| (x - at(offset, index)) * at(scale, index);
        let score = 3.0 * scaled(0, 6.0) - 5.0 * scaled(1, 8.0) + 7.0;
        assert_eq!(head.scores(&[6.0, 8.0]), [-score, score]);
        assert_eq!(head.labels(), ["-1", "1"]);
    }
    let scaler = |offset| learning("Scaler", &["x"], &["z"]).floats("offset", offset).floats("scale", &[1.0]);
    let gemm = || node("Gemm", &["z", "w", "b"], &["y"]);
    assert_eq!(code(vec![scaler(&[0.0; 3]), gemm()]), "shape_mismatch");
    assert_eq!(code(vec![scaler(&[]), gemm()]), "shape_mismatch");
    assert_eq!(code(vec![scaler(&[f32::INFINITY]), gemm()]), "not_finite");
}

#[test]
fn steps_that_change_the_order_are_refused() {
    let front = |first: Node| code(vec![first, node("Gemm", &["z", "w", "b"], &["y"])]);
    let behind = |last: Node| code(vec![node("Gemm", &["x", "w", "b"], &["z"]), last]);
    assert_eq!(front(learning("Normalizer", &["x"], &["z"]).text("norm", "L2")), "operator_rule");
    assert_eq!(front(node("Softmax", &["x"], &["z"])), "operator_rule");
    assert_eq!(front(node("Cast", &["x"], &["z"]).int("to", 7)), "operator_rule");
    assert_eq!(front(node("Flatten", &["x"], &["z"]).int("axis", 0)), "operator_rule");
    assert_eq!(front(node("Relu", &["x"], &["z"])), "operator_rule");
    assert_eq!(behind(learning("Normalizer", &["z"], &["y"])), "operator_rule");
    assert_eq!(behind(node("Softmax", &["z"], &["y"]).int("axis", 0)), "operator_rule");
    assert_eq!(behind(node("ArgMax", &["z"], &["y"])), "operator_rule");
    assert_eq!(behind(node("Cast", &["z"], &["y"]).int("to", 7)), "operator_rule");
    assert_eq!(behind(node("Softmax", &["z"], &["y"]).text("axis", "1")), "operator_rule");
    assert_eq!(behind(node("Softmax", &["z"], &["y"]).int("axis", 1).int("axis", 1)), "operator_rule");
    assert_eq!(behind(node("Softmax", &["z"], &["y"]).int("beta", 1)), "operator_rule");
    assert_eq!(behind(node("MatMul", &["z", "w"], &["y"])), "second_linear_layer");
}

#[test]
fn a_graph_that_is_not_one_chain_is_refused() {
    let matmul = |output| node("MatMul", &["x", "w"], &[output]);
    let add = |output| node("Add", &["p", "b"], &[output]);
    // The product is used with and without its bias.
    assert_eq!(code(vec![matmul("p"), add("y"), node("Softmax", &["p"], &["q"])]), "operator_rule");
    assert_eq!(code(vec![matmul("p"), node("Add", &["p", "p"], &["y"])]), "operator_rule");
    assert_eq!(code(vec![matmul("p"), node("Add", &["p", "x"], &["y"])]), "operator_rule");
    assert_eq!(code(vec![matmul("y"), matmul("q")]), "second_linear_layer");
    assert_eq!(code(vec![matmul("p")]), "graph_rule");
    assert_eq!(code(vec![add("y"), matmul("p")]), "graph_rule");
    assert_eq!(code(vec![matmul("p"), node("Identity", &["x"], &["y"])]), "graph_rule");
    assert_eq!(code(vec![node("Identity", &["x"], &["y"])]), "no_linear_layer");
    assert_eq!(code(vec![node("MatMul", &["w", "x"], &["y"])]), "operator_rule");
    assert_eq!(code(vec![node("Gemm", &["x", "x", "b"], &["y"])]), "not_constant");
    assert_eq!(code(vec![node("Gemm", &["x", "w", "x"], &["y"])]), "not_constant");
    assert_eq!(code(vec![node("Gemm", &["x", "w", "b"], &["x"])]), "graph_rule");
    assert_eq!(code(vec![node("Gemm", &["", "w", "b"], &["y"])]), "graph_rule");
    assert_eq!(code(vec![node("Gemm", &["x", "w", "b"], &["y"]).int("transA", 1)]), "operator_rule");
    assert_eq!(changed(|graph| graph.output.clear()), "graph_rule");
    assert_eq!(changed(|graph| graph.input.clear()), "graph_inputs");
    assert_eq!(changed(|graph| graph.input.push(value_info("z", &[1]))), "graph_inputs");
}

/// x \[batch, 2\] through layers of three neurons, with a square weight v \[3, 3\].
fn deep(nodes: Vec<Node>) -> Result<Imported, ImportError> {
    let mut model = model(nodes);
    let graph = model.graph.as_mut().unwrap();
    graph.initializer.push(tensor("v", &[3, 3]));
    graph.initializer.push(Tensor {
        name: "one".into(),
        data_type: 1,
        float_data: vec![1.0],
        ..Tensor::default()
    });
    model.opset_import = vec![OperatorSet { domain: String::new(), version: 17 }];
    read(&model.encode_to_vec())
}

#[test]
fn hidden_layers_and_what_stands_between_them_are_read() {
    let head = deep(vec![
        node("Sub", &["x", "one"], &["x1"]),
        node("Gemm", &["x1", "w", "b"], &["a"]),
        node("Sub", &["a", "r"], &["a1"]),
        node("Relu", &["a1"], &["a2"]),
        node("Dropout", &["a2"], &["a3"]),
        node("Mul", &["b", "a3"], &["a4"]),
        node("BatchNormalization", &["a4", "b", "b", "b", "b"], &["a5"]).int("training_mode", 0),
        node("MatMul", &["a5", "v"], &["y"]),
    ]);
    let head = head.unwrap().head;
    let ImportedHead::Mlp(mlp) = &head else { panic!("a hidden layer") };
    assert_eq!((mlp.hidden().len(), mlp.classes()), (1, 3));
    // x - 1 = [2, -1] through w = [[1, 2, 3], [4, 5, 6]]: [-2, -1, 0], and ReLU.
    for (row, hidden) in [([3.0, 0.0], [0.0, 0.0, 0.0]), ([2.0, 2.0], [5.0, 7.0, 9.0])] {
        let normalized = (1..=3).zip(hidden).map(|(i, h): (i32, f64)| {
            let b = f64::from(i);
            (b * h - b) / (b + f64::from(1e-5_f32)).sqrt() * b + b
        });
        let normalized: Vec<f64> = normalized.collect();
        for (class, score) in head.scores(&row).into_iter().enumerate() {
            let expected: f64 = (0..3).map(|i| normalized[i] * (3 * i + class + 1) as f64).sum();
            assert!((score - expected).abs() < 1e-9, "{score} is not {expected}");
        }
    }
}

#[test]
fn nets_that_are_no_chain_of_relu_layers_are_refused() {
    let first = || vec![node("Gemm", &["x", "w", "b"], &["a"])];
    let code = |nodes: Vec<Node>| deep(first().into_iter().chain(nodes).collect()).unwrap_err().code();
    let relu = |from: &str, to: &str| node("Relu", &[from], &[to]);
    let linear = |from: &str, to: &str| node("MatMul", &[from, "v"], &[to]);
    assert_eq!(code(vec![relu("a", "y")]), "operator_rule");
    assert_eq!(code(vec![linear("a", "y")]), "second_linear_layer");
    assert_eq!(code(vec![relu("a", "b1"), relu("b1", "c"), linear("c", "y")]), "operator_rule");
    assert_eq!(code(vec![node("Tanh", &["a"], &["c"]), linear("c", "y")]), "unsupported_activation");
    // A residual connection.
    assert_eq!(
        code(vec![relu("a", "c"), linear("c", "d"), node("Add", &["d", "c"], &["y"])]),
        "operator_rule"
    );
    // A layer that reads another tensor than the last.
    assert_eq!(code(vec![relu("a", "c"), linear("c", "d"), linear("c", "y")]), "second_linear_layer");
    let layers = |layers: usize| {
        let names: Vec<String> =
            (0..=2 * layers).map(|i| if i == 0 { "a".into() } else { format!("t{i}") }).collect();
        let mut nodes: Vec<Node> = Vec::new();
        for layer in 0..layers {
            nodes.push(relu(&names[2 * layer], &names[2 * layer + 1]));
            let output = if layer + 1 == layers { "y" } else { &names[2 * layer + 2] };
            nodes.push(linear(&names[2 * layer + 1], output));
        }
        nodes
    };
    assert!(deep(first().into_iter().chain(layers(3)).collect()).is_ok());
    assert_eq!(code(layers(4)), "too_large");
    let normalization = |change: fn(Node) -> Node| {
        let node = node("BatchNormalization", &["c", "b", "b", "b", "b"], &["d"]);
        code(vec![relu("a", "c"), change(node), linear("d", "y")])
    };
    assert_eq!(normalization(|node| node.int("training_mode", 1)), "operator_rule");
    assert_eq!(normalization(|node| node.int("spatial", 0)), "operator_rule");
    let wide = |graph: &mut Graph| graph.initializer[0] = tensor("w", &[2, 1025]);
    let mut model = model(vec![
        node("MatMul", &["x", "w"], &["a"]),
        node("Relu", &["a"], &["c"]),
        node("MatMul", &["c", "w"], &["y"]),
    ]);
    wide(model.graph.as_mut().unwrap());
    assert_eq!(read(&model.encode_to_vec()).unwrap_err().code(), "too_large");
}

#[test]
fn sizes_must_agree() {
    assert_eq!(changed(|graph| graph.input = vec![value_info("x", &[0, 3])]), "shape_mismatch");
    assert_eq!(changed(|graph| graph.input = vec![value_info("x", &[0, 1, 2])]), "shape_mismatch");
    let weight = |change: fn(&mut Tensor)| changed(|graph| change(&mut graph.initializer[0]));
    assert_eq!(weight(|tensor| tensor.dims = vec![6]), "shape_mismatch");
    assert_eq!(weight(|tensor| tensor.dims = vec![2, 0]), "shape_mismatch");
    assert_eq!(weight(|tensor| tensor.dims = vec![2, 4]), "shape_mismatch");
    assert_eq!(weight(|tensor| tensor.dims = vec![-2, -3]), "graph_rule");
    assert_eq!(weight(|tensor| tensor.dims = vec![1 << 40, 1 << 40]), "graph_rule");
    assert_eq!(weight(|tensor| tensor.raw_data = vec![0; 24]), "graph_rule");
    assert_eq!(weight(|tensor| tensor.segment = Some(Vec::new())), "graph_rule");
    assert_eq!(weight(|tensor| tensor.data_type = 3), "unsupported_dtype");
    assert_eq!(weight(|tensor| tensor.data_type = 11), "shape_mismatch");
    assert_eq!(weight(|tensor| tensor.data_location = 1), "external_data");
    assert_eq!(weight(|tensor| tensor.name.clear()), "graph_rule");
    assert_eq!(weight(|large| *large = tensor("w", &[1, 4097])), "too_large");
}

#[test]
fn a_classifier_needs_a_name_for_each_row() {
    let classifier = |rows: usize| {
        learning("LinearClassifier", &["x"], &["label", "y"])
            .floats("coefficients", &vec![1.0; 2 * rows])
            .floats("intercepts", &vec![0.0; rows])
    };
    assert_eq!(code(vec![classifier(2)]), "shape_mismatch");
    assert_eq!(code(vec![classifier(3).ints("classlabels_ints", &[0, 1])]), "shape_mismatch");
    assert_eq!(code(vec![classifier(2).ints("classlabels_ints", &[1, 1])]), "bad_labels");
    assert_eq!(code(vec![classifier(2).ints("classlabels_ints", &[0; 4097])]), "too_large");
    assert_eq!(code(vec![classifier(0).ints("classlabels_ints", &[1, 2])]), "operator_rule");
    let named = || classifier(2).ints("classlabels_ints", &[0, 1]);
    assert_eq!(code(vec![named().text("post_transform", "PROBIT")]), "operator_rule");
    let strings = |text: &[u8]| Attribute {
        name: "classlabels_strings".into(),
        r#type: 8,
        strings: vec![text.to_vec(), b"b".to_vec()],
        ..Attribute::default()
    };
    assert_eq!(code(vec![named().with(strings(b"a"))]), "operator_rule");
    assert_eq!(code(vec![classifier(2).with(strings(b"\xff"))]), "bad_labels");
    assert_eq!(code(vec![classifier(2).with(strings(b"a\n"))]), "bad_labels");
    assert!(import(vec![classifier(2).with(strings(b"a")), learning("ZipMap", &["y"], &["map"])]).is_ok());
}

#[test]
fn operator_sets_may_repeat_but_not_disagree() {
    let with = |sets: &[(&str, i64)]| {
        let mut model = model(vec![node("Gemm", &["x", "w", "b"], &["y"])]);
        let sets = sets.iter().map(|&(domain, version)| OperatorSet { domain: domain.into(), version });
        model.opset_import = sets.collect();
        model
    };
    assert!(
        read(&with(&[("ai.onnx.ml", 1), ("", 17), ("ai.onnx", 17), ("ai.onnx.ml", 1)]).encode_to_vec())
            .is_ok()
    );
    assert_eq!(read(&with(&[("", 17), ("ai.onnx", 18)]).encode_to_vec()).unwrap_err().code(), "graph_rule");
    let functions = Model { functions: Some(Vec::new()), ..with(&[]) };
    assert_eq!(read(&functions.encode_to_vec()).unwrap_err().code(), "graph_rule");
}

#[test]
fn unknown_names_are_made_printable() {
    let shown = |node: Node| match import(vec![node]).unwrap_err() {
        ImportError::UnsupportedOperator { operator } => operator,
        other => panic!("{other}"),
    };
    assert_eq!(shown(node("If", &[], &[])), "If");
    assert_eq!(shown(learning("LinearRegressor", &[], &[])), "ai.onnx.ml.LinearRegressor");
    assert_eq!(shown(learning("Gemm", &[], &[])), "ai.onnx.ml.Gemm");
    assert_eq!(shown(node("a\u{1b}[31m\u{202e}\n", &[], &[])), "a?[31m??");
    assert_eq!(shown(node(&"é".repeat(100), &[], &[])), "?".repeat(64));
    assert_eq!(shown(node("", &[], &[])), "(without a name)");
}

#[test]
fn a_model_of_many_small_parts_is_refused_before_it_is_decoded() {
    // Tag 7 (graph) with 2^18 empty nodes (tag 1).
    let nodes = [0x0a, 0].repeat(1 << 18);
    let mut bytes = vec![0x3a];
    prost::encode_length_delimiter(nodes.len(), &mut bytes).unwrap();
    bytes.extend(nodes);
    assert_eq!(read(&bytes).unwrap_err().code(), "too_large");
}
