"""The schedule ``train_and_evaluate``: trains and evaluates in between, in one process."""

from __future__ import annotations

import logging
from typing import Any

from expcore.checks import check_input_fns
from expcore.cluster import config_value
from expcore.experiment import Experiment
from expcore.history import due
from expcore.roles import check_role, is_served, is_synchronous
from expcore.types import Checkpoint
from expcore_plugins.schedules.rhythm import steps_between_saves

_LOG = logging.getLogger(__name__)


def train_and_evaluate(experiment: Experiment) -> tuple[Any, list[Any]]:
    """Trains until ``train_steps`` and evaluates and exports on the way and at the end.

    At a save it evaluates if at least ``eval_every_n_steps`` steps have passed since the last evaluation, by
    the log, so also after a restart; 0 or None: only at the end. Where the config gives no rhythm of
    checkpoints and ``eval_every_n_steps`` is more than 1, a checkpoint is saved every so many steps. The
    last checkpoint is evaluated once, after training, and exported as the final one; if it was evaluated
    already (training had ended on it, or was complete before), its recorded result goes through the
    exporters as the final one. What a crash kept from the exporters is exported first.

    Where several processes make each step together, the chief evaluates, exports and saves; the others train
    with it, and that is all. A worker of a coordinator, which the chief gives its work, runs
    ``run_std_server``.

    Args:
        experiment: what is trained and evaluated.

    Returns:
        The last result, and what each exporter wrote last (None for one that declined); ``(None, [])`` in a
        process that only trains or serves.

    Raises:
        ClusterError: this process's task in a cluster has no use for it.
    """
    check_role(experiment, "train_and_evaluate")
    if is_served(experiment):
        experiment.run("run_std_server")
        return None, []
    check_input_fns(experiment, train=True, evaluate=True)
    if is_synchronous(experiment) and not config_value(experiment.config, "is_chief"):
        experiment.train_pass()
        return None, []
    n = experiment.eval_every_n_steps

    def evaluate_if_due(checkpoint: Checkpoint) -> None:
        if due(n, experiment.history, checkpoint.step):
            result = experiment.evaluate_pass(checkpoint.path)
            experiment.export_pass(result, checkpoint.path)

    experiment.export_missed()
    every = steps_between_saves(experiment)
    if every is None and n:
        _say_rhythm(n, experiment.config)
    end = experiment.train_pass(on_save=evaluate_if_due, save_every=every)
    last = experiment.latest_checkpoint()
    recorded = experiment.history.evaluated(last) if last is not None else None
    if recorded is not None:
        _LOG.info(
            "step %d is evaluated already; its recorded result is exported as the final one", recorded.step
        )
        result: Any = dict(recorded.metrics)
    else:
        result = experiment.evaluate_pass(last.path if last else None)
    exports = experiment.export_pass(result, last.path if last else None, final=True)
    _LOG.info("training ended at step %s: %s", end.step, end.reason)
    return result, exports


def _say_rhythm(n: int, config: Any) -> None:
    steps, secs = (config_value(config, f"save_checkpoints_{unit}") for unit in ("steps", "secs"))
    saves = f"every {steps} steps" if steps else f"every {secs:g} seconds" if secs else "only at the end"
    rule = "at each of them" if n == 1 else f"at those at least {n} steps after the last evaluation"
    _LOG.info("checkpoints are saved %s; the evaluation is %s, and at the end", saves, rule)
