"""Schedules that do not fit."""

from __future__ import annotations

from expcore import Experiment, typed
from expcore.types import Estimator, Schedule


@typed.schedule  # wrong
def no_experiment() -> None:
    return


@typed.schedule  # wrong
def of_an_estimator(estimator: Estimator) -> None:
    return


@typed.schedule  # wrong
def the_experiment_second(rounds: int, experiment: Experiment) -> None:
    return


@typed.schedule  # wrong
def the_experiment_by_name(*, experiment: Experiment) -> None:
    return


@typed.schedule  # wrong
def an_option_by_position(experiment: Experiment, rounds: int, /) -> None:
    return


@typed.schedule  # wrong
def an_option_without_default(experiment: Experiment, rounds: int) -> None:
    return


@typed.schedule  # wrong
class OfTwo:
    def __init__(self, rounds: int, experiment: Experiment) -> None:
        self.rounds = rounds


@typed.schedule
def exact(experiment: Experiment, rounds: int = 1) -> int:
    return rounds


typed.schedule("train")  # wrong
named: Schedule = of_an_estimator  # wrong


def use(experiment: Experiment) -> None:
    exact(experiment, round=2)  # wrong
    exact(experiment, rounds="2")  # wrong
    exact(experiment).lower()  # wrong
