"""Predicates that do not fit."""

from __future__ import annotations

from collections.abc import Callable

from expcore import typed
from expcore.types import Metrics, Predicate


@typed.predicate  # wrong
class NotCallable:
    def wants(self, eval_result: Metrics | None) -> bool:
        return True


@typed.predicate  # wrong
class OfNothing:
    def __call__(self) -> bool:
        return True


@typed.predicate  # wrong
class DoesNotTakeNone:
    def __call__(self, eval_result: Metrics) -> bool:
        return bool(eval_result)


@typed.predicate  # wrong
class OfANumber:
    def __call__(self, eval_result: float | None) -> bool:
        return True


@typed.predicate  # wrong
class ReturnsNothing:
    def __call__(self, eval_result: Metrics | None) -> None:
        return


@typed.predicate  # wrong
class ReturnsAWord:
    def __call__(self, eval_result: Metrics | None) -> str:
        return "stop"


@typed.predicate  # wrong
class NamesWhatIsNotPassed:
    def __call__(self, eval_result: Metrics | None, step: int) -> bool:
        return step < 3


@typed.predicate  # wrong
class HistoryOfAnotherType:
    def __call__(self, eval_result: Metrics | None, history: list[float]) -> bool:
        return bool(history)


@typed.predicate  # wrong
class CheckpointCannotBeNone:
    def __call__(self, eval_result: Metrics | None, checkpoint_path: str) -> bool:
        return bool(checkpoint_path)


@typed.predicate  # wrong
def is_one_itself(eval_result: Metrics | None) -> bool:
    return True


@typed.predicate  # wrong
def of_another_result(limit: float) -> Callable[[Metrics], bool]:
    return lambda eval_result: eval_result["loss"] > limit


def run(predicate: Predicate | None = None) -> None:
    return


run(OfNothing())  # wrong
run(DoesNotTakeNone())  # wrong
run(ReturnsAWord())  # wrong
typed.predicate(3)  # wrong
