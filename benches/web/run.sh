#!/bin/sh
# The comparison in a browser, in one run. PYTHON has torch, torchvision and onnx.
# usage: benches/web/run.sh [NETWORK...]
set -eu
cd "$(dirname "$0")"
folder=$(cd ../.. && pwd)/out/bench-web
python=${PYTHON:-python3}
kiln=../../target/release/kiln
[ -x "$kiln" ] || cargo build --release -p kiln-cnn-cli
[ -d "$folder/simple_cnn" ] || "$python" models.py "$folder"
for model in "$folder"/*/model.onnx; do
    for target in swiftshader portable; do
        "$kiln" compile "$model" --target "$target" -o "${model%/*}/$target.kplan"
    done
    # Without Winograd's algorithm, whose weights are larger, as `kiln export-web` makes plans.
    "$kiln" compile "$model" --target swiftshader --precise -o "${model%/*}/precise.kplan"
done
"$kiln" compile ../../models/fastai.py:simple_cnn --input 1,28,28 --max N=64 --train sgd --target swiftshader -o "$folder/simple_cnn/train.kplan"
npm install --no-fund --no-audit --no-package-lock --loglevel=error
exec node compare.mjs "$folder" "$@"
