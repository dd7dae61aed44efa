"""Cycles: thousands of short cycles of expcore: two steps, an evaluation, a checkpoint."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import expcore
from benchmarks import data
from benchmarks.case import Case
from benchmarks.peers import own
from benchmarks.peers.session import Place

STEPS = 2
POINTS = 100  # samples over the whole run
KINDS = ("estimator", "Experiment")


class Samples:
    """Takes the memory and the time at equal distances.

    Args:
        cycles: how many there will be.
    """

    def __init__(self, cycles: int) -> None:
        self._every = max(1, cycles // POINTS)
        self._done = 0
        self._start = time.perf_counter()
        self.taken: list[dict[str, float]] = []

    def cycle(self) -> None:
        """Notes the end of a cycle."""
        self._done += 1
        if self._done % self._every == 0:
            now = time.perf_counter()
            self.taken.append(
                {"cycle": self._done, "secs": (now - self._start) / self._every, "kilobytes": _resident()}
            )
            self._start = time.perf_counter()


def _resident() -> float:
    """Kilobytes of memory that the process holds now, as Linux says."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


def _by_estimator(case: Case, place: Place, cycles: int, ended: Callable[[], None]) -> None:
    estimator = own.make(case, place)
    train, evaluate = _inputs(case, place)
    for _ in range(cycles):
        estimator.train(train, steps=STEPS)
        estimator.evaluate(evaluate, steps=1)
        ended()


def _by_experiment(case: Case, place: Place, cycles: int, ended: Callable[[], None]) -> None:
    train, evaluate = _inputs(case, place)

    class Ended:
        """A hook of evaluations."""

        def end(self, run: Any) -> None:
            ended()

    expcore.Experiment(
        own.make(case, place, save_checkpoints_steps=STEPS),
        train,
        evaluate,
        train_steps=STEPS * cycles,
        eval_steps=1,
        eval_hooks=[Ended()],
    ).train_and_evaluate()


def _inputs(case: Case, place: Place) -> tuple[Callable[[], Any], Callable[[], Any]]:
    return lambda: data.training(case, place.data), lambda: data.evaluation(case, place.data)


def main() -> None:
    """Prints the samples; the arguments are kind, case, number of cycles, and the two folders."""
    kind, given, cycles, folder, model_dir = sys.argv[1:]
    case, place = Case(**json.loads(given)), Place(folder, model_dir)
    data.write(case, folder)
    samples = Samples(int(cycles))
    {"estimator": _by_estimator, "Experiment": _by_experiment}[kind](case, place, int(cycles), samples.cycle)
    print(json.dumps(samples.taken))


if __name__ == "__main__":
    main()
