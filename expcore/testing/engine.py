"""An engine that only counts: hooks are driven by the real training loop without any model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from expcore.loop import Advance, SaveRhythm, TrainingLoop, TrainingRun
from expcore.testing.clock import VirtualClock
from expcore.types import Metrics

STEP_SECS = 0.01


def _falling_loss(step: int) -> Metrics:
    return {"loss": 1 / step}


class CountingEngine:
    """Makes steps that take 0.01 virtual seconds each, and writes down what is asked of it.

    Args:
        step: the global step to begin at.
        metrics: gives the training metrics at a global step; by default ``loss``, 1 / step.
        ends: global step at which the input ends; None: never.

    Attributes:
        clock: the virtual clock that the steps move.
        calls: steps made by each call, in order.
        saves: global steps of the checkpoints, in order.
    """

    def __init__(
        self, step: int = 0, metrics: Callable[[int], Metrics] = _falling_loss, ends: int | None = None
    ) -> None:
        self.step, self.metrics, self.ends = step, metrics, ends
        self.clock = VirtualClock()
        self.calls: list[int] = []
        self.saves: list[int] = []
        self.model: Any = None
        self.model_dir = ""
        self._states: dict[str, Any] = {}

    def advance(self, n: int) -> Advance:
        """Makes at most n steps, fewer where the input ends."""
        done = n if self.ends is None else min(n, self.ends - self.step)
        self.step += done
        step = self.step
        self.clock.sleep(STEP_SECS * done)
        self.calls.append(done)
        return Advance(done, done == n, lambda: self.metrics(step))

    def save(self, hook_states: Mapping[str, Any]) -> str:
        """Notes a checkpoint and keeps the hooks' states."""
        self.saves.append(self.step)
        self._states = dict(hook_states)
        return f"ckpt-{self.step}"

    def hook_states(self) -> Mapping[str, Any]:
        """Returns the hooks' states of the last checkpoint."""
        return self._states


def drive(
    hooks: Sequence[Any], until: int | None, engine: CountingEngine | None = None, save: int | None = None
) -> TrainingRun:
    """Runs the training loop with these hooks and returns the finished run.

    Args:
        hooks: what to try.
        until: global step to end at; None: until the input ends or a hook stops.
        engine: the engine; None: a new one.
        save: steps between checkpoints; None: only at the end.

    Raises:
        Exception: what a hook raises.
    """
    engine = CountingEngine() if engine is None else engine
    return TrainingLoop(engine, hooks, until=until, save=SaveRhythm(steps=save), clock=engine.clock).run()
