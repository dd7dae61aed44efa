"""TensorFlow's server for parameter servers, and for estimators of the 2017 kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from expcore.cluster import config_value
from expcore.errors import InvalidArgument, ServerUnavailable, listing
from expcore.serving import check_allowed, warn_of


def start_server(config: Any) -> Any:
    """Starts the ``tf.distribute.Server`` of this task.

    Whether it may be started says ``expcore.serving.check_allowed``.

    Args:
        config: a RunConfig with cluster_spec, task_type, task_id and master.

    Returns:
        The running server; it ends with the process.

    Raises:
        InvalidArgument: the config lacks one of these.
        ServerUnavailable: not allowed by the rule above, or the port cannot be had.
    """
    found = {name: config_value(config, name) for name in ("cluster_spec", "task_type", "master", "task_id")}
    missing = [name for name, value in found.items() if (value is None if name == "task_id" else not value)]
    if missing:
        raise InvalidArgument(
            f"the config lacks {listing(missing)}: a server needs cluster_spec, task_type, master and "
            "task_id; set them in RunConfig or set the TF_CONFIG environment variable"
        )
    cluster: Mapping[str, Sequence[str]] = found["cluster_spec"]
    address = cluster[found["task_type"]][found["task_id"]]
    check_allowed(cluster, address)
    server = _start(cluster, found["task_type"], found["task_id"], address)
    warn_of(f"{found['task_type']} {found['task_id']}", address)
    return server


def _start(cluster: Mapping[str, Sequence[str]], task_type: str, task_id: int, address: str) -> Any:
    import tensorflow as tf

    try:
        return tf.distribute.Server(
            tf.train.ClusterSpec({job: list(addresses) for job, addresses in cluster.items()}),
            job_name=task_type,
            task_index=task_id,
            protocol="grpc",
        )
    except (tf.errors.OpError, RuntimeError) as error:
        raise ServerUnavailable(
            f"server {address!r}: it cannot be started ({' '.join(str(error).split())}); "
            "free the port or give another in the cluster"
        ) from error
