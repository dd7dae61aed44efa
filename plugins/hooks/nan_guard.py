"""The hook nan_guard: ends training whose loss is no number any more."""

from __future__ import annotations

import math
from typing import Any

from expcore.errors import NanLoss
from expcore.metrics import numbers, value_of
from expcore.types import Metrics, Run
from expcore_plugins.arguments import text
from expcore_plugins.hooks.periodic import Periodic

_SUBJECT = "hook 'nan_guard'"


class NanGuard(Periodic):
    """Ends the run when a training metric is NaN or infinite.

    It looks in its rhythm, before every checkpoint and at the end. With ``fail=True`` no checkpoint is
    written once the metric shows it, so a restart begins before it.

    Args:
        every_n_steps: at every multiple of this global step, >= 1.
        metric: the training metric to look at; None: ``loss``, or all where there is no loss.
        fail: True: the run fails with NanLoss; False: it ends as if it were finished, with the reason "nan"
            and a last checkpoint of that state.

    Raises:
        InvalidArgument: an argument is something else.
    """

    def __init__(self, every_n_steps: int = 100, metric: str | None = None, fail: bool = True) -> None:
        super().__init__(_SUBJECT, every_n_steps, None)
        self.metric = None if metric is None else text(_SUBJECT, "metric", metric)
        self.fail = fail
        self._run: Run | None = None
        self._first = 0

    def begin(self, run: Run) -> None:
        """Notes the run, for the look before each checkpoint."""
        self._run, self._first = run, run.step

    def after_steps(self, run: Run) -> None:
        """Looks at the metric.

        Raises:
            NanLoss: it is NaN or infinite, and ``fail`` is True.
            UnknownMetric: there is no such training metric.
        """
        if run.step == self._first:
            return
        metrics = run.metrics
        for metric in self._watched(metrics):
            value = value_of(metrics, metric, _SUBJECT)
            if math.isfinite(value):
                continue
            if not self.fail:
                run.request_stop("nan")
                return
            raise NanLoss(
                f"{_SUBJECT}: metric {metric!r} is {value} at global step {run.step}; it must be finite; "
                "look at the data and the learning rate, then start again from the last checkpoint"
            )

    def _watched(self, metrics: Metrics) -> list[str]:
        if self.metric is not None:
            return [self.metric]
        return ["loss"] if "loss" in metrics else list(numbers(metrics))

    def get_state(self) -> dict[str, Any]:
        """Looks once more: the loop asks for states right before it saves. There is no state to keep."""
        if self._run is not None:
            self.after_steps(self._run)
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """There is no state to put back."""
