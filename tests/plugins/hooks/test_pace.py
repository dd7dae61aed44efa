"""Steps per second by the run's clock."""

from __future__ import annotations

from types import SimpleNamespace

from expcore.testing.clock import VirtualClock
from expcore_plugins.hooks.pace import Pace


def test_counts_from_the_last_look():
    run = SimpleNamespace(step=100, clock=VirtualClock())
    pace = Pace(run)
    run.step, _ = 150, run.clock.sleep(2)
    assert pace.look(run) == 25.0
    run.step, _ = 151, run.clock.sleep(4)
    assert pace.look(run) == 0.25


def test_there_is_none_without_steps_or_without_time():
    run = SimpleNamespace(step=0, clock=VirtualClock())
    pace = Pace(run)
    run.clock.sleep(1)
    assert pace.look(run) is None
    run.step = 5
    assert pace.look(run) is None
