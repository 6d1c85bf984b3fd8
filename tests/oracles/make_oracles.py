#!/usr/bin/env python3
"""Makes the oracles: ONNX models with inputs, and the outputs that another engine computes for them.

    make_oracles.py --ops                         the operators (ONNX Runtime), into fixtures/ops
    make_oracles.py --gradients                   gradients of functions (PyTorch), into fixtures/gradients
    make_oracles.py --traces                      steps of training (PyTorch), into fixtures/traces
    make_oracles.py --source                      outputs and training of models/*.py (PyTorch), into fixtures/source
    make_oracles.py --special                     elementwise functions of zeros, infinities and NaN (NumPy, PyTorch)
    make_oracles.py --layers                      single layers and functions (PyTorch), into fixtures/layers.json
    make_oracles.py --subgradients                gradients at ties and borders (PyTorch), into fixtures/subgradients.json
    make_oracles.py --small                       the networks that are committed (PyTorch), into fixtures
    make_oracles.py --all -o DIR                  every network with every exporter, about 4 GB
    make_oracles.py --only resnet18 -o DIR        one network or operator; may be repeated

Everything is seeded: the same versions of the packages in requirements.txt give the same files. The fixtures are
committed, so that tests need neither Python nor PyTorch.
"""

import argparse
import sys
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent / "fixtures"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ops", action="store_true", help="make all single-operator cases")
    parser.add_argument("--gradients", action="store_true", help="make all gradient cases")
    parser.add_argument("--traces", action="store_true", help="make all traces of training, and the losses")
    parser.add_argument("--source", action="store_true", help="make what the files in models/ compute")
    parser.add_argument("--special", action="store_true", help="make what functions are of zeros, infinities and NaN")
    parser.add_argument("--layers", action="store_true", help="make what single layers and functions compute")
    parser.add_argument("--subgradients", action="store_true", help="make gradients at ties, borders, zeros, infinities")
    parser.add_argument("--small", action="store_true", help="make the networks (and exporters) that are committed")
    parser.add_argument("--all", action="store_true", help="make all networks, with all exporters")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="make this network or operator case")
    parser.add_argument(
        "--exporter",
        action="append",
        choices=["legacy", "dynamo", "preserve"],
        help="for networks: PyTorch's older exporter, its newer one, or the older one leaving BatchNormalization as it"
        " is; all three by default",
    )
    parser.add_argument("--list", action="store_true", help="print the names that --only knows")
    parser.add_argument("-o", "--output", type=Path, default=FIXTURES, metavar="DIR", help="default: %(default)s")
    return parser, parser.parse_args()


def main():
    parser, options = arguments()
    import operator_cases

    chosen = set(options.only)
    operator_names = chosen.intersection(operator_cases.NAMES)
    complaints = []
    if options.ops or operator_names:
        from operator_oracles import write_all

        written, doubts = write_all(options.output / "ops", None if options.ops else operator_names)
        print(f"{written} operator cases in {options.output / 'ops'}", file=sys.stderr)
        complaints += doubts
    if options.gradients:
        import gradient_oracles
        import node_gradients

        for oracles in (gradient_oracles, node_gradients):
            written, doubts = oracles.write_all(options.output / "gradients")
            print(f"{written} gradient cases in {options.output / 'gradients'}", file=sys.stderr)
            complaints += doubts
    if options.traces:
        import trace_oracles

        import fit_oracles
        import loss_oracles

        print(f"{fit_oracles.write_all(options.output)} trainings in {options.output / 'fit.json'}", file=sys.stderr)
        print(f"{loss_oracles.write_all(options.output)} losses in {options.output / 'losses.json'}", file=sys.stderr)
        print(f"{trace_oracles.write_all(options.output)} traces in {options.output / 'traces'}", file=sys.stderr)

        import constructor_oracles
        import training_oracles

        for oracles, name in ((training_oracles, "training.json"), (constructor_oracles, "constructors.json")):
            print(f"{oracles.write_all(options.output)} cases in {options.output / name}", file=sys.stderr)
    if options.source:
        import source_oracles

        print(f"{source_oracles.write_all(options.output)} cases in {options.output / 'source'}", file=sys.stderr)
    if options.subgradients:
        import subgradient_oracles

        written = subgradient_oracles.write_all(options.output)
        print(f"{written} subgradients in {options.output / 'subgradients.json'}", file=sys.stderr)
    if options.special:
        import special_values

        print(f"{special_values.write_all(options.output)} cases in {options.output / 'special_values.json'}", file=sys.stderr)
    if options.layers:
        import layer_oracles

        print(f"{layer_oracles.write_all(options.output)} cases in {options.output / 'layers.json'}", file=sys.stderr)
    wanted = chosen - operator_names
    if options.small or options.all or wanted or options.list:
        import network_oracles

        unknown = wanted - set(network_oracles.NAMES)
        if unknown:
            parser.error(f"no network or operator case is called {', '.join(sorted(unknown))}; --list prints the names")
        if options.list:
            print(*network_oracles.NAMES, *operator_cases.NAMES, sep="\n")
            return 0
        complaints += network_oracles.write_all(
            options.output, only=wanted, small=options.small, everything=options.all, exporters=options.exporter
        )
    elif not (
        options.ops or options.gradients or options.traces or options.source or options.layers or options.subgradients
        or options.special or operator_names
    ):
        parser.error(
            "say what to make: --ops, --gradients, --traces, --source, --layers, --subgradients, --special, --small, --all,"
            " --only NAME"
        )
    for complaint in complaints:
        print(f"doubtful: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
