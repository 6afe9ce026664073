//! Hidden layers, and steps that scale and shift, against floats computed here.

use super::*;

/// A float tensor of the given sides and numbers.
fn floats(name: &str, dims: &[i64], values: &[f32]) -> Tensor {
    Tensor {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 1,
        float_data: values.to_vec(),
        ..Tensor::default()
    }
}

const W1: [f32; 6] = [0.5, -1.0, 2.0, 1.5, 0.25, -0.75];
const B1: [f32; 3] = [0.125, -0.5, 1.0];
const W2: [f32; 6] = [1.0, -2.0, 0.5, 3.0, -1.25, 0.75];
const B2: [f32; 2] = [0.25, -0.375];
/// Scale, bias, mean and variance of three numbers.
const NORM: [[f32; 3]; 4] = [[1.5, -0.5, 2.0], [0.25, 1.0, -1.0], [0.5, -0.25, 0.125], [0.25, 2.0, 1.5]];
const EPSILON: f32 = 0.001;
const ROWS: [[f64; 2]; 4] = [[1.0, 2.0], [-1.5, 0.25], [3.0, -2.0], [0.0, 0.0]];

/// A model from x \[batch, 2\] to y, with weights w1 \[3, 2\] and w2 \[2, 3\] as PyTorch stores them, and more constants.
fn model(nodes: Vec<Node>) -> Model {
    let [gamma, beta, mean, variance] = NORM;
    let mut initializer = vec![
        floats("w1", &[3, 2], &W1),
        floats("b1", &[3], &B1),
        floats("w2", &[2, 3], &W2),
        floats("b2", &[2], &B2),
        floats("gamma", &[3], &gamma),
        floats("beta", &[3], &beta),
        floats("mean", &[3], &mean),
        floats("variance", &[3], &variance),
        floats("pair", &[2], &[2.0, -3.0]),
        floats("row", &[1, 2], &[0.5, 0.25]),
        floats("one", &[], &[1.0]),
        floats("half", &[1], &[0.5]),
        floats("zero", &[1], &[0.0]),
        floats("column", &[2, 1], &[1.0, 2.0]),
        floats("ten", &[3, 3], &[1.0; 9]),
        floats("score", &[1, 3], &W2[..3]),
        floats("wide", &[1025, 2], &[0.5; 2050]),
    ];
    let names = |name: &str, dims: &[i64], names: &[&str]| Tensor {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 8,
        string_data: names.iter().map(|name| name.as_bytes().to_vec()).collect(),
        ..Tensor::default()
    };
    initializer.push(names("names", &[2], &["no", "yes"]));
    initializer.push(names("three", &[3], &["a", "b", "c"]));
    initializer.push(Tensor {
        name: "numbers".into(),
        dims: vec![2],
        data_type: 7,
        int64_data: vec![-5, 7],
        ..Tensor::default()
    });
    for (name, byte) in [("no", 0), ("yes", 1)] {
        initializer.push(Tensor {
            name: name.into(),
            data_type: 9,
            raw_data: vec![byte],
            ..Tensor::default()
        });
    }
    let graph = Graph {
        node: nodes,
        initializer,
        input: vec![value_info("x", &[0, 2])],
        output: vec![value_info("y", &[])],
    };
    let opset = OperatorSet { domain: String::new(), version: 17 };
    Model { graph: Some(graph), opset_import: vec![opset], functions: None }
}

fn import(nodes: Vec<Node>) -> Result<Imported, ImportError> {
    read(&model(nodes).encode_to_vec())
}

fn code(nodes: Vec<Node>) -> &'static str {
    import(nodes).unwrap_err().code()
}

fn first(input: &str, output: &str) -> Node {
    node("Gemm", &[input, "w1", "b1"], &[output]).int("transB", 1)
}

fn last(input: &str) -> Node {
    node("Gemm", &[input, "w2", "b2"], &["y"]).int("transB", 1)
}

fn norm(input: &str, output: &str) -> Node {
    let epsilon = Attribute { name: "epsilon".into(), r#type: 1, f: EPSILON, ..Attribute::default() };
    node("BatchNormalization", &[input, "gamma", "beta", "mean", "variance"], &[output]).with(epsilon)
}

/// weight * row + bias.
fn linear(weight: &[f32], bias: &[f32], row: &[f64]) -> Vec<f64> {
    weight
        .chunks_exact(row.len())
        .zip(bias)
        .map(|(weights, bias)| {
            weights.iter().zip(row).map(|(w, x)| f64::from(*w) * x).sum::<f64>() + f64::from(*bias)
        })
        .collect()
}

fn relu(row: Vec<f64>) -> Vec<f64> {
    row.into_iter().map(|value| value.max(0.0)).collect()
}

fn normalized(row: Vec<f64>) -> Vec<f64> {
    let number = |row: usize, at: usize| f64::from(NORM[row][at]);
    let one = |(at, x): (usize, f64)| {
        number(0, at) * (x - number(2, at)) / (number(3, at) + f64::from(EPSILON)).sqrt() + number(1, at)
    };
    row.into_iter().enumerate().map(one).collect()
}

fn assert_scores(nodes: Vec<Node>, expected: impl Fn(&[f64]) -> Vec<f64>) {
    let imported = import(nodes).unwrap();
    for row in ROWS {
        let (got, expected) = (imported.head.scores(&row), expected(&row));
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(&expected) {
            assert!((got - expected).abs() < 1e-12 * (1.0 + expected.abs()), "{got} is not {expected}");
        }
    }
}

#[test]
fn a_relu_makes_a_hidden_layer() {
    let nodes = || vec![first("x", "h"), node("Relu", &["h"], &["r"]), last("r")];
    assert_scores(nodes(), |x| linear(&W2, &B2, &relu(linear(&W1, &B1, x))));
    let ImportedHead::Mlp(head) = import(nodes()).unwrap().head else { panic!("not an mlp") };
    assert_eq!((head.hidden().len(), head.hidden()[0].neurons(), head.classes()), (1, 3, 2));
    assert_eq!(head.labels(), ["class 0", "class 1"]);
}

#[test]
fn a_batch_normalization_goes_where_it_stands() {
    let before = vec![first("x", "h"), norm("h", "n"), node("Relu", &["n"], &["r"]), last("r")];
    assert_scores(before, |x| linear(&W2, &B2, &relu(normalized(linear(&W1, &B1, x)))));
    let behind = vec![first("x", "h"), node("Relu", &["h"], &["r"]), norm("r", "n"), last("n")];
    assert_scores(behind, |x| linear(&W2, &B2, &normalized(relu(linear(&W1, &B1, x)))));
    // Two behind each other.
    let twice =
        vec![first("x", "h"), node("Relu", &["h"], &["r"]), norm("r", "n"), norm("n", "m"), last("m")];
    assert_scores(twice, |x| linear(&W2, &B2, &normalized(normalized(relu(linear(&W1, &B1, x))))));
    // Without a hidden layer, behind the only linear one.
    assert_scores(vec![first("x", "h"), norm("h", "y")], |x| normalized(linear(&W1, &B1, x)));
}

#[test]
fn arithmetic_in_front_and_behind_is_folded() {
    let chain = |steps: &[(&str, &str, bool)]| {
        let mut nodes = Vec::new();
        let mut input = "x".to_owned();
        for (at, (name, constant, constant_first)) in steps.iter().enumerate() {
            let output = format!("s{at}");
            let inputs = if *constant_first { [*constant, &input] } else { [&input, *constant] };
            nodes.push(node(name, &inputs, &[&output]));
            input = output;
        }
        nodes.extend([first(&input, "h"), node("Relu", &["h"], &["r"]), last("r")]);
        nodes
    };
    let mlp = |x: [f64; 2]| linear(&W2, &B2, &relu(linear(&W1, &B1, &x)));
    assert_scores(chain(&[("Sub", "pair", false), ("Div", "row", false)]), |x| {
        mlp([(x[0] - 2.0) / 0.5, (x[1] + 3.0) / 0.25])
    });
    assert_scores(chain(&[("Mul", "half", true), ("Add", "pair", true)]), |x| {
        mlp([x[0] * 0.5 + 2.0, x[1] * 0.5 - 3.0])
    });
    assert_scores(chain(&[("Sub", "one", true), ("Mul", "pair", false)]), |x| {
        mlp([2.0 * (1.0 - x[0]), -3.0 * (1.0 - x[1])])
    });
    let behind = vec![
        first("x", "h"),
        node("Relu", &["h"], &["r"]),
        node("Mul", &["gamma", "r"], &["m"]),
        node("Sub", &["m", "beta"], &["s"]),
        node("MatMul", &["s", "t"], &["p"]),
        node("Add", &["p", "half"], &["q"]),
        node("Mul", &["q", "pair"], &["y"]),
    ];
    let mut model = model(behind);
    let transposed = [W2[0], W2[3], W2[1], W2[4], W2[2], W2[5]];
    model.graph.as_mut().unwrap().initializer.push(floats("t", &[3, 2], &transposed));
    let head = read(&model.encode_to_vec()).unwrap().head;
    for row in ROWS {
        let hidden = relu(linear(&W1, &B1, &row)).into_iter().enumerate();
        let hidden: Vec<f64> =
            hidden.map(|(at, x)| f64::from(NORM[0][at]) * x - f64::from(NORM[1][at])).collect();
        let scores = linear(&W2, &[0.5; 2], &hidden);
        let expected = [2.0 * scores[0], -3.0 * scores[1]];
        for (got, expected) in head.scores(&row).iter().zip(expected) {
            assert!((got - expected).abs() < 1e-12, "{got} is not {expected}");
        }
    }
}

#[test]
fn steps_between_layers_that_change_nothing_are_passed_over() {
    let imported = import(vec![
        node("Flatten", &["x"], &["f"]),
        first("f", "h"),
        node("Cast", &["h"], &["c"]).int("to", 1),
        node("Relu", &["c"], &["r"]),
        node("Dropout", &["r", "half", "no"], &["d"]),
        node("Identity", &["d"], &["i"]),
        node("Flatten", &["i"], &["f2"]),
        last("f2"),
    ]);
    // They are not behind the last layer, so they are not named either.
    assert!(imported.unwrap().ignored.is_empty());
    let dropout = |dropout: Node| {
        let mut model = model(vec![first("x", "h"), node("Relu", &["h"], &["r"]), dropout, last("d")]);
        model.opset_import[0].version = 12;
        read(&model.encode_to_vec()).map(|imported| imported.head.labels().len())
    };
    assert_eq!(dropout(node("Dropout", &["r"], &["d"])).unwrap(), 2);
    assert_eq!(dropout(node("Dropout", &["r", "half", ""], &["d"])).unwrap(), 2);
    let refused = |node| dropout(node).unwrap_err().code();
    assert_eq!(refused(node("Dropout", &["r", "half", "yes"], &["d"])), "operator_rule");
    assert_eq!(refused(node("Dropout", &["r", "half", "one"], &["d"])), "operator_rule");
    assert_eq!(refused(node("Dropout", &["r", "half", "h"], &["d"])), "not_constant");
    assert_eq!(refused(node("Dropout", &["r"], &["d", "mask"])), "operator_rule");
}

#[test]
fn a_tail_of_scikit_learn_names_the_classes() {
    let tail = |names: &str| {
        vec![
            node("Softmax", &["s"], &["p"]),
            node("ArgMax", &["p"], &["a"]).int("axis", 1),
            learning("ArrayFeatureExtractor", &[names, "a"], &["l"]),
            node("Reshape", &["l", "half"], &["n"]),
            node("Cast", &["n"], &["y"]).int("to", 7),
        ]
    };
    let many = |names| {
        let mut layers = vec![first("x", "h"), node("Relu", &["h"], &["r"]), last("r")];
        layers[2].output[0] = "s".into();
        layers.extend(tail(names));
        layers
    };
    assert_eq!(import(many("names")).unwrap().head.labels(), ["no", "yes"]);
    assert_eq!(import(many("numbers")).unwrap().head.labels(), ["-5", "7"]);
    assert_eq!(import(many("names")).unwrap().ignored.len(), 5);
    assert_eq!(code(many("three")), "shape_mismatch");
    assert_eq!(code(many("b2")), "unsupported_dtype");
    assert_eq!(code(many("r")), "not_constant");
}

/// The graph that skl2onnx writes for two classes: one score, its Sigmoid, and both probabilities.
fn binary(change: impl FnOnce(&mut Vec<Node>)) -> Result<Imported, ImportError> {
    let mut nodes = vec![
        first("x", "h"),
        node("Relu", &["h"], &["r"]),
        node("Gemm", &["r", "score", "half"], &["s"]).int("transB", 1),
        node("Sigmoid", &["s"], &["p"]),
        node("Sub", &["one", "p"], &["q"]),
        node("Concat", &["q", "p"], &["both"]).int("axis", 1),
        node("ArgMax", &["both"], &["a"]).int("axis", 1),
        learning("ArrayFeatureExtractor", &["names", "a"], &["l"]),
        node("Reshape", &["l", "half"], &["y"]),
    ];
    change(&mut nodes);
    import(nodes)
}

#[test]
fn one_score_with_two_names_becomes_two() {
    let imported = binary(|_| ()).unwrap();
    assert_eq!(imported.head.labels(), ["no", "yes"]);
    for row in ROWS {
        let score = linear(&W2[..3], &[0.5], &relu(linear(&W1, &B1, &row)))[0];
        assert_eq!(imported.head.scores(&row), [-score, score]);
    }
    // Without names there is one class.
    let one = binary(|nodes| {
        nodes.truncate(4);
        nodes[3].output[0] = "y".into();
    });
    assert_eq!(one.unwrap().head.labels(), ["class 0"]);
    let refused = |at: usize, changed: Node| binary(|nodes| nodes[at] = changed).unwrap_err().code();
    assert_eq!(refused(4, node("Sub", &["half", "p"], &["q"])), "operator_rule");
    assert_eq!(refused(4, node("Sub", &["p", "one"], &["q"])), "operator_rule");
    assert_eq!(refused(5, node("Concat", &["p", "q"], &["both"]).int("axis", 1)), "operator_rule");
    assert_eq!(refused(5, node("Concat", &["q", "p"], &["both"]).int("axis", 0)), "operator_rule");
    assert_eq!(refused(5, node("Concat", &["q", "s"], &["both"]).int("axis", 1)), "operator_rule");
    assert_eq!(refused(7, learning("ArrayFeatureExtractor", &["three", "a"], &["l"])), "shape_mismatch");
    assert_eq!(refused(7, learning("ArrayFeatureExtractor", &["names", "p"], &["l"])), "operator_rule");
    assert_eq!(refused(8, node("Reshape", &["both", "half"], &["y"])), "operator_rule");
    // A probability of a probability is always above one half.
    let twice = |nodes: &mut Vec<Node>| {
        nodes.insert(4, node("Sigmoid", &["p"], &["p2"]));
        nodes[5].input[1] = "p2".into();
    };
    assert_eq!(binary(twice).unwrap_err().code(), "operator_rule");
}

#[test]
fn a_batch_normalization_in_training_is_refused() {
    let with = |norm: Node, opset: i64| {
        let mut model = model(vec![first("x", "h"), norm, node("Relu", &["n"], &["r"]), last("r")]);
        model.opset_import[0].version = opset;
        read(&model.encode_to_vec())
    };
    assert!(with(norm("h", "n"), 7).is_ok());
    assert!(with(norm("h", "n").int("training_mode", 0).int("spatial", 1), 17).is_ok());
    let refused = |norm, opset| with(norm, opset).unwrap_err().code();
    assert_eq!(refused(norm("h", "n"), 6), "operator_rule");
    assert_eq!(refused(norm("h", "n").int("training_mode", 1), 17), "operator_rule");
    assert_eq!(refused(norm("h", "n").int("spatial", 0), 8), "operator_rule");
    assert_eq!(refused(norm("h", "n").int("is_test", 1), 7), "operator_rule");
    let mut training = norm("h", "n");
    training.output.push("running".into());
    assert_eq!(refused(training, 17), "operator_rule");
    let with_input = |at: usize, name: &str| {
        let mut norm = norm("h", "n");
        norm.input[at] = name.into();
        refused(norm, 17)
    };
    assert_eq!(with_input(1, "h"), "not_constant");
    assert_eq!(with_input(3, "pair"), "shape_mismatch");
    assert_eq!(with_input(4, "ten"), "shape_mismatch");
    // gamma is negative as a variance.
    assert_eq!(with_input(4, "gamma"), "not_finite");
}

#[test]
fn what_is_not_a_chain_of_layers_is_refused() {
    let relu = |input: &str, output: &str| node("Relu", &[input], &[output]);
    assert_eq!(code(vec![first("x", "h"), relu("h", "r"), last("r"), relu("y", "z")]), "operator_rule");
    assert_eq!(code(vec![first("x", "h"), relu("h", "y")]), "operator_rule");
    assert_eq!(code(vec![first("x", "h"), relu("h", "r"), relu("r", "s"), last("s")]), "operator_rule");
    assert_eq!(code(vec![relu("x", "r"), first("r", "y")]), "operator_rule");
    assert_eq!(code(vec![relu("x", "r"), relu("r", "y")]), "operator_rule");
    assert_eq!(code(vec![node("Mul", &["x", "pair"], &["y"])]), "no_linear_layer");
    // A tensor that two steps use: past a layer, from the features, and as an output.
    let residual = node("Add", &["r", "h"], &["z"]);
    assert_eq!(code(vec![first("x", "h"), relu("h", "r"), residual, last("z")]), "operator_rule");
    assert_eq!(code(vec![first("x", "h"), relu("h", "r"), first("x", "y")]), "second_linear_layer");
    assert_eq!(code(vec![first("x", "h"), relu("h", "r"), relu("h", "y")]), "operator_rule");
    assert_eq!(code(vec![first("x", "y"), relu("y", "r"), last("r")]), "graph_rule");
    let sigmoid = || node("Sigmoid", &["h"], &["z"]);
    assert_eq!(code(vec![first("x", "h"), sigmoid(), last("z")]), "second_linear_layer");
    assert_eq!(code(vec![first("x", "h"), sigmoid(), relu("h", "y")]), "operator_rule");
    assert_eq!(code(vec![first("x", "h"), last("h")]), "second_linear_layer");
    for activation in ["Tanh", "Gelu", "LeakyRelu", "Clip"] {
        let error = import(vec![first("x", "h"), node(activation, &["h"], &["r"]), last("r")]).unwrap_err();
        assert_eq!(error.code(), "unsupported_activation");
        assert!(error.to_string().contains("only Relu"), "{error}");
    }
}

#[test]
fn sizes_of_layers_are_bounded_and_must_agree() {
    let relu = |input: &str, output: &str| node("Relu", &[input], &[output]);
    let hidden = |layers: usize| {
        let mut nodes = vec![first("x", "h0"), relu("h0", "r0")];
        for at in 1..layers {
            let (from, to, out) = (format!("r{}", at - 1), format!("h{at}"), format!("r{at}"));
            nodes.extend([node("MatMul", &[&from, "ten"], &[&to]), relu(&to, &out)]);
        }
        nodes.push(last(&format!("r{}", layers - 1)));
        nodes
    };
    assert_eq!(import(hidden(3)).unwrap().head.labels().len(), 2);
    assert_eq!(code(hidden(4)), "too_large");
    let wide = node("Gemm", &["x", "wide", ""], &["h"]).int("transB", 1);
    assert_eq!(code(vec![wide, relu("h", "y")]), "too_large");
    assert_eq!(code(vec![first("x", "h"), relu("h", "r"), first("r", "y")]), "shape_mismatch");
    let with = |name: &str, inputs: &[&str]| {
        let step = || node(name, inputs, &["z"]);
        [
            code(vec![first("x", "h"), step(), relu("z", "r"), last("r")]),
            code(vec![first("x", "g"), relu("g", "h"), step(), last("z")]),
        ]
    };
    assert_eq!(with("Add", &["h", "pair"]), ["shape_mismatch"; 2]);
    assert_eq!(with("Mul", &["h", "column"]), ["shape_mismatch"; 2]);
    assert_eq!(with("Div", &["h", "zero"]), ["not_finite"; 2]);
    assert_eq!(with("Div", &["one", "h"]), ["operator_rule"; 2]);
    assert_eq!(with("Add", &["one", "half"]), ["operator_rule"; 2]);
    // In front, the first layer says how many there must be.
    assert_eq!(code(vec![node("Add", &["x", "b1"], &["z"]), first("z", "y")]), "shape_mismatch");
    let mixed = vec![node("Add", &["x", "pair"], &["z"]), node("Mul", &["z", "b1"], &["v"]), first("v", "y")];
    assert_eq!(code(mixed), "shape_mismatch");
}
