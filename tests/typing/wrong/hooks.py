"""Hooks that do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from expcore import typed
from expcore.types import Hook, Run, StatefulHook


@typed.hook
class StepForRun(Hook):
    def begin(self, run: int) -> None:  # wrong
        return


@typed.hook
class NextStepOfAnotherType(Hook):
    def next_step(self, step: int) -> str:  # wrong
        return str(step + 1)


@typed.hook
class ForgetsTheRun(Hook):
    def after_steps(self) -> None:  # wrong
        return


@typed.hook
class ForgetsThePath(Hook):
    def after_save(self, run: Run) -> None:  # wrong
        return


@typed.hook
class AsksForMore(Hook):
    def end(self, run: Run, reason: str) -> None:  # wrong
        return


@typed.hook
class OfSomeErrors(Hook):
    def failed(self, run: Run, error: ValueError) -> None:  # wrong
        return


@typed.hook
class StateOfAnotherType(StatefulHook):
    def get_state(self) -> int:  # wrong
        return 1

    def set_state(self, state: Mapping[str, int]) -> None:
        return


@typed.hook
class HalfAState(StatefulHook):
    def get_state(self) -> dict[str, int]:
        return {}


@typed.hook  # wrong
class NotDerivedAndIncomplete:
    def after_steps(self, run: Run) -> None:
        return


@typed.hook  # wrong
class NotDerivedAndWrong:
    def begin(self, run: Run) -> None:
        return

    def next_step(self, step: int) -> int | None:
        return None

    def after_steps(self, run: Run) -> None:
        return

    def after_save(self, run: Run) -> None:
        return

    def end(self, run: Run) -> None:
        return

    def failed(self, run: Run, error: BaseException) -> None:
        return


@typed.hook  # wrong
def factory_of_something_else(n: int) -> int:
    return n


HalfAState()  # wrong
typed.hook(StepForRun())  # wrong
