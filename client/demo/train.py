"""Train the demonstration classifier heads.

For each data set, wdbc and digits: reads NAME.csv, splits it into training and
test rows, fits two models on the training rows, each behind a standard scaler:
a logistic regression and a small neural network with one hidden ReLU layer. It
writes three files next to this script:

  NAME_head.onnx  the linear head (Scaler, then LinearClassifier)
  NAME_mlp.onnx   the head with a hidden layer (Scaler, MatMul, Add, Relu, ...)
  NAME_split.csv  which row of NAME.csv is in which set (row 0 is the first
                  row after the header)

It prints the accuracy of the plain float models on the test rows.
"""

import csv
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 20261123
TEST_SHARE = 0.3
OPSET = {"": 17, "ai.onnx.ml": 1}
NEURONS = {"wdbc": 16, "digits": 32}
HERE = Path(__file__).resolve().parent


def read_data(name):
    with open(HERE / f"{name}.csv", newline="") as file:
        rows = list(csv.reader(file))[1:]
    labels = np.array([row[0] for row in rows])
    features = np.array([[float(value) for value in row[1:]] for row in rows])
    return features, labels


def write_split(name, test_rows, count):
    test_rows = set(test_rows.tolist())
    lines = ["row,set"]
    lines += [f"{i},{'test' if i in test_rows else 'train'}" for i in range(count)]
    (HERE / f"{name}_split.csv").write_bytes(("\n".join(lines) + "\n").encode())


def write_head(name, model, width):
    head = to_onnx(
        model,
        name=name,
        initial_types=[("features", FloatTensorType([None, width]))],
        target_opset=OPSET,
        options={"zipmap": False},
    )
    # The graph name above is fixed, because the default is a new random one each
    # time; with it, the same model always gives the same bytes.
    data = head.SerializeToString(deterministic=True)
    (HERE / f"{name}.onnx").write_bytes(data)


def train(name):
    features, labels = read_data(name)
    train_rows, test_rows = train_test_split(
        np.arange(len(labels)),
        test_size=TEST_SHARE,
        stratify=labels,
        random_state=SEED,
    )

    write_split(name, test_rows, len(labels))
    print(f"{name}: {len(train_rows)} training rows, {len(test_rows)} test rows")

    # Solve to a tight tolerance, so that the result does not depend on where
    # the solver happens to stop.
    linear = LogisticRegression(solver="newton-cholesky", tol=1e-10, max_iter=200)
    # The penalty (alpha) keeps the weights small and even, so that little is
    # lost when weights and activations are rounded to 4 bits. This solver takes
    # all rows at once, so that only the first weights depend on the seed.
    mlp = MLPClassifier(
        hidden_layer_sizes=(NEURONS[name],),
        solver="lbfgs",
        alpha=1.0,
        tol=1e-6,
        max_iter=5000,
        max_fun=100_000,
        random_state=SEED,
    )
    for kind, classifier in [("head", linear), ("mlp", mlp)]:
        model = make_pipeline(StandardScaler(), classifier)
        model.fit(features[train_rows], labels[train_rows])
        write_head(f"{name}_{kind}", model, features.shape[1])
        right = int((model.predict(features[test_rows]) == labels[test_rows]).sum())
        print(f"{name}_{kind}: float accuracy on the test rows", end=" ")
        print(f"{right}/{len(test_rows)} = {right / len(test_rows):.4f}")


if __name__ == "__main__":
    train("wdbc")
    train("digits")
