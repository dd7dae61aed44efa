"""The schedule ``continuous_eval``: evaluates and exports checkpoints as they come."""

from __future__ import annotations

from typing import Any

from expcore.experiment import Experiment
from expcore.roles import check_role
from expcore.types import Predicate
from expcore_plugins.schedules.following import Follower


def continuous_eval(
    experiment: Experiment,
    delay_secs: float | None = None,
    throttle_delay_secs: float | None = None,
    evaluate_checkpoint_only_once: bool = True,
    continuous_eval_predicate_fn: Predicate | None = None,
    name: str | None = None,
    backlog: str = "newest",
    timeout_secs: float | None = None,
) -> Any:
    """Evaluates checkpoints that another process writes, each once, and exports them.

    It ends when the log says that training ended and the last checkpoint is evaluated, when the evaluated
    global step has reached ``train_steps``, when the predicate says so, or after ``timeout_secs`` without a
    new checkpoint. The last checkpoint is always evaluated. One that vanished or is corrupt is skipped, and
    the log says why. Several evaluators share the work.

    Args:
        experiment: what is evaluated.
        delay_secs: seconds to wait first; None: the experiment's ``eval_delay_secs``.
        throttle_delay_secs: least seconds from the start of one evaluation to the next; None: the
            experiment's ``continuous_eval_throttle_secs``.
        evaluate_checkpoint_only_once: False evaluates the newest checkpoint again and again.
        continuous_eval_predicate_fn: asked before each round whether to go on: with None first, then with
            the result, or ``{}`` after a round without one. May name ``checkpoint_path`` and ``history``.
            None: go on.
        name: results are written to ``eval_<name>/`` instead of ``eval/``.
        backlog: "newest" evaluates only the newest checkpoint, "all" every one, oldest first.
        timeout_secs: seconds; None: wait for ever.

    Returns:
        The last result; None if nothing was ever evaluated.

    Raises:
        ClusterError: this process's task in a cluster has no use for it.
        InvalidArgument: an option is not what it must be.
    """
    check_role(experiment, "continuous_eval")
    return Follower(
        experiment,
        throttle_secs=throttle_delay_secs,
        only_once=evaluate_checkpoint_only_once,
        predicate=continuous_eval_predicate_fn,
        name=name,
        backlog=backlog,
        timeout_secs=timeout_secs,
    ).run(delay_secs)
