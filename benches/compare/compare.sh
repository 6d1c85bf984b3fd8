#!/bin/sh
# Kiln beside PyTorch, ONNX Runtime and wonnx: the same networks, the same two cores, in turn.
#
#   benches/compare/compare.sh [-r ROUNDS] [-n RUNS] [-o ORACLES] [-p PYTHON] [-e ENGINES] [NAME...]
#
# In every round each engine runs each network once, in a process of its own, so that whatever else the machine does
# falls on all of them alike. A round of an engine is its median of RUNS runs; the table shows the median of the rounds.
# The driver's shader cache is empty at every start, so that a first answer includes compiling the kernels.
# Engines that are not there (no such binary, no such Python package) are left out, and the table says so.
#
#   ORACLES  directory that make_oracles.py filled (default: out/oracles); networks missing there are made first
#   PYTHON   an interpreter with the packages of tests/oracles/requirements.txt (default: python3)
#   ENGINES  of "kiln torch onnxruntime wonnx" (default: all)
#   KILN     the kiln binary (default: target/release/kiln)
#   WONNX    the wonnx timer (default: built here with cargo)
#   THREADS  for the two CPU engines (default: 2)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
rounds=5 runs=30 oracles=$root/out/oracles python=python3 engines="kiln torch onnxruntime wonnx"
while getopts r:n:o:p:e: option; do
    case $option in
        r) rounds=$OPTARG ;;
        n) runs=$OPTARG ;;
        o) oracles=$OPTARG ;;
        p) python=$OPTARG ;;
        e) engines=$OPTARG ;;
        *) sed -n '2,18s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- squeezenet1_1 resnet18 mobilenet_v2
kiln=${KILN:-$root/target/release/kiln}
threads=${THREADS:-2}

for name in "$@"; do
    [ -f "$oracles/$name/model.onnx" ] || {
        echo "making $name in $oracles" >&2
        "$python" "$root/tests/oracles/make_oracles.py" --exporter legacy --only "$name" -o "$oracles" >&2
    }
done
prepared=$oracles/compare
"$python" "$here/prepare_models.py" "$oracles" "$prepared" "$@"

case " $engines " in *" wonnx "*)
    if [ -z "${WONNX:-}" ]; then
        cargo build --quiet --release --manifest-path "$here/wonnx/Cargo.toml"
        WONNX=${CARGO_TARGET_DIR:-$here/wonnx/target}/release/bench-wonnx
    fi ;;
esac

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-$results}"

# One measurement as one line of JSON on standard output.
measure() {
    rm -rf "$results/shaders"
    mkdir "$results/shaders"
    export MESA_SHADER_CACHE_DIR="$results/shaders" MESA_GLSL_CACHE_DIR="$results/shaders"
    case $1 in
        kiln)
            "$kiln" bench "$prepared/$2/model.onnx" "$oracles/$2/test_data_set_0/input_0.pb" --runs "$runs" --json ;;
        torch | onnxruntime) "$python" "$here/peers_python.py" "$1" "$prepared/$2" --runs "$runs" --threads "$threads" ;;
        wonnx) "$WONNX" "$prepared/$2/model.onnx" input "$prepared/$2/input.bin" "$runs" ;;
    esac
}

round=1
while [ "$round" -le "$rounds" ]; do
    for name in "$@"; do
        for engine in $engines; do
            echo "round $round of $rounds: $name, $engine" >&2
            measure "$engine" "$name" >"$results/$name.$engine.$round.json" 2>"$results/error" || {
                echo "  failed: $(tail -n 1 "$results/error")" >&2
                rm -f "$results/$name.$engine.$round.json"
            }
        done
    done
    round=$((round + 1))
done
"$python" "$here/table.py" "$results" "$prepared" "$@" -- $engines
