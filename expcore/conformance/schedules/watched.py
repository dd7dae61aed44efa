"""What a schedule is watched with: estimator, data, exporter, hook and clock that keep what happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expcore.conformance.case import PatientClock
from expcore.conformance.clause import Runaway
from expcore.testing.numpy_estimator import NumpyEstimator, read_checkpoint

PATIENCE_SECS = 1800.0
"""By the virtual clock; whoever waits longer waits for ever."""

MAX_QUESTIONS, MAX_CALLS = 20_000, 100
"""So many questions for the newest checkpoint, or calls besides, and a schedule turns in circles."""


@dataclass(frozen=True)
class Look:
    """One evaluation that the estimator made: of which checkpoint, under which name, on which data."""

    path: str
    name: str | None
    data: Any
    metrics: dict[str, Any]

    @property
    def step(self) -> int:
        """The evaluated step."""
        return int(self.metrics["global_step"])


class Watched(NumpyEstimator):
    """Keeps what it was asked to do; a copy of it in another directory is not watched.

    Attributes:
        steps: how many steps it made.
        hook_counts: how many hooks each call of ``train`` was given.
        looks: its evaluations.
    """

    def __init__(self, model_dir: str, config: Any, clock: Any) -> None:
        super().__init__(model_dir, config, clock=clock)
        self.steps = 0
        self.hook_counts: list[int] = []
        self.looks: list[Look] = []
        self._questions = self._calls = 0

    def _called(self) -> None:
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise Runaway(f"it trained and evaluated {MAX_CALLS} times without coming to an end")

    @property
    def step(self) -> int:
        """The step of the newest checkpoint; 0 without one."""
        newest = super().latest_checkpoint()
        return 0 if newest is None else int(read_checkpoint(newest)["step"])

    def latest_checkpoint(self) -> str | None:
        """Returns the newest one; ends a schedule that asks again and again without waiting."""
        self._questions += 1
        if self._questions > MAX_QUESTIONS:
            raise Runaway(f"it asked {MAX_QUESTIONS} times for the newest checkpoint and did not end")
        return super().latest_checkpoint()

    def train(
        self,
        input_fn: Any,
        hooks: Sequence[Any] | None = None,
        steps: int | None = None,
        max_steps: int | None = None,
        saving_listeners: Sequence[Any] | None = None,
    ) -> NumpyEstimator:
        """Trains."""
        self._called()
        self.hook_counts.append(len(hooks or ()))
        before = self.step
        try:
            return super().train(input_fn, hooks, steps, max_steps, saving_listeners)
        finally:
            self.steps += max(0, self.step - before)

    def evaluate(
        self,
        input_fn: Any,
        steps: int | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | None = None,
        name: str | None = None,
    ) -> Any:
        """Evaluates."""
        self._called()
        metrics = super().evaluate(input_fn, steps, hooks, checkpoint_path, name)
        path = checkpoint_path or super().latest_checkpoint() or ""
        self.looks.append(Look(path, name, input_fn, dict(metrics)))
        return metrics


class Bare:
    """An estimator with what every estimator has and nothing else, as those of 2017."""

    def __init__(self, inner: Watched) -> None:
        self._inner = inner
        self.model_dir, self.config = inner.model_dir, inner.config

    def train(
        self,
        input_fn: Any,
        hooks: Sequence[Any] | None = None,
        steps: int | None = None,
        max_steps: int | None = None,
    ) -> Bare:
        """Trains."""
        self._inner.train(input_fn, hooks, steps, max_steps)
        return self

    def evaluate(
        self,
        input_fn: Any,
        steps: int | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | None = None,
        name: str | None = None,
    ) -> Any:
        """Evaluates."""
        return self._inner.evaluate(input_fn, steps, hooks, checkpoint_path, name)

    def latest_checkpoint(self) -> str | None:
        """Returns the newest checkpoint's path; None without one."""
        return self._inner.latest_checkpoint()


@dataclass(eq=False)
class Data:
    """An input function.

    Attributes:
        make: gives the data.
        asked: how often it was called.
        act: called first, with the number of the call; may raise.
    """

    make: Callable[[], Any]
    asked: int = 0
    act: Callable[[int], None] = lambda _: None

    def __call__(self) -> Any:
        """Gives the data."""
        self.asked += 1
        self.act(self.asked)
        return self.make()


class AtStep:
    """A hook that does something at a step, once."""

    def __init__(self, step: int, act: Callable[[], None]) -> None:
        self.step, self._act, self.fired = step, act, False

    def next_step(self, step: int) -> int:
        """Every step."""
        return step + 1

    def after_steps(self, run: Any) -> None:
        """Does it from that step on."""
        if run.step >= self.step and not self.fired:
            self.fired = True
            self._act()


@dataclass(frozen=True)
class Offer:
    """What an exporter was called with, and what the log said then of the checkpoint."""

    estimator: Any
    path: str
    result: dict[str, Any] | None
    final: bool
    recorded: dict[str, Any] | None


@dataclass(eq=False)
class Shelf:
    """An exporter that writes whatever it is offered."""

    name: str = "shelf"
    offers: list[Offer] = field(default_factory=list)

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None = None,
        eval_result: Any = None,
        is_the_final_export: bool = False,
        history: Any = None,
    ) -> str:
        """Makes an empty version."""
        recorded = None
        if history is not None and history.checkpoint is not None:
            own = history.checkpoint.id
            recorded = next((dict(e.metrics) for e in history.evaluations if e.checkpoint == own), None)
        path = checkpoint_path or estimator.latest_checkpoint() or ""
        result = None if eval_result is None else dict(eval_result)
        self.offers.append(Offer(estimator, path, result, bool(is_the_final_export), recorded))
        version = Path(export_path, str(len(self.offers)))
        version.mkdir(parents=True, exist_ok=True)
        return str(version)


class Script(PatientClock):
    """A clock that jumps, at which others do their deeds at their time.

    Attributes:
        deeds: what happens when, by seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.deeds: dict[float, Callable[[], object]] = {}

    def sleep(self, secs: float) -> None:
        """Jumps, from deed to deed; ends whoever waits for ever."""
        until = self.monotonic() + max(secs, 0.0)
        while self.deeds and min(self.deeds) <= until:
            when = min(self.deeds)
            if when > self.monotonic():
                super().sleep(when - self.monotonic())
            self.deeds.pop(when)()
        super().sleep(until - self.monotonic())
        if self.monotonic() > PATIENCE_SECS:
            raise Runaway(f"it went on waiting for {PATIENCE_SECS:g} seconds without coming to an end")
