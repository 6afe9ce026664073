"""What runs ONNX backbones: rten and tract beside onnxruntime, one thread each.

    python compare.py MODEL.onnx CARD.toml PICTURE...

with numpy, onnxruntime and pillow; after `cargo build --release` here. Pictures are stretched to the size of the card and
scaled as it says. Prints load time, the median time a scan, and how far outputs are from onnxruntime's, as a part of the
largest output.
"""

import pathlib
import subprocess
import sys
import tempfile
import time
import tomllib

import numpy
import onnxruntime
from PIL import Image

ROUNDS = 3


def read(path, card):
    height, width = card["size"]
    pixels = Image.open(path).convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
    low, high = card["range"]
    x = numpy.asarray(pixels, dtype=numpy.float32) / 255 * (high - low) + low
    x = x[:, :, ::-1] if card["channels"] == "bgr" else x
    x = (x - numpy.float32(card.get("mean", 0))) / numpy.float32(card.get("std", 1))
    x = x.transpose(2, 0, 1) if card["layout"] == "nchw" else x
    return numpy.ascontiguousarray(x[None], dtype=numpy.float32)


def main(model, card, *pictures):
    card = tomllib.loads(pathlib.Path(card).read_text())
    inputs = [read(picture, card) for picture in pictures]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    started = time.perf_counter()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    load = (time.perf_counter() - started) * 1e3
    name, times = session.get_inputs()[0].name, []
    for _ in range(ROUNDS):
        expected = []
        for x in inputs:
            started = time.perf_counter()
            expected.append(session.run(None, {name: x})[0].ravel())
            times.append((time.perf_counter() - started) * 1e3)
    expected = numpy.array(expected)
    print(f"{'engine':12} {'load, ms':>9} {'a scan, ms':>11} {'off by':>8} {'same best':>10}")
    print(f"{'onnxruntime':12} {load:9.0f} {numpy.median(times):11.1f}")
    with tempfile.TemporaryDirectory() as folder:
        given, outputs = f"{folder}/inputs", f"{folder}/outputs"
        numpy.concatenate(inputs).astype("<f4").tofile(given)
        program = pathlib.Path(__file__).parent / "target/release/tiresias-bench-backbones"
        shape = ",".join(str(length) for length in inputs[0].shape)
        lines = subprocess.run([program, model, shape, given, outputs], check=True, capture_output=True, text=True)
        for line in lines.stdout.splitlines():
            engine, load, scan = line.split()
            got = numpy.fromfile(f"{outputs}.{engine}", dtype="<f4").reshape(expected.shape)
            off = numpy.abs(got - expected).max() / numpy.abs(expected).max()
            same = (got.argmax(axis=1) == expected.argmax(axis=1)).sum()
            print(f"{engine:12} {float(load):9.0f} {float(scan):11.1f} {off:8.0e} {same:3} of {len(expected)}")


main(*sys.argv[1:])
