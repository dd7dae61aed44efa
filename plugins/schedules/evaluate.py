"""The schedule ``evaluate``: evaluates the latest checkpoint once."""

from __future__ import annotations

from typing import Any

from expcore.checks import check_secs
from expcore.experiment import Experiment
from expcore.roles import check_role


def evaluate(experiment: Experiment, delay_secs: float | None = None, name: str | None = None) -> Any:
    """Evaluates the latest checkpoint on the evaluation data; never exports.

    Args:
        experiment: what is evaluated.
        delay_secs: seconds to wait first; None: the experiment's ``eval_delay_secs``.
        name: results are written to ``eval_<name>/`` instead of ``eval/``.

    Returns:
        The metrics with ``global_step``.

    Raises:
        ClusterError: this process's task in a cluster has no use for it.
        InvalidArgument: ``name`` together with a mapping of evaluation sets, or ``delay_secs`` is not
            seconds of 0 or more.
        NotTrained: there is no checkpoint (from the estimator).
    """
    check_role(experiment, "evaluate")
    experiment.check_eval_name(name)
    secs = experiment.eval_delay_secs if delay_secs is None else delay_secs
    check_secs("delay_secs", secs)
    experiment.wait(secs, "before the evaluation")
    return experiment.evaluate_pass(name=name)
