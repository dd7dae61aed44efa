"""The schedule ``train``: trains until the experiment's train_steps."""

from __future__ import annotations

from typing import Any

from expcore.checks import check_input_fns, check_secs
from expcore.cluster import config_value, delay_secs_for, global_step_to_wait_for
from expcore.errors import InvalidArgument
from expcore.experiment import Experiment
from expcore.roles import check_role, is_served, is_synchronous
from expcore_plugins.schedules.rhythm import steps_between_saves
from expcore_plugins.schedules.server import start_server


def train(experiment: Experiment, delay_secs: float | None = None) -> Any:
    """Trains until the global step reaches ``train_steps``, the input ends or a hook stops.

    Workers of an asynchronous cluster start one after the other, so that they do not all read the first
    variables at once: after ``min(60, 5 * task_id)`` seconds, or with ``delay_workers_by_global_step`` once
    the global step has reached ``int(8000 * ln(task_id + 1))``. Under a synchronous strategy nobody waits.

    Where the config gives no rhythm of checkpoints and ``eval_every_n_steps`` is more than 1, a checkpoint is
    saved every so many steps, as in ``train_and_evaluate``: somebody else evaluates them.

    A worker of a coordinator, which the chief gives its work, runs ``run_std_server``.

    Args:
        experiment: what is trained.
        delay_secs: seconds to wait first; any number, even 0, turns both rules off. None: by the rules. A
            server that the config asks for starts before the wait, and the time it took counts.

    Returns:
        The estimator.

    Raises:
        ClusterError: this process's task is a parameter server or an evaluator.
        InvalidArgument: ``delay_workers_by_global_step`` under a synchronous strategy, where a worker would
            wait for itself; ``delay_secs`` is not seconds of 0 or more; a server lacks a setting.
        ServerUnavailable: a server that the config asks for cannot be started, or is not allowed here.
    """
    check_role(experiment, "train")
    if is_served(experiment):
        return experiment.run("run_std_server")
    check_secs("delay_secs", 0 if delay_secs is None else delay_secs)
    check_input_fns(experiment, train=True)
    began = experiment.clock.monotonic()
    synchronous = is_synchronous(experiment)
    if synchronous and experiment.delay_workers_by_global_step:
        raise InvalidArgument(
            "delay_workers_by_global_step=True: under a synchronous strategy every step needs every worker, "
            "so one that waits for a global step waits for itself; leave it False"
        )
    if config_value(experiment.config, "start_server"):
        start_server(experiment.config)
    task_id = config_value(experiment.config, "task_id") or 0
    hooks = []
    if delay_secs is None and experiment.delay_workers_by_global_step:
        if step := global_step_to_wait_for(task_id):
            hooks = [experiment.plugins.create("hooks", "global_step_waiter", wait_until_step=step)]
    elif delay_secs is None:
        delay_secs = 0 if synchronous else delay_secs_for(task_id)
    experiment.wait((delay_secs or 0) - (experiment.clock.monotonic() - began), "before training starts")
    experiment.train_pass(hooks=hooks, save_every=steps_between_saves(experiment))
    return experiment.estimator
