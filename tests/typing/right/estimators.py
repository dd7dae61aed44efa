"""Estimators that fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_type

from expcore import typed
from expcore.testing import NumpyEstimator
from expcore.types import Estimator, InputFn, Metrics


@typed.estimator
class Counting:
    def __init__(self, model_dir: str, size: int = 1) -> None:
        self.model_dir = model_dir
        self.config = None
        self.size = size

    def train(
        self,
        input_fn: InputFn,
        hooks: Sequence[Any] | None = None,
        steps: int | None = None,
        max_steps: int | None = None,
        saving_listeners: Sequence[Any] | None = None,
    ) -> Counting:
        return self

    def evaluate(
        self,
        input_fn: InputFn,
        steps: int | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | None = None,
        name: str | None = None,
    ) -> dict[str, float]:
        return {"global_step": 1.0}

    def latest_checkpoint(self) -> str:
        return "ckpt-1"


@typed.estimator
class WithMore(Counting):
    """More methods, and more parameters with defaults."""

    def evaluate(
        self,
        input_fn: InputFn,
        steps: int | None = None,
        hooks: Sequence[Any] | None = None,
        checkpoint_path: str | None = None,
        name: str | None = None,
        verbose: bool = False,
    ) -> dict[str, float]:
        return {}

    def predict(self, input_fn: InputFn) -> list[int]:
        return []


@typed.estimator
class OfWiderTypes:
    """Properties; parameters of any type; a result that is only read."""

    @property
    def model_dir(self) -> str:
        return "runs"

    @property
    def config(self) -> Mapping[str, int]:
        return {}

    def train(
        self,
        input_fn: object,
        hooks: object = None,
        steps: float | None = None,
        max_steps: float | None = None,
        saving_listeners: object = None,
    ) -> None:
        return

    def evaluate(
        self,
        input_fn: object,
        steps: float | None = None,
        hooks: object = None,
        checkpoint_path: str | None = None,
        name: str | None = None,
    ) -> Metrics:
        return {}

    def latest_checkpoint(self) -> str | None:
        return None


@typed.estimator
def counting(model_dir: str = "runs") -> Counting:
    return Counting(model_dir)


@typed.estimator
def any_estimator(model_dir: str) -> Estimator:
    return OfWiderTypes()


typed.estimator(NumpyEstimator)

assert_type(Counting("runs", size=3), Counting)
assert_type(Counting("runs").size, int)
assert_type(counting(model_dir="r"), Counting)
assert_type(any_estimator("r"), Estimator)
