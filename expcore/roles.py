"""Roles: which schedules have a meaning for which task of a cluster."""

from __future__ import annotations

from typing import Any

from expcore.cluster import config_value
from expcore.errors import ClusterError

_TRAINING = {"train", "train_and_evaluate", "continuous_train_and_evaluate", "test"}
_EVALUATING = {"evaluate", "continuous_eval", "continuous_eval_on_train_data"}
_SERVING = {"run_std_server"}


def is_synchronous(experiment: Any) -> bool:
    """Whether each step is made by several processes together, of which this may be one.

    So it is where the estimator says so, or its config names a strategy.
    """
    said = getattr(experiment.estimator, "synchronous", None)
    if said is not None:
        return bool(said)
    return config_value(experiment.config, "train_distribute") is not None


def is_coordinated(experiment: Any) -> bool:
    """Whether the chief gives the workers of its cluster their work, on variables of parameter servers."""
    return bool(getattr(experiment.estimator, "coordinated", False))


def is_served(experiment: Any) -> bool:
    """Whether this process is a worker that waits for the work that the chief gives it."""
    return config_value(experiment.config, "task_type") == "worker" and is_coordinated(experiment)


def check_role(experiment: Any, schedule: str) -> None:
    """Makes sure that a schedule has a meaning for this process's task.

    Args:
        experiment: whose config has the task.
        schedule: the built-in schedule's name.

    Raises:
        ClusterError: it has none; the message says why, and what to run.
    """
    kind = config_value(experiment.config, "task_type")
    why: tuple[str, str] | None = None
    if is_served(experiment):
        if schedule not in ("train", "train_and_evaluate", *_SERVING):
            why = "it does what the chief gives it", "run train, which serves"
    else:
        why = _without_meaning(schedule, kind, others=_waiting(experiment))
    if why is not None:
        reason, advice = why
        task = f"{kind} {config_value(experiment.config, 'task_id')}"
        raise ClusterError(f"schedule {schedule!r} on {task}: {reason}; {advice}")


def _waiting(experiment: Any) -> str | None:
    """Says what the others of its cluster need this training task for; None where they do not."""
    config = experiment.config
    if config_value(config, "task_type") not in ("chief", "master", "worker"):
        return None
    if is_coordinated(experiment):
        return "the workers and parameter servers wait for what it gives them"
    several = (config_value(config, "num_worker_replicas") or 0) > 1
    if several and is_synchronous(experiment):
        return "the training tasks make every step together, and this one would be missed"
    return None


def _without_meaning(schedule: str, kind: str | None, *, others: str | None) -> tuple[str, str] | None:
    by_task = "leave the schedule out, and the task decides"
    if kind == "ps" and schedule not in _SERVING:
        return "a parameter server only serves", by_task
    if kind == "evaluator" and schedule in _TRAINING:
        return "an evaluator takes no part in training", by_task
    if kind == "evaluator" and schedule in _SERVING:
        return "an evaluator is outside of the cluster, and nobody needs it as a server", by_task
    if schedule in _SERVING and (kind in ("chief", "master") or others is not None):
        return "it trains, and nobody needs it as a server", by_task
    if others is None:
        return None
    if schedule in _EVALUATING:
        return others, "evaluate in a process without TF_CONFIG, or in an evaluator"
    if schedule == "continuous_train_and_evaluate":
        return (
            "the other tasks take part in one training, and it begins one for each iteration",
            "run train_and_evaluate, whose eval_every_n_steps does the same without stopping",
        )
    if schedule == "test":
        return "it tries an experiment in a single process", "run it without TF_CONFIG"
    return None
