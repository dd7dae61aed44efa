"""Meeting the other tasks of a cluster before TensorFlow is told to join it.

TensorFlow waits for missing tasks without end, and holds Python's lock meanwhile, so that nothing can be said
or done any more. So they are waited for here first, by nothing but connecting to their addresses.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from types import FrameType

from expcore.errors import ServerUnavailable, StoppedBySignal, listing, one_line
from expcore.types import Clock
from expcore_plugins.estimators.engine.waiting import LONG_SECS

_LOG = logging.getLogger(__name__)

_LEAST_PAUSE_SECS, _MOST_PAUSE_SECS = 0.2, 2.0
_CONNECT_SECS = 2.0
_AT_ONCE = 32  # addresses that are looked at
_WAIT = b"wait\n"


def meet(
    own: str | None, others: Sequence[str], secs: float | None, clock: Clock, chief: str | None = None
) -> None:
    """Waits until all others are there.

    The chief finds out whether somebody listens at each address, and tells those who ask it; the others ask
    it alone, so that a large cluster makes no more connections than it has tasks.

    Args:
        own: this task's address, at which it can be met meanwhile; None: nobody waits for it.
        others: the addresses of the others.
        secs: how long it waits; None: without end.
        clock: measures it.
        chief: the chief's address; None: this is the chief.

    Raises:
        ServerUnavailable: somebody did not come in time, or this task's port is taken.
        StoppedBySignal: a signal came that the program takes; there is no state yet that had to be saved.
    """
    complete, began, told = threading.Event(), clock.monotonic(), False
    with _ended_by_signals(), _listening(own, complete), ThreadPoolExecutor(_AT_ONCE) as threads:
        pause, missing = _LEAST_PAUSE_SECS, list(others) if chief is None else [chief]
        look = _is_there if chief is None else _says_go
        while missing := [a for a, seen in zip(missing, threads.map(look, missing), strict=True) if not seen]:
            waited = clock.monotonic() - began
            if secs is not None and waited >= secs:
                raise ServerUnavailable(
                    f"{_not_there(missing, chief)} after {secs:g} seconds (start_timeout_secs); are all "
                    "tasks started, with the same TF_CONFIG.cluster, and can they reach each other? "
                    "expcore doctor --cluster finds out"
                )
            if not told and waited >= LONG_SECS:
                told = True
                _LOG.info("%s after %.0f seconds; the waiting goes on", _not_there(missing, chief), waited)
            clock.sleep(pause)
            pause = min(2 * pause, _MOST_PAUSE_SECS)
        complete.set()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """A context that a signal ends at once, where the program would take it as a wish only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    taken = {s: handler for s, handler in taken.items() if callable(handler)}

    def end(signum: int, frame: FrameType | None) -> None:
        taken[signal.Signals(signum)](signum, frame)  # type: ignore[operator] # it takes note
        raise StoppedBySignal(signum)

    for signum in taken:
        signal.signal(signum, end)
    try:
        yield
    finally:
        for signum, handler in taken.items():
            if signal.getsignal(signum) is end:  # the program may have changed it when it took note
                signal.signal(signum, handler)


def _not_there(missing: Sequence[str], chief: str | None) -> str:
    some = [*missing[:5], *(["..."] if len(missing) > 5 else [])]
    return f"the chief at {chief!r} did not say go" if chief else f"tasks at {listing(some)} were not there"


@contextmanager
def _listening(own: str | None, complete: threading.Event) -> Iterator[None]:
    """Answers at this task's port, on all interfaces as TensorFlow will, whether all are there."""
    if own is None:
        yield
        return
    port = int(own.rpartition(":")[2])
    try:
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        server = socket.create_server(("", port), family=family, dualstack_ipv6=both, backlog=1024)
    except OSError as error:
        raise ServerUnavailable(
            f"server {own!r}: its port cannot be listened on ({one_line(error)}); free it, or give another "
            "in the cluster"
        ) from error
    server.settimeout(_LEAST_PAUSE_SECS)
    ending = threading.Event()

    def answer() -> None:
        while not ending.is_set():
            with suppress(OSError):  # among them the time-out
                connection, _ = server.accept()
                with connection:
                    connection.sendall(b"" if complete.is_set() else _WAIT)

    thread = threading.Thread(target=answer, name="expcore-meeting", daemon=True)
    thread.start()
    with closing(server):
        try:
            yield
        finally:
            ending.set()
            thread.join()


def connect(address: str, secs: float) -> socket.socket:
    """Connects to a task.

    Args:
        address: of the task, as TF_CONFIG has it.
        secs: how long connecting may take, and each answer then.

    Raises:
        OSError: nobody is there, or does not answer in time.
    """
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=secs)


def _is_there(address: str) -> bool:
    try:
        connect(address, _CONNECT_SECS).close()
    except OSError:  # not resolved yet, refused, or no answer
        return False
    return True


def _says_go(address: str) -> bool:
    """Whether the chief says no more that somebody is missing; TensorFlow may be listening there already."""
    try:
        with connect(address, _CONNECT_SECS) as connection:
            return connection.recv(len(_WAIT)) != _WAIT
    except TimeoutError:
        return True  # it listens and says nothing
    except OSError:
        return False


@contextmanager
def ended_after(secs: int) -> Iterator[None]:
    """A context that the system ends the process in if it takes longer, by SIGALRM.

    Nothing else can, where Python's lock is held. Outside of the main thread there is no such limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    timer = signal.setitimer(signal.ITIMER_REAL, secs)  # there is one for all; another's goes on afterwards
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, *timer)


@contextmanager
def signals_kept() -> Iterator[None]:
    """A context after which SIGTERM comes to the program again.

    TensorFlow takes it for itself when it joins a cluster, for a notice of preemption that nobody here waits
    for; Python does not see that, and the program would go on as if nothing had been asked.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler or signal.SIG_DFL)
