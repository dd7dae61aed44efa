"""expcore: KerasEstimator by itself, and under an Experiment."""

from __future__ import annotations

import inspect
import logging
import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import expcore
from benchmarks import data, models
from benchmarks.case import Case
from benchmarks.peers.compiled_calls import CompiledCalls
from benchmarks.peers.loops import CYCLE, KEPT
from benchmarks.peers.rhythms import RHYTHMS
from benchmarks.peers.session import Place, Sessions
from expcore_plugins.estimators.keras import KerasEstimator
from expcore_plugins.hooks.logging import Logging
from expcore_plugins.hooks.nan_guard import NanGuard
from expcore_plugins.hooks.progress_bar import ProgressBar
from expcore_plugins.hooks.summaries import Summaries

Hooks = Callable[[Place], list[Any]]

CAN_SAVE_BESIDE = "async_checkpoints" in inspect.signature(KerasEstimator).parameters


def make(case: Case, place: Place, *, beside: bool = False, **config: Any) -> KerasEstimator:
    """Returns an estimator without summaries of the training; with no other rhythm it saves at the end only.

    Args:
        case: says which model.
        place: its own folder is the model directory.
        beside: whether checkpoints are written beside the next steps.
        config: more fields of the RunConfig.
    """
    settings = {"save_checkpoints_secs": None, "save_summary_steps": None, "keep_checkpoint_max": KEPT}
    options = {"async_checkpoints": True} if beside else {}
    return KerasEstimator(
        lambda: models.compiled(case), place.own, expcore.RunConfig(**{**settings, **config}), **options
    )


class Watch:
    """A hook that notes when two steps were done.

    Args:
        first: counted from the step that training goes on from.
        last: likewise.
    """

    def __init__(self, first: int, last: int) -> None:
        self._first, self._last = first, last
        self._at: dict[int, float] = {}

    def begin(self, run: Any) -> None:
        """Notes where training begins."""
        self._steps = [run.step + self._first, run.step + self._last]

    def next_step(self, step: int) -> int | None:
        """Returns the next of the two."""
        return next((n for n in self._steps if n > step), None)

    def after_steps(self, run: Any) -> None:
        """Notes the time."""
        self._at[run.step] = time.perf_counter()

    @property
    def secs(self) -> float:
        """From the one to the other."""
        return self._at[self._steps[1]] - self._at[self._steps[0]]


class Acting:
    """A hook that looks at the loss every so many steps."""

    def __init__(self, every: int) -> None:
        self._every = every
        self.seen: float | None = None

    def next_step(self, step: int) -> int:
        """Returns the next multiple."""
        return step - step % self._every + self._every

    def after_steps(self, run: Any) -> None:
        """Looks at the loss."""
        self.seen = run.metrics["loss"]


class EveryStep:
    """A hook that wants every step."""

    def __init__(self) -> None:
        self.steps = 0

    def next_step(self, step: int) -> int:
        """Returns the next step."""
        return step + 1

    def after_steps(self, run: Any) -> None:
        """Counts."""
        self.steps += 1


def _no_hooks(_place: Place) -> list[Any]:
    return []


def _ten_hooks(_place: Place) -> list[Any]:
    return [Acting(every) for every in RHYTHMS]


def _talking(place: Place) -> list[Any]:
    """The log to a file, and the bar to one that says that it is a terminal."""
    log = logging.getLogger("expcore_plugins")
    if not log.handlers:
        log.addHandler(logging.FileHandler(os.path.join(place.own, "log")))
        log.setLevel(logging.INFO)
    return [Logging(100), ProgressBar(0.5, stream=_Terminal(os.path.join(place.own, "bar")))]


class _Terminal:
    """A file that says it is a terminal."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "a")  # noqa: SIM115 (it is open as long as the bar)
        self.encoding = "utf-8"

    def write(self, text: str) -> int:
        return self._file.write(text)

    def flush(self) -> None:
        self._file.flush()

    def isatty(self) -> bool:
        return True


class Steady:
    """Trains by ``train``, with the default window of training metrics; its start and end are not counted.

    Args:
        hooks: gives the hooks.
    """

    def __init__(self, case: Case, place: Place, *, hooks: Hooks = _no_hooks) -> None:
        self._estimator = make(case, place)
        self._input_fn = lambda: data.training(case, place.data)
        self._hooks = hooks(place)

    def first(self) -> float:
        """Makes one step; the checkpoint after it is not waited for."""
        done: list[float] = []

        class Note:
            def after_steps(self, run: Any) -> None:
                done.append(time.time())

        self._estimator.train(self._input_fn, hooks=[Note()], steps=1)
        return done[0]

    def round(self, units: int) -> float:
        """Makes so many steps, after some in which the pace is found."""
        warm = 111 if units > 500 else 11
        watch = Watch(warm, warm + units)
        self._estimator.train(self._input_fn, hooks=[watch, *self._hooks], steps=warm + units)
        return watch.secs


class FirstStep:
    """The first step under an Experiment, as a program has it."""

    def __init__(self, case: Case, place: Place) -> None:
        self._case, self._place = case, place

    def first(self) -> float:
        """Makes one step; the checkpoint after it and the evaluation are not waited for."""
        done: list[float] = []

        class Note:
            def after_steps(self, run: Any) -> None:
                done.append(time.time())

        case, place = self._case, self._place
        expcore.Experiment(
            make(case, place),
            lambda: data.training(case, place.data),
            lambda: data.evaluation(case, place.data),
            train_steps=1,
            train_hooks=[Note()],
        ).train()
        return done[0]


class Interleaved:
    """Cycles by the schedule ``train_and_evaluate``: with the log, the guard against NaN and the summaries.

    Args:
        beside: whether checkpoints are written beside the next steps.
        source: the function of ``data`` that gives the training data.
    """

    def __init__(
        self, case: Case, place: Place, *, beside: bool = False, source: Callable[..., Any] = data.training
    ) -> None:
        self.estimator = make(case, place, beside=beside, save_checkpoints_steps=CYCLE)
        self._train = lambda: source(case, place.data)
        self._evaluate = lambda: data.evaluation(case, place.data)
        self._step = 0

    def first(self) -> float:
        """Makes one cycle."""
        self.round(1)
        return time.time()

    def round(self, units: int) -> float:
        """Makes so many cycles."""
        self._step += CYCLE * units
        experiment = expcore.Experiment(
            self.estimator,
            self._train,
            self._evaluate,
            train_steps=self._step,
            eval_steps=data.EVAL_BATCHES,
        )
        start = time.perf_counter()
        experiment.train_and_evaluate()
        return time.perf_counter() - start


class InterleavedByHand:
    """Cycles by ``train`` and ``evaluate`` of the estimator, without an Experiment; each train() saves."""

    def __init__(self, case: Case, place: Place) -> None:
        self._estimator = make(case, place)
        self._train = lambda: data.training(case, place.data)
        self._evaluate = lambda: data.evaluation(case, place.data)

    def first(self) -> float:
        """Makes one cycle."""
        self.round(1)
        return time.time()

    def round(self, units: int) -> float:
        """Makes so many cycles."""
        start = time.perf_counter()
        for _ in range(units):
            self._estimator.train(self._train, steps=CYCLE)
            self._estimator.evaluate(self._evaluate, steps=data.EVAL_BATCHES)
        return time.perf_counter() - start


class Overhead:
    """Training in single steps under five hooks; counted is the time outside of the compiled calls."""

    def __init__(self, case: Case, place: Place) -> None:
        self._estimator = make(case, place)
        self._input_fn = lambda: data.training(case, place.data)
        self._place = place

    def first(self) -> float:
        """Makes some steps."""
        self.round(10)
        return time.time()

    def round(self, units: int) -> float:
        """Makes so many steps, a call each, and returns the median overhead of a call, times their number."""
        hooks = [
            EveryStep(),
            NanGuard(100),
            Logging(100),
            ProgressBar(stream=_Terminal(os.path.join(self._place.own, "bar"))),
            Summaries(100),
        ]
        with CompiledCalls() as calls:
            self._estimator.train(self._input_fn, hooks=hooks, steps=units)
        gaps = sorted(calls.gaps())
        return gaps[len(gaps) // 2] * units


class Restore:
    """Enters ``restored()`` of two checkpoints in turn; they have the optimizer's variables as well."""

    def __init__(self, case: Case, place: Place) -> None:
        self._estimator = make(case, place)
        for _ in range(2):
            self._estimator.train(lambda: data.training(case, place.data), steps=1)
        self._paths = self._estimator.checkpoints()
        self._estimator.train(lambda: data.training(case, place.data), steps=1)

    def first(self) -> float:
        """Restores once."""
        self.round(1)
        return time.time()

    def round(self, units: int) -> float:
        """Restores so many times, and puts the state of the training back, which is counted too."""
        start = time.perf_counter()
        for n in range(units):
            with self._estimator.restored(self._paths[n % 2]):
                pass
        return time.perf_counter() - start


class Export:
    """Writes SavedModels of the latest checkpoint by ``export_saved_model``."""

    def __init__(self, case: Case, place: Place) -> None:
        self._estimator = make(case, place)
        self._estimator.train(lambda: data.training(case, place.data), steps=1)
        self._folder = place.own

    def first(self) -> float:
        """Exports once."""
        self.round(1)
        return time.time()

    def round(self, units: int) -> float:
        """Exports so many times."""
        start = time.perf_counter()
        for _ in range(units):
            self._estimator.export_saved_model(f"{self._folder}/export")
        return time.perf_counter() - start


def _sessions() -> Iterable[tuple[tuple[str, str], Any]]:
    yield ("steady", "expcore"), Steady
    yield ("together", "expcore, one process"), Steady
    yield ("start", "expcore, Experiment"), FirstStep
    yield ("interleaved", "expcore"), Interleaved
    yield ("interleaved", "expcore, indexed input"), partial(Interleaved, source=data.indexed)
    if CAN_SAVE_BESIDE:
        yield ("interleaved", "expcore, saving beside"), partial(Interleaved, beside=True)
        yield (
            ("interleaved", "expcore, saving beside, indexed input"),
            partial(Interleaved, beside=True, source=data.indexed),
        )
    yield ("interleaved", "expcore, no Experiment"), InterleavedByHand
    yield ("hooks", "expcore, no hook"), Steady
    yield ("hooks", "expcore, 10 hooks"), partial(Steady, hooks=_ten_hooks)
    yield ("logging", "expcore, silent"), Steady
    yield ("logging", "expcore, log and progress bar"), partial(Steady, hooks=_talking)
    yield ("overhead", "expcore"), Overhead
    yield ("restore", "expcore"), Restore
    yield ("export", "expcore"), Export


SESSIONS: Sessions = dict(_sessions())
