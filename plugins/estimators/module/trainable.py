"""A tf.Module, or functions over variables, in the engine's hands."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from expcore.errors import NotCompiled
from expcore_plugins.estimators.engine.trainable import MODEL, OPTIMIZER, Named, named
from expcore_plugins.estimators.module.means import Means


class ModuleTrainable:
    """Steps, variables and metrics of such a model (``engine.trainable.Trainable``).

    Args:
        model: has ``train_step``, and maybe ``test_step`` and ``predict_step``.
        jit_compile: whether steps are compiled by XLA.
        run_eagerly: whether steps run in Python.
    """

    averages = False

    def __init__(self, model: Any, *, jit_compile: bool, run_eagerly: bool) -> None:
        self.native = model
        self.name = str(getattr(model, "name", type(model).__name__))
        self.jit_compile, self.run_eagerly = jit_compile, run_eagerly
        self._trained, self._tested = Means("train_step"), Means("test_step")

    def train_step(self, batch: Any) -> Any:
        """The model's step; returns the means of the window."""
        return self._trained.take(self.native.train_step(batch), batch)

    def test_step(self, batch: Any) -> Any:
        """The model's evaluation of a batch; returns the means so far.

        Raises:
            NotCompiled: the model has none.
        """
        return self._tested.take(self._own("test_step", "evaluated")(batch), batch)

    def predict_step(self, batch: Any) -> Any:
        """The model's predictions.

        Raises:
            NotCompiled: the model gives none.
        """
        features = batch[0] if isinstance(batch, tuple) else batch
        return self._own("predict_step", "asked for predictions")(features)

    def _own(self, step: str, what: str) -> Any:
        function = getattr(self.native, step, None)
        if not callable(function):
            raise NotCompiled(f"model {self.name!r} cannot be {what}: it has no {step}(batch); give it one")
        return function

    def reset_metrics(self) -> None:
        """Begins the means anew."""
        self._trained.reset()
        self._tested.reset()

    def section(self, name: str) -> Sequence[Named]:
        """Variables of Keras optimizers are the optimizer's, all others the model's."""
        if name not in (MODEL, OPTIMIZER):
            return self._trained.variables
        parts = list(_parts(self.native))
        return _once(n for part, named in parts for n in named if _is_optimizer(part) == (name == OPTIMIZER))

    def build(self, config: Any) -> None:
        """Nothing is left to make: such a model makes its variables when it is made."""

    def build_config(self) -> Any:
        """Nothing has to be said."""
        return

    def use_averages(self) -> None:
        """There are none."""


def _parts(model: Any) -> Iterator[tuple[Any, list[Named]]]:
    """The parts of a model that have variables: TensorFlow's and Keras's objects in its attributes."""
    seen: set[int] = set()

    def walk(value: Any, path: str) -> Iterator[tuple[Any, list[Named]]]:
        if id(value) in seen:
            return
        seen.add(id(value))
        found = _variables(value, path)
        if found is not None:
            yield value, found
        elif isinstance(value, Mapping):
            for key in value:
                yield from walk(value[key], f"{path}{key}/")
        elif isinstance(value, (list, tuple)):
            for i, item in enumerate(value):
                yield from walk(item, f"{path}{i}/")
        elif value is model or _is_module(value):
            for key in sorted(vars(value)):
                yield from walk(getattr(value, key), f"{path}{key}/")

    yield from walk(model, "")


def _is_module(value: Any) -> bool:
    import tensorflow as tf

    return isinstance(value, tf.Module)


def _is_optimizer(value: Any) -> bool:
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(value, keras.optimizers.Optimizer)


def _variables(value: Any, path: str) -> list[Named] | None:
    """The variables of an object that TensorFlow or Keras made; None for everything else."""
    import tensorflow as tf

    name = path.rstrip("/")
    if isinstance(value, tf.Variable):
        return [Named(name, value)]
    if isinstance(value, tf.random.Generator):
        return [Named(name, value.state)]
    if not any(base.__module__.startswith("keras.") for base in type(value).__mro__):
        return None
    if hasattr(value, "variables"):
        return [Named(path + n.path, n.variable) for n in named(value.variables)]
    inside = getattr(value, "state", value)  # of a SeedGenerator; else a keras.Variable
    return [Named(name, named([inside])[0].variable)] if hasattr(inside, "value") else None


def _once(found: Iterable[Named]) -> list[Named]:
    return list({id(n.variable): n for n in found}.values())
