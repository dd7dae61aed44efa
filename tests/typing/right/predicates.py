"""Predicates that fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_type

from expcore import typed
from expcore.types import History, Metrics, Predicate


@typed.predicate
class OfResult:
    def __init__(self, limit: float) -> None:
        self.limit = limit

    def __call__(self, eval_result: Metrics | None) -> bool:
        return not eval_result or eval_result["loss"] > self.limit


@typed.predicate
class OfCheckpoint:
    def __call__(self, result: Metrics | None, checkpoint_path: str | None) -> bool:
        return checkpoint_path is None


@typed.predicate
class OfHistory:
    def __call__(self, eval_result: Metrics | None, *, history: History | None = None) -> bool:
        return history is None or len(history.exports) < 3


@typed.predicate
class OfBoth:
    def __call__(
        self, eval_result: object, history: History | None, checkpoint_path: str | None = None
    ) -> bool:
        return True


@typed.predicate
class OfAnything:
    def __call__(self, eval_result: Any, **more: Any) -> bool:
        return True


@typed.predicate
def function() -> Callable[[Metrics | None], bool]:
    return lambda eval_result: eval_result is None


@typed.predicate
def any_predicate(n: int = 3) -> typed.AnyPredicate:
    def until(eval_result: Metrics | None, history: History | None) -> bool:
        return history is None or len(history.evaluations) < n

    return until


@typed.predicate
def an_instance(limit: float) -> OfResult:
    return OfResult(limit)


def run(predicate: Predicate | None = None) -> None:
    return


run(lambda eval_result: not eval_result)
run(OfResult(0.5))
run(OfCheckpoint())
run(OfBoth())
run(any_predicate())
assert_type(OfResult(limit=0.5).limit, float)
assert_type(OfHistory()({}), bool)
assert_type(function(), Callable[[Metrics | None], bool])
assert_type(any_predicate(n=2), typed.AnyPredicate)
assert_type(an_instance(0.5), OfResult)
