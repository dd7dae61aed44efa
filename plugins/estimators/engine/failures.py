"""What fails while compiled steps run: TensorFlow's report of a bad batch as one line."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from expcore.calling import describe
from expcore.errors import InvalidInput
from expcore_plugins.estimators.engine.messages import reason

_OURS = re.compile(r"^(?:expcore\.errors\.)?InvalidInput: ")


class ExplainedBatches:
    """A context that says in one line what a batch has that the steps cannot take, or why it cannot be read.

    What Python code of the user raised, as in a generator, stays what it is, and so does what no data are to
    blame for, as memory that is not enough. It is entered for every compiled call, so it makes nothing before
    there is an error.

    Args:
        input_fn: gave the batches.
        model: the model's name.

    Raises:
        InvalidInput: TensorFlow refused a batch or the data.
    """

    __slots__ = ("_input_fn", "_model")

    def __init__(self, input_fn: Callable[[], Any], model: str) -> None:
        self._input_fn, self._model = input_fn, model

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is not None and (told := self._told(error)) is not None:
            raise InvalidInput(told) from error

    def _told(self, error: BaseException) -> str | None:
        """What to say of an error; None where no data are to blame, or Python code of the user."""
        import tensorflow as tf

        kinds = (
            tf.errors.InvalidArgumentError,
            tf.errors.UnimplementedError,
            tf.errors.NotFoundError,
            tf.errors.DataLossError,
            tf.errors.PermissionDeniedError,
        )
        if not isinstance(error, kinds):
            return None
        if "Collective ops is aborted" in error.message:
            return None  # between processes, not in a batch
        why = reason(error)
        if _OURS.match(why):
            return _OURS.sub("", why)
        if "Traceback (most recent call last)" in error.message and "`generator` yielded" not in why:
            return None
        what = f"input function {describe(self._input_fn)}"
        if "IteratorGetNext" in error.message:
            return f"{what} cannot be read: {why}; mend the data"
        return (
            f"{what} gave a batch that model {self._model!r} cannot take: {why}; mend the data, or the model"
        )
