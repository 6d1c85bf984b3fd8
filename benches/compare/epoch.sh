#!/bin/sh
# Whole processes in turn: `kiln train` and a PyTorch program, an epoch of simple_cnn with batch normalization on MNIST, reading
# the data and evaluating included.
#
#   benches/compare/epoch.sh MNIST [ROUNDS]
#
# MNIST is the folder with the four files of MNIST (`.gz` or not). Prints a line for each process: wall time in seconds,
# processor time in seconds, accuracy.
#
#   KILN     the kiln binary (default: target/release/kiln)
#   PYTHON   an interpreter with the packages of tests/oracles/requirements.txt (default: python3)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
kiln=${KILN:-$root/target/release/kiln}
python=${PYTHON:-python3}
data=$(cd "$1" && pwd)
NODEVICE_SELECT=1
export NODEVICE_SELECT
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# As torchvision has it.
mkdir -p "$work/MNIST"
ln -s "$data" "$work/MNIST/raw"
if ls "$data" | grep -q '\.gz$'; then
    rm "$work/MNIST/raw"
    mkdir "$work/MNIST/raw"
    for file in "$data"/*.gz; do
        gunzip -c "$file" > "$work/MNIST/raw/$(basename "$file" .gz)"
    done
fi

timed() {
    what=$1
    shift
    /usr/bin/time -o "$work/time" -f '%e %U %S' "$@" > "$work/out" 2> "$work/err" || { cat "$work/err" >&2; exit 1; }
    echo "$what: $(cut -d' ' -f1 "$work/time") s, $(awk '{ print $2 + $3 }' "$work/time") s of processors, accuracy $(accuracy)"
}

accuracy() {
    case $what in
    *kiln) "$python" -c 'import csv, sys; print(list(csv.DictReader(open(sys.argv[1])))[-1]["validation_accuracy"])' \
        "$work/training/history.csv" ;;
    *) cat "$work/out" ;;
    esac
}

for round in $(seq "${2:-2}"); do
    rm -rf "$work/training"
    timed "$round kiln" "$kiln" train "$root/models/simple_cnn_bn.toml" --data "mnist:$data" --epochs 1 --batch 512 --optimizer adamw \
        --lr 0.06 --beta2 0.99 --eps 1e-5 --weight-decay 0.01 -o "$work/training"
    timed "$round torch, no workers" "$python" "$here/epoch_python.py" "$work" 0
    timed "$round torch, 2 workers" "$python" "$here/epoch_python.py" "$work" 2
done
