"""How fast training goes: steps per second between two looks."""

from __future__ import annotations

from expcore.types import Run


class Pace:
    """Measures by the run's clock, from the moment it is made; everything counts, evaluations included.

    Args:
        run: the run whose steps are counted.
    """

    def __init__(self, run: Run) -> None:
        self._step, self._at = run.step, run.clock.monotonic()

    def look(self, run: Run) -> float | None:
        """Returns steps per second since the last look; None where no step or no time has passed."""
        now = run.clock.monotonic()
        steps, secs = run.step - self._step, now - self._at
        self._step, self._at = run.step, now
        return steps / secs if steps > 0 and secs > 0 else None
