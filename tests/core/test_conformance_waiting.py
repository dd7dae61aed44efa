"""Real waits are seen and cut short; what only waits for something that comes is none."""

from __future__ import annotations

import asyncio
import queue
import select
import socket
import threading
import time

import pytest

from expcore.conformance.clause import Runaway
from expcore.conformance.schedules.waiting import MAX_WAITS, RealWaits

LONG = 3600.0


def seen(wait):
    waits = RealWaits()
    with waits.watching(wait):
        wait()
    return waits.calls


def on_a_socket():
    one, other = socket.socketpair()
    with one, other:
        one.settimeout(LONG)
        with pytest.raises(TimeoutError):
            one.recv(1)
        assert one.gettimeout() == LONG


def on_a_server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LONG)
        with pytest.raises(TimeoutError):
            server.accept()


def on_a_readable_socket():
    one, other = socket.socketpair()
    with one, other:
        select.select([one], [], [], LONG)


@pytest.mark.parametrize(
    "wait",
    [
        lambda: time.sleep(LONG),
        lambda: asyncio.run(asyncio.sleep(LONG)),
        lambda: threading.Event().wait(LONG),
        lambda: threading.Semaphore(0).acquire(timeout=0.001),
        lambda: select.select([], [], [], LONG),
        on_a_readable_socket,
        on_a_socket,
        on_a_server,
    ],
)
def test_a_wait_into_a_timeout_is_seen_and_takes_no_time(wait):
    assert seen(wait)


def answered():
    found = queue.Queue()
    threading.Thread(target=found.put, args=(1,)).start()
    assert found.get(timeout=LONG) == 1


def readable():
    one, other = socket.socketpair()
    with one, other:
        other.sendall(b"12")
        one.settimeout(LONG)
        assert select.select([one], [], [], LONG)[0] == [one]
        assert one.recv(1) == b"1"


@pytest.mark.parametrize("wait", [answered, readable, lambda: select.select([], [], [], 0)])
def test_what_comes_in_time_is_no_wait(wait):
    assert seen(wait) == []


def test_the_originals_are_back_afterwards():
    before = time.sleep, asyncio.sleep, select.select, threading.Condition.wait
    inherited = {"recv", "recvfrom"} & vars(socket.socket).keys()
    seen(lambda: time.sleep(LONG))
    assert (time.sleep, asyncio.sleep, select.select, threading.Condition.wait) == before
    assert {"recv", "recvfrom"} & vars(socket.socket).keys() == inherited


def test_other_threads_wait_as_they_did():
    go, slept = threading.Event(), []

    def other():
        go.wait(LONG)
        time.sleep(0)
        slept.append(True)

    thread = threading.Thread(target=other)
    thread.start()
    waits = RealWaits()
    with waits.watching(other):
        go.set()
        thread.join()
    assert (waits.calls, slept) == ([], [True])


def test_one_who_sleeps_for_ever_is_ended():
    def for_ever():
        while True:
            time.sleep(LONG)

    with pytest.raises(Runaway, match=f"{MAX_WAITS} times"):
        seen(for_ever)
