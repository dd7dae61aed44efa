"""Waiting: what is told where an operation that all processes make together does not come back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from expcore.types import Clock

_LOG = logging.getLogger(__name__)

_LOOK_SECS = 5.0
LONG_SECS = 60.0
"""After which waiting for other processes is told."""


class Waiting:
    """Says once when this process has waited for a minute; who is waited for, an operation cannot say.

    Args:
        clock: measures it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: float | None = None
        self._told: float | None = None

    @contextmanager
    def here(self) -> Iterator[None]:
        """A context that is left when the operation has come back."""
        self._since = self._clock.monotonic()
        try:
            yield
        finally:
            self._since = None

    def look(self) -> None:
        """Says it, if it is time."""
        since = self._since
        if since is None or since == self._told or self._clock.monotonic() - since < LONG_SECS:
            return
        self._told = since
        _LOG.info(
            "for %.0f seconds the processes of the cluster wait for each other: one evaluates, saves, makes "
            "long steps or gets nothing from its input, or it stands still; its own log may say more",
            LONG_SECS,
        )

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A context in which a thread looks every 5 seconds."""
        left = threading.Event()

        def watch() -> None:
            while not left.wait(_LOOK_SECS):
                self.look()

        threading.Thread(target=watch, name="expcore-waiting", daemon=True).start()
        try:
            yield
        finally:
            left.set()
