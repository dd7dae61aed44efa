"""The parts of a model that have variables, found by looking through its attributes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from expcore_plugins.estimators.engine.trainable import Named, named


class Part(NamedTuple):
    """An object that TensorFlow or Keras made, and its variables."""

    value: Any
    variables: list[Named]


def parts(model: Any) -> Iterator[Part]:
    """Yields the parts in the attributes of a model, of modules and layers in it, in lists and mappings.

    Parts are variables, ``tf.random.Generator``, and Keras's layers, optimizers, metrics and seed
    generators. Other objects are not looked into.
    """
    seen: set[int] = set()

    def walk(value: Any, path: str) -> Iterator[Part]:
        if id(value) in seen:
            return
        seen.add(id(value))
        found = _variables(value, path)
        if found is not None:
            yield Part(value, found)
        if isinstance(value, Mapping):
            for key in value:
                yield from walk(value[key], f"{path}{key}/")
        elif isinstance(value, (list, tuple)):
            for i, item in enumerate(value):
                yield from walk(item, f"{path}{i}/")
        elif value is model or _is_open(value):
            for key in sorted(vars(value)):
                if not key.startswith("_self_"):  # TensorFlow's own, with everything once more
                    yield from walk(vars(value)[key], f"{path}{key}/")

    yield from walk(model, "")


def _is_open(value: Any) -> bool:
    """Whether its attributes may hold what it does not list: a module of TensorFlow or a layer of Keras."""
    import tensorflow as tf

    keras = sys.modules.get("keras")
    return isinstance(value, tf.Module) or (keras is not None and isinstance(value, keras.Layer))


def is_optimizer(value: Any) -> bool:
    """Whether it is an optimizer of Keras."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(value, keras.optimizers.Optimizer)


def _variables(value: Any, path: str) -> list[Named] | None:
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
