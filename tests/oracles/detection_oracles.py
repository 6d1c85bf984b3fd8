"""What detectors end in, exported by PyTorch, with ONNX Runtime's results.

    python tests/oracles/detection_oracles.py        writes fixtures/detection/

The data decide how many boxes there are, so the data sets of a case find none, some, and all of them.
"""

import io
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torchvision.ops import batched_nms

from onnx_testdata import fresh_directory, write_data_set

FIXTURES = Path(__file__).parent / "fixtures" / "detection"


class Levels(nn.Module):
    """As RetinaNet: of two levels the best above a threshold, together without those that overlap, and the best of these."""

    def forward(self, scores, boxes, more_scores, more_boxes):
        found = []
        for level, (s, b) in enumerate([(scores, boxes), (more_scores, more_boxes)]):
            s = torch.sigmoid(s).flatten()
            keep = s > 0.4
            s, places = s[keep], torch.where(keep)[0]
            most = torch._shape_as_tensor(places)[0].clamp(max=9) if torch.onnx.is_in_onnx_export() else min(9, len(places))
            s, order = s.topk(most)
            places = places[order]
            found.append((b[torch.div(places, 3, rounding_mode="floor")], s, places % 3 + level))
        boxes, scores, labels = (torch.cat(part) for part in zip(*found))
        kept = batched_nms(boxes, scores, labels, 0.5)[:7]
        return boxes[kept], scores[kept], labels[kept]


class Masked(nn.Module):
    """The mean of the rows that a mask picks, and the picked rows between others."""

    def forward(self, x, mask):
        rows = x[mask]
        return torch.cat([x[:1], rows, rows * 2, x[-1:]]), rows.softmax(0).sum(1), (rows.T @ rows)


def corners(rng, count):
    low = rng.random((count, 2), dtype=np.float32) * 20
    return np.concatenate([low, low + rng.random((count, 2), dtype=np.float32) * 9 + 0.5], axis=1)


def write(name, module, sets, outputs):
    names = list(sets[0])
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arguments = tuple(torch.from_numpy(array) for array in sets[1].values())
        torch.onnx.export(module.eval(), arguments, buffer, input_names=names, output_names=outputs, opset_version=17, dynamo=False)
    model = onnx.load_from_string(buffer.getvalue())
    directory = fresh_directory(FIXTURES / name)
    (directory / "model.onnx").write_bytes(model.SerializeToString())
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for index, given in enumerate(sets):
        results = dict(zip(outputs, session.run(None, given)))
        expected = module(*(torch.from_numpy(array) for array in given.values()))
        for (output, result), wanted in zip(results.items(), expected):
            np.testing.assert_allclose(result, wanted.numpy(), rtol=1e-5, atol=1e-6, err_msg=f"{name} {index} {output}")
        write_data_set(directory, index, given, results)
        print(name, index, [result.shape for result in results.values()])


def levels():
    rng = np.random.default_rng(5)
    made = []
    for shift in (-9.0, 0.0, 9.0):
        scores = lambda count: (rng.standard_normal((count, 3)) * 1.5 + shift).astype(np.float32)
        made.append({"scores": scores(10), "boxes": corners(rng, 10), "more_scores": scores(5), "more_boxes": corners(rng, 5)})
    write("levels", Levels(), made, ["found_boxes", "found_scores", "found_labels"])


def masked():
    rng = np.random.default_rng(6)
    made = []
    for share in (0.5, 0.5, 1.0):
        made.append({"x": rng.standard_normal((11, 4)).astype(np.float32), "mask": rng.random(11) < share})
    write("masked", Masked(), made, ["rows", "sums", "products"])


if __name__ == "__main__":
    levels()
    masked()
