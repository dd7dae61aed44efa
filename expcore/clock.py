"""The one place where real time is read or spent."""

from __future__ import annotations

import time


class RealClock:
    """The machine's clock. Everything in the project takes a Clock; this is the default."""

    def time(self) -> float:
        """Returns seconds since the epoch; for people to read, never compared between machines."""
        return time.time()

    def monotonic(self) -> float:
        """Returns seconds from an arbitrary start that never go back; for durations."""
        return time.monotonic()

    def sleep(self, secs: float) -> None:
        """Waits ``secs`` seconds; nothing for zero or less."""
        if secs > 0:
            time.sleep(secs)
