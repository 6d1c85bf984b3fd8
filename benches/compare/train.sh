#!/bin/sh
# Training steps of Kiln beside burn and PyTorch: the same networks, the same two cores, in turn; SGD, cross-entropy.
#
#   benches/compare/train.sh [ROUNDS]
#
# Prints a line for each engine and round: the median of 30 steps and the time from start to the end of the first step,
# in milliseconds. Kiln's driver cache is empty at every start; burn keeps what it has tuned between rounds, which
# makes its later first steps shorter.
#
#   KILN     the kiln binary (default: target/release/kiln)
#   BURN     the burn timer (default: built here with cargo, which takes a quarter of an hour)
#   PYTHON   an interpreter with the packages of tests/oracles/requirements.txt (default: python3)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
kiln=${KILN:-$root/target/release/kiln}
python=${PYTHON:-python3}
if [ -z "${BURN:-}" ]; then
    cargo build --release --quiet --manifest-path "$here/burn/Cargo.toml"
    BURN=$here/burn/target/release/bench-burn
fi
NODEVICE_SELECT=1
export NODEVICE_SELECT
cache=$(mktemp -d)
trap 'rm -rf "$cache"' EXIT

for round in $(seq "${1:-2}"); do
    for job in net:net:64 fleuret_mnist:fleuret_mnist:64 fastai_simple_cnn_bn:fastai_simple_cnn_bn-preserve:512; do
        name=${job%%:*} batch=${job##*:} folder=${job#*:}
        model=$root/tests/oracles/fixtures/${folder%:*}/model.onnx
        rm -rf "${cache:?}/"*
        echo "$round $name kiln $(MESA_SHADER_CACHE_DIR=$cache "$kiln" bench "$model" --max N="$batch" --train --json |
            "$python" -c 'import json, sys; r = json.load(sys.stdin); print(json.dumps({"median_ms": round(r["median_ms"], 3), "first_ms": round(r["compile_ms"] + r["first_answer_ms"], 1)}))')"
        echo "$round $name burn $("$BURN" "$name" "$batch" 30)"
        echo "$round $name torch $("$python" "$here/train_python.py" "$name" "$batch" 30)"
    done
done
