"""What a predicate decides from: all recorded evaluations, or the one result where there is no history."""

from __future__ import annotations

from collections.abc import Sequence

from expcore.types import History, Metrics


def results(eval_result: Metrics | None, history: History | None) -> Sequence[Metrics]:
    """Returns the metrics of the recorded evaluations in the order of their checkpoints.

    Without a history: the result itself, or nothing for None and the ``{}`` of an idle pass.
    """
    if history is not None:
        return [evaluation.metrics for evaluation in history.evaluations]
    return [eval_result] if eval_result else []
