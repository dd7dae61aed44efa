"""Schedules that fit."""

from __future__ import annotations

from typing import Any, assert_type

from expcore import Experiment, typed
from expcore.types import Metrics, Schedule


@typed.schedule
def no_options(experiment: Experiment) -> None:
    experiment.train_pass()


@typed.schedule
def with_options(experiment: Experiment, rounds: int = 3, *, steps: int | None = None) -> float:
    return 0.5


@typed.schedule
def another_name(of: Experiment, /, name: str | None = None) -> Metrics | None:
    return None


@typed.schedule
def any_options(experiment: Experiment, **options: Any) -> Any:
    return experiment.run("train", **options)


@typed.schedule
def any_experiment(experiment: Any) -> Any:
    return experiment.estimator


@typed.schedule
def wider(experiment: object) -> tuple[int, str]:
    return 1, ""


class Rounds:
    def __call__(self, experiment: Experiment, rounds: int = 3) -> int:
        return rounds


def needs_an_option(experiment: Experiment, rounds: int, *, steps: int) -> int:
    return rounds * steps


rounds = typed.schedule(Rounds())
known: list[Schedule] = [no_options, with_options, any_options, rounds, needs_an_option, lambda e: e]


def use(experiment: Experiment) -> None:
    assert_type(with_options(experiment, 2, steps=4), float)
    assert_type(with_options(experiment), float)
    assert_type(another_name(experiment, name="a"), Metrics | None)
    assert_type(wider(experiment), tuple[int, str])
    assert_type(rounds, Rounds)
