"""Joining a cluster: who belongs to it, waiting for the others, and what all must agree on."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from expcore.cluster import config_value
from expcore.errors import ClusterError, ServerUnavailable, one_line
from expcore.serving import check_allowed, warn_of
from expcore.types import Clock
from expcore_plugins.estimators.engine.coordinator import Coordinator
from expcore_plugins.estimators.engine.devices import Devices
from expcore_plugins.estimators.engine.inputs import Pipeline
from expcore_plugins.estimators.engine.meeting import ended_after, meet, signals_kept
from expcore_plugins.estimators.engine.pulse import Pulse
from expcore_plugins.estimators.engine.replicas import Alone
from expcore_plugins.estimators.engine.settings import MIRRORED
from expcore_plugins.estimators.engine.workers import Workers

_LOG = logging.getLogger(__name__)

_JOIN_SECS = 60  # once all are there; another may die at this very moment
_JOINED: dict[str, Any] = {}  # the strategy of this process: TensorFlow joins one cluster, and once
_TRAINING = ("chief", "master", "worker")


def is_synchronous(config: Any) -> bool:
    """Whether a config's cluster has several training tasks and no parameter server."""
    several = (config_value(config, "num_worker_replicas") or 0) > 1
    return several and not config_value(config, "num_ps_replicas")


def is_coordinated(config: Any) -> bool:
    """Whether a config's cluster has parameter servers, on which workers train."""
    return bool(config_value(config, "num_ps_replicas"))


def pipeline_of(config: Any) -> Pipeline:
    """Returns which of the training tasks this is; the chief is the first."""
    cluster = config_value(config, "cluster_spec")
    tasks = [(job, i) for job in _TRAINING for i in range(len(cluster.get(job, ())))]
    own = (config_value(config, "task_type"), config_value(config, "task_id"))
    return Pipeline(tasks.index(own), len(tasks))


def joined(subject: str, config: Any, clock: Clock) -> Workers:
    """Starts this process's server, waits for the other training tasks, and returns them.

    Args:
        subject: what joins, for messages.
        config: has the cluster, this process's task, and ``start_timeout_secs``.
        clock: measures the waiting.

    Raises:
        ClusterError: TensorFlow was used before, or sees several devices here.
        ServerUnavailable: the server may not or cannot be started, or a task did not come in time.
    """
    every, kind, index = _allowed(config)
    jobs = {job: every[job] for job in _TRAINING if job in every}
    address = jobs[kind][index]
    key = f"{kind} {index} of {jobs}"
    if key not in _JOINED:
        _check_unused(subject)  # before the others are kept waiting, or are left alone
        _LOG.info("%s %d waits for the other training tasks: %s", kind, index, jobs)
        leader = (jobs.get("chief") or jobs["worker"])[0]
        meet(
            address,
            _others(jobs, address),
            config_value(config, "start_timeout_secs"),
            clock,
            chief=None if address == leader else leader,
        )
        with ended_after(_JOIN_SECS), signals_kept():
            _JOINED[key] = _strategy(subject, jobs, kind, index)
        warn_of(f"{kind} {index}", address)
    return Workers(_JOINED[key], chief=bool(config_value(config, "is_chief")), clock=clock)


def coordinated(config: Any, clock: Clock) -> Coordinator:
    """Connects to parameter servers and workers, once they are there, and returns what gives them work.

    Args:
        config: has the cluster, this process's task, and ``start_timeout_secs``.
        clock: measures the waiting.

    Raises:
        ClusterError: there is no worker.
        ServerUnavailable: this may not be, or a task did not come in time.
    """
    if not config_value(config, "cluster_spec").get("worker"):
        raise ClusterError(
            f"TF_CONFIG.cluster has {config_value(config, 'num_ps_replicas')} ps and no worker: workers make "
            "the steps, on variables of the parameter servers; add a worker, or leave out the ps"
        )
    jobs, kind, index = _allowed(config)
    address = jobs[kind][index]
    key = f"coordinator of {jobs}"
    if key not in _JOINED:
        _LOG.info("the chief waits for parameter servers and workers: %s", jobs)
        meet(None, _others(jobs, address), config_value(config, "start_timeout_secs"), clock)
        with ended_after(_JOIN_SECS), signals_kept():
            _JOINED[key] = _ps_strategy(jobs, address)
        warn_of("chief 0", address)
    strategy, coordinator = _JOINED[key]
    servers, workers = ({f"{job} {i}": a for i, a in enumerate(jobs[job])} for job in ("ps", "worker"))
    pulse = Pulse(servers, workers, config_value(config, "start_timeout_secs"), clock)
    return Coordinator(strategy, coordinator, len(jobs["worker"]), pulse)


def _allowed(config: Any) -> tuple[dict[str, list[str]], str, int]:
    """Returns the cluster, and this task's kind and index in it, if it may start a server.

    TensorFlow knows no master here; its chief is the same.
    """
    cluster = config_value(config, "cluster_spec")
    kind, index = config_value(config, "task_type"), config_value(config, "task_id")
    check_allowed(cluster, cluster[kind][index])
    jobs = {("chief" if job == "master" else job): found for job, found in cluster.items()}
    return jobs, ("chief" if kind == "master" else kind), index


def _ps_strategy(jobs: dict[str, list[str]], address: str) -> Any:
    import tensorflow as tf

    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(jobs), task_type="chief", task_id=0, rpc_layer="grpc"
    )
    with _explained(address):
        strategy = tf.distribute.ParameterServerStrategy(resolver)
        return strategy, tf.distribute.coordinator.ClusterCoordinator(strategy)


def mirrored(given: Any) -> Devices | None:
    """Returns the devices of this process as a config's ``train_distribute`` names them; None: it names none.

    Args:
        given: a ``tf.distribute.MirroredStrategy``, or one that works as it does; "mirrored": one over all
            devices of the kind that TensorFlow prefers; None.
    """
    if given is None:
        return None
    if given != MIRRORED:
        return Devices(given)
    if MIRRORED not in _JOINED:  # two of them in one process would disturb each other
        import tensorflow as tf

        _JOINED[MIRRORED] = tf.distribute.MirroredStrategy()
    return Devices(_JOINED[MIRRORED])


def _others(jobs: Mapping[str, Sequence[str]], own: str) -> list[str]:
    return [address for found in jobs.values() for address in found if address != own]


def _strategy(subject: str, jobs: dict[str, list[str]], kind: str, index: int) -> Any:
    import tensorflow as tf

    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(jobs), task_type=kind, task_id=index, rpc_layer="grpc"
    )
    with _explained(jobs[kind][index]):
        strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    devices = len(strategy.extended.worker_devices)
    if devices > 1:
        raise ClusterError(
            f"{subject}: {kind} {index} sees {devices} devices, and a training task uses one; start a task "
            "for each, with CUDA_VISIBLE_DEVICES naming its own"
        )
    return strategy


def _check_unused(subject: str) -> None:
    """Refuses where TensorFlow has begun to work, and would therefore refuse to join."""
    import tensorflow as tf

    threads = tf.config.threading.get_inter_op_parallelism_threads()
    try:  # it can be changed until then, and there is no other way to ask
        tf.config.threading.set_inter_op_parallelism_threads(threads + 1)
    except RuntimeError as error:
        raise ClusterError(
            f"{subject}: TensorFlow was used in this process before it joined its cluster, as by a model "
            "that is made already; give the function that makes the model, and use TensorFlow in that and "
            "in the input functions only"
        ) from error
    tf.config.threading.set_inter_op_parallelism_threads(threads)


@contextmanager
def _explained(address: str) -> Iterator[None]:
    """Says in one line why TensorFlow does not join its cluster."""
    import tensorflow as tf

    try:
        yield
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        raise ServerUnavailable(
            f"server {address!r}: it cannot be started, or the others cannot be reached "
            f"({one_line(error)[:300]}); free the port, or give another in the cluster"
        ) from error


def agreed_seed(replicas: Alone | Workers, seed: int | None) -> int | None:
    """Returns the seed of the data: without one, workers that read the same data share the chief's."""
    if seed is not None or isinstance(replicas, Alone):
        return seed
    import numpy as np

    return int(replicas.from_chief([np.int64(secrets.randbelow(2**31))])[0])
