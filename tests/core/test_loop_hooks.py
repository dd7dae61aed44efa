"""The training loop and its hooks: who is told of a failure, and what becomes of hooks' states."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest

from expcore.errors import InvalidHook
from expcore.loop import Advance, SaveRhythm, TrainingLoop
from expcore.testing import CountingEngine, drive
from expcore.testing.clock import VirtualClock


class Engine:
    """Counts steps and keeps the states of the last save."""

    model, model_dir = None, "models/m"

    def __init__(self) -> None:
        self.step = 0
        self.states: dict[str, Any] = {}
        self.saves: list[dict[str, Any]] = []

    def advance(self, n: int) -> Advance:
        self.step += n
        return Advance(n, True, dict)

    def save(self, hook_states: Any) -> str:
        self.states = dict(hook_states)
        self.saves.append(self.states)
        return f"ckpt-{self.step}"

    def hook_states(self) -> dict[str, Any]:
        return self.states


class Asking:
    """Wants control at the multiples of n, does something there, and writes down how it ends."""

    def __init__(self, n: int, ask: Any = lambda run: None, told: list[str] | None = None) -> None:
        self.n, self.ask, self.told = n, ask, [] if told is None else told

    def begin(self, run: Any) -> None:
        self.told.append("begin")

    def next_step(self, step: int) -> int:
        return (step // self.n + 1) * self.n

    def after_steps(self, run: Any) -> None:
        self.ask(run)

    def end(self, run: Any) -> None:
        self.told.append(f"end {run.step}")

    def failed(self, run: Any, error: BaseException) -> None:
        self.told.append(f"failed {type(error).__name__}")


def train(engine: Engine, *hooks: Any, until: int, listeners: Any = (), steps: int | None = None) -> None:
    TrainingLoop(
        engine,
        hooks,
        saving_listeners=listeners,
        until=until,
        save=SaveRhythm(steps),
        clock=VirtualClock(),
    ).run()


def broken(*args: Any) -> None:
    raise OSError("disk")


@pytest.mark.parametrize("method", ["begin", "next_step", "after_steps", "after_save", "end"])
def test_an_error_in_a_hook_names_it_and_every_hook_has_either_end_or_failed(method):
    before, hook, after = Asking(2), Asking(2), Asking(2)
    setattr(hook, method, broken)
    with pytest.raises(OSError, match="disk") as caught:
        train(Engine(), before, hook, after, until=4)
    assert len(caught.value.__notes__) == 1
    assert re.fullmatch(rf"raised in {method}\(\) of .*Asking", caught.value.__notes__[0])
    failed, late = ["failed OSError"], method == "end"
    assert [_ends(h) for h in (before, hook, after)] == [
        ["end 4"] if late else failed,
        [] if late else failed,
        failed,
    ]


def _ends(hook: Asking) -> list[str]:
    return [told for told in hook.told if told.startswith(("end", "failed"))]


@pytest.mark.parametrize("method", ["begin", "before_save", "after_save", "end"])
def test_an_error_in_a_listener_names_it_and_fails_the_hooks_unless_they_have_ended(method):
    listener, hook = type("Listener", (), {method: broken})(), Asking(1)
    with pytest.raises(OSError, match="disk") as caught:
        train(Engine(), hook, until=2, listeners=[listener])
    assert caught.value.__notes__ == [f"raised in {method}() of {__name__}.Listener"]
    assert _ends(hook) == (["end 2"] if method == "end" else ["failed OSError"])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), RuntimeError("engine")])
def test_whatever_stops_the_engine_is_told_to_the_hooks_and_raised(error):
    class Stopped(Engine):
        def advance(self, n: int) -> Advance:
            raise error

    hook = Asking(1)
    with pytest.raises(type(error)) as caught:
        train(Stopped(), hook, until=2)
    assert caught.value is error
    assert hook.told == ["begin", f"failed {type(error).__name__}"]


def test_a_second_failure_is_logged_and_noted_and_the_first_is_raised(caplog):
    class Clumsy(Asking):
        def failed(self, run: Any, error: BaseException) -> None:
            raise ValueError("and my file is gone")

    last = Asking(1)
    with pytest.raises(OSError, match="disk") as caught:
        train(Engine(), Clumsy(1, broken), last, until=3)
    assert caught.value.__notes__[-1].endswith("Clumsy.failed() raised ValueError: and my file is gone")
    assert "Clumsy failed while told of a failure" in caplog.text
    assert last.told[-1] == "failed OSError"


@pytest.mark.parametrize(
    "value", [object(), Asking, None, "summaries", type("Timed", (), {"every_secs": 1})()]
)
def test_what_has_none_of_a_hooks_methods_is_refused_before_anything_happens(value):
    told: list[str] = []
    with pytest.raises(InvalidHook, match="none of a hook's methods"):
        train(Engine(), Asking(1, told=told), value, until=3)
    assert told == []


class Counting:
    """Has a state: how many steps it saw in all its lives."""

    def __init__(self, told: list[str] | None = None) -> None:
        self.count, self.told = 0, [] if told is None else told

    def begin(self, run: Any) -> None:
        self.told.append("begin")

    def next_step(self, step: int) -> int:
        return step + 1

    def after_steps(self, run: Any) -> None:
        self.count += 1

    def get_state(self) -> dict[str, int]:
        return {"count": self.count}

    def set_state(self, state: dict[str, int]) -> None:
        self.told.append("set_state")
        self.count = state["count"]


def test_states_are_kept_with_each_save_and_given_back_after_every_begin():
    engine, told = Engine(), []
    first, second = f"{__name__}.Counting", f"{__name__}.Counting#2"
    train(engine, Counting(), until=2, steps=1)
    assert engine.saves == [{first: {"count": 1}}, {first: {"count": 2}}]
    one, other = Counting(told), Counting(told)
    train(engine, Asking(3), one, Asking(2), other, until=5)
    assert told == ["begin", "begin", "set_state"]
    assert engine.states == {first: {"count": 5}, second: {"count": 3}}


def test_a_state_is_kept_only_of_a_hook_that_can_take_it_back():
    class Half(Asking):
        def get_state(self) -> dict[str, int]:
            return {"count": 1}

    engine = Engine()
    train(engine, Half(1), until=2)
    assert engine.saves == [{}]


@pytest.mark.parametrize("method", ["get_state", "set_state"])
def test_an_error_with_a_state_names_the_hook(method):
    engine, hook = Engine(), Counting()
    engine.states = {f"{__name__}.Counting": {"count": 4}}
    setattr(hook, method, broken)
    with pytest.raises(OSError, match="disk") as caught:
        train(engine, hook, until=2)
    assert caught.value.__notes__ == [f"raised in {method}() of {__name__}.Counting"]


def test_a_timed_hook_that_takes_longer_than_its_rhythm_rests_for_it_between_its_stops():
    engine = CountingEngine()  # a step takes 0.01 seconds

    class Slow:
        every_secs = 1.0

        def __init__(self):
            self.at = []

        def after_steps(self, run):
            self.at.append(run.step)
            engine.clock.sleep(3)

    slow = Slow()
    drive([slow], until=2000, engine=engine)
    assert len(engine.calls) < 100, "not a call for each step"
    assert all(100 <= later - earlier <= 110 for earlier, later in pairwise(slow.at[:-1]))
