"""What a new user does first: compile a model, run it. For the wheel by itself, with nothing but NumPy."""

import sys

import numpy as np

import kiln

plan = kiln.compile(sys.argv[1], max={"H": 32, "W": 32})
image = np.random.default_rng(0).random((1, 3, 32, 32), np.float32)
outputs = kiln.Session(plan).run({"image": image})
np.testing.assert_allclose(outputs["identity"], image, rtol=1e-6)
print(f"kiln {kiln.__version__} runs {plan.name} on {kiln.devices()[0][0]}")
