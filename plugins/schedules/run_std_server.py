"""The schedule ``run_std_server``: serves as a TensorFlow server until training is over."""

from __future__ import annotations

import logging

from expcore.experiment import Experiment
from expcore.passes.heartbeat import TrainingWatch
from expcore.roles import check_role
from expcore_plugins.schedules.server import start_server

_LOG = logging.getLogger(__name__)

POLL_SECS = 5.0


def run_std_server(experiment: Experiment) -> None:
    """Starts the server of this task (a parameter server, or a worker of a coordinator) and serves.

    It ends when the log says that a training which was seen alive has ended, or one has reached
    ``train_steps``; never by the end of an older run. A signal ends it as well.

    Args:
        experiment: whose config has the cluster.

    Raises:
        ClusterError: this process's task in a cluster has no use for it.
        InvalidArgument: the config lacks cluster_spec, task_type, master or task_id.
        ServerUnavailable: the port is taken, or a server on loopback addresses is not allowed here.
    """
    check_role(experiment, "run_std_server")
    watch = TrainingWatch(experiment.model_dir, experiment.history)
    server = start_server(experiment.config)
    while (end := watch.over(experiment.history, experiment.train_steps)) is None:
        experiment.wait(POLL_SECS)
    _LOG.info("training ended at step %s (%s); the server %s ends", end.step, end.reason, server.target)


# What conformance is to try it as: a server, which is not run where it would be open to others.
run_std_server.capabilities = frozenset({"serves"})  # type: ignore[attr-defined]
