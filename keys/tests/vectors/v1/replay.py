"""Replays the golden vectors of this folder from keys/WIRE.md alone, with nothing but Python's standard library.

python3 replay.py     makes both requests and both responses again, opens them, and checks every line of bad.txt

It is slow and protects no secret: it is for reading and for checking, never for use.
"""

import hashlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
N, Q, Q_BITS, CODE = 2048, 2**50 - 16383, 50, 1
FEATURES_MASK, ZERO_MASK, FEATURES_NOISE, ZERO_NOISE, RERANDOMIZER, MASK_NOISE, BODY_NOISE, FLOOD = range(1, 9)


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


def mask_key(role, config, key_id, gateway_seed, client_seed):
    index = (0).to_bytes(4, "little")
    return sha256(b"tiresias/mask/v1", bytes([CODE, role]), config, key_id, index, gateway_seed, client_seed)


def uniform(key):
    stream, residues, skipped = Stream(key), [], 0
    while len(residues) < N:
        draw = int.from_bytes(stream.take(8), "little") % 2**Q_BITS
        if draw < Q:
            residues.append(draw)
        else:
            skipped += 1
    return residues, skipped


def tuniform(seed, role, b, count):
    stream = Stream(sha256(b"tiresias/rand/v1", bytes([role]), seed, bytes(4), bytes(4)))
    width = next(w for w in (1, 2, 4, 8) if 8 * w >= b + 2)
    words = [int.from_bytes(stream.take(width), "little") for _ in range(count)]
    return [v % 2 ** (b + 1) + (v >> (b + 1)) % 2 - 2**b for v in words]


def product(a, b, modulus):
    """a*b in R, by one product of large integers."""
    slot = 14  # bytes: 2048 products below 2^100 need 111 bits
    whole = lambda p: int.from_bytes(b"".join((x % modulus).to_bytes(slot, "little") for x in p), "little")
    digits = (whole(a) * whole(b)).to_bytes(2 * N * slot, "little")
    c = [int.from_bytes(digits[i : i + slot], "little") for i in range(0, len(digits), slot)]
    return [(c[k] - c[k + N]) % modulus for k in range(N)]


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


def encode(value, t):
    return (value * Q + 2 ** (t - 1) >> t) % Q


def decode_frame(data, header, fields, polynomials):
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
        if values is None or (width == Q_BITS and max(values) >= Q):
            return "not_canonical"
        found.append(values)
        offset += length
    return found


class Vector:
    def __init__(self, common, vector):
        data = lambda name: bytes.fromhex(vector[name])
        self.vector, self.d, self.classes = vector, common["features"], common["classes"]
        self.row, self.weights, self.biases = common["row"], common["weights"], common["biases"]
        self.t, self.r, self.flooded = vector["t"], vector["r"], vector["privacy"] == "flooded"
        self.config = sha256(vector["config_bytes"].encode())
        self.gateway_seed, self.client_seed = data("gateway_seed"), data("client_seed")
        self.noise_seed, self.response_seed = data("noise_seed"), data("response_seed")
        self.key_id = sha256(b"tiresias/key/v1 ", bytes([CODE]), self.client_seed)
        key = data("secret_key")
        self.s = [key[i // 8] >> (i % 8) & 1 for i in range(N)]
        self.masks = {role: self.mask(role) for role in (FEATURES_MASK, ZERO_MASK)[: 1 + self.flooded]}

    def mask(self, role):
        key = mask_key(role, self.config, self.key_id, self.gateway_seed, self.client_seed)
        residues, skipped = uniform(key)
        stated = self.vector["streams"]["features_mask" if role == FEATURES_MASK else "zero_mask"]
        assert key.hex() == stated["key"] and residues[:4] == stated["first"]
        assert skipped == (role == (ZERO_MASK if self.flooded else FEATURES_MASK))
        return residues

    def bodies(self):
        plaintext = [encode(x, self.t) for x in self.row] + [0] * (N - self.d)
        noise = tuniform(self.noise_seed, FEATURES_NOISE, 3, N)
        yield add(Q, product(self.masks[FEATURES_MASK], self.s, Q), noise, plaintext)
        if self.flooded:
            noise = tuniform(self.noise_seed, ZERO_NOISE, 3, N)
            yield add(Q, product(self.masks[ZERO_MASK], self.s, Q), noise)

    def request(self):
        header = b"TRSQ" + bytes([1, CODE, self.flooded, 0])
        self.polynomials = list(self.bodies())
        packed = b"".join(pack(p, Q_BITS) for p in self.polynomials)
        return seal(header + self.config + self.client_seed + packed)

    def response(self, request):
        weights = sum((row[::-1] for row in self.weights), [])
        weights += [0] * (N - len(weights))
        positions = [(j + 1) * self.d - 1 for j in range(self.classes)]
        mask, body = product(self.masks[FEATURES_MASK], weights, Q), product(self.polynomials[0], weights, Q)
        if self.flooded:
            half = Q_BITS - self.t - 1
            u = tuniform(self.response_seed, RERANDOMIZER, half - 21, N)
            e1 = tuniform(self.response_seed, MASK_NOISE, half - 15, N)
            mask = add(Q, mask, product(u, self.masks[ZERO_MASK], Q), e1)
            body = add(Q, body, product(u, self.polynomials[1], Q))
        scores = [body[k] + encode(bias, self.t) for k, bias in zip(positions, self.biases)]
        if self.flooded:
            e2 = tuniform(self.response_seed, BODY_NOISE, 3, self.classes)
            flood = tuniform(self.response_seed, FLOOD, 48 - self.t, self.classes)
            scores = [sum(column) for column in zip(scores, e2, flood)]
        switch = lambda y: (2 ** (self.r + 1) * (y % Q) + Q) // (2 * Q) % 2**self.r
        header = b"TRSR" + bytes([1, CODE, self.flooded, self.r])
        packed = pack([switch(y) for y in mask], self.r)
        packed += pack([switch(y) for y in scores], self.r)
        return seal(header + self.config + request[-33:-1] + packed)

    def decode(self, base, data, request_digest):
        kind = bytes([1, CODE, self.flooded])
        config = ("config_id", self.config)
        if base.startswith("good_request"):
            return decode_frame(data, b"TRSQ" + kind + b"\0", [config], [(N, Q_BITS)] * (1 + self.flooded))
        fields = [config, ("request_digest", request_digest)]
        return decode_frame(data, b"TRSR" + kind + bytes([self.r]), fields, [(N, self.r), (self.classes, self.r)])

    def phases(self, mask, body):
        opened = product(mask, self.s, 2**self.r)
        return [(y - opened[(j + 1) * self.d - 1]) % 2**self.r for j, y in enumerate(body)]

    def score(self, phase):
        step = self.r - self.t
        score = (phase + 2 ** (step - 1)) % 2**self.r >> step
        return score - 2**self.t if score >= 2 ** (self.t - 1) else score


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
        vector = Vector(common, stated)
        request = vector.request()
        response = vector.response(request)
        for name, made in ((stated["request"], request), (stated["response"], response)):
            files[name.removesuffix(".bin")] = made
            vectors[name.removesuffix(".bin")] = vector, request[-33:-1]
            assert made == (HERE / name).read_bytes(), name
            print("good", name)
        phases = vector.phases(*vector.decode("good_response", response, request[-33:-1]))
        assert phases == stated["phases"]
        assert [vector.score(phase) for phase in phases] == common["scores"]
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


if __name__ == "__main__":
    sys.exit(main())
