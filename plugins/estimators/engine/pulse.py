"""The pulse of a cluster's servers: whether they still answer, while somebody waits for what they do.

TensorFlow notices a server whose connection is refused. One that stands still, or whose network is cut, it
waits for without end, and there is no way to interrupt an operation that waits.
"""

from __future__ import annotations

import enum
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from expcore.errors import EXIT_PEER_LOST, PeerLost
from expcore.types import Clock
from expcore_plugins.estimators.engine.meeting import connect

_LOG = logging.getLogger(__name__)

_LOOK_SECS = 5.0
_ANSWER_SECS = 4.0
_SERVER_SECS = 30.0  # for which a parameter server may be silent: a network that is cut may come back
_WORKER_SECS = 120.0  # a worker, whose work TensorFlow gives to others once the system tells it of the loss
_GRACE_SECS = 20.0  # to leave an operation that waits for what is lost
_AT_ONCE = 32


class Answer(enum.Enum):
    """How a server behaves."""

    ALIVE = "it answers"
    GONE = "nobody listens there"
    SILENT = "it does not answer"


def answer_of(address: str) -> Answer:
    """Looks whether a server of TensorFlow lives: it says something to whoever connects, as HTTP/2 has it."""
    try:
        with connect(address, _ANSWER_SECS) as connection:
            return Answer.ALIVE if connection.recv(9) else Answer.GONE
    except (ConnectionRefusedError, ConnectionResetError):
        return Answer.GONE
    except OSError:  # no answer in time, no route
        return Answer.SILENT


class Pulse:
    """Asks servers again and again, in a thread of its own, and says when one is lost for good.

    Lost are: a parameter server that has not answered for 30 seconds; a worker that stands still (which keeps
    its connections open) for 120 seconds in which no work was done; all workers, if none has answered for as
    long as one waits for them at the start.

    Args:
        servers: names and addresses of parameter servers.
        workers: the same of workers.
        patience: seconds for which all workers may be gone; None: without end.
        clock: measures it.
        ask: finds out how an address behaves.
    """

    def __init__(
        self,
        servers: Mapping[str, str],
        workers: Mapping[str, str],
        patience: float | None,
        clock: Clock,
        ask: Callable[[str], Answer] = answer_of,
    ) -> None:
        self._servers, self._workers, self._patience = servers, workers, patience
        self._clock, self._ask = clock, ask
        self._since: dict[str, float] = {}
        self._worked = clock.monotonic()
        self.lost: str | None = None

    def worked(self) -> None:
        """Takes note that the workers have done what they were given."""
        self._worked = self._clock.monotonic()

    def check(self) -> None:
        """Raises PeerLost where somebody is lost."""
        if self.lost is not None:
            raise PeerLost(f"{self.lost}; restart the cluster: training goes on from the last checkpoint")

    def look(self) -> None:
        """Asks everybody once."""
        every = {**self._servers, **self._workers}
        with ThreadPoolExecutor(min(_AT_ONCE, len(every))) as threads:
            answers = dict(zip(every, threads.map(self._ask, every.values()), strict=True))
        now = self._clock.monotonic()
        self._since = {n: self._since.get(n, now) for n, answer in answers.items() if answer != Answer.ALIVE}
        self.lost = self._lost(answers, now)

    def _lost(self, answers: Mapping[str, Answer], now: float) -> str | None:
        for name, since in self._since.items():
            secs = now - since
            if name in self._servers and secs >= _SERVER_SECS:
                return _told(name, self._servers[name], answers[name], secs)
            idle = min(secs, now - self._worked)
            if answers[name] == Answer.SILENT and name in self._workers and idle >= _WORKER_SECS:
                return _told(name, self._workers[name], answers[name], idle)
        if self._patience is not None and set(self._workers) <= set(self._since):
            secs = now - max(self._worked, *(self._since[name] for name in self._workers))
            if secs >= self._patience:
                return f"no worker has answered for {secs:.0f} seconds (start_timeout_secs)"
        return None

    @contextmanager
    def felt(self, end: Callable[[int], None] = os._exit) -> Iterator[None]:
        """A context in which everybody is asked every 5 seconds.

        Where somebody is lost and this context is not left within 20 seconds, it ends the process, with the
        exit code of PeerLost: it is in an operation that nothing can interrupt.

        Args:
            end: ends the process.
        """
        left = threading.Event()
        self._since, self.lost = {}, None
        self.worked()

        def feel() -> None:
            while self.lost is None and not left.wait(_LOOK_SECS):
                self.look()
            if not left.wait(_GRACE_SECS):
                _LOG.critical("%s, and an operation waits for it: this process ends", self.lost)
                end(EXIT_PEER_LOST)

        threading.Thread(target=feel, name="expcore-pulse", daemon=True).start()
        try:
            yield
        finally:
            left.set()


def _told(who: str, address: str, answer: Answer, secs: float) -> str:
    return f"{who} at {address} is lost: {answer.value}, for {secs:.0f} seconds"
