"""The hook logging: a line with step, metrics and pace in a steady rhythm."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from expcore.metrics import numbers, value_of
from expcore.types import Run
from expcore_plugins.arguments import texts
from expcore_plugins.hooks.pace import Pace
from expcore_plugins.hooks.periodic import Periodic

_SUBJECT = "hook 'logging'"
_LOG = logging.getLogger("expcore.training")


class Logging(Periodic):
    """Writes one line at INFO of the logger ``expcore.training``, and one at the end of a run.

    The line says the global step, the metrics that are single numbers, and steps per second since the last
    line: ``step 200: loss = 0.25, accuracy = 0.9 (125 steps/s)``. A run that makes no step gets no line.

    Args:
        every_n_steps: at every multiple of this global step, >= 1; None: only at the end.
        every_secs: seconds between lines, > 0, instead of ``every_n_steps``; None: by steps.
        metrics: names of the metrics to show, in this order; None: all that are single numbers.

    Raises:
        InvalidArgument: an argument is something else.
    """

    def __init__(
        self,
        every_n_steps: int | None = 100,
        every_secs: float | None = None,
        metrics: Sequence[str] | None = None,
    ) -> None:
        super().__init__(_SUBJECT, every_n_steps, every_secs)
        self.metrics = None if metrics is None else texts(_SUBJECT, "metrics", metrics)

    def begin(self, run: Run) -> None:
        """Starts to measure."""
        self._first = run.step
        self._pace = Pace(run)

    def after_steps(self, run: Run) -> None:
        """Writes the line.

        Raises:
            UnknownMetric: one of ``metrics`` is not there.
            InvalidType: one of ``metrics`` is not a single number.
        """
        if run.step == self._first:
            return
        if self.metrics is None:
            found = numbers(run.metrics)
        else:
            found = {name: value_of(run.metrics, name, _SUBJECT) for name in self.metrics}
        rate = self._pace.look(run)
        told = ", ".join(f"{name} = {value:.6g}" for name, value in found.items())
        _LOG.info(
            "step %d%s%s",
            run.step,
            f": {told}" if told else "",
            "" if rate is None else f" ({rate:.4g} steps/s)",
        )
