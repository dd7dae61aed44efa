"""Reading: what hooks are told of an evaluation or a prediction, which have no step loop of their own.

For authors of estimators::

    run = reading_run(step, model, model_dir, clock)
    with told(run, hooks):
        metrics = ...
        run.made(Advance(1, False, lambda: metrics))
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from expcore.calling import call_hook, describe
from expcore.loop import TrainingRun
from expcore.types import Clock

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """What such hooks see instead of an engine: the step of the checkpoint that is read."""

    step: int
    model: Any
    model_dir: str


def reading_run(step: int, model: Any, model_dir: str, clock: Clock) -> TrainingRun:
    """Returns a run without a loop, whose step stays that of the checkpoint.

    Args:
        step: the global step of the checkpoint that is read.
        model: the native model with its weights.
        model_dir: the model directory.
        clock: what hooks get as ``run.clock``.
    """
    seen: Any = Reading(step, model, model_dir)
    return TrainingRun(seen, None, clock)


@contextmanager
def told(run: TrainingRun, hooks: Sequence[Any]) -> Iterator[None]:
    """Calls ``begin`` of every hook, then ``after_steps`` and ``end`` once after the block, or ``failed``.

    Args:
        run: as ``reading_run`` gives it; ``run.made`` in the block gives it the metrics.
        hooks: objects with some of the methods of ``expcore.types.Hook``.

    Raises:
        Exception: what a hook or the block raised; what ``failed`` raises is logged and noted on it.
    """
    try:
        for hook in hooks:
            call_hook(hook, "begin", run)
        yield
        run.ending = True
        for method in ("after_steps", "end"):
            for hook in hooks:
                call_hook(hook, method, run)
    except BaseException as error:
        for hook in hooks:
            try:
                call_hook(hook, "failed", run, error)
            except Exception as second:  # told, not hidden: logged and noted on the error that is raised
                _LOG.exception("hook %s failed while told of a failure", describe(hook))
                error.add_note(f"{describe(hook)}.failed() raised {type(second).__name__}: {second}")
        raise
