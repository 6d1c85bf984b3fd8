"""torchvision's own files as model definitions: the same weights, the same answers.

    check_torchvision.py KILN [NAME ...]

takes the files from the torchvision that is installed, gives random weights to each network, saves its state dict, and
lets `kiln run FILE:NAME --weights ... --lenient-imports` compute what PyTorch computes. Not part of CI, which has no
PyTorch.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import torchvision

from calibration import calibrate, images

# Files and functions. The first four have to work, the others are nice to have.
NETWORKS = [
    ("alexnet", "alexnet"),
    ("vgg", "vgg11"),
    ("vgg", "vgg16_bn"),
    ("resnet", "resnet18"),
    ("resnet", "resnet50"),
    ("resnet", "resnext50_32x4d"),
    ("squeezenet", "squeezenet1_0"),
    ("squeezenet", "squeezenet1_1"),
    ("mobilenetv2", "mobilenet_v2"),
    ("densenet", "densenet121"),
    ("shufflenetv2", "shufflenet_v2_x1_0"),
    ("mnasnet", "mnasnet1_0"),
    ("mobilenetv3", "mobilenet_v3_small"),
    ("efficientnet", "efficientnet_b0"),
    ("regnet", "regnet_y_400mf"),
    ("convnext", "convnext_tiny"),
]
SIZE = 128
TOLERANCE = 1e-4


def check(kiln, file, name, folder):
    source = Path(torchvision.__file__).parent / "models" / f"{file}.py"
    torch.manual_seed(0)
    network = getattr(torchvision.models, name)(weights=None).eval()
    calibrate(network, images(4, (3, SIZE, SIZE), torch.Generator().manual_seed(1)), torch.Generator().manual_seed(2))
    torch.save(network.state_dict(), folder / "weights.pt")
    x = images(2, (3, SIZE, SIZE), torch.Generator().manual_seed(3))
    np.save(folder / "x.npy", x.numpy())
    command = [kiln, "run", f"{source}:{name}", folder / "x.npy", "--weights", folder / "weights.pt"]
    command += ["--lenient-imports", "--input", f"3,{SIZE},{SIZE}", "-o", folder / "y.npy"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        return f"failed:\n{done.stderr.strip()}"
    with torch.no_grad():
        single = network(x).numpy()
        wanted = network.double()(x.double()).numpy()
    apart, own = (np.abs(y - wanted).max() / np.abs(wanted).max() for y in (np.load(folder / "y.npy"), single))
    # Random weights make some networks grow what rounding does beyond all measure, in PyTorch, too.
    verdict = "ok" if apart <= TOLERANCE else "no oracle" if own > TOLERANCE else "WRONG"
    return f"{verdict}, off by {apart:.1e}; PyTorch's single precision by {own:.1e}"


def main():
    torch.set_num_threads(2)
    kiln, only = sys.argv[1], sys.argv[2:]
    for file, name in NETWORKS:
        if not only or name in only:
            with tempfile.TemporaryDirectory() as folder:
                print(f"{name}: {check(kiln, file, name, Path(folder))}", flush=True)


if __name__ == "__main__":
    main()
