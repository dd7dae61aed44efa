"""Schedules that wait for real, swallow errors, or only return what nobody runs."""

from __future__ import annotations

import asyncio
import logging
import select
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from time import sleep
from typing import Any

from expcore.conformance.case import Sample
from expcore.conformance.mutants.mutant import Mutant
from expcore.conformance.mutants.schedule_references import InParts
from expcore.types import Checkpoint

_LOG = logging.getLogger(__name__)

SECS = 0.001


async def _coroutine(experiment: Any) -> Any:
    return experiment.train_pass()


def _generator(experiment: Any) -> Iterator[Any]:
    yield experiment.train_pass()


async def _async_generator(experiment: Any) -> AsyncIterator[Any]:
    yield experiment.train_pass()


class _Async(InParts):
    async def __call__(self, experiment: Any, steps: int = 4, go_on_predicate_fn: Any = None) -> Any:
        return super().__call__(experiment, steps, go_on_predicate_fn)


class _Sleeps(InParts):
    def wait(self, experiment: Any) -> None:
        time.sleep(SECS)


class _SleepsByAName(InParts):
    def wait(self, experiment: Any) -> None:
        sleep(SECS)


class _WaitsForAnEvent(InParts):
    def wait(self, experiment: Any) -> None:
        threading.Event().wait(SECS)


class _WaitsForACondition(InParts):
    def wait(self, experiment: Any) -> None:
        condition = threading.Condition()
        with condition:
            condition.wait_for(lambda: False, SECS)


class _Selects(InParts):
    def wait(self, experiment: Any) -> None:
        select.select([], [], [], SECS)


class _WaitsForASocket(InParts):
    def wait(self, experiment: Any) -> None:
        one, other = socket.socketpair()
        with one, other:
            one.settimeout(SECS)
            try:
                one.recv(1)
            except TimeoutError:
                return


class _SleepsInALoop(InParts):
    def wait(self, experiment: Any) -> None:
        asyncio.run(asyncio.sleep(SECS))


class _SwallowsErrorsOfTraining(InParts):
    kinds: tuple[type[Exception], ...] = (Exception,)

    def train(self, experiment: Any, n: int) -> int:
        try:
            return super().train(experiment, n)
        except self.kinds as error:
            _LOG.warning("a part could not be trained: %s", error)
            return 0


class _SwallowsErrorsOfData(_SwallowsErrorsOfTraining):
    kinds = (OSError, KeyError)


class _SwallowsErrorsAtTheEnd(_SwallowsErrorsOfTraining):
    def train(self, experiment: Any, n: int) -> int:
        # A part that is cut short is the last one.
        return super().train(experiment, n) if 0 < n < 4 else InParts.train(self, experiment, n)


class _SwallowsErrorsOfEvaluations(InParts):
    kinds: tuple[type[Exception], ...] = (Exception,)

    def evaluate(self, experiment: Any, last: Checkpoint) -> Any:
        try:
            return super().evaluate(experiment, last)
        except self.kinds as error:
            _LOG.warning("%s could not be evaluated: %s", last.path, error)
            return {}


class _SwallowsOSErrors(_SwallowsErrorsOfEvaluations):
    kinds = (OSError,)


class _SwallowsRuntimeErrors(_SwallowsErrorsOfEvaluations):
    kinds = (RuntimeError,)


class _SwallowsLaterErrors(_SwallowsErrorsOfEvaluations):
    def evaluate(self, experiment: Any, last: Checkpoint) -> Any:
        first = not experiment.history.evaluations
        return InParts.evaluate(self, experiment, last) if first else super().evaluate(experiment, last)


def _of(made: type) -> Sample:
    return Sample(factory=made)


RUDE = (
    Mutant("SCH-003", "is a coroutine function", Sample(component=_coroutine)),
    Mutant("SCH-003", "is a generator function", Sample(component=_generator)),
    Mutant("SCH-003", "is an async generator function", Sample(component=_async_generator)),
    Mutant("SCH-003", "has an async __call__", _of(_Async)),
    Mutant("SCH-010", "ignores the clock", _of(_Sleeps)),
    Mutant("SCH-010", "ignores the clock by a name of its own", _of(_SleepsByAName)),
    Mutant("SCH-010", "waits for an event", _of(_WaitsForAnEvent)),
    Mutant("SCH-010", "waits for a condition", _of(_WaitsForACondition)),
    Mutant("SCH-010", "waits by select", _of(_Selects)),
    Mutant("SCH-010", "waits for a socket", _of(_WaitsForASocket)),
    Mutant("SCH-010", "sleeps in an event loop", _of(_SleepsInALoop)),
    Mutant("SCH-021", "swallows an error of training", _of(_SwallowsErrorsOfTraining)),
    Mutant("SCH-021", "swallows OSError and KeyError of training", _of(_SwallowsErrorsOfData)),
    Mutant("SCH-021", "swallows an error in the last part", _of(_SwallowsErrorsAtTheEnd)),
    Mutant("SCH-022", "swallows an error of an evaluation", _of(_SwallowsErrorsOfEvaluations)),
    Mutant("SCH-022", "swallows OSError of an evaluation", _of(_SwallowsOSErrors)),
    Mutant("SCH-022", "swallows RuntimeError of an evaluation", _of(_SwallowsRuntimeErrors)),
    Mutant("SCH-022", "swallows an error of a later evaluation", _of(_SwallowsLaterErrors)),
)
