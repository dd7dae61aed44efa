"""The predicate while_improving: goes on while a metric gets better."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from expcore.metrics import direction, last_improvement, value_of
from expcore.types import History, Metrics
from expcore_plugins.arguments import number, text, whole
from expcore_plugins.predicates.results import results

_SUBJECT = "predicate 'while_improving'"


@dataclass(frozen=True)
class WhileImproving:
    """Goes on while at least one of the last ``patience`` evaluations improved on the best before it.

    The first finite value improves; a tie, NaN and infinities do not. With fewer than ``patience``
    evaluations it goes on. Without a history it knows only the one result it is called with, and so goes on
    unless that is NaN or infinite and ``patience`` is 1.

    Args:
        metric: the metric's name; of another set than the main one ``<set>/<metric>``.
        mode: "min" (lower is better) or "max"; None: worked out from the name by
            ``expcore.metrics.direction``.
        patience: how many evaluations one after the other without improvement end it, >= 1.
        min_delta: an improvement is better than the best so far by more than this, >= 0; smaller steps do not
            move the best, so many of them together can be one.

    Raises:
        InvalidArgument: an argument is something else, or the name does not tell the direction.
    """

    metric: str = "loss"
    _: KW_ONLY
    mode: str | None = None
    patience: int = 1
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        text(_SUBJECT, "metric", self.metric)
        whole(_SUBJECT, "patience", self.patience, least=1)
        number(_SUBJECT, "min_delta", self.min_delta, least=0)
        direction(self.metric, self.mode)

    def __call__(self, eval_result: Metrics | None, *, history: History | None = None) -> bool:
        """Returns True while fewer than ``patience`` evaluations were made since the last improvement.

        Raises:
            UnknownMetric: an evaluation lacks the metric.
        """
        values = [value_of(metrics, self.metric, _SUBJECT) for metrics in results(eval_result, history)]
        at = last_improvement(values, direction(self.metric, self.mode), self.min_delta)
        since = len(values) if at is None else len(values) - 1 - at
        return since < self.patience
