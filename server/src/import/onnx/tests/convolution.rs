//! Dense heads: a 1 x 1 convolution over a map.

use super::*;

/// A convolution of two channels into three classes.
fn dense(nodes: Vec<Node>, sides: &[i64]) -> Model {
    let mut model = model(nodes);
    let graph = model.graph.as_mut().unwrap();
    graph.input = vec![value_info("x", sides)];
    graph.initializer.push(tensor("k", &[3, 2, 1, 1]));
    graph.initializer.push(tensor("wide", &[3, 2, 3, 3]));
    model
}

fn refused(nodes: Vec<Node>, sides: &[i64]) -> &'static str {
    read(&dense(nodes, sides).encode_to_vec()).unwrap_err().code()
}

const MAP: [i64; 4] = [0, 2, 64, 64];

#[test]
fn a_convolution_of_one_point_is_a_head_for_each_location() {
    for sides in [&MAP[..], &[1, 2, 0, 0], &[0, 0, 0, 0]] {
        let nodes = vec![
            node("Conv", &["x", "k", "b"], &["s"])
                .ints("kernel_shape", &[1, 1])
                .ints("pads", &[0; 4])
                .int("group", 1),
            node("Softmax", &["s"], &["y"]).int("axis", 1),
        ];
        let imported = read(&dense(nodes, sides).encode_to_vec()).unwrap();
        // Rows 1 2, 3 4 and 5 6, and biases 1, 2 and 3.
        assert_eq!(imported.head.scores(&[1.0, 10.0]), [22.0, 45.0, 68.0]);
        assert_eq!(imported.ignored, ["Softmax"]);
    }
}

#[test]
fn what_would_mix_or_drop_locations_is_refused() {
    let conv = |weight| node("Conv", &["x", weight, "b"], &["y"]);
    assert_eq!(refused(vec![conv("wide")], &MAP), "shape_mismatch");
    assert_eq!(refused(vec![conv("w")], &MAP), "shape_mismatch");
    for (name, sides) in
        [("kernel_shape", &[3, 3][..]), ("strides", &[2, 2]), ("dilations", &[1, 2]), ("pads", &[0, 0, 0, 1])]
    {
        assert_eq!(refused(vec![conv("k").ints(name, sides)], &MAP), "operator_rule", "{name}");
    }
    assert_eq!(refused(vec![conv("k").int("group", 2)], &MAP), "operator_rule");
    // Maps of another depth, and what is no map.
    assert_eq!(refused(vec![conv("k")], &[0, 3, 64, 64]), "shape_mismatch");
    assert_eq!(refused(vec![conv("k")], &[0, 2]), "shape_mismatch");
}

#[test]
fn a_convolution_is_the_only_layer() {
    let conv = |from: &str, to: &str| node("Conv", &[from, "k", "b"], &[to]);
    for nodes in [
        vec![conv("x", "s"), node("Add", &["s", "b"], &["y"])],
        vec![conv("x", "s"), node("Relu", &["s"], &["y"])],
        vec![conv("x", "s"), node("MatMul", &["s", "w"], &["y"])],
        vec![conv("x", "s"), conv("s", "y")],
        vec![node("Mul", &["x", "b"], &["s"]), conv("s", "y")],
        vec![node("Flatten", &["x"], &["s"]), conv("s", "y")],
    ] {
        let names: Vec<String> = nodes.iter().map(|node| node.op_type.clone()).collect();
        let code = refused(nodes, &MAP);
        assert!(["operator_rule", "second_linear_layer"].contains(&code), "{names:?}: {code}");
    }
}
