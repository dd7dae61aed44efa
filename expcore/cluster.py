"""RunConfig and what follows from it: this process's schedule, delays, and a description for people."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from expcore.errors import ClusterError, InvalidArgument, InvalidType, UnknownOption, listing, nearest
from expcore.tf_config import ClusterTask, is_loopback, parse_tf_config, shown

__all__ = [
    "DEFAULT_SAVE_SECS",
    "ClusterTask",
    "RunConfig",
    "config_value",
    "default_schedule",
    "delay_secs_for",
    "explain",
    "global_step_to_wait_for",
    "is_loopback",
    "parse_tf_config",
    "rhythm_given",
]

_SCHEDULES = {
    "chief": "train_and_evaluate",
    "master": "train_and_evaluate",
    "worker": "train",
    "ps": "run_std_server",
    "evaluator": "continuous_eval",
}


class _DefaultSecs(float):
    """The 600 s of a RunConfig that was given no rhythm; a type of its own, so that one can tell."""


DEFAULT_SAVE_SECS = _DefaultSecs(600)
"""Seconds between checkpoints where neither steps nor seconds were given."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """How a run is kept: where, how often it saves and logs, and this process's task in a cluster.

    TF_CONFIG is read once, when the object is made; ``replace`` keeps what was read.

    Args:
        model_dir: the model directory, not empty; None: the one in TF_CONFIG, if any.
        save_checkpoints_steps: steps between checkpoints, > 0; None: not by steps.
        save_checkpoints_secs: seconds between checkpoints, > 0; 600 unless ``save_checkpoints_steps`` is
            given; None: not by time. Where both are None there is a checkpoint at the end only.
        keep_checkpoint_max: how many of the newest checkpoints are kept; 0 or None: all.
        keep_checkpoint_every_n_hours: hours, > 0; one checkpoint for each such span is kept for ever;
            None: no such rule.
        keep_checkpoint_best: a metric of the evaluations (``accuracy``, ``<set>/<metric>``); the checkpoint
            that is best by the log so far is kept besides; None: no such rule.
        keep_checkpoint_best_mode: "min" or "max": which results of it are better; None: worked out from its
            name as ``expcore.metrics.direction`` says.
        save_summary_steps: steps between training summaries, > 0; None: no summaries.
        log_step_count_steps: steps between log lines, > 0; None: no such lines.
        random_seed: 0 to 2**32 - 1; None: not seeded.
        train_distribute: the strategy for training, as the estimator takes it ("mirrored" or a
            ``tf.distribute.MirroredStrategy`` for the Keras estimator); None: its default.
        eval_distribute: the same for evaluation.
        start_server: whether ``train`` starts a TensorFlow server (estimators of the 2017 kind).
        start_timeout_secs: seconds that a task of a synchronous cluster waits for the others before it
            gives up, > 0; None: without end.
        task: this process's task; None: what TF_CONFIG says.

    Raises:
        InvalidArgument: a value is not as above, or both rhythms are given (a ValueError).
        ClusterError: TF_CONFIG breaks a rule, or names another ``model_dir`` (a ValueError).
    """

    model_dir: str | None = None
    save_checkpoints_steps: int | None = None
    save_checkpoints_secs: float | None = DEFAULT_SAVE_SECS
    keep_checkpoint_max: int | None = 5
    keep_checkpoint_every_n_hours: float | None = None
    keep_checkpoint_best: str | None = None
    keep_checkpoint_best_mode: str | None = None
    save_summary_steps: int | None = 100
    log_step_count_steps: int | None = 100
    random_seed: int | None = None
    train_distribute: Any = None
    eval_distribute: Any = None
    start_server: bool = False
    start_timeout_secs: float | None = 600.0
    task: ClusterTask | None = None

    def __post_init__(self) -> None:
        for name, rule in _RULES.items():
            self._set(name, rule(name, getattr(self, name)))
        if self.save_checkpoints_steps is not None:
            if isinstance(self.save_checkpoints_secs, _DefaultSecs):
                self._set("save_checkpoints_secs", None)
            if self.save_checkpoints_secs is not None:
                raise InvalidArgument(
                    f"RunConfig: save_checkpoints_steps={self.save_checkpoints_steps} and "
                    f"save_checkpoints_secs={self.save_checkpoints_secs:g} are both given; only one rhythm "
                    "is possible; leave one of them out"
                )
        if self.task is None:
            self._set("task", parse_tf_config(os.environ.get("TF_CONFIG")))
        elif not isinstance(self.task, ClusterTask):
            raise InvalidType(f"RunConfig: task={shown(self.task)} is not a ClusterTask; use parse_tf_config")
        self._set("model_dir", _agreed_model_dir(self.model_dir, self._task.model_dir))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def _task(self) -> ClusterTask:
        return self.task or ClusterTask()

    @property
    def cluster_spec(self) -> dict[str, list[str]]:
        """Job names with lists of addresses; empty without a cluster and for an evaluator."""
        return self._task.cluster_spec

    @property
    def task_type(self) -> str | None:
        """The job of this process; None where nothing says so."""
        return self._task.task_type

    @property
    def task_id(self) -> int:
        """Index within the job, from 0."""
        return self._task.task_id

    @property
    def master(self) -> str:
        """Where the training session is, as ``grpc://host:port``; "" for this process itself."""
        return self._task.master

    @property
    def evaluation_master(self) -> str:
        """Where the evaluation's session is; "" for this process itself."""
        return self._task.evaluation_master

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that saves."""
        return self._task.is_chief

    @property
    def num_ps_replicas(self) -> int:
        """Number of parameter servers."""
        return self._task.num_ps_replicas

    @property
    def num_worker_replicas(self) -> int:
        """Number of processes that train, the chief among them."""
        return self._task.num_worker_replicas

    def replace(self, **changes: Any) -> RunConfig:
        """Returns a copy with some fields changed; giving one rhythm replaces the other.

        Raises:
            UnknownOption: a name is not a field (a TypeError).
            InvalidArgument, ClusterError: as at construction.
        """
        fields = [f.name for f in dataclasses.fields(self)]
        for name in changes:
            if name not in fields:
                raise UnknownOption(
                    f"RunConfig.replace: {name!r} is not a field{nearest(name, fields)}; "
                    f"the fields are {listing(fields)}"
                )
        if "save_checkpoints_steps" in changes:
            changes.setdefault("save_checkpoints_secs", DEFAULT_SAVE_SECS)
        elif "save_checkpoints_secs" in changes:
            changes["save_checkpoints_steps"] = None
        return dataclasses.replace(self, **changes)

    def uid(self, whitelist: Iterable[str] | None = None) -> dict[str, Any]:
        """Returns the fields that an experiment's estimator must share with the config that it was given.

        Args:
            whitelist: names left out; None: seed, summaries, log lines, and everything about checkpoints.
        """
        left_out = set(_FREE_TO_CHANGE if whitelist is None else whitelist)
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in left_out}


_FREE_TO_CHANGE = (
    "random_seed",
    "save_summary_steps",
    "save_checkpoints_steps",
    "save_checkpoints_secs",
    "keep_checkpoint_max",
    "keep_checkpoint_every_n_hours",
    "keep_checkpoint_best",
    "keep_checkpoint_best_mode",
    "log_step_count_steps",
    "start_timeout_secs",
)


def _whole(low: int, high: int | None, rule: str) -> Any:
    def check(name: str, value: Any) -> int | None:
        if value is None:
            return None
        if isinstance(value, Integral) and not isinstance(value, bool):
            number = int(value)
            if number >= low and (high is None or number <= high):
                return number
        raise InvalidArgument(f"RunConfig: {name}={shown(value)} must be {rule}, or None")

    return check


def _positive(name: str, value: Any) -> float | None:
    if value is None or isinstance(value, _DefaultSecs):
        return value
    if isinstance(value, Real) and not isinstance(value, bool):
        number = int(value) if isinstance(value, Integral) else float(value)
        if 0 < number < math.inf:
            return number
    raise InvalidArgument(f"RunConfig: {name}={shown(value)} must be a number greater than 0, or None")


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidArgument(f"RunConfig: {name}={shown(value)} must be True or False")
    return value


def _text(name: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise InvalidArgument(f"RunConfig: {name}={value!r}; it must be the name of a metric, or None")


def _mode(name: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value in ("min", "max")):
        return value
    raise InvalidArgument(f"RunConfig: {name}={value!r}; it must be 'min', 'max' or None")


_RULES: dict[str, Any] = {
    "save_checkpoints_steps": _whole(1, None, "a whole number greater than 0"),
    "save_checkpoints_secs": _positive,
    "keep_checkpoint_max": _whole(0, None, "a whole number, 0 for keeping all"),
    "keep_checkpoint_every_n_hours": _positive,
    "keep_checkpoint_best": _text,
    "keep_checkpoint_best_mode": _mode,
    "save_summary_steps": _whole(1, None, "a whole number greater than 0"),
    "log_step_count_steps": _whole(1, None, "a whole number greater than 0"),
    "random_seed": _whole(0, 2**32 - 1, "a whole number from 0 to 4294967295"),
    "start_server": _flag,
    "start_timeout_secs": _positive,
}


def _agreed_model_dir(given: Any, in_tf_config: str | None) -> str | None:
    if given is None:
        return in_tf_config
    if (
        not isinstance(given, (str, os.PathLike))
        or not isinstance(os.fspath(given), str)
        or not os.fspath(given)
    ):
        raise InvalidArgument(
            f"RunConfig: model_dir={shown(given)} must be a path that is not empty, or None"
        )
    path = os.fspath(given)
    if in_tf_config is not None and os.path.abspath(path) != os.path.abspath(in_tf_config):
        raise ClusterError(
            f"TF_CONFIG.model_dir = {shown(in_tf_config)}: the model_dir given in code is {shown(path)} and "
            "the two must agree; leave one of them out"
        )
    return path


_DEFAULTS: dict[str, Any] = {
    **{f.name: f.default for f in dataclasses.fields(RunConfig) if f.name != "task"},
    "cluster_spec": {},
    "task_type": None,
    "task_id": 0,
    "master": "",
    "evaluation_master": "",
    "is_chief": True,
    "num_ps_replicas": 0,
    "num_worker_replicas": 1,
}
_NEVER_NONE = ("task_id", "master", "evaluation_master", "is_chief", "num_ps_replicas", "num_worker_replicas")


def config_value(config: Any, name: str) -> Any:
    """Returns a setting of any config object, or RunConfig's default where the object lacks it.

    Args:
        config: a RunConfig, a foreign config such as ``tf.estimator.RunConfig``, or None.
        name: a field or property of RunConfig. ``cluster_spec`` is always a plain dict; ``random_seed`` may
            be called ``tf_random_seed`` in the foreign one.

    Raises:
        InvalidArgument: RunConfig has no such field or property.
    """
    if name not in _DEFAULTS:
        known = listing(list(_DEFAULTS))
        raise InvalidArgument(f"config_value: {name!r} is not among {known}{nearest(name, _DEFAULTS)}")
    default = _DEFAULTS[name]
    if name == "cluster_spec":
        return _plain_cluster(getattr(config, name, None))
    if name == "random_seed":
        default = getattr(config, "tf_random_seed", None)
    if name == "save_checkpoints_secs" and getattr(config, "save_checkpoints_steps", None) is not None:
        default = None
    value = getattr(config, name, default)
    return default if value is None and name in _NEVER_NONE else value


def _plain_cluster(spec: Any) -> dict[str, list[str]]:
    if callable(getattr(spec, "as_dict", None)):
        spec = spec.as_dict()
    if not isinstance(spec, Mapping):
        return {}
    # TensorFlow gives a job with gaps as a mapping from index to address.
    return {
        str(job): [str(a) for a in (found.values() if isinstance(found, Mapping) else found)]
        for job, found in spec.items()
    }


def rhythm_given(config: Any) -> bool:
    """Whether somebody chose when to save, be it never; 600 s in a foreign config count as its default."""
    if config_value(config, "save_checkpoints_steps") is not None:
        return True
    secs = config_value(config, "save_checkpoints_secs")
    return not isinstance(secs, _DefaultSecs) if isinstance(config, RunConfig) else secs != DEFAULT_SAVE_SECS


def default_schedule(config: Any) -> str:
    """Returns the schedule for this process's task: what ``run_experiment`` runs when none is named.

    Args:
        config: a RunConfig, a foreign config, or None.

    Raises:
        InvalidArgument: a cluster without a task type, or with one that has no default (a ValueError).
    """
    kind = config_value(config, "task_type")
    if kind == "evaluator":  # sees an empty cluster, so this comes first
        return _SCHEDULES[kind]
    cluster = config_value(config, "cluster_spec")
    if sum(map(len, cluster.values())) <= 1:
        return "train_and_evaluate"
    if not kind:
        raise InvalidArgument(
            f"Must specify a schedule: the cluster has {listing(list(cluster))}, the config no task type; "
            "name a schedule, or set TF_CONFIG.task.type"
        )
    if kind not in _SCHEDULES:
        raise InvalidArgument(
            f"No default schedule for task type: {kind!r} is not among {listing(list(_SCHEDULES))}"
            f"{nearest(str(kind), _SCHEDULES)}; name a schedule"
        )
    return _SCHEDULES[kind]


def delay_secs_for(task_id: int) -> int:
    """Returns the seconds that a task waits before training: 5 for each one before it, at most 60."""
    return min(60, 5 * task_id)


def global_step_to_wait_for(task_id: int) -> int:
    """Returns the global step that a task waits for with ``delay_workers_by_global_step``; 0 for task 0."""
    return int(8000 * math.log(task_id + 1))


def explain(config: Any) -> list[str]:
    """Returns lines for people: role, cluster, default schedule, model directory."""
    kind, index = config_value(config, "task_type"), config_value(config, "task_id")
    cluster = config_value(config, "cluster_spec")
    if kind == "evaluator":
        role = f"evaluator {index}, outside the cluster"
    elif not cluster:
        role = "a process on its own"
    else:
        chief = ", the chief" if config_value(config, "is_chief") else ""
        role = f"{kind} {index} of {len(cluster.get(kind, ()))}{chief}"
    try:
        schedule = default_schedule(config)
    except InvalidArgument as error:
        schedule = f"none ({error})"
    jobs = "; ".join(f"{job} {', '.join(found)}" for job, found in cluster.items())
    return [
        f"role: {role}",
        f"cluster: {jobs or ('that of the others' if kind == 'evaluator' else 'none')}",
        f"default schedule: {schedule}",
        f"model_dir: {config_value(config, 'model_dir') or 'not set'}",
    ]
