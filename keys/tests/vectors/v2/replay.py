"""Replays the golden vectors of this folder from keys/WIRE.md alone, with nothing but Python's standard library.

python3 replay.py          makes all requests and responses again, opens them, and checks every line of bad.txt; makes
                           the stated rows of the evaluation key again
python3 replay.py --whole  makes all of the evaluation key's frame again as well, and its id

It is slow and protects no secret: it is for reading and for checking, never for use.
"""

import hashlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
# WIRE.md, section 2: code, N, primes
SETS = {
    "N2048_Q50": (1, 2048, [2**50 - 16383]),
    "N4096_Q100": (2, 4096, [2**50 - 16383, 2**50 - 212991]),
}
FEATURES_MASK, ZERO_MASK, FEATURES_NOISE, ZERO_NOISE, RERANDOMIZER, MASK_NOISE, BODY_NOISE, FLOOD = range(1, 9)
ROTATION_MASK, KEYSWITCH_MASK, ROTATION_NOISE, KEYSWITCH_NOISE = range(9, 13)
# WIRE.md, 11.1, of the set for tests: code, codes and N of its GLWE set, n, b, gadgets (base_log, levels), g
BOOTSTRAP_SETS = {"INSECURE_N64_N256_Q50_L2_G2": (0, 0, 256, 64, 8, (4, 4), (15, 2), 2)}


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# AES-256 (FIPS 197), encryption of single blocks.


def xtime(a):
    return (a << 1) ^ (0x11B if a & 0x80 else 0)


def sbox():
    table, p, q = [0] * 256, 1, 1
    while True:
        p ^= xtime(p)
        for shift in (1, 2, 4):
            q ^= q << shift & 0xFF
        q ^= 0x09 if q & 0x80 else 0
        x = q
        for shift in range(1, 5):
            x ^= (q << shift | q >> (8 - shift)) & 0xFF
        table[p] = x ^ 0x63
        if p == 1:
            table[0] = 0x63
            return table


SBOX = sbox()


def expand_key(key):
    words, constant = [list(key[i : i + 4]) for i in range(0, 32, 4)], 1
    for i in range(8, 60):
        word = list(words[i - 1])
        if i % 8 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= constant
            constant = xtime(constant)
        elif i % 8 == 4:
            word = [SBOX[b] for b in word]
        words.append([a ^ b for a, b in zip(words[i - 8], word)])
    return [sum(words[4 * r : 4 * r + 4], []) for r in range(15)]


def aes(round_keys, block):
    state = [a ^ b for a, b in zip(block, round_keys[0])]
    for number in range(1, 15):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if number < 14:
            mixed = []
            for column in range(0, 16, 4):
                c = state[column : column + 4]
                total = c[0] ^ c[1] ^ c[2] ^ c[3]
                mixed += [c[i] ^ total ^ xtime(c[i] ^ c[(i + 1) % 4]) for i in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, round_keys[number])]
    return bytes(state)


class Stream:
    """WIRE.md, section 4."""

    def __init__(self, key):
        self.round_keys, self.counter, self.buffer = expand_key(key), 0, b""

    def take(self, length):
        while len(self.buffer) < length:
            self.buffer += aes(self.round_keys, self.counter.to_bytes(16, "big"))
            self.counter += 1
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken


def tuniform(code, seed, role, b, count, group=0):
    stream = Stream(sha256(b"tiresias/rand/v2", bytes([code, role]), seed, group.to_bytes(4, "little"), bytes(4)))
    width = next(w for w in (1, 2, 4, 8, 16) if 8 * w >= b + 2)
    words = [int.from_bytes(stream.take(width), "little") for _ in range(count)]
    return [v % 2 ** (b + 1) + (v >> (b + 1)) % 2 - 2**b for v in words]


def product(a, b, modulus):
    """a*b in R, by one product of large integers."""
    n = len(a)
    slot = 28  # bytes: 4096 products below 2^200 need 212 bits
    whole = lambda p: int.from_bytes(b"".join((x % modulus).to_bytes(slot, "little") for x in p), "little")
    digits = (whole(a) * whole(b)).to_bytes(2 * n * slot, "little")
    c = [int.from_bytes(digits[i : i + slot], "little") for i in range(0, len(digits), slot)]
    return [(c[k] - c[k + n]) % modulus for k in range(n)]


def add(modulus, *polynomials):
    return [sum(column) % modulus for column in zip(*polynomials)]


def pack(values, width):
    whole = sum(value << (i * width) for i, value in enumerate(values))
    return whole.to_bytes((len(values) * width + 7) // 8, "little")


def unpack(data, count, width):
    """The values, or None where a padding bit is set."""
    whole = int.from_bytes(data, "little")
    return None if whole >> (count * width) else [whole >> (i * width) & (2**width - 1) for i in range(count)]


def seal(content):
    return content + sha256(content) + b"\x01"


def residues(values, primes):
    """WIRE.md, section 1: the residues modulo the first prime, then those modulo the second."""
    return [value % prime for prime in primes for value in values]


def joined(values, primes):
    """The polynomial with these residues, by the Chinese remainder theorem."""
    n, q = len(values) // len(primes), 1
    result = [0] * n
    for k, prime in enumerate(primes):
        inverse = pow(q, -1, prime)
        result = [x + q * ((r - x) * inverse % prime) for x, r in zip(result, values[k * n : (k + 1) * n])]
        q *= prime
    return result


def decode_frame(data, header, fields, polynomials, primes):
    """WIRE.md, section 9. `polynomials` lists (count, width); returns a fault or the polynomials."""
    lengths = [(count * width + 7) // 8 for count, width in polynomials]
    if len(data) != 105 + sum(lengths):
        return "length"
    names = ["magic"] * 4 + ["version", "parameters", "kind", "byte7"]
    for name, found, expected in zip(names, data, header):
        if found != expected:
            return name
    if data[-1] != 1:
        return "end_mark"
    if data[-33:-1] != sha256(data[:-33]):
        return "digest"
    for (name, expected), offset in zip(fields, (8, 40)):
        if data[offset : offset + 32] != expected:
            return name
    found, offset = [], 72
    for (count, width), length in zip(polynomials, lengths):
        values = unpack(data[offset : offset + length], count, width)
        if values is None:
            return "not_canonical"
        parts = zip(primes, range(0, count, count // len(primes))) if width == 50 else []
        if any(max(values[at : at + count // len(primes)]) >= prime for prime, at in parts):
            return "not_canonical"
        found.append(values)
        offset += length
    return found


class Vector:
    def __init__(self, vector):
        data = lambda name: bytes.fromhex(vector[name])
        self.vector = vector
        self.code, self.n, self.primes = SETS[vector["parameters"]]
        self.q = self.primes[0] * (self.primes + [1])[1]
        self.d, self.classes, self.biases = vector["features"], vector["classes"], vector["biases"]
        self.m, self.block, self.per_group = vector["ciphertexts"], vector["block"], vector["classes_per_group"]
        self.t, self.r, self.protected = vector["t"], vector["r"], vector["privacy"] != "open-weights"
        # README.md of this folder: inputs
        self.row = [127, -127, 0] + [(73 * i + 5) % 255 - 127 for i in range(3, self.d)]
        flat = [127, 127, -127] + [(91 * i + 17) % 255 - 127 for i in range(3, self.d * self.classes)]
        self.weights = [flat[k * self.d : (k + 1) * self.d] for k in range(self.classes)]
        self.config = sha256(vector["config_bytes"].encode())
        self.gateway_seed, self.client_seed = data("gateway_seed"), data("client_seed")
        self.noise_seed, self.response_seed = data("noise_seed"), data("response_seed")
        self.key_id = sha256(b"tiresias/key/v2 ", bytes([self.code]), self.client_seed)
        key = data("secret_key")
        self.s = [key[i // 8] >> (i % 8) & 1 for i in range(self.n)]
        self.skipped = 0
        streams = vector["streams"]
        self.masks = [self.mask(FEATURES_MASK, j, streams["features_mask"][j]) for j in range(self.m)]
        if self.protected:
            self.zero_mask = self.mask(ZERO_MASK, 0, streams["zero_mask"])

    def mask(self, role, index, stated):
        context = self.config, self.key_id, index.to_bytes(4, "little"), self.gateway_seed, self.client_seed
        key = sha256(b"tiresias/mask/v2", bytes([self.code, role]), *context)
        stream, polynomial = Stream(key), []
        for prime in self.primes:
            part = []
            while len(part) < self.n:
                draw = int.from_bytes(stream.take(8), "little") % 2**50
                if draw < prime:
                    part.append(draw)
                else:
                    self.skipped += 1
            assert part[:4] == stated["first"][len(polynomial) // self.n]
            polynomial += part
        assert key.hex() == stated["key"]
        return joined(polynomial, self.primes)

    def encode(self, value):
        return (value * self.q + 2 ** (self.t - 1) >> self.t) % self.q

    def bodies(self):
        for j, mask in enumerate(self.masks):
            part = self.row[j * self.block : (j + 1) * self.block]
            plaintext = [self.encode(x) for x in part] + [0] * (self.n - len(part))
            noise = tuniform(self.code, self.noise_seed, FEATURES_NOISE, 3, self.n, j)
            yield add(self.q, product(mask, self.s, self.q), noise, plaintext)
        if self.protected:
            noise = tuniform(self.code, self.noise_seed, ZERO_NOISE, 3, self.n)
            yield add(self.q, product(self.zero_mask, self.s, self.q), noise)

    def request(self):
        header = b"TRSQ" + bytes([2, self.code, self.protected, self.m])
        self.polynomials = list(self.bodies())
        packed = b"".join(pack(residues(p, self.primes), 50) for p in self.polynomials)
        return seal(header + self.config + self.client_seed + packed)

    def widths(self):
        """WIRE.md, 6.2, and what 6.5 comes to for these heads."""
        bits = 50 * len(self.primes)
        half = bits - self.t - 1
        if self.vector["privacy"] == "statistical":
            return 4, 8, bits - 2 - self.t
        return half - 21, half - 15, bits - 2 - self.t

    def group(self, number):
        classes = range(number * self.per_group, min((number + 1) * self.per_group, self.classes))
        mask, body = [0] * self.n, [0] * self.n
        for j in range(self.m):
            weights = [0] * self.n
            for block, k in enumerate(classes):
                for i, w in enumerate(self.weights[k][j * self.block : (j + 1) * self.block]):
                    weights[(block + 1) * self.block - 1 - i] = w
            mask = add(self.q, mask, product(self.masks[j], weights, self.q))
            body = add(self.q, body, product(self.polynomials[j], weights, self.q))
        noise = [[0] * len(classes)] * 2
        if self.protected:
            b_u, b_e1, b_f = self.widths()
            sample = lambda role, b, count: tuniform(self.code, self.response_seed, role, b, count, number)
            u = sample(RERANDOMIZER, b_u, self.n)
            mask = add(self.q, mask, product(u, self.zero_mask, self.q), sample(MASK_NOISE, b_e1, self.n))
            body = add(self.q, body, product(u, self.polynomials[-1], self.q))
            noise = [sample(BODY_NOISE, 3, len(classes)), sample(FLOOD, b_f, len(classes))]
        wanted = [body[(j + 1) * self.block - 1] for j in range(len(classes))]
        scores = [sum(column) for column in zip(wanted, [self.encode(self.biases[k]) for k in classes], *noise)]
        switch = lambda y: (2 ** (self.r + 1) * (y % self.q) + self.q) // (2 * self.q) % 2**self.r
        return pack([switch(y) for y in mask], self.r) + pack([switch(y) for y in scores], self.r)

    def sizes(self):
        starts = range(0, self.classes, self.per_group)
        return [min(self.per_group, self.classes - start) for start in starts]

    def response(self, request):
        header = b"TRSR" + bytes([2, self.code, self.protected, self.r])
        packed = b"".join(self.group(number) for number in range(len(self.sizes())))
        return seal(header + self.config + request[-33:-1] + packed)

    def decode(self, base, data, request_digest):
        kind = bytes([2, self.code, self.protected])
        config = ("config_id", self.config)
        if base.startswith("good_request"):
            polynomials = [(len(self.primes) * self.n, 50)] * (self.m + self.protected)
            return decode_frame(data, b"TRSQ" + kind + bytes([self.m]), [config], polynomials, self.primes)
        fields = [config, ("request_digest", request_digest)]
        polynomials = [pair for size in self.sizes() for pair in ((self.n, self.r), (size, self.r))]
        return decode_frame(data, b"TRSR" + kind + bytes([self.r]), fields, polynomials, self.primes)

    def phases(self, polynomials):
        phases = []
        for mask, body in zip(polynomials[::2], polynomials[1::2]):
            opened = product(mask, self.s, 2**self.r)
            phases += [(y - opened[(j + 1) * self.block - 1]) % 2**self.r for j, y in enumerate(body)]
        return phases

    def score(self, phase):
        step = self.r - self.t
        score = (phase + 2 ** (step - 1)) % 2**self.r >> step
        return score - 2**self.t if score >= 2 ** (self.t - 1) else score


class EvaluationKey:
    """WIRE.md, section 11."""

    def __init__(self, vector):
        self.code, self.glwe, self.n, self.dimension, self.b, self.keyswitch, self.rotation, self.g = BOOTSTRAP_SETS[
            vector["parameters"]
        ]
        self.prime = 2**50 - 16383
        key = bytes.fromhex(vector["secret_key"])
        bits = [byte >> i & 1 for byte in key for i in range(8)]
        self.s, self.z = bits[: self.n], bits[self.n : self.n + self.dimension]
        self.mask_seed, self.noise_seed = bytes.fromhex(vector["mask_seed"]), bytes.fromhex(vector["noise_seed"])
        self.per_step = 1 if self.g == 1 else 2**self.g
        self.rows = self.dimension // self.g * self.per_step * 2 * self.rotation[1]

    def stream_key(self, role, index):
        context = bytes([self.code, role]), index.to_bytes(4, "little"), self.mask_seed
        return sha256(b"tiresias/evaluation-key/v2", *context)

    def rotation_mask(self, row):
        stream, mask = Stream(self.stream_key(ROTATION_MASK, row)), []
        while len(mask) < self.n:
            draw = int.from_bytes(stream.take(8), "little") % 2**50
            mask += [draw] if draw < self.prime else []
        return mask

    def rotation_body(self, row):
        base, levels = self.rotation
        ggsw, place = divmod(row, 2 * levels)
        step, subset = divmod(ggsw, self.per_step)
        level, is_body = divmod(place, 2)
        group = self.z[step * self.g : (step + 1) * self.g]
        m = group[0] if self.g == 1 else group == [subset & 1, subset >> 1]
        scaled = int(m) * 2 ** (50 - base * (level + 1))
        message = [scaled] + [0] * (self.n - 1) if is_body else [-scaled * bit for bit in self.s]
        noise = tuniform(self.glwe, self.noise_seed, ROTATION_NOISE, 3, self.n, row)
        return add(self.prime, product(self.rotation_mask(row), self.s, self.prime), noise, message)

    def keyswitch_masks(self, coefficient):
        stream = Stream(self.stream_key(KEYSWITCH_MASK, coefficient))
        word = lambda: int.from_bytes(stream.take(4), "little")
        return [[word() for _ in range(self.dimension)] for _ in range(self.keyswitch[1])]

    def keyswitch_bodies(self, coefficient):
        base, levels = self.keyswitch
        noise = tuniform(self.glwe, self.noise_seed, KEYSWITCH_NOISE, self.b, levels, coefficient)
        bodies = []
        for level, mask in enumerate(self.keyswitch_masks(coefficient)):
            message = self.s[coefficient] * 2 ** (32 - base * (level + 1))
            bodies.append((sum(a * z for a, z in zip(mask, self.z)) + noise[level] + message) % 2**32)
        return bodies

    def frame(self):
        header = b"TRSK" + bytes([2, self.code, 0, 0]) + self.mask_seed
        packed = b"".join(pack(self.rotation_body(row), 50) for row in range(self.rows))
        words = [word for coefficient in range(self.n) for word in self.keyswitch_bodies(coefficient)]
        return seal(header + packed + b"".join(word.to_bytes(4, "little") for word in words))


def check_evaluation_key(stated, whole):
    key = EvaluationKey(stated)
    for row in stated["rotation"]:
        assert key.stream_key(ROTATION_MASK, row["row"]).hex() == row["key"]
        assert key.rotation_mask(row["row"])[:4] == row["first"]
        assert sha256(pack(key.rotation_body(row["row"]), 50)).hex() == row["body_sha256"], row["row"]
    for row in stated["keyswitch"]:
        assert key.stream_key(KEYSWITCH_MASK, row["coefficient"]).hex() == row["key"]
        assert key.keyswitch_masks(row["coefficient"])[0][:4] == row["first"]
        assert key.keyswitch_bodies(row["coefficient"]) == row["bodies"]
    print("rows evaluation_key.json")
    if whole:
        frame = key.frame()
        assert (len(frame), sha256(frame).hex()) == (stated["bytes"], stated["key_id"])
        print("frame evaluation_key.json")


def edit(data, edits):
    data = bytearray(data)
    for change in edits.split("+"):
        place, _, content = change.partition(":")
        verb, _, offset = place.partition("@")
        content, offset = bytes.fromhex(content), int(offset or 0)
        if verb == "cut":
            del data[offset:]
        elif verb == "append":
            data += content
        else:
            for i, byte in enumerate(content):
                data[offset + i] = byte ^ (data[offset + i] if verb == "xor" else 0)
    return bytes(data)


def main():
    assert aes(expand_key(bytes(range(32))), bytes.fromhex("00112233445566778899aabbccddeeff")).hex() == (
        "8ea2b7ca516745bfeafc49904b496089"  # FIPS 197, C.3
    )
    common = json.loads((HERE / "vectors.json").read_text())
    vectors, files = {}, {}
    for stated in common["vectors"]:
        vector = Vector(stated)
        request = vector.request()
        response = vector.response(request)
        for name, made in ((stated["request"], request), (stated["response"], response)):
            files[name.removesuffix(".bin")] = made
            vectors[name.removesuffix(".bin")] = vector, request[-33:-1]
            assert made == (HERE / name).read_bytes(), name
            print("good", name)
        phases = vector.phases(vector.decode("good_response", response, request[-33:-1]))
        assert phases == stated["phases"]
        assert [vector.score(phase) for phase in phases] == stated["scores"]
        expected = [sum(w * x for w, x in zip(row, vector.row)) + b for row, b in zip(vector.weights, vector.biases)]
        assert expected == stated["scores"]
        assert vector.skipped == 1, "a draw of a mask is skipped"
    for line in (HERE / "bad.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        name, base, edits, digest, fault = line.split()
        data = edit(files[base], edits)
        if digest == "sealed":
            data = data[:-33] + sha256(data[:-33]) + data[-1:]
        vector, request_digest = vectors[base]
        found = vector.decode(base, data, request_digest)
        assert found == fault, f"{name}: {found}, expected {fault}"
        print("bad ", name, fault)
    check_evaluation_key(json.loads((HERE / "evaluation_key.json").read_text()), "--whole" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
