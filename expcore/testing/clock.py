"""A clock that jumps instead of waiting."""

from __future__ import annotations


class VirtualClock:
    """A Clock for tests and simulations: starts at ``start`` seconds, ``sleep`` jumps.

    Args:
        start: the first value of ``time()`` and ``monotonic()``, in seconds.

    Attributes:
        slept: every wait so far, in seconds, in order.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = float(start)
        self.slept: list[float] = []

    def time(self) -> float:
        """Returns the virtual seconds."""
        return self._now

    def monotonic(self) -> float:
        """Returns the virtual seconds."""
        return self._now

    def sleep(self, secs: float) -> None:
        """Moves the time forward by ``secs`` seconds; nothing for zero or less."""
        if secs > 0:
            self._now += secs
            self.slept.append(secs)
