"""Tasks wait for each other before they join, and not for ever."""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from expcore.clock import RealClock
from expcore.errors import ServerUnavailable, StoppedBySignal
from expcore.launch.shape import free_ports
from expcore.testing import VirtualClock
from expcore_plugins.estimators.engine.meeting import ended_after, meet, signals_kept


def addresses(n):
    return [f"127.0.0.1:{port}" for port in free_ports(n)]


@pytest.mark.parametrize("first", [0, 2], ids=["the chief comes first", "the chief comes last"])
def test_tasks_that_come_one_after_the_other_meet(first):
    every = addresses(3)
    met, done = [], threading.Event()

    def come(i):
        RealClock().sleep(0.4 * abs(i - first))
        chief = every[0] if i else None
        meet(every[i], [a for a in every if a != every[i]], 20, RealClock(), chief)
        met.append(i)
        # As TensorFlow does: whoever looks later finds the port open again, and is told nothing.
        with socket.create_server(("127.0.0.1", int(every[i].rpartition(":")[2]))):
            done.wait(20)

    threads = [threading.Thread(target=come, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        if len(met) == 3:
            break
        RealClock().sleep(0.1)
    done.set()
    for thread in threads:
        thread.join()
    assert sorted(met) == [0, 1, 2]


def test_nobody_goes_before_all_are_there():
    chief, worker, missing = addresses(3)
    gone = []

    def wait(own, others, leader):
        with suppress(ServerUnavailable):
            meet(own, others, 1.5, RealClock(), leader)
            gone.append(own)

    threads = [
        threading.Thread(target=wait, args=(chief, [worker, missing], None)),
        threading.Thread(target=wait, args=(worker, [chief, missing], chief)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gone == []


def test_a_chief_that_does_not_come_is_named():
    own, chief = addresses(2)
    with pytest.raises(ServerUnavailable, match=f"the chief at '{chief}' did not say go after 30 seconds"):
        meet(own, [chief], 30, VirtualClock(), chief)


def test_who_does_not_come_is_named_after_the_deadline():
    own, other = addresses(2)
    clock = VirtualClock()
    with pytest.raises(
        ServerUnavailable, match=rf"tasks at '{other}' were not there after 30 seconds"
    ) as told:
        meet(own, [other], 30, clock)
    assert told.value.exit_code == 69
    assert clock.monotonic() >= 30


class Signalled(VirtualClock):
    """A clock in whose first pause a signal comes."""

    def sleep(self, secs):
        super().sleep(secs)
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_ends_the_waiting_at_once_and_the_program_takes_note():
    noted = []

    def take(signum, frame):
        noted.append(signum)

    before = signal.signal(signal.SIGTERM, take)
    try:
        with pytest.raises(StoppedBySignal) as stop:
            meet(None, addresses(1), None, Signalled())
        assert signal.getsignal(signal.SIGTERM) is take
    finally:
        signal.signal(signal.SIGTERM, before)
    assert stop.value.code == 143
    assert noted == [signal.SIGTERM]


def test_a_handler_that_the_program_sets_when_it_takes_note_stays():
    def take(signum, frame):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the second one ends it

    before = signal.signal(signal.SIGTERM, take)
    try:
        with pytest.raises(StoppedBySignal):
            meet(None, addresses(1), None, Signalled())
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("chief", [False, True])
def test_who_waits_for_a_minute_says_once_for_whom(chief, caplog):
    (missing,) = addresses(1)
    caplog.set_level("INFO")
    with pytest.raises(ServerUnavailable, match="after 200 seconds"):
        meet(None, [missing], 200, VirtualClock(), None if chief else missing)
    (said,) = caplog.messages
    who = f"tasks at '{missing}' were not there" if chief else f"the chief at '{missing}' did not say go"
    assert said.startswith(f"{who} after 6")
    with pytest.raises(ServerUnavailable, match="after 50 seconds"):
        meet(None, [missing], 50, VirtualClock())
    assert caplog.messages == [said]


def test_a_port_that_is_taken_is_told_at_once():
    with socket.create_server(("", 0)) as taken:
        own = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ServerUnavailable, match="its port cannot be listened on"):
            meet(own, [], None, VirtualClock())


def test_a_port_is_free_again_after_the_meeting():
    (own,) = addresses(1)
    for _ in range(2):
        meet(own, [own], 5, VirtualClock())


def test_who_nobody_waits_for_listens_to_nobody():
    with socket.create_server(("127.0.0.1", 0)) as other:
        meet(None, [f"127.0.0.1:{other.getsockname()[1]}"], 5, VirtualClock())


def test_what_hangs_with_pythons_lock_held_is_ended_by_the_system():
    program = (
        "import ctypes\n"
        "from expcore_plugins.estimators.engine.meeting import ended_after\n"
        "with ended_after(1):\n"
        "    ctypes.PyDLL(None).sleep(60)\n"  # a PyDLL keeps the lock
    )
    done = subprocess.run([sys.executable, "-c", program], timeout=30, check=False)
    assert done.returncode == -signal.SIGALRM


def test_what_ends_in_time_leaves_the_timer_and_its_handler_as_they_were():
    handler, timer = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    with ended_after(6000):
        assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGALRM) == handler
    assert signal.getitimer(signal.ITIMER_REAL) == pytest.approx(timer, abs=5)  # pytest's own time-out


def test_a_signal_that_is_taken_behind_pythons_back_comes_to_the_program_again():
    noted = []
    before = signal.signal(signal.SIGTERM, lambda signum, _: noted.append(signum))
    try:
        with signals_kept():  # as TensorFlow does it: Python does not see that
            ctypes.CDLL(None).signal(int(signal.SIGTERM), ctypes.c_void_p(int(signal.SIG_IGN)))
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert noted == [signal.SIGTERM]
