"""The settings of an estimator: its model directory and config, checked."""

from __future__ import annotations

import copy
import logging
import os
import re
import tempfile
from typing import Any

from expcore.cluster import config_value
from expcore.errors import ClusterError, InvalidArgument

_LOG = logging.getLogger(__name__)

MIRRORED = "mirrored"

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
# TensorFlow writes checkpoints to such a path, but takes it for a pattern when it reads them.
_PATTERN = re.compile(r"[*?[\\]")


def agreed_model_dir(subject: str, given: Any, configured: Any) -> str:
    """Returns the model directory: the one that is given, or a temporary one, told in the log.

    Raises:
        InvalidArgument: both are given and differ, it is not a local path, or TensorFlow could not read it.
    """
    paths: list[str] = [os.fspath(path) for path in (given, configured) if path is not None]
    if len(paths) == 2 and os.path.abspath(paths[0]) != os.path.abspath(paths[1]):
        raise InvalidArgument(
            f"{subject}: model_dir is {paths[0]!r} and config.model_dir is {paths[1]!r}; give one of them"
        )
    if not paths:
        path = tempfile.mkdtemp(prefix="expcore-")
        _LOG.warning("no model_dir was given: using the temporary directory %s", path)
        return path
    if not paths[0] or _REMOTE.match(paths[0]):
        raise InvalidArgument(
            f"{subject}: model_dir is {paths[0]!r}; it must be a path in a POSIX file system: mount the "
            "bucket (gcsfuse, mountpoint-s3) and give the path of the mount"
        )
    if _PATTERN.search(paths[0]):
        raise InvalidArgument(
            f"{subject}: model_dir is {paths[0]!r}; it must have none of the characters '*', '?', '[' "
            "and the backslash, since TensorFlow could not read its checkpoints again: give another directory"
        )
    return paths[0]


def config_with(config: Any, path: str) -> Any:
    """The very config where it agrees, else a changed copy."""
    current = config_value(config, "model_dir")
    if current is not None and os.path.abspath(os.fspath(current)) == os.path.abspath(path):
        return config
    if callable(getattr(config, "replace", None)):
        return config.replace(model_dir=path)
    changed = copy.copy(config)
    changed.model_dir = path
    return changed


def check_strategy(subject: str, config: Any, *, takes_one: bool) -> None:
    """Raises InvalidArgument for a config that asks for a distribution strategy which cannot be had.

    Args:
        subject: the estimator, for messages.
        config: its config.
        takes_one: whether it can train on several devices of its process.
    """
    if config_value(config, "eval_distribute") is not None:
        raise InvalidArgument(
            f"{subject}: config.eval_distribute is {config_value(config, 'eval_distribute')!r}; evaluations "
            "are made by one device, leave it None"
        )
    given = config_value(config, "train_distribute")
    if given is None:
        return
    if not takes_one:
        raise InvalidArgument(
            f"{subject}: config.train_distribute is {given!r}; it trains on one device and takes no "
            "distribution strategy, leave it None"
        )
    if (config_value(config, "num_worker_replicas") or 0) > 1:
        raise InvalidArgument(
            f"{subject}: config.train_distribute is {given!r} in a cluster of several training tasks, which "
            "use one device each; leave it None"
        )
    if given != MIRRORED and not callable(getattr(given, "run", None)):
        raise InvalidArgument(
            f"{subject}: config.train_distribute is {given!r}; it must be {MIRRORED!r}, a "
            "tf.distribute.MirroredStrategy, or None"
        )


def check_trains_alone(subject: str, config: Any) -> None:
    """Raises ClusterError for a cluster whose other tasks it would leave alone.

    Several training tasks would all write one directory, and parameter servers would wait for ever.
    """
    tasks = config_value(config, "num_worker_replicas") or 0
    if tasks > 1:
        raise ClusterError(
            f"{subject}: the cluster has {tasks} training tasks, and each would train a model of its "
            "own into one model directory; it trains on one device: run one training task, and evaluators "
            "beside it"
        )
    if servers := config_value(config, "num_ps_replicas"):
        raise ClusterError(
            f"{subject}: the cluster has {servers} ps, and it does not train on parameter servers; "
            "leave them out of TF_CONFIG.cluster"
        )


def check_positive(subject: str, name: str, value: Any) -> None:
    """Raises InvalidArgument for a value that is neither None nor a whole number > 0."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value <= 0):
        raise InvalidArgument(f"{subject}: {name} is {value!r}; it must be a whole number > 0, or None")
