"""Compares the DICOM reader with pydicom's on pydicom's own test files, and on what it makes of the native ones of them:
JPEG-LS, lossless and near-lossless, and JPEG Extended with 12 bits.

    python -m venv venv && venv/bin/pip install pydicom==3.0.2 numpy pylibjpeg[all] pyjpegls imagecodecs pillow
    cargo build --example values -p tiresias-scan
    venv/bin/python compare_pydicom.py target/debug/examples/values [FOLDER]

Prints one line a transfer syntax, and each file that differs or that only one of the two reads. Fails where one differs.
"""
import collections
import pathlib
import subprocess
import sys
import tempfile
import warnings

import imagecodecs
import numpy as np
import pydicom
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, convert_color_space, pixel_array
from pydicom.pixels.processing import apply_color_lut

warnings.simplefilter("ignore")


def expected(dataset, frame):
    """Modality values, or colours from 0 to 1, of one frame."""
    photometric = dataset.PhotometricInterpretation
    if photometric == "PALETTE COLOR":
        raw = pixel_array(dataset, index=frame, raw=True)
        colours = apply_color_lut(raw, dataset)
        return colours / np.float64(2 ** dataset.RedPaletteColorLookupTableDescriptor[2] - 1)
    if dataset.SamplesPerPixel == 3:
        # pixel_array turns YBR into RGB by itself unless raw.
        rgb = pixel_array(dataset, index=frame)
        return rgb / np.float64(2 ** dataset.BitsStored - 1)
    raw = pixel_array(dataset, index=frame)
    return apply_modality_lut(raw, dataset).astype(np.float64)


def make(folder, out):
    """Writes the native files of a folder in other transfer syntaxes."""
    for path in sorted(pathlib.Path(folder).rglob("*.dcm")):
        for name, syntax, options in [
            ("ls", uid.JPEGLSLossless, {}),
            ("near", uid.JPEGLSNearLossless, {"jls_error": 3}),
            ("extended", uid.JPEGExtended12Bit, {}),
        ]:
            try:
                dataset = pydicom.dcmread(path)
                if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
                    break
                if name != "extended":
                    dataset.compress(syntax, generate_instance_uid=False, **options)
                elif dataset.BitsAllocated == 16 and dataset.BitsStored <= 12 and dataset.SamplesPerPixel == 1:
                    raw = pixel_array(dataset, raw=True).astype(np.uint16) & (2**dataset.BitsStored - 1)
                    frames = raw.reshape(-1, dataset.Rows, dataset.Columns)
                    encode = lambda frame: imagecodecs.jpeg8_encode(frame, level=95, bitspersample=12)
                    dataset.PixelData = encapsulate([encode(np.ascontiguousarray(frame)) for frame in frames])
                    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
                    dataset.file_meta.TransferSyntaxUID = syntax
                else:
                    continue
                dataset.save_as(f"{out}/{path.stem}-{name}.dcm")
            except Exception:
                pass  # no pixels, or such as the syntax does not hold


def main():
    program = sys.argv[1]
    folder = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(pydicom.__file__).parent / "data/test_files")
    table, differing = collections.defaultdict(collections.Counter), []
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryDirectory() as made:
        make(folder, made)
        lines = subprocess.run([program, out, folder, made], capture_output=True, text=True, check=True).stdout.splitlines()
        for line in lines:
            name, frame, *rest = line.split("\t")
            short = pathlib.Path(name).name
            try:
                dataset = pydicom.dcmread(name)
                syntax = dataset.file_meta.TransferSyntaxUID.name
            except Exception:
                syntax = "not DICOM, or without file meta"
            if frame == "error":
                try:
                    expected(dataset, 0)
                    table[syntax]["only pydicom"] += 1
                    print(f"only pydicom reads {short}: {rest[1]}")
                except Exception:
                    table[syntax]["neither"] += 1
                continue
            height, width, channels, at = map(int, rest)
            got = np.fromfile(f"{out}/{at}-{frame}.values", dtype="<f4").reshape(height, width, channels)
            try:
                want = expected(dataset, int(frame)).reshape(height, width, channels)
            except Exception as error:
                table[syntax]["only tiresias"] += 1
                print(f"only tiresias reads {short}: {type(error).__name__} {str(error)[:80]}")
                continue
            off = np.abs(got - want).max()
            # Chroma that is converted, and decoders of lossy JPEG with their own ways to spread it, differ by a few steps.
            tolerance = 4.01 / 255 if channels == 3 else (1.01 if "JPEG Baseline" in syntax or "Extended" in syntax else
                                                          1e-6 * max(1, np.abs(want).max()))
            same = off <= tolerance
            table[syntax]["same" if same else "DIFFERENT"] += 1
            if not same:
                differing.append(short)
                print(f"DIFFERENT {short} frame {frame}: by {off:.4g} ({dataset.PhotometricInterpretation})")
    for syntax, counts in sorted(table.items()):
        print(f"{syntax:60} " + ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    sys.exit(1 if differing else 0)


main()
