"""Computes what `tiresias fairness` prints a second time, with Fairlearn, scikit-learn, statsmodels, scikit-bio and NumPy.

    python fairness_oracle.py target/debug/tiresias FOLDER

Writes tables into the folder, audits each, and compares every number of the JSON with its own, and the tables of the page
with the JSON. Fails on the first that differs; prints how many were compared.
"""
import html.parser
import itertools
import json
import math
import pathlib
import subprocess
import sys

import numpy as np
import pandas as pd
from fairlearn import metrics as fair
from skbio.diversity import alpha
from sklearn import metrics
from sklearn.calibration import calibration_curve
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

RATES = {
    "base_rate": (lambda t, p: t, lambda t, p: t | True),
    "selection_rate": (lambda t, p: p, lambda t, p: t | True),
    "true_positive_rate": (lambda t, p: t & p, lambda t, p: t),
    "false_positive_rate": (lambda t, p: ~t & p, lambda t, p: ~t),
    "false_negative_rate": (lambda t, p: t & ~p, lambda t, p: t),
    "positive_predictive_value": (lambda t, p: t & p, lambda t, p: p),
    "negative_predictive_value": (lambda t, p: ~t & ~p, lambda t, p: ~p),
    "accuracy": (lambda t, p: t == p, lambda t, p: t | True),
}
LIBRARY = {
    "base_rate": lambda t, p: t.mean(),
    "selection_rate": lambda t, p: fair.selection_rate(t, p, pos_label=True),
    "true_positive_rate": metrics.recall_score,
    "false_positive_rate": fair.false_positive_rate,
    "false_negative_rate": fair.false_negative_rate,
    "positive_predictive_value": metrics.precision_score,
    "negative_predictive_value": lambda t, p: metrics.precision_score(t, p, pos_label=False),
    "accuracy": metrics.accuracy_score,
}
GAPS = ["selection_rate", "true_positive_rate", "false_positive_rate", "positive_predictive_value", "accuracy"]
MEASURES = {
    "demographic_parity": ["selection_rate"],
    "equalized_odds": ["true_positive_rate", "false_positive_rate"],
    "equal_opportunity": ["true_positive_rate"],
    "predictive_parity": ["positive_predictive_value"],
    "equal_accuracy": ["accuracy"],
}
WHOLE = {
    "demographic_parity": (fair.demographic_parity_difference, fair.demographic_parity_ratio),
    "equalized_odds": (fair.equalized_odds_difference, fair.equalized_odds_ratio),
    "equal_opportunity": (fair.equal_opportunity_difference, fair.equal_opportunity_ratio),
    "equal_accuracy": (fair.accuracy_score_difference, fair.accuracy_score_ratio),
}


def estimate(value, low, high):
    return {"value": value, "low": low, "high": high}


class Draws:
    """Rows drawn with replacement by SplitMix64."""

    def __init__(self, seed):
        self.state = seed

    def rows(self, n):
        steps = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(self.state)
        self.state = int(steps[-1])
        mixed = (steps ^ (steps >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
        low = ((mixed & np.uint64(0xFFFFFFFF)) * np.uint64(n)) >> np.uint64(32)
        return (((mixed >> np.uint64(32)) * np.uint64(n) + low) >> np.uint64(32)).astype(np.int64)


class Oracle:
    def __init__(self, frame, options):
        self.options = options
        self.frame = frame
        names = options["groups"]
        self.partitions = [[name] for name in names] + ([names] if len(names) > 1 else [])

    def cells(self, columns):
        """All groups in order, and the group of each row."""
        orders = [self.options["orders"].get(column, sorted(self.frame[column].unique())) for column in columns]
        groups = [", ".join(cell) for cell in itertools.product(*orders)]
        return groups, self.frame[columns].agg(", ".join, axis=1) if len(columns) > 1 else self.frame[columns[0]]

    def audit(self):
        options, frame = self.options, self.frame
        views = [self.view(positive) for positive in options["positives"]]
        found = {
            "rows": len(frame),
            "undecided": int((frame.prediction == options.get("abstain")).sum()),
            "days": [frame.day.min()[:10], frame.day.max()[:10]] if "window" in options else None,
            "min_cell": options["min_cell"],
            "resamples": options["resamples"],
            "seed": options["seed"],
            "alarm": options.get("alarm"),
            "classes": [
                {
                    "name": name,
                    "true_rows": int((frame.truth == name).sum()),
                    "predicted_rows": int((frame.prediction == name).sum()),
                }
                for name in sorted(frame.truth.unique())
            ],
            "views": views,
            "alarms": [],
        }
        if found["alarm"]:
            rule = found["alarm"]
            for view in views:
                for comparison in view["comparisons"]:
                    for window in [comparison, *comparison["windows"]]:
                        for disparity in window["disparities"]:
                            if disparity["measure"] == rule["measure"] and disparity["difference"] > rule["above"]:
                                found["alarms"].append({
                                    "positive": view["positive"],
                                    "by": comparison["by"],
                                    "window": window.get("window"),
                                    "difference": disparity["difference"],
                                })  # fmt: skip
        found["intervals"] = count_intervals(views)
        return found

    def view(self, positive):
        scores = self.options["scores"].get(positive)
        probabilities = None
        if scores:
            probabilities = bool(self.frame[scores].between(0, 1).all())
        comparisons = [self.comparison(positive, columns, scores, probabilities) for columns in self.partitions]
        return {"positive": positive, "has_probabilities": probabilities, "comparisons": comparisons}

    def comparison(self, positive, columns, scores, probabilities):
        groups, of_rows = self.cells(columns)
        sizes = of_rows.value_counts()
        named = [self.options["reference"].get(column) for column in columns]
        reference = ", ".join(named) if all(named) else max(groups, key=lambda group: sizes.get(group, 0))
        frame = self.frame.assign(
            group=of_rows,
            true=self.frame.truth == positive,
            predicted=self.frame.prediction == positive,
            decided=self.frame.prediction != self.options.get("abstain"),
        )
        whole = self.figures(frame, groups, reference)
        if probabilities:
            for group in whole["groups"]:
                if not group["is_too_small"]:
                    rows = frame[frame.group == group["name"]]
                    group["calibration"] = calibration(rows.true.to_numpy(), rows[scores].to_numpy(), self.options["bins"])
        rates = [rate["value"] for rate in rates_of(whole, "selection_rate")]
        windows = []
        if "window" in self.options:
            for name, rows in frame.groupby(self.options["window"](pd.to_datetime(frame.day.str[:10])).to_numpy()):
                windows.append({"window": name, "rows": len(rows), **self.figures(rows, groups, reference)})
        found = {
            "by": " x ".join(columns),
            "columns": columns,
            "reference": reference,
            **whole,
            "representation": diversity([group["rows"] for group in whole["groups"]]),
            "outcomes": diversity([
                group["counts"]["true_positives"] + group["counts"]["false_positives"] for group in whole["groups"]
            ]),
            "selection_rate_gini": float(alpha.gini_index(np.array(rates), method="trapezoids"))
            if len(rates) > 1 and sum(rates) else None,
            "windows": windows,
            "proposal": None,
            "without_proposal": [],
        }  # fmt: skip
        if scores:
            large = [
                group["name"] for group in whole["groups"]
                if {"true_positive_rate", "false_positive_rate"}
                <= {rate["rate"] for rate in group["rates"] if rate["is_compared"]}
            ]  # fmt: skip
            found["without_proposal"] = [group for group in groups if group not in large]
            if len(large) > 1:
                found["proposal"] = proposal(frame[frame.decided], large, scores, self.options["tolerance"])
        return found

    def figures(self, frame, groups, reference):
        has_undecided = not frame.decided.all()
        least = self.options["min_cell"]
        found = []
        for name in groups:
            rows = frame[frame.group == name]
            decided = rows[rows.decided]
            truth, predicted = decided.true.to_numpy(), decided.predicted.to_numpy()
            matrix = metrics.confusion_matrix(truth, predicted, labels=[False, True]) if len(decided) else np.zeros((2, 2))
            undecided = rows[~rows.decided].true
            group = {
                "name": name,
                "rows": len(rows),
                "is_too_small": len(rows) < least,
                "counts": {
                    "true_positives": int(matrix[1, 1]),
                    "false_positives": int(matrix[0, 1]),
                    "false_negatives": int(matrix[1, 0]),
                    "true_negatives": int(matrix[0, 0]),
                    "undecided_positives": int(undecided.sum()),
                    "undecided_negatives": int((~undecided).sum()),
                },
                "rates": [],
                "gaps": [],
            }
            found.append(group)
            if group["is_too_small"]:
                continue
            for rate, (part, whole) in RATES.items():
                t, p = (rows.true.to_numpy(),) * 2 if rate == "base_rate" else (truth, predicted)
                value = LIBRARY[rate](t, p) if whole(t, p).any() else None
                group["rates"].append(self.rate(rate, int(part(t, p).sum()), int(whole(t, p).sum()), value))
            if has_undecided:
                group["rates"].append(self.rate("undecided_rate", len(undecided), len(rows), len(undecided) / len(rows)))
        by_name = {group["name"]: {rate["rate"]: rate for rate in group["rates"]} for group in found}
        for group in found:
            for rate in GAPS:
                one, two = by_name[group["name"]].get(rate), by_name[reference].get(rate)
                if group["name"] != reference and one and two and one["is_compared"] and two["is_compared"]:
                    low, high = confint_proportions_2indep(
                        one["part"], one["whole"], two["part"], two["whole"], method="newcomb", compare="diff"
                    )
                    group["gaps"].append({"rate": rate, **estimate(one["value"] - two["value"], low, high)})
        return {"groups": found, "disparities": self.disparities(frame, found)}

    def rate(self, rate, part, whole, value):
        found = {"rate": rate, "part": part, "whole": whole, "is_compared": whole >= self.options["min_cell"]}
        if value is not None:
            low, high = proportion_confint(part, whole, method="wilson")
            found |= estimate(value, low, high)
        return found

    def disparities(self, frame, groups):
        found = []
        frame = frame.reset_index(drop=True)
        decided = frame[frame.decided]
        compared = {
            rate: [group["name"] for group in groups for each in group["rates"] if each["rate"] == rate and each["is_compared"]]
            for rate in RATES
        }
        for measure, rates in MEASURES.items():
            if any(len(compared[rate]) < 2 for rate in rates):
                continue
            frames = {}
            for rate in rates:
                rows = decided[decided.group.isin(compared[rate])]
                frames[rate] = fair.MetricFrame(
                    metrics=LIBRARY[rate], y_true=rows.true, y_pred=rows.predicted, sensitive_features=rows.group
                )
            differences = {rate: each.difference() for rate, each in frames.items()}
            ratios = [each.ratio() if each.group_max() > 0 else None for each in frames.values()]
            widest = max(rates, key=lambda rate: differences[rate])
            difference, ratio = differences[widest], None if None in ratios else min(ratios)
            if measure in WHOLE and len({tuple(compared[rate]) for rate in rates}) == 1:
                # Fairlearn's own function for it, on the same rows.
                rows = decided[decided.group.isin(compared[rates[0]])]
                by_fairlearn = [
                    function(rows.true, rows.predicted, sensitive_features=rows.group) for function in WHOLE[measure]
                ]
                assert math.isclose(by_fairlearn[0], difference, abs_tol=1e-12), (measure, by_fairlearn, difference)
                assert ratio is None or math.isclose(by_fairlearn[1], ratio, abs_tol=1e-12), (measure, by_fairlearn)
            values = frames[widest].by_group
            names = [name for name in compared[widest]]
            found.append({
                "measure": measure,
                "rate": widest,
                "difference": difference,
                "difference_interval": None,
                "ratio": ratio,
                "ratio_interval": None,
                "least": min(names, key=lambda name: values[name]),
                "most": max(names, key=lambda name: values[name]),
                "compared": [group["name"] for group in groups if any(group["name"] in compared[rate] for rate in rates)],
            })  # fmt: skip
        if found and self.options["resamples"]:
            self.bootstrap(frame, found, compared)
        return found

    def bootstrap(self, frame, found, compared):
        names = sorted(frame.group.unique())
        codes = frame.group.map({name: at for at, name in enumerate(names)}).to_numpy()
        truth, predicted, decided = (frame[name].to_numpy() for name in ("true", "predicted", "decided"))
        draws = Draws(self.options["seed"])
        values = {id(each): ([], []) for each in found}
        for _ in range(self.options["resamples"]):
            rows = draws.rows(len(frame))
            rows = rows[decided[rows]]
            t, p, group = truth[rows], predicted[rows], codes[rows]
            rates = {}
            for rate in {rate for each in found for rate in MEASURES[each["measure"]]}:
                part, whole = (
                    np.bincount(group, weights=each(t, p), minlength=len(names)) for each in RATES[rate]
                )
                with np.errstate(invalid="ignore"):
                    rates[rate] = (part / whole)[[names.index(name) for name in compared[rate]]]
            for each in found:
                of = [rates[rate] for rate in MEASURES[each["measure"]]]
                if any(np.isnan(rate).any() for rate in of):
                    continue
                values[id(each)][0].append(max(rate.max() - rate.min() for rate in of))
                if all(rate.max() > 0 for rate in of):
                    values[id(each)][1].append(min(rate.min() / rate.max() for rate in of))
        for each in found:
            differences, ratios = values[id(each)]
            each["difference_interval"] = np.percentile(differences, [2.5, 97.5]).tolist()
            each["ratio_interval"] = None if each["ratio"] is None else np.percentile(ratios, [2.5, 97.5]).tolist()


def rates_of(figures, rate):
    return [each for group in figures["groups"] for each in group["rates"] if each["rate"] == rate and each["is_compared"]]


def diversity(counts):
    counts = np.array(counts)
    if not counts.sum():
        return None
    return {
        "gini": float(alpha.gini_index(counts, method="trapezoids")),
        "shannon": float(alpha.shannon(counts, base=math.e)),
        "evenness": float(alpha.pielou_e(counts)) if (counts > 0).sum() > 1 else None,
    }


def calibration(truth, scores, bins):
    observed, mean = calibration_curve(truth, scores, n_bins=bins, strategy="uniform", pos_label=True)
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.searchsorted(edges[1:-1], scores)
    rows = np.bincount(bin_of, minlength=bins)
    found = []
    for at, value, score in zip(np.flatnonzero(rows), observed, mean):
        low, high = proportion_confint(round(value * rows[at]), rows[at], method="wilson")
        found.append({
            "above": edges[at], "up_to": edges[at + 1], "rows": int(rows[at]), "mean_score": score,
            "observed": estimate(value, low, high),
        })  # fmt: skip
    brier = metrics.brier_score_loss(truth, scores)
    low, high = DescrStatsW((scores - truth) ** 2).zconfint_mean()
    return {
        "bins": found,
        "expected_calibration_error": float((np.abs(observed - mean) * rows[rows > 0]).sum() / len(scores)),
        "brier_score": estimate(brier, low, high),
        "area_under_curve": metrics.roc_auc_score(truth, scores) if 0 < truth.sum() < len(truth) else None,
    }


def choose(groups, tolerance):
    """For each group's (truth, scores) a threshold: the most right decisions with rates in a square of this size."""
    curves = []
    limit = min(max(2000 // len(groups), 16), 200)
    for truth, scores in groups:
        fpr, tpr, thresholds = metrics.roc_curve(truth, scores, drop_intermediate=False)
        kept = min(limit, len(fpr))
        at = np.arange(kept) * (len(fpr) - 1) // (kept - 1)
        right = np.rint(tpr * truth.sum() + (1 - fpr) * (~truth).sum()).astype(int)
        curves.append((fpr[at], tpr[at], thresholds[at], right[at]))
    side = tolerance + 1e-12
    best = (-1, None)
    bottoms = np.unique(np.concatenate([curve[1] for curve in curves]))
    for left in np.unique(np.concatenate([curve[0] for curve in curves])):
        inside = [(fpr >= left) & (fpr <= left + side) for fpr, *_ in curves]
        for bottom in bottoms if all(each.any() for each in inside) else []:
            total, choice = 0, []
            for (_, tpr, thresholds, right), column in zip(curves, inside):
                square = column & (tpr >= bottom) & (tpr <= bottom + side)
                if not square.any():
                    break
                at = np.argmax(np.where(square, right, -1))
                total, choice = total + right[at], [*choice, thresholds[at]]
            else:
                if total > best[0]:
                    best = (total, choice)
    return best[1]


def proposal(frame, names, scores, tolerance):
    groups = [frame[frame.group == name] for name in names]
    arrays = [(rows.true.to_numpy(), rows[scores].to_numpy()) for rows in groups]
    chosen = choose(arrays, tolerance)
    frame = pd.concat(groups)

    def effect(predicted):
        return {
            "accuracy": metrics.accuracy_score(frame.true, predicted),
            "equalized_odds_difference": fair.equalized_odds_difference(frame.true, predicted, sensitive_features=frame.group),
        }

    proposed = np.concatenate([rows >= from_ for (_, rows), from_ in zip(arrays, chosen)])
    # Every second row of each kind.
    ranks = frame.groupby(["group", "true"]).cumcount().to_numpy() % 2
    held_out = np.zeros(len(frame), dtype=bool)
    halves = []
    for side in range(2):
        rows = [(frame.group == name).to_numpy() & (ranks == side) for name in names]
        halves += [frame.true.to_numpy()[each] for each in rows]
        if any(len(set(half)) < 2 for half in halves):
            halves = None
            break
        for name, from_ in zip(names, choose([(frame.true.to_numpy()[r], frame[scores].to_numpy()[r]) for r in rows], tolerance)):
            others = (frame.group == name).to_numpy() & (ranks != side)
            held_out[others] = frame[scores].to_numpy()[others] >= from_
    return {
        "tolerance": tolerance,
        "thresholds": [
            {
                "group": name,
                "from": from_ if math.isfinite(from_) else None,
                "true_positive_rate": metrics.recall_score(truth, rows >= from_),
                "false_positive_rate": fair.false_positive_rate(truth, rows >= from_),
            }
            for name, (truth, rows), from_ in zip(names, arrays, chosen)
        ],
        "now": effect(frame.predicted),
        "proposed": effect(proposed),
        "held_out": effect(held_out) if halves else None,
    }


def count_intervals(found):
    """Pairs of a low and a high end, and pairs of percentiles."""
    if isinstance(found, dict):
        return ("low" in found) + sum(count_intervals(each) for each in found.values())
    if isinstance(found, list):
        is_pair = len(found) == 2 and all(isinstance(each, float) for each in found)
        return is_pair + sum(count_intervals(each) for each in found)
    return 0


def compare(expected, found, path, seen):
    if isinstance(expected, dict):
        assert isinstance(found, dict) and expected.keys() == found.keys(), f"{path}: {expected} for {found}"
        for key in expected:
            compare(expected[key], found[key], f"{path}.{key}", seen)
    elif isinstance(expected, list):
        assert isinstance(found, list) and len(expected) == len(found), f"{path}: {expected} for {found}"
        for at, (one, two) in enumerate(zip(expected, found)):
            compare(one, two, f"{path}[{at}]", seen)
    elif isinstance(expected, (bool, str)) or expected is None:
        assert expected == found, f"{path}: expected {expected}, found {found}"
    else:
        is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
        assert is_number and math.isclose(expected, found, rel_tol=1e-9, abs_tol=1e-9), (
            f"{path}: expected {expected}, found {found}"
        )
        seen.append(path)


class Tables(html.parser.HTMLParser):
    """The rows of all tables, as lists of the cells' texts."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.is_in_cell = [], False
        self.feed(page)

    def handle_starttag(self, tag, _):
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.is_in_cell = True
        elif tag == "small":
            self.rows[-1][-1] += " "

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.is_in_cell = False

    def handle_data(self, data):
        if self.is_in_cell:
            self.rows[-1][-1] += data


def cell(value, interval=None, sign=""):
    if value is None:
        return "-"
    text = f"{value:{sign}.3f}"
    return text + (f" {interval[0]:{sign}.3f} to {interval[1]:{sign}.3f}" if interval else "")


def of(found, sign=""):
    return cell(found["value"], (found["low"], found["high"]), sign) if found and "value" in found else "-"


def page_rows(audit):
    """What the page's tables must hold."""
    for view in audit["views"]:
        for comparison in view["comparisons"]:
            for group in comparison["groups"]:
                if group["is_too_small"]:
                    continue
                yield [group["name"], str(group["rows"]), *(of(rate) for rate in group["rates"])]
                if group["gaps"]:
                    gaps = {gap["rate"]: gap for gap in group["gaps"]}
                    yield [group["name"], *(of(gaps.get(rate), "+") for rate in GAPS)]
                if calibrated := group.get("calibration"):
                    error = cell(calibrated["expected_calibration_error"])
                    yield [group["name"], error, of(calibrated["brier_score"]), cell(calibrated["area_under_curve"])]
            for window in comparison["windows"]:
                differences = {each["measure"]: each for each in window["disparities"]}
                cells = [differences.get(measure, {}) for measure in MEASURES]
                cells = [cell(each.get("difference"), each.get("difference_interval")) for each in cells]
                yield [window["window"], str(window["rows"]), *cells]
            for name, values in [("Rows", comparison["representation"]), ("Decisions for the class", comparison["outcomes"])]:
                if values:
                    yield [name, *(cell(values[key]) for key in ("gini", "shannon", "evenness"))]
            if proposed := comparison["proposal"]:
                for each in proposed["thresholds"]:
                    from_ = "never" if each["from"] is None else f"{each['from']:.4f}"
                    yield [each["group"], from_, cell(each["true_positive_rate"]), cell(each["false_positive_rate"])]
                for name, key in [("Decisions as they are", "now"), ("Proposed", "proposed")]:
                    yield [name, cell(proposed[key]["accuracy"]), cell(proposed[key]["equalized_odds_difference"])]


def check(program, folder, name, frame, options, arguments):
    """Audits a table and compares everything."""
    path, page = folder / f"{name}.csv", folder / f"{name}.html"
    frame.to_csv(path, index=False)
    page.unlink(missing_ok=True)
    command = [program, "fairness", str(path), "--json", "--out", str(page), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True)
    expected_code = 3 if json.loads(ended.stdout or "{}").get("alarms") else 0
    assert ended.returncode == expected_code, f"{name}: {ended.returncode} {ended.stderr}"
    found = json.loads(ended.stdout)
    del found["command"]
    seen = []
    compare(Oracle(frame.assign(**options.get("bands", {})), options).audit(), found, name, seen)
    rows = {tuple(row) for row in Tables(page.read_text()).rows}
    expected = [tuple(row) for row in page_rows(found)]
    for row in expected:
        assert row in rows, f"{name}: the page has no row {row}"
    print(json.dumps({
        "table": name, "numbers": len(seen), "page_rows": len(expected), "alarms": len(found["alarms"]),
        "proposals": sum(bool(c["proposal"]) for v in found["views"] for c in v["comparisons"]),
    }))  # fmt: skip


def synthetic_two_classes():
    """Decisions that are worse for some, with scores, dates, and decisions left to a human."""
    random = np.random.default_rng(20261127)
    n = 2400
    frame = pd.DataFrame({
        "sex": random.choice(["f", "m"], n, p=[0.45, 0.55]),
        "site": random.choice(["north", "south", "island"], n, p=[0.6, 0.385, 0.015]),
        "age": random.integers(18, 95, n).astype(str),
    })  # fmt: skip
    ill = random.random(n) < np.where(frame.sex == "f", 0.3, 0.4)
    score = np.clip(random.normal(np.where(ill, 0.62, 0.38) - 0.08 * (frame.site == "south"), 0.17), 0, 1).round(2)
    frame["truth"] = np.where(ill, "ill", "well")
    frame["prediction"] = np.where(np.abs(score - 0.5) < 0.02, "review", np.where(score > 0.5, "ill", "well"))
    frame["score"] = score
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(random.integers(0, 365, n), unit="D")
    frame["day"] = days.strftime("%Y-%m-%dT09:30")
    return frame


def synthetic_three_classes():
    random = np.random.default_rng(7)
    n = 900
    classes = np.array(["benign", "edema", "mass"])
    truth = random.choice(3, n, p=[0.5, 0.3, 0.2])
    logits = random.normal(0, 1, (n, 3))
    logits[np.arange(n), truth] += 1.5
    share = np.exp(logits)
    share = (share / share.sum(axis=1, keepdims=True)).round(3)
    frame = pd.DataFrame(share, columns=["p_benign", "p_edema", "p_mass"])
    frame["truth"], frame["prediction"] = classes[truth], classes[share.argmax(axis=1)]
    frame["scanner"] = random.choice(["A", "B", "C"], n)
    return frame


def diabetes():
    """442 patients of scikit-learn's package: sex, age, and whether the disease progressed more than the median."""
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = load_diabetes(scaled=False, as_frame=True)
    progressed = data.target > data.target.median()
    model = make_pipeline(StandardScaler(), LogisticRegression())
    inputs = data.data.drop(columns=["sex", "age"])
    score = cross_val_predict(model, inputs, progressed, cv=5, method="predict_proba")[:, 1].round(3)
    return pd.DataFrame({
        "truth": np.where(progressed, "yes", "no"),
        "prediction": np.where(score >= 0.5, "yes", "no"),
        "score": score,
        "sex": data.data.sex.astype(int).astype(str),
        "age": data.data.age.astype(int).astype(str),
    })  # fmt: skip


def banded(ages, edges):
    names = [f"under {edges[0]}"]
    names += [f"{low} to under {high}" for low, high in itertools.pairwise(edges)] + [f"{edges[-1]} and over"]
    return pd.Series(np.array(names)[np.digitize(ages.astype(int), edges)], index=ages.index), names


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    defaults = {
        "min_cell": 20, "resamples": 1000, "seed": 1, "bins": 10, "tolerance": 0.05, "reference": {}, "scores": {},
    }  # fmt: skip
    usual = ["--truth", "truth", "--prediction", "prediction"]

    frame = synthetic_two_classes()
    options = defaults | {
        "groups": ["sex", "site"], "orders": {}, "positives": ["ill"], "scores": {"ill": "score"}, "abstain": "review",
        "window": lambda days: days.dt.year.astype(str) + "-Q" + days.dt.quarter.astype(str), "resamples": 60, "seed": 42,
        "reference": {"sex": "m"}, "alarm": {"measure": "equal_opportunity", "above": 0.15},
    }  # fmt: skip
    arguments = [*usual, "--score", "score", "--groups", "sex,site", "--positive", "ill", "--abstain", "review", "--time",
                 "day", "--window", "quarter", "--resamples", "60", "--seed", "42", "--reference", "sex=m", "--threshold",
                 "0.15", "--alarm-on", "equal-opportunity"]  # fmt: skip
    check(program, folder, "two_classes", frame, options, arguments)

    frame = synthetic_three_classes()
    classes = ["benign", "edema", "mass"]
    options = defaults | {
        "groups": ["scanner"], "orders": {}, "positives": classes, "scores": {name: f"p_{name}" for name in classes},
        "resamples": 40, "bins": 7, "min_cell": 1, "tolerance": 0.1,
    }  # fmt: skip
    scores = [part for name in classes for part in ("--score", f"{name}=p_{name}")]
    # Predictions follow from the scores.
    arguments = ["--truth", "truth", *scores, "--groups", "scanner", "--resamples", "40", "--bins", "7", "--min-cell", "1",
                 "--tolerance", "0.1"]  # fmt: skip
    check(program, folder, "three_classes", frame, options, arguments)

    frame = diabetes()
    bands, order = banded(frame.age, [40, 60])
    options = defaults | {
        "groups": ["sex", "age"], "orders": {"age": order}, "positives": ["yes"], "scores": {"yes": "score"},
        "bands": {"age": bands}, "resamples": 200,
    }  # fmt: skip
    arguments = [*usual, "--score", "score", "--groups", "sex,age", "--positive", "yes", "--bands", "age=40,60",
                 "--resamples", "200"]  # fmt: skip
    check(program, folder, "diabetes", frame, options, arguments)


if __name__ == "__main__":
    main()
