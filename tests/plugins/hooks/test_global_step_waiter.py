"""global_step_waiter: waits for other processes' recorded saves, once, and not for what will not come."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from expcore.errors import InvalidArgument
from expcore.testing import CountingEngine as Engine
from expcore.testing import drive as train
from expcore.types import Checkpoint, TrainingEnd
from expcore_plugins.hooks.global_step_waiter import GlobalStepWaiter


class Others:
    """Gives runs a history in which others save every second ``pace`` steps, until ``stops_at`` seconds."""

    def __init__(self, clock, pace, stops_at=10**9, over=True, before=()):
        self.clock, self.pace, self.stops_at, self.over, self.before = clock, pace, stops_at, over, before

    def begin(self, run):
        run.history_source = self.history

    def history(self):
        seconds = int(min(self.clock.monotonic(), self.stops_at))
        saves = [Checkpoint(f"c{i}", f"ckpt-{i}", i * self.pace) for i in range(1, seconds + 1)]
        ends = list(self.before)
        if self.clock.monotonic() >= self.stops_at:
            ends.append(TrainingEnd("run", seconds * self.pace, "input ended", over=self.over))
        return SimpleNamespace(saves=[Checkpoint("u", "unknown", None), *saves], training_ends=ends)


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "expcore.training")
    return lambda: [r.getMessage() for r in caplog.records]


@pytest.mark.parametrize("wait", [0, -5])
def test_no_waiting_for_zero_and_less(lines, wait):
    engine = Engine()
    train([Others(engine.clock, 10), GlobalStepWaiter(wait)], until=1, engine=engine)
    assert engine.clock.slept == [0.01]
    assert lines() == []


def test_waits_in_half_seconds_until_the_step_is_saved_and_trains_afterwards():
    engine = Engine()
    run = train([Others(engine.clock, 100), GlobalStepWaiter(250)], until=1000, engine=engine)
    assert engine.clock.slept[:6] == [0.5] * 6  # 300 is saved after 3 s
    assert 0.5 not in engine.clock.slept[6:]
    assert run.step == 1000


def test_a_line_for_each_advance_of_more_than_1000_steps(lines):
    engine = Engine()
    train([Others(engine.clock, 400), GlobalStepWaiter(4000)], until=10_000, engine=engine)
    assert lines() == [
        "waiting for global step 4000 before training; it is 0 now",
        "waiting for global step 4000 before training; it is 1200 now",
        "waiting for global step 4000 before training; it is 2400 now",
        "waiting for global step 4000 before training; it is 3600 now",
        "global step 4000 is reached (waited for 4000): training goes on",
    ]


def test_waits_only_once():
    engine = Engine()
    waiter = GlobalStepWaiter(100)
    train([Others(engine.clock, 100), waiter], until=5, engine=engine)
    waited = engine.clock.slept.count(0.5)
    train([Others(engine.clock, 0), waiter], until=10, engine=engine)
    assert waited == 2
    assert engine.clock.slept.count(0.5) == waited


def test_its_own_restored_step_counts():
    engine = Engine(step=300)
    train([Others(engine.clock, 0), GlobalStepWaiter(300)], until=310, engine=engine)
    assert 0.5 not in engine.clock.slept


def test_does_not_wait_for_more_than_the_last_step_of_the_run():
    engine = Engine()
    run = train([Others(engine.clock, 100), GlobalStepWaiter(10**6)], until=200, engine=engine)
    assert engine.clock.slept.count(0.5) == 4
    assert run.step == 200


def test_goes_on_when_training_is_over_below_the_step(lines):
    engine = Engine(ends=5)
    before = [TrainingEnd("earlier", 50, "input ended")]
    others = Others(engine.clock, 100, stops_at=3, before=before)
    train([others, GlobalStepWaiter(1000)], until=None, engine=engine)
    assert engine.clock.slept.count(0.5) == 6
    assert "training is over at global step 300, below 1000: no more waiting" in lines()


def test_a_training_that_was_cut_and_may_come_back_is_waited_for():
    engine = Engine()
    others = Others(engine.clock, 100, stops_at=3, over=False)

    class Returning:
        def begin(self, run):
            run.history_source = self.history

        def history(self):
            if engine.clock.monotonic() > 10:
                return SimpleNamespace(saves=[Checkpoint("x", "x", 1000)], training_ends=[])
            return others.history()

    train([Returning(), GlobalStepWaiter(1000)], until=1001, engine=engine)
    assert engine.clock.slept.count(0.5) == 21


def test_a_request_to_stop_ends_the_waiting_and_no_step_is_made():
    engine = Engine()

    class Stopping(Others):
        def begin(self, run):
            self.run = run
            super().begin(run)

        def history(self):
            if self.clock.monotonic() >= 2:
                self.run.request_stop("signal")
            return super().history()

    run = train([Stopping(engine.clock, 0), GlobalStepWaiter(1000)], until=2000, engine=engine)
    assert (run.step, run.stop_reason) == (0, "signal")


def test_without_a_history_it_goes_on_with_a_warning(lines, caplog):
    engine = Engine()
    assert train([GlobalStepWaiter(1000)], until=5, engine=engine).step == 5
    assert 0.5 not in engine.clock.slept
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "hook 'global_step_waiter': wait_until_step is 1000, but there is no record" in lines()[0]


@pytest.mark.parametrize("step", [1.5, "8", None, True])
def test_a_step_that_is_no_whole_number_is_refused(step):
    with pytest.raises(InvalidArgument, match="hook 'global_step_waiter': wait_until_step is"):
        GlobalStepWaiter(step)
