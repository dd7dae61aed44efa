"""Hooks that fit."""

from __future__ import annotations

from typing import Any, assert_type

from expcore import typed
from expcore.types import Hook, Run, StatefulHook


@typed.hook
class Nothing(Hook):
    """All methods are inherited."""


@typed.hook
class EveryHundred(Hook):
    def __init__(self, n: int = 100) -> None:
        self.n = n

    def next_step(self, step: int) -> int:
        return step - step % self.n + self.n

    def after_steps(self, run: Run) -> None:
        run.request_save()


@typed.hook
class EverySecond(Hook):
    every_secs = 1.0

    def begin(self, run: Run) -> None:
        super().begin(run)

    def failed(self, run: Run, error: BaseException) -> None:
        print(run.step, error)


@typed.hook
class Counting(StatefulHook):
    seen = 0

    def after_save(self, run: Run, checkpoint_path: str) -> None:
        self.seen += 1

    def get_state(self) -> dict[str, int]:
        return {"seen": self.seen}

    def set_state(self, state: dict[str, int]) -> None:
        self.seen = state["seen"]


@typed.hook
class NotDerived:
    """All methods, and no base."""

    def begin(self, run: object) -> None:
        return

    def next_step(self, step: int) -> None:
        return

    def after_steps(self, run: Run) -> None:
        return

    def after_save(self, run: Run, checkpoint_path: str) -> None:
        return

    def end(self, run: Run) -> None:
        return

    def failed(self, run: Run, error: Any) -> None:
        return


@typed.hook
def every(n: int) -> EveryHundred:
    return EveryHundred(n)


assert_type(EveryHundred(n=3).n, int)
assert_type(Counting().get_state(), dict[str, int])
assert_type(every(n=3), EveryHundred)
hooks: list[Hook] = [Nothing(), EveryHundred(), EverySecond(), Counting(), NotDerived(), every(2)]
