"""The predicate until_step: goes on until a checkpoint of some global step is evaluated."""

from __future__ import annotations

from dataclasses import dataclass

from expcore.metrics import value_of
from expcore.types import History, Metrics
from expcore_plugins.arguments import whole

_SUBJECT = "predicate 'until_step'"


@dataclass(frozen=True)
class UntilStep:
    """Goes on until a checkpoint of global step ``step`` or more has been evaluated.

    Without a history the result it is called with decides: True for None and ``{}``.

    Args:
        step: the global step, a whole number >= 0.

    Raises:
        InvalidArgument: ``step`` is something else.
    """

    step: int

    def __post_init__(self) -> None:
        whole(_SUBJECT, "step", self.step, least=0)

    def __call__(self, eval_result: Metrics | None, *, history: History | None = None) -> bool:
        """Returns True while no evaluation has reached the step.

        Raises:
            UnknownMetric: there is no history and the result has no ``global_step``.
        """
        if history is not None:
            return all(evaluation.step < self.step for evaluation in history.evaluations)
        return not eval_result or value_of(eval_result, "global_step", _SUBJECT) < self.step
