"""Session: one peer's share of a case; it stays ready between its rounds, while others have theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from benchmarks.case import Case


class Place(NamedTuple):
    """Where a session works.

    Attributes:
        data: the folder of the data.
        own: an empty folder of its own.
    """

    data: str
    own: str


class Session(Protocol):
    """What does a peer's rounds."""

    def first(self) -> float:
        """Builds, does the first piece of work, and returns the ``time.time()`` at which it was done."""

    def round(self, units: int) -> float:
        """Does the work of so many units (steps, cycles, calls) and returns the seconds they took."""


Factory = Callable[[Case, Place], Session]
Sessions = dict[tuple[str, str], Factory]
"""By job and name of the peer."""
