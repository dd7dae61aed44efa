"""The policy "best": a checkpoint is exported if no recorded one is better."""

from __future__ import annotations

import math
from typing import ClassVar

from expcore.errors import InvalidArgument
from expcore.metrics import direction, improved, numbers, value_of
from expcore.publish import Policy
from expcore.types import Checkpoint, Evaluation, Format, History, Metrics
from expcore_plugins.arguments import number, text


class Best(Policy):
    """Exports the checkpoint in hand if it is the best of the log by a metric of the evaluation data.

    The log decides, so a restart neither publishes a worse model nor loses a best one that was evaluated
    but not exported. Of equal results the earlier counts; NaN and infinity are never best; recorded results
    that lack the metric do not count. Called without a log, every finite result is the best.

    Args:
        format: writes the artefact.
        metric: the metric's name, one of the main set's, or ``<set>/<metric>``.
        mode: "min" (lower is better) or "max"; None: worked out from the name, as
            ``expcore.metrics.direction`` says.
        name: the exporter's name; None: "best".
        keep: how many versions to keep, > 0; None: all.
        min_delta: 0, or by how much more than that a result must be better than every one exported under
            this name before, >= 0.

    Raises:
        InvalidType: ``format`` is not a format.
        InvalidArgument: ``name``, ``keep``, ``mode`` or ``min_delta`` is not allowed, or the metric's name
            does not tell the direction.
    """

    default_name: ClassVar[str] = "best"

    def __init__(
        self,
        format: Format,  # noqa: A002
        metric: str = "loss",
        mode: str | None = None,
        name: str | None = None,
        keep: int | None = 5,
        min_delta: float = 0.0,
    ) -> None:
        super().__init__(format, name, keep)
        self.metric = text(self.subject, "metric", metric)
        self.mode = direction(metric, mode)
        self.min_delta = number(self.subject, "min_delta", min_delta, least=0)

    def wants(self, eval_result: Metrics | None, history: History | None, final: bool) -> bool:
        """Whether the checkpoint in hand is the best one and not exported under this name yet.

        Raises:
            UnknownMetric: the result lacks the metric.
            InvalidArgument: there is no result.
        """
        if eval_result is None:
            raise InvalidArgument(
                f"{self.subject}: eval_result is None; it compares metrics, so pass the checkpoint's result"
            )
        value = value_of(eval_result, self.metric, self.subject)
        if not math.isfinite(value) or self.already_exported(history):
            return False
        return history is None or (
            self._is_best(value, eval_result, history) and self._improves_exports(value, history)
        )

    def _is_best(self, value: float, eval_result: Metrics, history: History) -> bool:
        best = history.best(self.metric, self.mode)
        here = [e for e in history.evaluations if _is_of(e, history.checkpoint, eval_result)]
        if here:
            return best is not None and best.checkpoint == here[0].checkpoint and best.step == here[0].step
        return best is None or improved(value, float(best.metrics[self.metric]), self.mode)

    def _improves_exports(self, value: float, history: History) -> bool:
        # Without a margin being the log's best is enough; a tie with an exported one counts for the earlier.
        if not self.min_delta:
            return True
        exported = {export.checkpoint for export in history.exports if export.exporter == self.name}
        results = [numbers(e.metrics) for e in history.evaluations if e.checkpoint in exported]
        before = [result[self.metric] for result in results if self.metric in result]
        return all(improved(value, other, self.mode, self.min_delta) for other in before)


def _is_of(evaluation: Evaluation, checkpoint: Checkpoint | None, eval_result: Metrics) -> bool:
    """Whether a recorded evaluation is that of the result in hand; without checkpoints the step tells."""
    if checkpoint is not None:
        return evaluation.checkpoint == checkpoint.id
    return evaluation.checkpoint is None and evaluation.step == eval_result.get("global_step")
