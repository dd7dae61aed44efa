"""The schedule ``continuous_eval_on_train_data``: the same as continuous_eval, on the training data."""

from __future__ import annotations

from typing import Any

from expcore.experiment import Experiment
from expcore.roles import check_role
from expcore.types import Predicate
from expcore_plugins.schedules.following import Follower


def continuous_eval_on_train_data(
    experiment: Experiment,
    delay_secs: float | None = None,
    throttle_delay_secs: float | None = None,
    continuous_eval_predicate_fn: Predicate | None = None,
    name: str | None = None,
    timeout_secs: float | None = None,
) -> Any:
    """Evaluates the newest checkpoint on the training data, each once; never exports.

    Args:
        experiment: what is evaluated.
        delay_secs: seconds to wait first; None: the experiment's ``eval_delay_secs``.
        throttle_delay_secs: least seconds from the start of one evaluation to the next; None: the
            experiment's ``continuous_eval_throttle_secs``.
        continuous_eval_predicate_fn: as in ``continuous_eval``.
        name: results are written to ``eval_<name>/``; None: ``eval_on_train_data/``.
        timeout_secs: ends after so many seconds without a new checkpoint; None: wait for ever.

    Returns:
        The last result; None if nothing was ever evaluated.

    Raises:
        ClusterError: this process's task in a cluster has no use for it.
        InvalidArgument: an option is not what it must be.
    """
    check_role(experiment, "continuous_eval_on_train_data")
    return Follower(
        experiment,
        throttle_secs=throttle_delay_secs,
        predicate=continuous_eval_predicate_fn,
        name=name,
        timeout_secs=timeout_secs,
        on_train_data=True,
    ).run(delay_secs)
