"""Hooks of an evaluation, which has no steps of its own: told of its beginning, its result and its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from expcore.calling import describe
from expcore.loop import Advance, TrainingRun
from expcore.types import Clock, Metrics


@dataclass(frozen=True)
class _Checkpoint:
    """What a run is made of here, instead of an engine: the checkpoint that is read."""

    step: int
    model: Any
    model_dir: str


class Reading:
    """Calls each hook's ``begin``, then ``after_steps`` and ``end``, or ``failed``.

    Args:
        step: the checkpoint's global step.
        model: its model.
        model_dir: the model directory.
        hooks: the hooks.
        clock: theirs.
    """

    def __init__(self, step: int, model: Any, model_dir: str, hooks: Sequence[Any], clock: Clock) -> None:
        checkpoint: Any = _Checkpoint(step, model, model_dir)
        self._run, self._hooks = TrainingRun(checkpoint, None, clock), list(hooks)

    @contextmanager
    def told(self) -> Iterator[None]:
        """The evaluation goes in here; ``result`` has to be called in it."""
        try:
            self._tell("begin")
            yield
            self._run.ending = True
            self._tell("after_steps")
            self._tell("end")
        except BaseException as error:
            self._tell_failure(error)
            raise

    def result(self, metrics: Metrics) -> None:
        """Gives the hooks the metrics."""
        self._run.made(Advance(1, False, lambda: metrics))

    def _tell(self, method: str) -> None:
        for hook in self._hooks:
            function = getattr(hook, method, None)
            if not callable(function):
                continue
            try:
                function(self._run)
            except Exception as error:
                error.add_note(f"raised in {method}() of {describe(hook)}")
                raise

    def _tell_failure(self, error: BaseException) -> None:
        for hook in self._hooks:
            failed = getattr(hook, "failed", None)
            if not callable(failed):
                continue
            try:
                failed(self._run, error)
            except Exception as second:  # told, not hidden: noted on the error that is raised
                error.add_note(f"{describe(hook)}.failed() raised {type(second).__name__}: {second}")
