"""What a clause of hooks is tried on: trainings in one model directory, one after the other."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from expcore.cluster import RunConfig
from expcore.conformance.case import Case, PatientClock, Sample
from expcore.conformance.clause import NotApplicable, Violation
from expcore.conformance.hooks.watched import Seen, Watched
from expcore.conformance.process import kept_signals
from expcore.conformance.provided import own_estimator
from expcore.conformance.setting import FEATURES, endless_data, linear_data, small_experiment
from expcore.conformance.suite import available
from expcore.experiment import Experiment
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore.types import Checkpoint, is_hook

STEPS, SAVE_EVERY = 230, 60
"""A training; neither is on the grid of a hook that looks every 10, 50 or 100 steps."""

PART = 137
"""Where a training is interrupted, likewise."""


FLAT_RUNS = (137, 230, 1100, 430, 430, 430)
"""Later trainings of one hook, on a loss that stays: counters that nobody resets come to an end in them."""


def flat_data() -> Any:
    """Yields batches of which nothing but 0 can be learned: the loss falls to 1 and stays there."""
    return repeat(([[0.0] * FEATURES] * 2, [1.0, -1.0]))


class Boom(Exception):
    """The failure of something else in the training."""


class At:
    """Does something at one global step: the suite's own hook beside the one that is tried.

    Args:
        step: the global step; 0: before the first step; None: at each.
        act: what to do, given the run.
        saved: whether to do it in the save of that step instead of before it.
    """

    def __init__(self, step: int | None, act: Callable[[Any], Any], saved: bool = False) -> None:
        self._step, self._act, self._saved = step, act, saved

    def begin(self, run: Any) -> None:
        """Acts before the first step."""
        if self._step == 0:
            self._act(run)

    def next_step(self, step: int) -> int | None:
        """Its step, or each."""
        if self._step is None:
            return step + 1
        return self._step if step < self._step else None

    def after_steps(self, run: Any) -> None:
        """Acts, or asks for the save."""
        if self._step not in (None, run.step):
            return
        if self._saved:
            run.request_save()
        else:
            self._act(run)

    def after_save(self, run: Any, checkpoint_path: str) -> None:
        """Acts in the save."""
        if self._saved and run.step == self._step:
            self._act(run)


def fail(_run: Any) -> None:
    """Raises Boom."""
    raise Boom("something else in the training failed")


def stop(run: Any) -> None:
    """Asks for the end."""
    run.request_stop("asked by the suite")


class Ticks:
    """Lets five seconds pass every ten steps, so that what goes by time is called."""

    def next_step(self, step: int) -> int:
        """The next multiple of ten."""
        return step - step % 10 + 10

    def after_steps(self, run: Any) -> None:
        """Lets time pass."""
        run.clock.sleep(5)


class TakesHooks(NumpyEstimator):
    """A NumPy estimator that takes every hook, also those that need a library for what they write."""

    def supports_hook(self, hook: Any) -> bool:
        """Whether it is a hook."""
        return is_hook(hook)


@dataclass(frozen=True)
class Trained:
    """What came of one training.

    Attributes:
        step: the global step at its end; None where it failed.
        reason: why it ended; what it failed with.
        saves: global steps of its checkpoints.
        error: what it failed with; None where it did not.
    """

    step: int | None
    reason: str
    saves: list[int | None]
    error: BaseException | None = None


class HookCase(Case):
    """Trains with hooks, and watches them.

    Attributes:
        signals: those for which a training left another handler behind; it is put back.
    """

    def __init__(self, sample: Sample, folder: Path) -> None:
        super().__init__(sample, folder)
        self.signals: list[int] = []

    def watch(self, hook: Any = None) -> Watched:
        """Returns a hook (None: a fresh one) that is watched.

        Raises:
            NotApplicable: it requires a library that is not here.
        """
        hook = self.make() if hook is None else hook
        needed = getattr(hook, "requires", None)
        if isinstance(needed, str) and not available(needed):
            self.skip(f"it requires {needed}, which is not here")
        return Watched(hook)

    def estimator(self, folder: str) -> tuple[Any, PatientClock]:
        """Returns a new estimator in a folder of the case, as after a restart, and its clock."""
        clock, model_dir = PatientClock(), str(self.folder / folder)
        Path(model_dir).mkdir(exist_ok=True)
        own = own_estimator(self.sample, model_dir, clock)
        if own is not None:
            return own, clock
        config = RunConfig(model_dir=model_dir, keep_checkpoint_max=0)
        return TakesHooks(model_dir, config, clock=clock), clock

    @property
    def train_data(self) -> Callable[[], Any]:
        """The training data."""
        return self.sample.train_input_fn or endless_data

    def experiment(self, folder: str, data: Callable[[], Any] | None = None) -> Experiment:
        """Returns a new experiment in a folder of the case; ``data``: other training data."""
        estimator, clock = self.estimator(folder)
        judged = self.sample.eval_input_fn or self.sample.train_input_fn or linear_data
        data = data or self.train_data
        return small_experiment(
            self.folder, estimator, train_input_fn=data, eval_input_fn=judged, clock=clock
        )

    def attempt(
        self, *hooks: Any, steps: int | None = STEPS, folder: str = "model", flat: bool = False
    ) -> Trained:
        """Trains, in a process that has just started, and says how it went; saves are evaluated.

        Args:
            hooks: what takes part.
            steps: how many more; None: without a known end.
            folder: the model directory's name; there a training goes on where the last one ended.
            flat: whether the loss stays where it is, unless the sample has data or an estimator of its own;
                then there are no checkpoints but those that are asked for and the last.
        """
        own = self.sample.estimator is not None or self.sample.train_input_fn is not None
        experiment = self.experiment(folder, flat_data if flat and not own else None)
        save_every = None if flat else SAVE_EVERY

        def evaluate(checkpoint: Checkpoint) -> None:
            experiment.evaluate_pass(checkpoint.path)

        before = len(experiment.history.saves)
        try:
            with kept_signals(self.signals):
                end = experiment.train_pass(steps, hooks=hooks, on_save=evaluate, save_every=save_every)
        except (Violation, NotApplicable):
            raise
        except Exception as error:
            saves = [save.step for save in experiment.history.saves[before:]]
            return Trained(None, repr(error), saves, error)
        return Trained(end.step, end.reason, [save.step for save in experiment.history.saves[before:]])

    def train(
        self,
        *hooks: Any,
        steps: int | None = STEPS,
        folder: str = "model",
        flat: bool = False,
        doing: str = "",
    ) -> Trained:
        """As ``attempt``; a Violation where it fails otherwise than by Boom."""
        trained = self.attempt(*hooks, steps=steps, folder=folder, flat=flat)
        with self.no_error(doing or f"a training of {steps} steps"):
            if trained.error is not None and not isinstance(trained.error, Boom):
                raise trained.error
        return trained

    def tried(self, *others: Any) -> Seen:
        """Returns what a fresh hook did in a training, however that ended."""
        hook = self.watch()
        self.attempt(*others, hook)
        return hook.seen

    def interrupted(self, folder: str) -> Seen:
        """Returns what a fresh hook does in a training that goes on after a crash.

        The crash comes right after the checkpoint of step ``PART``, in which another one took part.
        """
        self.train(self.watch(), At(PART, fail, saved=True), folder=folder, doing="a training that crashes")
        after = self.watch()
        self.train(after, steps=STEPS - PART, folder=folder, doing=f"going on from step {PART}")
        return after.seen

    def uninterrupted(self, folder: str) -> Seen:
        """Returns what a hook does in the same training without the crash."""
        hook = self.watch()
        self.train(hook, At(PART, lambda _run: None, saved=True), folder=folder)
        return hook.seen


def open_files(folder: Path) -> list[str]:
    """Returns the files below a folder that this process has open; Linux only."""
    found = []
    for entry in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the one of the listing itself is gone by now
            found.append(os.readlink(f"/proc/self/fd/{entry}"))
    return sorted(path for path in found if path.startswith(str(folder.resolve())))
