"""Recomputes plans from the formulas of keys/WIRE.md, section 6, and compares them with those on standard input.

Each input line is one JSON object: d, classes, feature_bits, weight_bits, privacy, and the plan: null where none fits,
else an object with the names that `plan` returns below. Exact integers and fractions only. The exit status is 1 where
a number differs.

This file is written from the page and shares nothing with the Rust code.
"""

import json
import sys
from fractions import Fraction

# name: N, q, bits of q, primes
SETS = {
    "N2048_Q50": (2048, 2**50 - 16383, 50, 1),
    "N4096_Q100": (4096, (2**50 - 16383) * (2**50 - 212991), 100, 2),
}
SETS_OF = {
    "flooded": ["N2048_Q50"],
    "statistical": ["N4096_Q100"],
    "open-weights": ["N2048_Q50", "N4096_Q100"],
}
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
    if d * classes > 2**23:
        return None
    for name in SETS_OF[privacy]:
        candidates = []
        for m in range(ceil_div(d, SETS[name][0]), 65):
            found = candidate(name, m, d, classes, feature_bits, weight_bits, privacy)
            if found is not None:
                candidates.append(found)
        if candidates:
            # min takes the first of equals, which has the fewest ciphertexts
            return min(candidates, key=lambda c: c["request_bytes"] + c["response_bytes"])
    return None


def candidate(name, m, d, classes, feature_bits, weight_bits, privacy):
    n, q, q_bits, primes = SETS[name]
    # 6.1 score width and bias limit
    t = feature_bits + weight_bits - 1 + ceil_log2(d)
    x_limit = 2 ** (feature_bits - 1) - 1
    w_limit = 2 ** (weight_bits - 1) - 1
    bias_limit = 2 ** (t - 1) - 1 - d * x_limit * w_limit

    # 6.2 widths
    protected = privacy != "open-weights"
    h = q_bits - t - 1
    widths = None
    if privacy == "flooded":
        log2_n = ceil_log2(n)
        widths = {"rerandomizer": h - 7 - log2_n - NOISE_BITS, "mask_noise": h - 4 - log2_n, "body_noise": NOISE_BITS}
        if widths["rerandomizer"] < 1:
            return None
    if privacy == "statistical":
        widths = {"rerandomizer": 4, "mask_noise": 8, "body_noise": NOISE_BITS}

    # 6.3 layout
    block = ceil_div(d, m)
    if (m - 1) * block >= d:
        return None
    blocks = n // block
    cap = lambda told: HINTED_COORDINATES * (widths["rerandomizer"] + 1) // told
    if protected:
        blocks = min(blocks, cap(t + 1))
    while True:
        if blocks == 0:
            return None
        groups = ceil_div(classes, blocks)
        classes_per_group = ceil_div(classes, groups)

        # 6.4 noise before the switch
        product = 2**NOISE_BITS * classes_per_group * d * 2 ** (weight_bits - 1)
        rounding = d * 2 ** (weight_bits - 1) // 2 + 1
        leveled = product + rounding
        added = 0
        if protected:
            added = n * 2 ** (widths["rerandomizer"] + NOISE_BITS) + n * 2 ** widths["mask_noise"] + 2**NOISE_BITS

        # 6.5 response modulus and flood
        def smallest_r(bound):
            for r in range(t + 1, t + 17):
                if Fraction(n + 1, 2) + Fraction(2**r * bound, q) < 2 ** (r - t - 1):
                    return r
            return None

        def noise_bound(flood):
            return leveled + added + (2**flood if protected else 0)

        floods = range(q_bits - t - 1, NOISE_BITS - 1, -1) if protected else [None]
        flood = next((f for f in floods if smallest_r(noise_bound(f)) is not None), "none")
        if flood == "none":
            return None
        bound = noise_bound(flood)
        r = smallest_r(bound)
        # 6.6 what a coefficient tells, and the hint cap again
        told = q_bits - flood - 1 if protected else None
        if not protected or classes_per_group <= cap(told):
            break
        blocks = cap(told)
    if protected:
        widths["flood"] = flood
    if privacy == "statistical" and Fraction(classes * (leveled + added), 2 ** (flood + 1)) > Fraction(1, 2**40):
        return None
    switched = Fraction(n + 1, 2) + Fraction(2**r * bound, q)

    # 8 sizes
    sizes = [min(classes_per_group, classes - g * classes_per_group) for g in range(groups)]
    assert all(size > 0 for size in sizes) and sum(sizes) == classes
    polynomials = m + (1 if protected else 0)
    return {
        "parameters": name,
        "ciphertexts": m,
        "block": block,
        "t": t,
        "bias_limit": bias_limit,
        "r": r,
        "classes_per_group": classes_per_group,
        "groups": groups,
        "widths": widths,
        "noise_bound": str(bound),
        "switched_noise_bound": ceil_div(switched.numerator, switched.denominator),
        "request_bytes": 8 + 64 + polynomials * packed_bytes(primes * n, 50) + 33,
        "response_bytes": 8 + 64 + sum(packed_bytes(n, r) + packed_bytes(s, r) for s in sizes) + 33,
        "bits_per_score": told,
        "vectors_to_determine": d + 1 if protected else 1,
        "vectors_for_any_client": ceil_div(d * weight_bits, told) if protected else 1,
    }


def main():
    seen, wrong = 0, 0
    for line in sys.stdin:
        stated = json.loads(line)
        inputs = [stated.pop(name) for name in ("d", "classes", "feature_bits", "weight_bits", "privacy")]
        found, expected = stated.pop("plan"), plan(*inputs)
        seen += 1
        if found != expected or stated:
            wrong += 1
            names = set(found or {}) | set(expected or {})
            pairs = {name: ((found or {}).get(name), (expected or {}).get(name)) for name in names}
            print(inputs, {name: pair for name, pair in pairs.items() if pair[0] != pair[1]})
    print(f"{seen} plans, {wrong} wrong")
    return 1 if wrong or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
