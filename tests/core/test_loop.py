"""The training loop: when hooks are called, when checkpoints are saved, how a run ends and fails."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from expcore.errors import InvalidArgument
from expcore.loop import Advance, SaveRhythm, TrainingLoop, TrainingRun
from expcore.rhythm import MAX_CALL_SECS
from expcore.testing.clock import VirtualClock


class Engine:
    """Counts steps on a virtual clock and writes down what is asked of it."""

    def __init__(self, *, secs: float = 0.25, batches: int | None = None, step: int = 0) -> None:
        self.clock, self.secs, self.left, self.step = VirtualClock(), secs, batches, step
        self.model, self.model_dir = object(), "models/m"
        self.told: list[Any] = []
        self.calls: list[int] = []
        self.stops: list[int] = []
        self.saves: list[int] = []
        self.fetched = 0
        self.first_secs = secs

    def advance(self, n: int) -> Advance:
        done = n if self.left is None else min(n, self.left)
        if self.left is not None:
            self.left -= done
        self.clock.sleep(done * (self.secs if self.calls else self.first_secs))
        self.calls.append(n)
        self.step += done
        self.stops.append(self.step)
        return Advance(done, done == n, self.fetch)

    def fetch(self) -> dict[str, float]:
        self.fetched += 1
        return {"loss": 1.0 / self.step}

    def save(self, hook_states: Any) -> str:
        self.told.append(f"save {self.step}")
        self.saves.append(self.step)
        return f"models/m/ckpt-{self.step}"

    def hook_states(self) -> dict[str, Any]:
        return {}


class Every:
    """Wants control at the multiples of n."""

    def __init__(self, n: int) -> None:
        self.n, self.seen = n, []

    def next_step(self, step: int) -> int:
        return (step // self.n + 1) * self.n

    def after_steps(self, run: Any) -> None:
        self.seen.append(run.step)


class Timed:
    """Wants control every so many seconds."""

    def __init__(self, secs: Any) -> None:
        self.every_secs, self.seen = secs, []

    def after_steps(self, run: Any) -> None:
        self.seen.append(run.step)


class Asking(Every):
    """Asks for something at the multiples of n, and writes down all that it is told."""

    def __init__(self, n: int, ask: Any = lambda run: None, told: list[Any] | None = None) -> None:
        super().__init__(n)
        self.ask, self.told = ask, [] if told is None else told

    def begin(self, run: Any) -> None:
        self.told.append("begin")

    def after_steps(self, run: Any) -> None:
        super().after_steps(run)
        self.told.append(f"after_steps {run.step}{' ending' if run.ending else ''}")
        if run.step % self.n == 0:
            self.ask(run)

    def after_save(self, run: Any, path: str) -> None:
        self.told.append(f"after_save {path}{' ending' if run.ending else ''}")

    def end(self, run: Any) -> None:
        self.told.append(f"end {run.step}{' ending' if run.ending else ''}")


def train(
    engine: Engine, *hooks: Any, until: int | None = None, listeners: Any = (), **save: Any
) -> TrainingRun:
    return TrainingLoop(
        engine,
        hooks,
        saving_listeners=listeners,
        until=until,
        save=SaveRhythm(**save),
        clock=engine.clock,
    ).run()


def test_hooks_of_several_rhythms_stop_the_engine_at_their_steps_and_nowhere_else():
    engine, three, seven, timed = Engine(secs=0.125), Every(3), Every(7), Timed(1.0)
    train(engine, three, seven, timed, until=40)
    assert three.seen == [*range(3, 40, 3), 40]
    assert seven.seen == [*range(7, 40, 7), 40]
    assert timed.seen == [8, 16, 24, 32, 40]
    assert engine.stops == sorted({1, *three.seen, *seven.seen, *timed.seen})


def test_a_hook_of_100_steps_costs_nothing_on_the_other_99():
    engine = Engine(secs=2**-10)
    train(engine, Every(100), until=350)
    assert engine.calls == [1, 10, 89, 100, 100, 50]


def test_a_hook_is_asked_for_its_next_step_at_every_stop():
    class Asked(Every):
        def next_step(self, step: int) -> int:
            self.asked = [*getattr(self, "asked", []), step]
            return super().next_step(step)

    engine, hook = Engine(), Asked(1000)
    train(engine, hook, Every(2), until=6)
    assert hook.asked == [0, 1, 2, 4]
    assert hook.seen == [6]


def test_calls_are_as_long_as_a_second_of_the_last_calls_pace_after_a_first_step_alone():
    engine = Engine(secs=0.25)
    engine.first_secs = 8.0  # what compiling takes
    train(engine, until=20)
    assert engine.calls == [1, 1, 4, 4, 4, 4, 2]


def test_steps_longer_than_a_call_may_be_are_made_one_by_one():
    engine = Engine(secs=3 * MAX_CALL_SECS)
    train(engine, until=3)
    assert engine.calls == [1, 1, 1]


def test_calls_grow_tenfold_at_most_since_the_first_steps_may_find_their_input_ready():
    class Buffered(Engine):
        def advance(self, n: int) -> Advance:
            self.clock.sleep(0.125 * (n - max(0, 2 - self.step)))
            return super().advance(n)

    engine = Buffered(secs=0.0)
    train(engine, until=60)
    assert engine.calls == [1, 10, 8, 8, 8, 8, 8, 8, 1]
    engine = Engine(secs=0.0, batches=5000)
    train(engine, Every(1150))
    assert engine.calls == [1, 10, 100, 1000, 39, 1150, 1150, 1150, 1150]


def test_a_short_call_in_between_does_not_make_the_next_ones_short():
    engine = Engine(secs=2**-10)
    train(engine, Every(1000), Every(1001), until=4000)
    assert engine.stops[-7:] == [1000, 1001, 2000, 2002, 3000, 3003, 4000]


def test_a_deadline_is_met_by_the_first_step_after_it_without_a_stop_just_before():
    engine, hook = Engine(secs=0.375), Timed(0.75 + 0.125)
    train(engine, hook, until=9)
    assert hook.seen == [3, 6, 9]
    assert engine.stops == [1, 3, 5, 6, 8, 9]  # 5 and 8: two steps are what fits into a second


@pytest.mark.parametrize(("secs", "seen"), [(0, [1, 5, 6]), (0.0, [1, 5, 6]), (math.inf, [6])])
def test_every_secs_0_is_every_stop_and_infinity_only_the_end(secs, seen):
    engine, hook = Engine(), Timed(secs)
    train(engine, hook, Every(5), until=6)
    assert [s for s in hook.seen if s in (1, 5, 6)] == seen
    assert (len(engine.calls) == 6) == (secs == 0)


@pytest.mark.parametrize("secs", [-1, math.nan, "10", True])
def test_an_every_secs_that_is_no_time_is_an_error_naming_the_hook(secs):
    with pytest.raises(InvalidArgument, match=r"hook .*Timed: every_secs is .*; it must be seconds"):
        train(Engine(), Timed(secs), until=3)


def test_seconds_are_counted_from_the_end_of_begin():
    class Waiting(Every):
        def begin(self, run: Any) -> None:
            run.clock.sleep(700)

    engine, timed = Engine(secs=0.5), Timed(600)
    train(engine, Waiting(100), timed, until=6, secs=600)
    assert (timed.seen, engine.saves) == ([6], [6])


@pytest.mark.parametrize("wanted", [4, 3, 0, math.nan, math.inf, "5", [5]])
def test_a_next_step_that_does_not_lie_ahead_is_an_error_naming_the_hook(wanted):
    class Stuck(Asking):
        def next_step(self, step: int) -> Any:
            return wanted if step == 4 else 4

    engine = Engine()
    with pytest.raises(InvalidArgument, match=r"hook .*Stuck: next_step\(4\) returned"):
        train(engine, Stuck(9), until=10)
    assert engine.step == 4


@pytest.mark.parametrize("wanted", [2.5, np.float32(2.5), np.int64(3), 3])
def test_a_next_step_of_any_kind_of_number_is_the_first_whole_step_from_it_on(wanted):
    class Once(Every):
        def next_step(self, step: int) -> Any:
            return wanted if step < 3 else None

    hook = Once(1)
    train(Engine(), hook, until=5)
    assert hook.seen == [3, 5]


def test_after_steps_is_called_at_the_end_with_the_true_step_once_also_if_it_was_due_there():
    engine, due, none = Engine(batches=7), Every(7), Timed(None)
    none.next_step = lambda step: None
    run = train(engine, due, none, until=100)
    assert (due.seen, none.seen, run.step, run.stop_reason) == ([7], [7], 7, "input ended")


def test_input_that_ends_in_the_middle_of_a_call_still_serves_what_was_due_and_saves():
    engine, hook = Engine(batches=6), Every(5)
    run = train(engine, hook, steps=100)
    assert (hook.seen, engine.saves, run.stop_reason) == ([5, 6], [6], "input ended")


def test_an_engine_that_says_there_is_more_may_find_nothing_left():
    class Unsure(Engine):
        def advance(self, n: int) -> Advance:
            return super().advance(n)._replace(more=True)

    engine, hook = Unsure(batches=3), Every(100)
    run = train(engine, hook, steps=100)
    assert (engine.saves, hook.seen, run.stop_reason) == ([3], [3], "input ended")


def test_the_order_of_a_save_is_hooks_steps_then_the_save_then_listeners_then_hooks():
    told: list[str] = []

    class Listener:
        def begin(self) -> None:
            told.append("listener begin")

        def before_save(self, session: Any, step: int) -> None:
            told.append(f"before_save {session} {step}")

        def after_save(self, session: Any, step: int) -> None:
            told.append(f"listener after_save {session} {step}")

        def end(self, session: Any, step: int) -> None:
            told.append(f"listener end {session} {step}")

    engine = Engine()
    engine.told = told
    first = Asking(4, lambda run: run.request_save(), told)
    second = Asking(4, lambda run: run.request_save(), told)
    train(engine, first, second, until=5, listeners=[Listener()])
    assert told == [
        *("begin", "begin", "listener begin"),
        *("after_steps 4", "after_steps 4"),
        *("before_save None 4", "save 4", "listener after_save None 4"),
        *("after_save models/m/ckpt-4", "after_save models/m/ckpt-4"),
        *("after_steps 5", "after_steps 5"),
        *("before_save None 5", "save 5", "listener after_save None 5"),
        *("after_save models/m/ckpt-5 ending", "after_save models/m/ckpt-5 ending"),
        *("end 5 ending", "end 5 ending", "listener end None 5"),
    ]


def test_a_save_asked_for_where_one_is_due_anyway_is_one_save():
    engine = Engine()
    train(engine, Asking(4, lambda run: (run.request_save(), run.request_save())), until=8, steps=4)
    assert engine.saves == [4, 8]


def test_a_save_asked_for_counts_for_the_rhythm():
    engine = Engine()
    train(engine, Asking(3, lambda run: run.step == 3 and run.request_save()), until=20, steps=8)
    assert engine.saves == [3, 11, 19, 20]


def test_saves_by_seconds_come_at_the_first_step_after_them():
    engine = Engine(secs=0.75)
    train(engine, until=12, secs=2.0)
    assert engine.saves == [3, 6, 9, 12]


def test_without_a_rhythm_there_is_one_save_at_the_end_and_none_where_no_step_was_made():
    engine = Engine()
    train(engine, until=5)
    train(engine, until=5)
    assert engine.saves == [5]


def test_a_stop_and_a_save_asked_for_at_once_make_one_save_which_is_the_last():
    def both(run: Any) -> None:
        run.request_save()
        run.request_stop("enough")
        run.request_stop("too late to count")

    engine, late = Engine(), Asking(100)
    run = train(engine, Asking(3, both), late, until=10)
    assert (engine.saves, run.stop_reason) == ([3], "enough")
    assert late.told[-3:] == ["after_steps 3", "after_save models/m/ckpt-3 ending", "end 3 ending"]


def test_even_an_empty_reason_is_the_first_one():
    assert train(Engine(), Asking(10, lambda run: run.request_stop("")), until=10).stop_reason == ""


def test_a_stop_asked_for_in_begin_makes_no_step_and_no_save():
    class Refusing(Asking):
        def begin(self, run: Any) -> None:
            run.request_stop("not today")

    engine, hook = Engine(step=2), Refusing(1)
    run = train(engine, hook, until=9)
    assert (engine.calls, engine.saves, run.stop_reason) == ([], [], "not today")
    assert hook.told == ["after_steps 2", "end 2 ending"]


def test_a_listener_that_returns_true_ends_training_and_is_named():
    class Full:
        def after_save(self, session: Any, step: int) -> bool:
            return step >= 4

    engine, hook = Engine(), Every(100)
    run = train(engine, hook, until=9, steps=2, listeners=[Full()])
    assert (engine.saves, hook.seen) == ([2, 4], [4])
    assert "asked by" in run.stop_reason
    assert "Full" in run.stop_reason


def test_metrics_are_fetched_only_when_asked_for_and_once_a_stop():
    engine, seen = Engine(), []

    def read(run: Any) -> None:
        seen.append((run.metrics["loss"], run.metrics is run.metrics))

    train(engine, Every(2), Asking(4, read), Asking(4, read), until=9)
    assert seen == [(0.25, True)] * 2 + [(0.125, True)] * 2
    assert engine.fetched == 2


def test_metrics_are_empty_before_the_first_step_and_stay_where_no_step_was_made():
    class Reading(Asking):
        def begin(self, run: Any) -> None:
            self.told.append(dict(run.metrics))

        def end(self, run: Any) -> None:
            self.told.append(dict(run.metrics))

    class Ending(Engine):
        def advance(self, n: int) -> Advance:
            made = super().advance(n)
            return made if made.done else made._replace(metrics=dict)

    engine, hook = Ending(batches=4), Reading(4)
    train(engine, hook)
    assert engine.stops == [1, 4, 4]
    assert (hook.told[0], hook.told[-1]) == ({}, {"loss": 0.25})


def test_a_run_shows_the_engine_its_limit_and_the_history_it_is_given():
    class Looking(Asking):
        def begin(self, run: Any) -> None:
            run.history_source = lambda: f"the log at step {run.step}"

    engine, seen = Engine(step=3), []

    def look(run: Any) -> None:
        seen.append((run.step, run.model, run.model_dir, run.until, run.clock, run.history, run.stop_reason))

    assert train(engine, Asking(4, look), until=4).history is None
    train(engine, Looking(5, look), until=5)
    fixed = engine.model, "models/m"
    assert seen == [
        (4, *fixed, 4, engine.clock, None, None),
        (5, *fixed, 5, engine.clock, "the log at step 5", None),
    ]
