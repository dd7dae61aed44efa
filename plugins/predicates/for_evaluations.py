"""The predicate for_evaluations: goes on for a number of evaluations."""

from __future__ import annotations

from dataclasses import dataclass

from expcore.types import History, Metrics
from expcore_plugins.arguments import whole
from expcore_plugins.predicates.results import results


@dataclass(frozen=True)
class ForEvaluations:
    """Goes on until ``n`` checkpoints have been evaluated, over all starts and evaluators.

    A checkpoint that is evaluated twice counts once. Without a history the result it is called with counts
    as one, None and ``{}`` as none.

    Args:
        n: how many, >= 1.

    Raises:
        InvalidArgument: ``n`` is something else.
    """

    n: int

    def __post_init__(self) -> None:
        whole("predicate 'for_evaluations'", "n", self.n, least=1)

    def __call__(self, eval_result: Metrics | None, *, history: History | None = None) -> bool:
        """Returns True while fewer than ``n`` evaluations are recorded."""
        return len(results(eval_result, history)) < self.n
