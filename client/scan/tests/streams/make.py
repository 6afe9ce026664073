"""Makes the streams beside it, with encoders that nobody here wrote, and what decoders that nobody here wrote read from them.

    apt-get install dcmtk
    python -m venv venv && venv/bin/pip install numpy==2.4.6 pydicom==3.0.2 pyjpegls==1.5.1 imagecodecs==2026.3.6
    venv/bin/python client/scan/tests/streams/make.py

JPEG-LS comes from CharLS (by pyjpegls), and with parameters of its own from DCMTK's dcmcjpls; JPEG with 12 bits comes from
libjpeg-turbo (by imagecodecs), and from DCMTK's dcmcjpeg. Restart intervals, which none of them writes, are strips that
CharLS coded one by one, put together with the markers between them; CharLS reads the whole.

Each stream has a line in streams.tsv: its file, rows, columns, samples of a pixel, bits of a sample, and how far a decoded
sample may lie from the one in `.raw`: bytes or little-endian words, row after row, the samples of a pixel side by side.
"""
import pathlib
import subprocess
import tempfile

import imagecodecs
import jpeg_ls
import numpy as np
import pydicom
from pydicom.encaps import generate_frames

HERE = pathlib.Path(__file__).parent
LINES = []


def image(rows, columns, bits, samples=1, seed=1):
    """A disc on a ramp, noise beside flat parts, black and white lines."""
    random = np.random.default_rng(seed)
    top = 2**bits - 1
    y, x = np.mgrid[0:rows, 0:columns]
    planes = []
    for plane in range(samples):
        picture = (x + 2 * y + 5 * plane) / (columns + 2 * rows + 15) * 0.6
        picture = np.where((y - rows / 2) ** 2 + (x - columns / 3) ** 2 < (min(rows, columns) / 3.5) ** 2, 0.85, picture)
        picture = picture + (x > 2 * columns / 3) * random.normal(0, 0.03, (rows, columns))
        picture = np.where(y < rows / 5, 0.25, picture)
        words = np.clip(np.round(picture * top), 0, top).astype(np.uint16)
        words[-2, 1::3] = top
        words[rows // 2, ::2] = 0
        planes.append(words)
    return planes[0] if samples == 1 else np.stack(planes, -1)


def keep(name, stream, values, bits, tolerance=0):
    rows, columns, *samples = values.shape
    (HERE / name).write_bytes(stream)
    kind = np.uint8 if bits <= 8 else "<u2"
    (HERE / name).with_suffix(".raw").write_bytes(values.astype(kind).tobytes())
    LINES.append([name, rows, columns, samples[0] if samples else 1, bits, tolerance])


def charls(values, bits, near=0, interleave=None):
    """A stream of CharLS."""
    wire = values.transpose(2, 0, 1) if interleave == 0 else values  # it takes planes apart, and lines from pixels
    kind = np.uint8 if bits <= 8 else np.uint16
    samples = values.shape[2] if values.ndim == 3 else 1
    return bytes(jpeg_ls.encode_buffer(
        wire.astype(kind).tobytes(), values.shape[0], values.shape[1], samples, bits, near, interleave))


def decoded_by_charls(stream, shape):
    buffer, info = jpeg_ls.decode_pixel_data(stream)
    words = np.frombuffer(buffer, np.uint8 if info["bits_per_sample"] <= 8 else "<u2").astype(np.uint16)
    # CharLS gives planes where it read planes, and else pixels.
    if len(shape) == 3 and info["interleave_mode"] == 0:
        return words.reshape(shape[2], *shape[:2]).transpose(1, 2, 0)
    return words.reshape(shape)


def jpeg_ls_stream(name, stream, values, bits, near):
    read = decoded_by_charls(stream, values.shape)
    assert np.abs(read.astype(int) - values.astype(int)).max() <= near, name
    keep(name, stream, read, bits)


def frame_of(*command, values, bits):
    """The only frame of what a program of DCMTK makes of an object."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = pydicom.Dataset()
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3.4"
        dataset.StudyInstanceUID = dataset.SeriesInstanceUID = "1.2.3"
        dataset.PhotometricInterpretation = "MONOCHROME2" if values.ndim == 2 else "RGB"
        dataset.SamplesPerPixel = 1 if values.ndim == 2 else 3
        if values.ndim == 3:
            dataset.PlanarConfiguration = 0
        dataset.Rows, dataset.Columns = values.shape[:2]
        dataset.BitsAllocated = 8 if bits <= 8 else 16
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, 0
        data = values.astype(np.uint8 if bits <= 8 else "<u2").tobytes()
        dataset.PixelData = data + b"\0" * (len(data) % 2)
        dataset["PixelData"].VR = "OB" if bits <= 8 else "OW"
        dataset.save_as(f"{folder}/in.dcm", enforce_file_format=True)
        subprocess.run([*command, f"{folder}/in.dcm", f"{folder}/out.dcm"], check=True)
        return next(generate_frames(pydicom.dcmread(f"{folder}/out.dcm").PixelData, number_of_frames=1))


def with_restarts(strips, interval, frame=b"\xff\xf7"):
    """Streams of strips as one stream with a restart interval."""
    heads, bodies = [], []
    for strip in strips:
        scan = strip.index(b"\xff\xda")
        start = scan + 2 + int.from_bytes(strip[scan + 2:scan + 4], "big")
        assert strip[-2:] == b"\xff\xd9"
        heads.append(strip[:start])
        bodies.append(strip[start:-2])
    rows = sum(int.from_bytes(head[head.index(frame) + 5:][:2], "big") for head in heads)
    head, scan = bytearray(heads[0]), heads[0].index(b"\xff\xda")
    at = head.index(frame)
    head[at + 5:at + 7] = rows.to_bytes(2, "big")
    head[scan:scan] = b"\xff\xdd\x00\x04" + interval.to_bytes(2, "big")
    stream = bytes(head)
    for at, body in enumerate(bodies):
        stream += (bytes([0xff, 0xd0 + (at - 1) % 8]) if at else b"") + body
    return stream + b"\xff\xd9"


def make_jpeg_ls():
    for bits in range(2, 17):
        values = image(29, 41, bits, seed=bits)
        jpeg_ls_stream(f"grey{bits}.jls", charls(values, bits), values, bits, 0)
    for bits, near in [(8, 1), (8, 3), (8, 100), (12, 5), (16, 3), (16, 255), (4, 2)]:
        values = image(37, 30, bits, seed=20 + near)
        jpeg_ls_stream(f"grey{bits}-near{near}.jls", charls(values, bits, near), values, bits, near)
    for name, interleave in [("planes", 0), ("lines", 1), ("pixels", 2)]:
        for bits, near in [(8, 0), (8, 2), (16, 0)]:
            values = image(23, 31, bits, samples=3, seed=40 + near)
            stream = charls(values, bits, near, interleave)
            jpeg_ls_stream(f"colour{bits}-{name}-near{near}.jls", stream, values, bits, near)
    for rows, columns in [(1, 1), (1, 40), (40, 1), (3, 300)]:
        flat = np.full((rows, columns), 7, np.uint16)
        flat[-1, -1] = 9
        # pyjpegls has no room for the headers of so small a picture.
        stream = imagecodecs.jpegls_encode(flat.astype(np.uint8))
        jpeg_ls_stream(f"flat{rows}x{columns}.jls", stream, flat, 8, 0)
    flat = np.zeros((3, 20_000), np.uint16)
    flat[1, 9_000:] = 255
    flat[2, 8_990:19_900] = 17
    jpeg_ls_stream("runs.jls", charls(flat, 8), flat, 8, 0)

    values = image(30, 37, 8, seed=60)
    parameters = ["+t1", "9", "+t2", "20", "+t3", "61", "+rs", "31"]
    lossless = frame_of("dcmcjpls", "+pc", *parameters, values=values, bits=8)
    assert b"\xff\xf8" in lossless
    jpeg_ls_stream("presets8.jls", lossless, values, 8, 0)
    near = frame_of("dcmcjpls", "+en", "+md", "2", *parameters, values=values, bits=8)
    jpeg_ls_stream("presets8-near2.jls", near, values, 8, 2)
    values = image(30, 37, 12, seed=61)
    parameters = ["+t1", "100", "+t2", "200", "+t3", "700", "+rs", "200"]
    jpeg_ls_stream("presets12.jls", frame_of("dcmcjpls", "+pc", *parameters, values=values, bits=12), values, 12, 0)

    values = image(43, 26, 8, seed=62)
    strips = [charls(values[at:at + 4], 8) for at in range(0, 43, 4)]
    jpeg_ls_stream("restarts8.jls", with_restarts(strips, 4), values, 8, 0)
    values = image(20, 26, 8, samples=3, seed=63)
    for name, interleave in [("lines", 1), ("pixels", 2)]:
        strips = [charls(values[at:at + 7], 8, 1, interleave) for at in range(0, 20, 7)]
        jpeg_ls_stream(f"restarts-colour8-{name}.jls", with_restarts(strips, 7), values, 8, 1)


def make_jpeg():
    for rows, columns, level, seed in [(64, 48, 90, 70), (37, 45, 98, 71), (1, 1, 90, 72), (50, 9, 30, 73), (33, 70, 100, 74)]:
        values = image(rows, columns, 12, seed=seed) if rows > 1 else np.full((1, 1), 3000, np.uint16)
        stream = imagecodecs.jpeg8_encode(values, level=level, bitspersample=12)
        keep(f"extended-{rows}x{columns}-{level}.jpg", stream, imagecodecs.jpeg8_decode(stream), 12, 1)
    values = np.where(np.random.default_rng(75).random((40, 40)) < 0.5, 0, 4095).astype(np.uint16)
    stream = imagecodecs.jpeg8_encode(values, level=50, bitspersample=12)
    keep("extended-harsh.jpg", stream, imagecodecs.jpeg8_decode(stream), 12, 1)
    values = image(41, 52, 12, seed=76)
    stream = frame_of("dcmcjpeg", "+ee", "+q", "95", "+bt", values=values, bits=12)
    keep("extended-dcmtk.jpg", stream, imagecodecs.jpeg8_decode(stream), 12, 1)
    # Strips that are the same have the same tables, so that they go together.
    stream = imagecodecs.jpeg8_encode(image(8, 30, 12, seed=77), level=90, bitspersample=12)
    stream = with_restarts([stream] * 11, 4, frame=b"\xff\xc1")
    keep("extended-restarts.jpg", stream, imagecodecs.jpeg8_decode(stream), 12, 1)


if __name__ == "__main__":
    make_jpeg_ls()
    make_jpeg()
    lines = "".join("\t".join(map(str, line)) + "\n" for line in LINES)
    (HERE / "streams.tsv").write_text("# stream, rows, columns, samples of a pixel, bits, tolerance\n" + lines)
