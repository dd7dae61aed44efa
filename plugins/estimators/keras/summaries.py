"""TensorBoard summaries of evaluations."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from expcore.errors import CannotWrite, InvalidArgument
from expcore_plugins.estimators.keras.messages import brief


class EvaluationSummaries:
    """Writes the results of evaluations as scalars, with one writer a name.

    Args:
        model_dir: results go to ``eval/`` below it, those of a name to ``eval_<name>/``.
    """

    def __init__(self, model_dir: str) -> None:
        self._model_dir = model_dir
        self._writers: dict[str, Any] = {}

    def check(self, name: str | None) -> str:
        """Returns the directory for a name; InvalidArgument for a name that is no part of a path."""
        if name and (not isinstance(name, str) or set(name) & set("/\\\0")):
            raise InvalidArgument(f"evaluate: name is {name!r}; it must be a string without '/'")
        return os.path.join(self._model_dir, f"eval_{name}" if name else "eval")

    def write(self, name: str | None, metrics: Mapping[str, float], step: int) -> None:
        """Writes and flushes the metrics at a step.

        Raises:
            CannotWrite: the directory cannot be written.
        """
        import tensorflow as tf

        folder = self.check(name)
        try:
            if folder not in self._writers:
                self._writers[folder] = tf.summary.create_file_writer(folder)
            with self._writers[folder].as_default():
                for key, value in metrics.items():
                    tf.summary.scalar(key, value, step=step)
            self._writers[folder].flush()
        except (tf.errors.OpError, OSError) as error:
            raise CannotWrite(
                f"the results of the evaluation cannot be written to {folder!r} ({brief(error)}); "
                "make room or permissions there"
            ) from error
