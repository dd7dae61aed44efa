"""Who waits long for other processes says so, once."""

from __future__ import annotations

import logging
import threading

import pytest

from expcore.testing import VirtualClock
from expcore_plugins.estimators.engine import waiting as module
from expcore_plugins.estimators.engine.waiting import Waiting


@pytest.fixture(autouse=True)
def info(caplog):
    caplog.set_level(logging.INFO, logger=module.__name__)


def looked(waiting, clock, secs):
    for _ in range(secs // 5):
        clock.sleep(5)
        waiting.look()


def test_a_minute_of_waiting_is_told_once(caplog):
    clock = VirtualClock()
    waiting = Waiting(clock)
    with waiting.here():
        looked(waiting, clock, 55)
        assert not caplog.messages
        looked(waiting, clock, 300)
    (told,) = caplog.messages
    assert told.startswith("for 60 seconds the processes of the cluster wait for each other: ")
    with waiting.here():
        looked(waiting, clock, 60)
    assert caplog.messages == [told, told]


def test_who_does_not_wait_says_nothing(caplog):
    clock = VirtualClock()
    waiting = Waiting(clock)
    for _ in range(5):
        looked(waiting, clock, 300)
        with waiting.here():
            looked(waiting, clock, 50)
    assert not caplog.messages


def test_a_thread_looks_as_long_as_there_is_training(monkeypatch):
    monkeypatch.setattr(module, "_LOOK_SECS", 0.0)
    looks, waiting = threading.Semaphore(0), Waiting(VirtualClock())
    monkeypatch.setattr(waiting, "look", looks.release)
    with waiting.watched():
        for _ in range(3):
            assert looks.acquire(timeout=20)
        (thread,) = [t for t in threading.enumerate() if t.name == "expcore-waiting"]
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.tf
def test_the_loop_of_all_processes_is_such_an_operation():
    from contextlib import contextmanager
    from types import SimpleNamespace

    from expcore_plugins.estimators.engine.joint import _run

    inside = []

    @contextmanager
    def waits():
        inside.append(True)
        yield
        inside.append(False)

    def loop(iterator, n):
        assert inside == [True]
        return n, True, True, []

    assert _run(SimpleNamespace(waits=waits), loop, [], None, 3).done == 3
    assert inside == [True, False]
