"""Calls of compiled loops: what goes in, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple


class Made(NamedTuple):
    """What a call of a loop gives.

    Attributes:
        done: steps made.
        more: False once the input has ended; True may still mean that nothing is left.
        logs: gives what the last step returned, as Python floats by name.
        same: whether all processes read the same data, where they should.
    """

    done: int
    more: bool
    logs: Callable[[], dict[str, float]]
    same: bool = True


Loop = Callable[[Any, int], Made]


@lru_cache(maxsize=64)
def count_of(n: int) -> Any:
    """Returns a number of steps as a tensor; a run needs few, and making one takes as long as a hook."""
    import tensorflow as tf

    with tf.init_scope():
        return tf.constant(n, tf.int64)


def named_logs(logs: Any, name: str = "loss") -> Iterator[tuple[str, Any]]:
    """Gives the values that a step returned, by name: as in Keras, the innermost key of a mapping counts."""
    if isinstance(logs, Mapping):
        for key, value in logs.items():
            yield from named_logs(value, str(key))
    elif isinstance(logs, (tuple, list)):
        for i, value in enumerate(logs):
            yield from named_logs(value, f"{name}_{i}")
    elif logs is not None:
        yield name, logs


def floats(logs: Iterable[tuple[str, Any]]) -> dict[str, float]:
    """Returns numbers as Python floats; those of an array as ``name_0``, ``name_1`` and so on."""
    import numpy as np

    found = {}
    for name, value in logs:
        array = np.asarray(value)
        if array.size == 1:
            found[name] = float(array.item())
        else:
            found |= {f"{name}_{i}": float(v) for i, v in enumerate(array.ravel())}
    return found
