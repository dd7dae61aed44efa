"""The hook early_stopping: ends training when the evaluations get no better, or are good enough."""

from __future__ import annotations

import math
from collections.abc import Sequence

from expcore.errors import InvalidArgument, InvalidHook
from expcore.metrics import direction, last_improvement, value_of
from expcore.types import Evaluation, History, Run
from expcore_plugins.arguments import number, seconds, text, whole

_SUBJECT = "hook 'early_stopping'"


class EarlyStopping:
    """Ends training by what the log says of the evaluations, also those of another process.

    It looks before the first step, after each checkpoint, and every ``check_every_secs`` if that is given.
    All it knows is the log, so a restart comes to the same verdict: a run that was stopped early makes no
    more steps until an argument changes. Of ``patience``, ``max_steps_without_improvement`` and
    ``threshold`` those given count, each for itself. NaN and infinities never improve and never reach the
    threshold.

    Args:
        metric: the evaluation metric; of another set than the main one ``<set>/<metric>``.
        mode: "min" (lower is better) or "max"; None: worked out from the name by
            ``expcore.metrics.direction``.
        patience: evaluations one after the other without improvement that end it, >= 1; None: any number.
        max_steps_without_improvement: global steps since the evaluation that improved last (since the first
            one while none did), >= 1; None: any number.
        min_delta: an improvement is better than the best so far by more than this, >= 0.
        threshold: a value that is good enough: reached by at most it where lower is better, at least it
            where higher is; None: none is.
        min_steps: before an evaluation of this global step nothing ends, >= 0.
        check_every_secs: seconds between looks, > 0, for evaluations by another process; None: no such looks.

    Raises:
        InvalidArgument: none of the three is given, an argument is something else, or the name does not
            tell the direction.
    """

    def __init__(
        self,
        metric: str = "loss",
        mode: str | None = None,
        patience: int | None = None,
        max_steps_without_improvement: int | None = None,
        min_delta: float = 0.0,
        threshold: float | None = None,
        min_steps: int = 0,
        check_every_secs: float | None = None,
    ) -> None:
        if patience is None and max_steps_without_improvement is None and threshold is None:
            raise InvalidArgument(
                f"{_SUBJECT}: patience, max_steps_without_improvement and threshold are all None; "
                "give at least one of them"
            )
        self.metric = text(_SUBJECT, "metric", metric)
        self.mode = direction(metric, mode)
        self.patience = patience if patience is None else whole(_SUBJECT, "patience", patience, least=1)
        self.max_steps = max_steps_without_improvement
        if self.max_steps is not None:
            self.max_steps = whole(_SUBJECT, "max_steps_without_improvement", self.max_steps, least=1)
        self.min_delta = number(_SUBJECT, "min_delta", min_delta, least=0)
        self.threshold = threshold if threshold is None else number(_SUBJECT, "threshold", threshold)
        self.min_steps = whole(_SUBJECT, "min_steps", min_steps, least=0)
        if check_every_secs is not None:
            check_every_secs = seconds(_SUBJECT, "check_every_secs", check_every_secs)
        self.every_secs = check_every_secs

    def begin(self, run: Run) -> None:
        """Looks before the first step.

        Raises:
            InvalidHook: there is no history: the estimator is trained without an Experiment.
            UnknownMetric: an evaluation lacks the metric.
        """
        history = run.history
        if history is None:
            raise InvalidHook(
                f"{_SUBJECT}: there are no recorded evaluations, because the estimator is trained without an "
                "Experiment; give the hook as Experiment(..., train_hooks=[...])"
            )
        self._look(run, history)

    def after_steps(self, run: Run) -> None:
        """Looks; called every ``check_every_secs``, and at the end."""
        self._look(run, run.history)

    def after_save(self, run: Run, checkpoint_path: str) -> None:
        """Looks; the schedule's evaluation of this checkpoint is recorded by now."""
        self._look(run, run.history)

    def _look(self, run: Run, history: History | None) -> None:
        if run.stop_reason is not None or history is None:
            return
        reason = self.verdict(history.evaluations)
        if reason is not None:
            run.request_stop(reason)

    def verdict(self, evaluations: Sequence[Evaluation]) -> str | None:
        """Returns why training should end, or None; evaluations are in the order of their checkpoints.

        Raises:
            UnknownMetric: an evaluation lacks the metric.
        """
        values = [value_of(e.metrics, self.metric, _SUBJECT) for e in evaluations]
        for evaluation, value in zip(evaluations, values, strict=True):
            if evaluation.step >= self.min_steps and self._good_enough(value):
                sign = "<=" if self.mode == "min" else ">="
                return (
                    f"early_stopping: {self.metric} = {value:.6g} {sign} threshold {self.threshold:.6g} "
                    f"at step {evaluation.step}"
                )
        if not evaluations or evaluations[-1].step < self.min_steps:
            return None
        return self._plateau(evaluations, values)

    def _good_enough(self, value: float) -> bool:
        if self.threshold is None or not math.isfinite(value):
            return False
        return value <= self.threshold if self.mode == "min" else value >= self.threshold

    def _plateau(self, evaluations: Sequence[Evaluation], values: list[float]) -> str | None:
        at = last_improvement(values, self.mode, self.min_delta)
        last = evaluations[-1].step
        since = len(values) if at is None else len(values) - 1 - at
        steps = last - evaluations[at or 0].step
        if self.patience is not None and since >= self.patience:
            how_long = f"{since} evaluations"
        elif self.max_steps is not None and steps >= self.max_steps:
            how_long = f"{steps} steps"
        else:
            return None
        best = "never finite" if at is None else f"best {values[at]:.6g} at step {evaluations[at].step}"
        return (
            f"early_stopping: {self.metric} has not improved for {how_long} "
            f"({best}, {values[-1]:.6g} at step {last})"
        )
