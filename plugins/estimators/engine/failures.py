"""What fails while compiled steps run: TensorFlow's report of a bad batch as one line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from expcore.calling import describe
from expcore.errors import InvalidInput

_OURS = re.compile(r"^(?:expcore\.errors\.)?InvalidInput: ")


@contextmanager
def explained_batches(input_fn: Callable[[], Any], model: str) -> Iterator[None]:
    """Says in one line what a batch has that the steps cannot take, or why the input cannot be read.

    What Python code of the user raised, as in a generator, stays what it is, and so does what no data are to
    blame for, as memory that is not enough.

    Args:
        input_fn: gave the batches.
        model: the model's name.

    Raises:
        InvalidInput: TensorFlow refused a batch or the data.
    """
    import tensorflow as tf

    kinds = (
        tf.errors.InvalidArgumentError,
        tf.errors.UnimplementedError,
        tf.errors.NotFoundError,
        tf.errors.DataLossError,
        tf.errors.PermissionDeniedError,
    )
    try:
        yield
    except kinds as error:
        reason = _reason(error)
        if _OURS.match(reason):
            raise InvalidInput(_OURS.sub("", reason)) from error
        if "Traceback (most recent call last)" in error.message and "`generator` yielded" not in reason:
            raise
        what = f"input function {describe(input_fn)}"
        if "IteratorGetNext" in error.message:
            raise InvalidInput(f"{what} cannot be read: {reason}; mend the data") from error
        raise InvalidInput(
            f"{what} gave a batch that model {model!r} cannot take: {reason}; mend the data, or the model"
        ) from error


def _reason(error: Any) -> str:
    """The line that tells: it stands before the first place in the graph, after what led there."""
    lines = [line for line in error.message.split("\n\t [[")[0].splitlines() if line.strip()]
    return (lines[-1].strip() if lines else type(error).__name__)[:300].rstrip(".")
