"""Meeting the other tasks of a cluster before TensorFlow is told to join it.

TensorFlow waits for missing tasks without end, and holds Python's lock meanwhile, so that nothing can be said
or done any more. So they are waited for here first, by nothing but connecting to their addresses.
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress

from expcore.errors import ServerUnavailable, listing, one_line
from expcore.types import Clock

_LOOK_SECS = 0.2
_CONNECT_SECS = 2.0


def meet(own: str | None, others: Sequence[str], secs: float | None, clock: Clock) -> None:
    """Waits until somebody listens at the addresses of all others.

    Args:
        own: this task's address, at which it can be met meanwhile; None: nobody waits for it.
        others: the addresses of the others.
        secs: how long it waits; None: without end.
        clock: measures it.

    Raises:
        ServerUnavailable: somebody did not come in time, or this task's port is taken.
    """
    with _listening(own):
        until = None if secs is None else clock.monotonic() + secs
        missing = list(others)
        while missing := [address for address in missing if not _is_there(address)]:
            if until is not None and clock.monotonic() >= until:
                raise ServerUnavailable(
                    f"tasks at {listing(missing)} were not there after {secs:g} seconds "
                    "(start_timeout_secs); are all started, with the same TF_CONFIG.cluster, and can they "
                    "reach each other? expcore doctor --cluster finds out"
                )
            clock.sleep(_LOOK_SECS)


@contextmanager
def _listening(own: str | None) -> Iterator[None]:
    """Accepts connections at this task's port, on all interfaces as TensorFlow will."""
    if own is None:
        yield
        return
    port = int(own.rpartition(":")[2])
    try:
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        server = socket.create_server(("", port), family=family, dualstack_ipv6=both)
    except OSError as error:
        raise ServerUnavailable(
            f"server {own!r}: its port cannot be listened on ({one_line(error)}); free it, or give another "
            "in the cluster"
        ) from error
    server.settimeout(_LOOK_SECS)
    ending = threading.Event()

    def accept() -> None:
        while not ending.is_set():
            with suppress(OSError):  # among them the time-out
                server.accept()[0].close()

    thread = threading.Thread(target=accept, name="expcore-meeting", daemon=True)
    thread.start()
    with closing(server):
        try:
            yield
        finally:
            ending.set()
            thread.join()


def _is_there(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECS).close()
    except OSError:  # not resolved yet, refused, or no answer
        return False
    return True


@contextmanager
def ended_after(secs: int) -> Iterator[None]:
    """A context that the system ends the process in if it takes longer, by SIGALRM.

    Nothing else can, where Python's lock is held. Outside of the main thread there is no such limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(secs)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)
