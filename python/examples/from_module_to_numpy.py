# %% [markdown]
# From a trained `nn.Module` to answers in NumPy, and back
#
# A script in cells, as Jupyter and editors run them: a network is trained a little in PyTorch, compiled, run on NumPy arrays,
# trained further by Kiln, and its weights go back into the module.

# %% A network, trained a little in PyTorch.
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import kiln

torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1),
    nn.BatchNorm2d(8),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(4),
    nn.Flatten(),
    nn.Linear(8 * 16, 4),
)
random = np.random.default_rng(0)
labels = random.integers(0, 4, 256)
images = random.normal(size=(256, 1, 16, 16)).astype(np.float32)
for image, label in zip(images, labels):
    # Each class is bright in another quarter.
    image[0, 8 * (label // 2) : 8 * (label // 2) + 8, 8 * (label % 2) : 8 * (label % 2) + 8] += 0.5
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for start in range(0, 256, 32):
    optimizer.zero_grad()
    part = slice(start, start + 32)
    F.cross_entropy(model(torch.from_numpy(images[part])), torch.from_numpy(labels[part])).backward()
    optimizer.step()

# %% Compiled for the device of this machine. The batch is left open, up to 64.
plan = kiln.compile(model, images[:1], max={"N": 64})
print(plan.inputs, plan.outputs, plan.target)
session = kiln.Session(plan)

# %% NumPy in, NumPy out, and PyTorch's answers.
scores = session(images[:64])
model.eval()
with torch.no_grad():
    wanted = model(torch.from_numpy(images[:64])).numpy()
np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-5)
print(f"the largest difference is {np.abs(scores - wanted).max():.1e}")

# %% A plan is a file. A program that runs it needs neither PyTorch nor the model.
with tempfile.TemporaryDirectory() as folder:
    plan.save(Path(folder, "quarters.kplan"))
    loaded = kiln.Session(kiln.Plan.load(Path(folder, "quarters.kplan")))
    np.testing.assert_array_equal(loaded(images[:64]), scores)

# %% Trained further by Kiln.
trained = kiln.train(
    model, images[:192], labels[:192], epochs=12, batch=32, optimizer="adam", lr=5e-3, schedule="one-cycle",
    validation=(images[192:], labels[192:]),
    progress=lambda epoch: print({name: round(value, 4) for name, value in epoch.items()}),
)  # fmt: skip

# %% And back into the module, under PyTorch's names.
trained.trainer.copy_to(model)
with torch.no_grad():
    found = model(torch.from_numpy(images[192:])).argmax(1).numpy()
accuracy = float((found == labels[192:]).mean())
print(f"PyTorch finds {accuracy:.0%} with Kiln's weights")
assert accuracy == trained.history[-1]["validation_accuracy"] and accuracy > 0.6
