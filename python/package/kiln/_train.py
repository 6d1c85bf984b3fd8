"""Training: a step at a time, or epochs over arrays."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import _export, _kiln, _model
from ._arrays import as_array
from ._errors import InputError, TrainingError, WeightsError
from ._session import Session

if TYPE_CHECKING:
    import torch

Array = np.ndarray[Any, Any]

#: The state that keeps steps from changing anything after one whose loss was not finite.
_FAILED = "train.failed"
#: Where a checkpoint has what `train` was asked for, and its history.
_COURSE = "kiln.python.train"
#: Schedules that depend on the number of epochs.
_WHOLE = ("cosine", "one-cycle")


class Evaluation(NamedTuple):
    """What a network was measured to be."""

    #: The mean loss over all targets that count.
    loss: float
    #: The share of right answers, where targets are classes.
    accuracy: float | None


class Trained(NamedTuple):
    """A training that is over."""

    trainer: Trainer
    #: For each epoch its number, the mean loss, the last learning rate, and what the validation data gave.
    history: list[dict[str, float]]

    @property
    def weights(self) -> dict[str, Array]:
        """The weights by PyTorch's names."""
        return self.trainer.state_dict()


class Trainer:
    """A network on a device with its loss and its optimizer: ``step(x, y)`` trains on one batch.

    What is computed, and what it is called, is that of ``kiln train`` and of PyTorch: formulas of ``torch.optim`` and
    ``torch.nn``, names of the state dict.

    Args:
        model: An ONNX file, PyTorch source or a ``torch.nn.Module``, as for :func:`kiln.compile`.
        example_inputs: Inputs of one run, for modules; not needed with ``shapes``.
        loss: ``cross-entropy``, ``nll``, ``mse``, ``l1``, ``smooth-l1`` or ``bce`` (of scores).
        optimizer: ``sgd``, ``adam``, ``adamw``, ``rmsprop`` or ``adagrad``.
        lr: The learning rate; 0.001 for Adam and AdamW, else 0.01. Each step can have its own.
        momentum: The momentum of SGD and RMSprop, beta1 of Adam and AdamW (0.9).
        batch: The largest batch.
        split: Whether to compile programs ``gradients`` and ``apply`` instead of ``train``, for data-parallel training:
            :meth:`gradients` gives all gradients as one array, :meth:`apply` takes their mean over all processes.
        settings: What else the command's recipe has: ``weight_decay``, ``class_weights``, ``label_smoothing``,
            ``ignore_index``, ``beta`` (of ``smooth-l1``), ``output``, ``dampening``, ``nesterov``, ``beta2``, ``alpha``,
            ``eps``, ``centered``, ``lr_decay``, ``l1``, ``l2``, ``freeze``, ``accumulate``, ``clip_norm``, ``ema``,
            ``memory``, ``seed``. With ``ema=0.999`` an exponential moving average of the parameters is evaluated, predicted with and
            kept instead of them. ``memory`` is how many bytes the training may take on the device: where it would take more,
            activations are computed again.
        tune: Seconds to measure kernels for first, as for :func:`kiln.compile`.
        weights: First weights, as for :func:`kiln.compile`.
    """

    def __init__(
        self,
        model: _model.ModelLike,
        example_inputs: Any = None,
        *,
        loss: str = "cross-entropy",
        optimizer: str = "sgd",
        lr: float | None = None,
        momentum: float | None = None,
        batch: int = 64,
        split: bool = False,
        shapes: _model.Shapes | str | None = None,
        weights: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        partial_weights: bool = False,
        arguments: Sequence[str] | Mapping[str, object] = (),
        precision: str = "f32",
        precise: bool | None = None,
        target: str = "auto",
        tune: float | bool = False,
        **settings: Any,
    ) -> None:
        adam = optimizer in ("adam", "adamw")
        self.momentum = momentum if momentum is not None else 0.9 if adam else 0.0
        known = _settings(loss, optimizer, self.momentum, split, settings)
        self.lr = lr if lr is not None else _kiln.usual_lr(known)
        reading = _model.options(arguments=arguments, seed=known["seed"])
        definition, _ = _model.read(model, example_inputs, shapes, reading, training=True)
        _model.load_weights(definition, weights, partial_weights)
        symbols = {size for _, sizes in definition.inputs for size in sizes if not size.isdigit()}
        compiling = _model.compiling(dict.fromkeys(symbols, batch), target, precision, precise, tune)
        self._plan = definition.compile_training(compiling, known)
        self.session = Session(self._plan)
        self.split = split
        self._ignored = known["ignore_index"]
        self._program = "gradients" if split else "train"
        #: The outputs of the last step by name, beside the loss: ``correct``, ``predicted_classes``, ``gradient_norm``, ...
        self.outputs: dict[str, Array] = {}
        inputs = self.session.inputs_of(self._program)
        self._data = [tensor.name for tensor in inputs if tensor.role == "data"]
        self._target = next(tensor for tensor in inputs if tensor.role == "target")
        self._names = [name for name, _ in definition.states]
        self._aliases = dict(definition.aliases)
        self._counters = _counters(model, definition)
        #: Steps that the optimizer has done.
        self.steps = 0
        #: Epochs that :func:`kiln.train` has done.
        self.epochs = 0

    @property
    def plan(self) -> _kiln.Plan:
        """The plan, with programs ``inference``, ``evaluate`` and ``train`` and with the first weights."""
        return self._plan

    def step(
        self, x: Any, y: Any, *, lr: float | None = None, momentum: float | None = None, update: bool = True
    ) -> float:
        """Trains on one batch, and returns its mean loss.

        ``x`` is the input, or a dict of inputs by name. With ``accumulate``, the optimizer steps where ``update`` is true. If
        the loss is not finite, all states stay as they are, and a :class:`kiln.TrainingError` says so.
        """
        if self.split:
            raise InputError("this trainer is split: use `gradients` and `apply`")
        self.outputs = self.session.run({**self._fed(x, y), **self._rates("train", lr, momentum, update)}, "train")
        loss = self._checked("train")
        self.steps += update
        return loss

    def gradients(self, x: Any, y: Any) -> tuple[float, Array]:
        """The mean loss of one batch and its gradients, all in one array of numbers. Weights stay as they are.

        Behind them, the array has the loss (``flat[-2]``) and what it was divided by (``flat[-1]``: the samples, or the sum of
        their weights), so that processes with batches of different sizes can weigh theirs.
        """
        if not self.split:
            raise InputError("gradients are kept apart by a trainer that is split: `Trainer(..., split=True)`")
        self.outputs = self.session.run(self._fed(x, y), "gradients")
        flat = self.outputs.pop("gradients")
        return float(self.outputs["loss"]), flat

    def apply(self, flat: Any, *, lr: float | None = None, momentum: float | None = None) -> None:
        """Lets the optimizer step with gradients as :meth:`gradients` gives them, for example their mean over processes.

        If one of them is not finite, all states stay as they are, in each process, and a :class:`kiln.TrainingError` says so.
        """
        outputs = self.session.run({"gradients": flat, **self._rates("apply", lr, momentum, True)}, "apply")
        if not float(outputs["finite"]):
            raise TrainingError("the gradients are not finite; nothing was changed. A lower learning rate may help")
        self.steps += 1

    def evaluate(self, x: Any, y: Any) -> Evaluation:
        """Loss and accuracy over any number of samples, in batches as large as the plan allows."""
        given = self._fed(x, y)
        count, most = len(given[self._target.name]), min(self.session.max.values(), default=1)
        loss = weight = correct = counted = 0.0
        for first in range(0, count, most):
            part = {name: value[first : first + most] for name, value in given.items()}
            outputs = self.session.run(part, "evaluate")
            share = float(outputs.get("loss_weight", len(part[self._target.name])))
            loss, weight = loss + float(outputs["loss"]) * share, weight + share
            correct += float(outputs.get("correct", math.nan))
            target = part[self._target.name]
            counted += target.size if self._ignored is None else int((target != self._ignored).sum())
        accuracy = None if math.isnan(correct) or not counted else correct / counted
        return Evaluation(loss / weight if weight else math.nan, accuracy)

    def predict(self, *inputs: Any) -> Array | tuple[Array, ...]:
        """The network's answers, as :class:`kiln.Session` gives them."""
        names = [tensor.name for tensor in self.session.inputs_of("inference")]
        if len(inputs) != len(names):
            raise InputError(f"the network takes {len(names)} inputs, {len(inputs)} are given")
        outputs = tuple(self.session.run(dict(zip(names, inputs)), "inference").values())
        return outputs[0] if len(outputs) == 1 else outputs

    def state_dict(self, optimizer: bool = False) -> dict[str, Array]:
        """The weights by PyTorch's names, or their averages with ``ema``; with ``optimizer`` all that a training goes on with, such
        as moments and counters."""
        there = {state.name for state in self.session.states}
        if optimizer:
            weights = {name: self.session.read_state(name) for name in there}
        else:
            places = {name: _averaged(name) if _averaged(name) in there else name for name in self._names}
            weights = {name: self.session.read_state(place) for name, place in places.items() if place in there}
        for alias, name in self._aliases.items():
            if name in weights:
                weights[alias] = weights[name]
        for name, count in self._counters.items():
            weights[name] = np.asarray(count + self.steps, np.int64)
        return weights

    def load_state_dict(self, weights: Mapping[str, Any]) -> None:
        """Takes weights, and with them what else :meth:`state_dict` has given. Nothing changes unless all fits."""
        states = {state.name: state for state in self.session.states}
        values: dict[str, Array] = {}
        for name, value in _model.arrays(weights).items():
            own = self._aliases.get(name, name)
            if own in states:
                values[own] = value
            elif name in self._counters:
                self._counters[name] = int(value) - self.steps
            elif not name.endswith(".num_batches_tracked"):
                raise WeightsError(f"the weights do not fit the model: it has no `{name}`")
        for name in [name for name in values if _averaged(name) in states and _averaged(name) not in values]:
            values[_averaged(name)] = values[name]
        missing = [name for name in self._names if name in states and name not in values]
        if missing:
            raise WeightsError(f"the weights do not fit the model: missing are {', '.join(f'`{n}`' for n in missing[:12])}")
        for name, value in values.items():
            if value.shape != states[name].shape:
                raise WeightsError(f"`{name}` is {value.shape}, the model has {states[name].shape}")
        for name, value in values.items():
            self.session.write_state(name, value.astype(states[name].dtype, copy=False))

    def save_checkpoint(self, path: str | os.PathLike[str], notes: Mapping[str, str] | None = None) -> None:
        """Writes all states, completely or not at all: a safetensors file as ``kiln train`` writes it to its ``checkpoints``, whose
        weights other programs can read, too. ``notes`` are kept in its metadata."""
        self.session.save_checkpoint(path, self.steps, self.epochs, dict(notes or {}))

    def load_checkpoint(self, path: str | os.PathLike[str]) -> dict[str, str]:
        """Goes on from a checkpoint of the same model and optimizer, also one of ``kiln train``; what it is damaged in is found by its
        checksums. Nothing changes unless all fits. Returns the metadata."""
        self.steps, self.epochs, notes = self.session.load_checkpoint(path)
        return notes

    def copy_to(self, module: torch.nn.Module) -> None:
        """Gives a module the weights (``load_state_dict``)."""
        import torch

        module.load_state_dict({name: torch.from_numpy(value) for name, value in self.state_dict().items()})

    def _fed(self, x: Any, y: Any) -> dict[str, Array]:
        """The batch by name."""
        given = x if isinstance(x, Mapping) else dict(zip(self._data, x if isinstance(x, tuple) else (x,)))
        if not isinstance(x, Mapping) and isinstance(x, tuple) and len(x) != len(self._data):
            raise InputError(f"the network takes {len(self._data)} inputs, {len(x)} are given")
        batch = {name: as_array(value, name) for name, value in given.items()}
        target, wanted = as_array(y, self._target.name), np.dtype(self._target.dtype)
        if target.dtype != wanted and target.dtype.kind in "iu" and wanted.kind in "iu":
            # Class numbers of PyTorch have 64 bits.
            if target.size and (target.min() < np.iinfo(wanted).min or target.max() > np.iinfo(wanted).max):
                raise InputError(f"a class number does not fit {wanted}")
            target = target.astype(wanted)
        return {**batch, self._target.name: target}

    def _rates(self, program: str, lr: float | None, momentum: float | None, update: bool) -> dict[str, Array]:
        values = {
            "learning rate": self.lr if lr is None else lr,
            "momentum": self.momentum if momentum is None else momentum,
            "update": float(update),
        }
        values["beta1"] = values["momentum"]
        inputs = self.session.inputs_of(program)
        return {tensor.name: np.asarray(values[tensor.role], np.float32) for tensor in inputs if tensor.role in values}

    def _checked(self, program: str) -> float:
        loss = float(self.outputs["loss"])
        if not math.isfinite(loss):
            self.session.write_state(_FAILED, np.float32(0))
            raise TrainingError(f"the loss is {loss}; nothing was changed. A lower learning rate may help")
        return loss


def _averaged(name: str) -> str:
    """The state that has the average of a parameter."""
    return f"{name}.ema"


def _settings(loss: str, optimizer: str, momentum: float, split: bool, given: dict[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {
        "class_weights": None, "label_smoothing": 0.0, "ignore_index": None, "beta": 1.0, "output": None,
        "dampening": 0.0, "nesterov": False, "weight_decay": None, "beta2": 0.999, "alpha": 0.99, "eps": None,
        "centered": False, "lr_decay": 0.0, "l1": 0.0, "l2": 0.0, "freeze": [], "accumulate": 1, "clip_norm": None,
        "ema": None, "memory": None, "seed": 0,
    }  # fmt: skip
    for name in given:
        if name not in known:
            raise TypeError(f"there is no setting `{name}` of a training; there are {', '.join(sorted(known))}")
    return {**known, **given, "loss": loss, "optimizer": optimizer, "momentum": momentum, "split": split}


def _counters(model: Any, definition: _kiln.Model) -> dict[str, int]:
    """What a module counts in training: the batches of each normalization."""
    state = model.state_dict() if _export.is_module(model) else dict.fromkeys(definition.others, 0)
    return {name: int(value) for name, value in state.items() if name.endswith("num_batches_tracked")}


def train(
    model: _model.ModelLike,
    x: Any,
    y: Any,
    *,
    epochs: int = 1,
    batch: int = 64,
    lr: float | None = None,
    schedule: str = "constant",
    warmup: int = 0,
    validation: tuple[Any, Any] | None = None,
    shuffle: bool = True,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Callable[[dict[str, float]], None] | None = None,
    **settings: Any,
) -> Trained:
    """Trains a network on arrays, as ``kiln train`` does on data sets.

    Args:
        model: As for :class:`Trainer`, which takes the other settings. A module that learns stays as it is;
            ``trained.trainer.copy_to(module)`` gives it the weights.
        x: All samples, or a dict of inputs by name.
        y: Their targets.
        epochs: Passes over the samples.
        batch: Samples of a step. The last step of an epoch has what is left.
        lr: The learning rate that the schedule multiplies.
        schedule: ``constant``, ``step:every=10,gamma=0.1``, ``exponential:gamma=0.95``, ``cosine`` or ``one-cycle``.
        warmup: Steps in which the learning rate rises.
        validation: Samples and targets to measure after each epoch.
        shuffle: Whether each epoch has an order of its own, which depends on ``seed``.
        seed: The seed of the order and of all else that is random.
        checkpoint: A file that is written after each epoch. If it is there already, training goes on from it, and ends with the
            same weights as one that was not interrupted; settings that would make it another training are refused.
        progress: Called after each epoch with what ``history`` gets.
    """
    inputs = {name: as_array(value, name) for name, value in x.items()} if isinstance(x, Mapping) else as_array(x, "x")
    targets = as_array(y, "y")
    count = len(targets)
    for value in inputs.values() if isinstance(inputs, dict) else [inputs]:
        if len(value) != count:
            raise InputError(f"there are {len(value)} samples, but {count} targets")
    if not count:
        raise InputError("there are no samples")

    def some(which: Any) -> Any:
        return {name: value[which] for name, value in inputs.items()} if isinstance(inputs, dict) else inputs[which]

    if _export.is_module(model):
        settings.setdefault("example_inputs", some(slice(0, 2)))
    trainer = Trainer(model, lr=lr, batch=min(batch, count), seed=seed, **settings)
    per_epoch = -(-count // batch)
    course = {"samples": count, "batch": batch, "lr": trainer.lr, "momentum": trainer.momentum, "schedule": schedule,
              "warmup": warmup, "shuffle": shuffle, "seed": seed}  # fmt: skip
    if schedule.startswith(_WHOLE):
        course["epochs"] = epochs
    history = _resumed(trainer, checkpoint, course) if checkpoint is not None else []
    accumulate = settings.get("accumulate", 1)
    for epoch in range(trainer.epochs, epochs):
        order = np.random.default_rng((seed, epoch)).permutation(count) if shuffle else np.arange(count)
        total, rate = 0.0, trainer.lr
        for number in range(per_epoch):
            which = order[number * batch : (number + 1) * batch]
            at = (epoch * per_epoch + number, per_epoch, per_epoch * epochs)
            rate, momentum = _kiln.scheduled(schedule, *at, trainer.lr, trainer.momentum, warmup)
            update = number + 1 == per_epoch or (number + 1) % accumulate == 0
            total += trainer.step(some(which), targets[which], lr=rate, momentum=momentum, update=update) * len(which)
        entry = {"epoch": float(epoch + 1), "loss": total / count, "lr": rate}
        if validation is not None:
            measured = trainer.evaluate(*validation)
            entry["validation_loss"] = measured.loss
            if measured.accuracy is not None:
                entry["validation_accuracy"] = measured.accuracy
        history.append(entry)
        trainer.epochs = epoch + 1
        if checkpoint is not None:
            trainer.save_checkpoint(checkpoint, {_COURSE: json.dumps({"course": course, "history": history})})
        if progress is not None:
            progress(entry)
    return Trained(trainer, history)


def _resumed(trainer: Trainer, path: str | os.PathLike[str], course: dict[str, Any]) -> list[dict[str, float]]:
    """The history of a training that goes on, if there is a checkpoint of it."""
    if not os.path.exists(path):
        return []
    notes = trainer.load_checkpoint(path).get(_COURSE)
    if notes is None:
        raise TrainingError(f"`{os.fspath(path)}` is no checkpoint of `kiln.train`; `Trainer.load_checkpoint` reads it")
    known = json.loads(notes)
    for name, value in course.items():
        if known["course"].get(name, value) != value:
            raise TrainingError(
                f"`{os.fspath(path)}` is of a training with {name} = {known['course'][name]!r}, not {value!r}: name another file, or "
                "give the same settings"
            )
    history: list[dict[str, float]] = known["history"]
    return history
