"""The predicate until_metric: goes on until a metric is good enough."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

from expcore.metrics import direction, value_of
from expcore.types import History, Metrics
from expcore_plugins.arguments import number, text
from expcore_plugins.predicates.results import results

_SUBJECT = "predicate 'until_metric'"


@dataclass(frozen=True)
class UntilMetric:
    """Goes on until an evaluation has reached a threshold.

    Reached is at most the threshold where lower is better, at least where higher is. NaN and infinities never
    reach it. Without a history the result it is called with decides: True for None and ``{}``.

    Args:
        metric: the metric's name; of another set than the main one ``<set>/<metric>``.
        threshold: a finite number.
        mode: "min" (lower is better) or "max"; None: worked out from the name by
            ``expcore.metrics.direction``.

    Raises:
        InvalidArgument: an argument is something else, or the name does not tell the direction.
    """

    metric: str
    threshold: float
    _: KW_ONLY
    mode: str | None = None

    def __post_init__(self) -> None:
        text(_SUBJECT, "metric", self.metric)
        number(_SUBJECT, "threshold", self.threshold)
        direction(self.metric, self.mode)

    def __call__(self, eval_result: Metrics | None, *, history: History | None = None) -> bool:
        """Returns True while no evaluation has reached the threshold.

        Raises:
            UnknownMetric: an evaluation lacks the metric.
        """
        values = [value_of(metrics, self.metric, _SUBJECT) for metrics in results(eval_result, history)]
        return not any(self._reached(value) for value in values)

    def _reached(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        if direction(self.metric, self.mode) == "min":
            return value <= self.threshold
        return value >= self.threshold
