"""Recomputes plans from the formulas of keys/WIRE.md, section 6, and compares them with those on standard input.

Each input line is one JSON object: d, classes, feature_bits, weight_bits, privacy, and the planned t, bias_limit, r,
classes_per_group, groups, widths (null or an object), noise_bound, switched_noise_bound, request_bytes,
response_bytes, bits_per_score, vectors_to_determine. Exact integers and fractions only. The exit status is 1 where a
number differs.

This file is written from the page and shares nothing with the Rust code.
"""

import json
import sys
from fractions import Fraction

N = 2048
Q = 2**50 - 16383
Q_BITS = 50
LOG2_N = 11
NOISE_BITS = 3
HINTED_COORDINATES = 256


def ceil_div(a, b):
    return -(-a // b)


def ceil_log2(n):
    power = 0
    while 2**power < n:
        power += 1
    return power


def packed_bytes(count, width):
    return ceil_div(count * width, 8)


def plan(d, classes, feature_bits, weight_bits, privacy):
    # 6.1 score width and bias limit
    t = feature_bits + weight_bits - 1 + ceil_log2(d)
    x_limit = 2 ** (feature_bits - 1) - 1
    w_limit = 2 ** (weight_bits - 1) - 1
    bias_limit = 2 ** (t - 1) - 1 - d * x_limit * w_limit

    # 6.2 widths
    flooded = privacy == "flooded"
    h = Q_BITS - t - 1
    widths = None
    if flooded:
        widths = {
            "rerandomizer": h - 7 - LOG2_N - NOISE_BITS,
            "mask_noise": h - 4 - LOG2_N,
            "body_noise": NOISE_BITS,
        }

    # 6.3 layout
    blocks = N // d
    if flooded:
        blocks = min(blocks, HINTED_COORDINATES * (widths["rerandomizer"] + 1) // (t + 1))
    groups = ceil_div(classes, blocks)
    classes_per_group = ceil_div(classes, groups)

    # 6.4 noise before the switch
    product = 2**NOISE_BITS * classes_per_group * d * 2 ** (weight_bits - 1)
    rounding = d * 2 ** (weight_bits - 1) // 2 + 1
    leveled = product + rounding

    def noise_bound(flood):
        if not flooded:
            return leveled
        added = N * 2 ** (widths["rerandomizer"] + NOISE_BITS) + N * 2 ** widths["mask_noise"]
        return leveled + added + 2 ** widths["body_noise"] + 2**flood

    # 6.5 response modulus and flood
    def smallest_r(bound):
        for r in range(t + 1, Q_BITS + 1):
            if Fraction(N + 1, 2) + Fraction(2**r * bound, Q) < 2 ** (r - t - 1):
                return r
        return None

    floods = range(Q_BITS - 1, NOISE_BITS - 1, -1) if flooded else [None]
    flood = next(f for f in floods if smallest_r(noise_bound(f)) is not None)
    bound = noise_bound(flood)
    r = smallest_r(bound)
    if flooded:
        widths["flood"] = flood
    switched = Fraction(N + 1, 2) + Fraction(2**r * bound, Q)

    # 8 sizes
    sizes = [min(classes_per_group, classes - g * classes_per_group) for g in range(groups)]
    assert all(size > 0 for size in sizes) and sum(sizes) == classes
    polynomials = 2 if flooded else 1
    return {
        "t": t,
        "bias_limit": bias_limit,
        "r": r,
        "classes_per_group": classes_per_group,
        "groups": groups,
        "widths": widths,
        "noise_bound": bound,
        "switched_noise_bound": ceil_div(switched.numerator, switched.denominator),
        "request_bytes": 8 + 64 + polynomials * packed_bytes(N, Q_BITS) + 33,
        "response_bytes": 8 + 64 + sum(packed_bytes(N, r) + packed_bytes(s, r) for s in sizes) + 33,
        "bits_per_score": Q_BITS - (flood + 1) if flooded else None,
        "vectors_to_determine": d + 1 if flooded else 1,
    }


def main():
    seen, wrong = 0, 0
    for line in sys.stdin:
        stated = json.loads(line)
        inputs = [stated.pop(name) for name in ("d", "classes", "feature_bits", "weight_bits", "privacy")]
        expected = plan(*inputs)
        seen += 1
        if stated != expected:
            wrong += 1
            differing = [name for name in expected if stated.get(name) != expected[name]]
            print(inputs, {name: (stated.get(name), expected[name]) for name in differing})
    print(f"{seen} plans, {wrong} wrong")
    return 1 if wrong or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
