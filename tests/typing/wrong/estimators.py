"""Estimators that do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from expcore import typed
from expcore.types import InputFn, Metrics


class WithoutEvaluate:
    def __init__(self, model_dir: str = "runs") -> None:
        self.model_dir = model_dir
        self.config = None

    def train(
        self,
        input_fn: InputFn,
        hooks: Sequence[Any] | None = None,
        steps: int | None = None,
        max_steps: int | None = None,
        saving_listeners: Sequence[Any] | None = None,
    ) -> None:
        return

    def latest_checkpoint(self) -> str | None:
        return None


class WithoutTrain:
    def __init__(self) -> None:
        self.model_dir = "runs"
        self.config = None

    def evaluate(
        self,
        input_fn: InputFn,
        steps: int | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | None = None,
        name: str | None = None,
    ) -> Metrics:
        return {}


@typed.estimator  # wrong
class LacksAMethod(WithoutEvaluate):
    pass


@typed.estimator  # wrong
class LacksParameters(WithoutEvaluate):
    def evaluate(self, input_fn: InputFn, steps: int | None = None) -> Metrics:
        return {}


@typed.estimator  # wrong
class CallsAParameterOtherwise(WithoutEvaluate):
    def evaluate(
        self,
        input_fn: InputFn,
        steps: int | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint: str | None = None,
        name: str | None = None,
    ) -> Metrics:
        return {}


@typed.estimator  # wrong
class ReturnsNothing(WithoutEvaluate):
    def evaluate(
        self,
        input_fn: InputFn,
        steps: int | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | None = None,
        name: str | None = None,
    ) -> None:
        return


@typed.estimator  # wrong
class DoesNotTakeNone(WithoutEvaluate):
    def evaluate(
        self,
        input_fn: InputFn,
        steps: int = 1,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | None = None,
        name: str | None = None,
    ) -> Metrics:
        return {}


@typed.estimator  # wrong
class TrainsWithoutHooks(WithoutTrain):
    def train(self, input_fn: InputFn, steps: int | None = None, max_steps: int | None = None) -> None:
        return

    def latest_checkpoint(self) -> str | None:
        return None


@typed.estimator  # wrong
class TellsAStepForAPath(WithoutTrain):
    def train(
        self,
        input_fn: InputFn,
        hooks: Sequence[Any] | None = None,
        steps: int | None = None,
        max_steps: int | None = None,
        saving_listeners: Sequence[Any] | None = None,
    ) -> None:
        return

    def latest_checkpoint(self) -> int:
        return 1


@typed.estimator  # wrong
def factory_of_something_else(model_dir: str) -> WithoutTrain:
    return WithoutTrain()


typed.estimator(WithoutEvaluate())  # wrong
