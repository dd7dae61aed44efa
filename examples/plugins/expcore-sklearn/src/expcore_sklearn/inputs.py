"""Batches of features and labels from what an input function returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from expcore.errors import InvalidInput
from expcore.types import InputFn

Batch = tuple[Any, Any]

_RULE = (
    "it must return a tuple of features [examples, features] and labels [examples], or an iterable of such "
    "tuples, which are the batches"
)


def batches(input_fn: InputFn, size: int, labels: bool = True) -> Iterator[Batch]:
    """Yields batches of features and labels.

    Args:
        input_fn: returns a tuple of features and labels, which is cut into batches, or an iterable of such
            tuples, which are the batches. Features are arrays of two dimensions, data frames or SciPy's
            sparse matrices.
        size: examples in a batch that is cut.
        labels: False: features alone are taken too, and the labels are None then.

    Raises:
        InvalidInput: it returned something else, or features and labels that do not fit.
    """
    data = input_fn()
    pair = isinstance(data, tuple) and len(data) == 2 and not isinstance(data[0], tuple)
    if pair or (not labels and _is_table(data)):
        yield from _cut(_checked(data, labels), size)
    elif isinstance(data, Iterable) and not isinstance(data, str | bytes):
        for batch in data:
            yield _checked(batch, labels)
    else:
        raise InvalidInput(f"input_fn returned {type(data).__name__}; {_RULE}")


def _cut(batch: Batch, size: int) -> Iterator[Batch]:
    x, y = batch
    for i in range(0, x.shape[0], size):
        yield x[i : i + size], None if y is None else y[i : i + size]


def _is_table(data: Any) -> bool:
    return len(getattr(data, "shape", ())) == 2


def _checked(batch: Any, labels: bool) -> Batch:
    if not labels and _is_table(batch):
        return _table(batch), None
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise InvalidInput(f"input_fn gave {type(batch).__name__} as a batch; {_RULE}")
    try:
        x, y = _table(batch[0]), np.asarray(batch[1])
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"input_fn gave what is no array ({error}); {_RULE}") from error
    if len(x.shape) != 2 or y.shape[:1] != x.shape[:1] or not x.shape[0]:
        raise InvalidInput(f"input_fn gave shapes {x.shape} and {y.shape}; {_RULE}")
    return x, y


def _table(features: Any) -> Any:
    """An array, or a sparse matrix that can be cut by rows."""
    return features.tocsr() if hasattr(features, "tocsr") else np.asarray(features)
