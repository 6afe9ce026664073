"""Computes an evaluation a second time, with NumPy, SciPy and scikit-learn.

    python oracle.py FOLDER

The folder has the tables train, test and synthetic (the class, then the features), and figures.json. Fails on the first
figure that differs; prints how many were compared.
"""
import json
import pathlib
import sys

import numpy as np
from scipy import spatial, stats
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

folder = pathlib.Path(sys.argv[1])
figures = json.loads((folder / "figures.json").read_text())
found = figures["evaluation"]
compared = 0


def same(what, ours, theirs, tolerance=1e-9):
    global compared
    ours, theirs = np.asarray(ours, float), np.asarray(theirs, float)
    assert ours.shape == theirs.shape, (what, ours.shape, theirs.shape)
    assert np.allclose(ours, theirs, rtol=0, atol=tolerance), (what, ours, theirs)
    compared += ours.size


def read(name):
    rows = np.loadtxt(folder / name, delimiter=",", ndmin=2)
    return rows[:, 1:], rows[:, 0].astype(int)


(train, train_y), (test, test_y), (made, made_y) = read("train"), read("test"), read("synthetic")
classes = len(set(train_y))

# The classifier. Two weight vectors for two classes, as here, share the penalty: C = 2 with scikit-learn's one.
for name, (x, y) in {"train_on_real": (train, train_y), "train_on_synthetic": (made, made_y)}.items():
    scaler = StandardScaler().fit(x)
    model = LogisticRegression(C=2.0 if classes == 2 else 1.0, tol=1e-8, max_iter=10000).fit(scaler.transform(x), y)
    said = model.predict(scaler.transform(test))
    same(name, found[name]["accuracy"], metrics.accuracy_score(test_y, said))
    same(name, found[name]["balanced_accuracy"], metrics.balanced_accuracy_score(test_y, said))

# Distances to the nearest fitted row.
scaler = StandardScaler().fit(train)
near = lambda rows: spatial.distance.cdist(scaler.transform(rows), scaler.transform(train)).min(axis=1)
distances = found["distances"]
same("each distance", distances["of_each"], near(made))
names = ["least", "p05", "p25", "median", "p75", "p95", "most"]
for name, rows in {"synthetic": made, "held_out": test}.items():
    expected = np.quantile(near(rows), [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])
    same(name, [distances[name][each] for each in names], expected)
    copies = (rows[:, None, :] == train[None, :, :]).all(axis=2).any(axis=1).sum()
    same("copies", distances[f"{name}_copies"], copies)
same("closer", distances["share_closer"], (near(made) < np.quantile(near(test), 0.05)).mean())

# Shapes.
ks = [stats.ks_2samp(train[:, at], made[:, at]).statistic for at in range(train.shape[1])]
shape = found["shape"]
same("ks", shape["of_each"], ks)
same("ks", [shape["largest"], shape["mean"]], [max(ks), np.mean(ks)])
assert ks[shape["largest_feature"] - 1] == max(ks)


def correlations(rows):
    with np.errstate(all="ignore"):
        return np.nan_to_num(np.corrcoef(rows.T))


apart = np.abs(correlations(train) - correlations(made))
np.fill_diagonal(apart, 0)
same("correlation", shape["largest_correlation_difference"], apart.max())
first, second = shape["largest_correlation_features"]
same("correlation's features", apart[first - 1, second - 1], apart.max())

# The weight of the identity, from its formula (Schäfer and Strimmer 2005) with arrays.
for label, weight in enumerate(figures["shrinkage"]):
    rows = train[train_y == label]
    rows = rows[:, rows.std(axis=0) > 0]
    n = len(rows)
    scores = stats.norm.ppf(stats.rankdata(rows, axis=0) / (n + 1))
    scores = (scores - scores.mean(axis=0)) / scores.std(axis=0)
    r = scores.T @ scores / n
    spread = n / (n - 1) ** 3 * ((scores**2).T @ scores**2 - n * r**2)
    beside = ~np.eye(len(r), dtype=bool)
    same("shrinkage", weight, np.clip(spread[beside].sum() / (r[beside] ** 2).sum(), 1e-4, 1))

print(f"{compared} numbers, all agree")
