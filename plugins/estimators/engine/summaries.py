"""TensorBoard summaries of evaluations."""

from __future__ import annotations

import os
from collections.abc import Mapping

from expcore.errors import CannotWrite, InvalidArgument
from expcore.types import Clock
from expcore_plugins.estimators.engine.messages import brief
from expcore_plugins.hooks.event_file import EventFile


class EvaluationSummaries:
    """Writes the results of evaluations as scalars, with one file a name; TensorBoard need not be installed.

    Args:
        model_dir: results go to ``eval/`` below it, those of a name to ``eval_<name>/``.
        clock: gives the times of the points.
    """

    def __init__(self, model_dir: str, clock: Clock) -> None:
        self._model_dir, self._clock = model_dir, clock
        self._files: dict[str, EventFile] = {}

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
            if folder not in self._files:
                self._files[folder] = EventFile(folder, self._clock, None)
            self._files[folder].scalars(step, metrics)
        except (tf.errors.OpError, OSError) as error:
            raise CannotWrite(
                f"the results of the evaluation cannot be written to {folder!r} ({brief(error)}); "
                "make room or permissions there"
            ) from error
