"""The hook stop_at_step: ends training at a global step, or after a number of steps."""

from __future__ import annotations

from expcore.errors import InvalidArgument
from expcore.types import Run
from expcore_plugins.arguments import whole

_SUBJECT = "hook 'stop_at_step'"


class StopAtStep:
    """Asks that training ends at a step; exactly one of the two arguments is given.

    Args:
        last_step: the global step to end at, >= 0; a run that begins there or later makes no step.
        num_steps: how many steps each run makes, counted from where it begins, >= 1.

    Raises:
        InvalidArgument: none or both are given, or one is something else.
    """

    def __init__(self, last_step: int | None = None, num_steps: int | None = None) -> None:
        if (last_step is None) == (num_steps is None):
            raise InvalidArgument(
                f"{_SUBJECT}: last_step is {last_step!r} and num_steps is {num_steps!r}; "
                "give exactly one of the two"
            )
        self.last_step = None if last_step is None else whole(_SUBJECT, "last_step", last_step, least=0)
        self.num_steps = None if num_steps is None else whole(_SUBJECT, "num_steps", num_steps, least=1)
        self._at = 0

    def begin(self, run: Run) -> None:
        """Works out the step, and stops at once where it is reached already."""
        self._at = run.step + self.num_steps if self.num_steps is not None else self.last_step or 0
        self.after_steps(run)

    def next_step(self, step: int) -> int | None:
        """Returns the step; None once it is reached."""
        return self._at if step < self._at else None

    def after_steps(self, run: Run) -> None:
        """Asks for the end where the step is reached."""
        if run.step >= self._at:
            run.request_stop(f"stop_at_step {self._at}")
