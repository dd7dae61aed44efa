"""The brake: which hook limits the loop, and what is said of it."""

from __future__ import annotations

import logging

import pytest

from expcore.loop import SaveRhythm, TrainingLoop
from expcore.testing.engine import CountingEngine


class Idling(CountingEngine):
    """Whose every call costs 5 virtual milliseconds beside its steps of 10."""

    def advance(self, n):
        self.idle()
        return super().advance(n)

    def idle(self):
        self.clock.sleep(0.005)


class Every:
    def __init__(self, n, secs=0.0, clock=None):
        self.n, self.secs, self.clock = n, secs, clock

    def next_step(self, step):
        return step - step % self.n + self.n

    def after_steps(self, run):
        run.clock.sleep(self.secs)


class EveryOther(Every):
    pass


def said(caplog, hooks, engine=None, until=300):
    engine = engine or Idling()
    with caplog.at_level(logging.WARNING, logger="expcore.brake"):
        TrainingLoop(engine, hooks, until=until, save=SaveRhythm(), clock=engine.clock).run()
    return [record.getMessage() for record in caplog.records if "limits the loop" in record.getMessage()]


def test_a_hook_that_wants_every_step_is_named_once_with_what_it_costs(caplog):
    (line,) = said(caplog, [Every(1)])
    assert "Every limits the loop: it stops training every 1 step(s), and a stop costs 5 ms" in line
    assert "33% of the time" in line


def test_the_time_of_the_hook_itself_counts(caplog):
    (line,) = said(caplog, [Every(1, secs=0.015)])
    assert "a stop costs 20 ms (15 ms in the hook itself), 67% of the time" in line


def test_an_engine_without_such_a_call_has_only_the_time_of_the_hook(caplog):
    assert said(caplog, [Every(1)], CountingEngine()) == []
    (line,) = said(caplog, [Every(1, secs=0.01)], CountingEngine())
    assert "a stop costs 10 ms (10 ms in the hook itself), 50% of the time" in line


@pytest.mark.parametrize("n", [20, 100])
def test_a_rhythm_that_costs_little_is_not_mentioned(caplog, n):
    assert said(caplog, [Every(n)], until=100 * n) == []


@pytest.mark.parametrize("turned", [False, True])
def test_the_one_that_cuts_the_calls_is_named_not_the_one_that_is_due_with_it_now_and_then(caplog, turned):
    hooks = [EveryOther(10), Every(1)]
    (line,) = said(caplog, hooks[::-1] if turned else hooks, until=1000)
    assert "Every limits" in line
    assert "EveryOther" not in line


def test_each_of_two_that_want_every_step_is_named(caplog):
    lines = said(caplog, [Every(1), EveryOther(1)])
    assert ["EveryOther" in line for line in lines] == [False, True]


def test_a_longer_rhythm_is_judged_by_its_own_stops_also_beside_a_short_one(caplog):
    lines = said(caplog, [Every(1), EveryOther(10, secs=0.1)], until=1000)
    assert "stops training every 10 step(s), and a stop costs 105 ms (100 ms in the hook itself)" in lines[1]


def test_idle_calls_make_no_step(caplog):
    engine = Idling()
    said(caplog, [Every(1)], engine)
    assert engine.step == 300
