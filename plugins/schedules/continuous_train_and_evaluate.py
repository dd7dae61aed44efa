"""The schedule ``continuous_train_and_evaluate``: trains and evaluates in turn, while a predicate allows."""

from __future__ import annotations

import logging
from typing import Any

from expcore.calling import ask_predicate, check_predicate
from expcore.checks import check_input_fns
from expcore.experiment import Experiment
from expcore.roles import check_role
from expcore.types import Checkpoint, Predicate

_LOG = logging.getLogger(__name__)

DEFAULT_ITERATION = 1000


def continuous_train_and_evaluate(
    experiment: Experiment, continuous_eval_predicate_fn: Predicate | None = None
) -> tuple[Any, list[Any]]:
    """Trains ``train_steps_per_iteration`` steps, evaluates, exports, and again.

    It never trains beyond ``train_steps``, and makes no iteration of no step. It ends at ``train_steps``,
    when the predicate says so, or when an iteration made no step because the input is empty. The data goes
    on where the last iteration left it; input that ended begins anew. What a crash kept from the exporters
    is exported first; where it came after the last step, the last checkpoint is evaluated unless it was, and
    exported as the final one.

    Args:
        experiment: what is trained and evaluated.
        continuous_eval_predicate_fn: asked before each iteration whether to go on: with None first, then
            with the last result. May name ``checkpoint_path`` and ``history``. None: go on.

    Returns:
        The last result, and what each exporter wrote last; ``(None, [])`` if nothing was evaluated.

    Raises:
        ClusterError: this process's task in a cluster has no use for it.
        InvalidArgument: the predicate is not callable.
    """
    check_role(experiment, "continuous_train_and_evaluate")
    check_predicate("continuous_eval_predicate_fn", continuous_eval_predicate_fn)
    check_input_fns(experiment, train=True, evaluate=True)
    experiment.export_missed()
    result: Any = None
    exports: list[Any] = []
    last: Checkpoint | None = None
    final = False
    while not final and ask_predicate(
        continuous_eval_predicate_fn, result, last.path if last else None, experiment.history
    ):
        steps = _next_steps(experiment)
        if steps == 0:
            _LOG.info("train_steps %s are reached, no iteration is made", experiment.train_steps)
            return _made_good(experiment) if _was_cut(experiment) else (result, exports)
        end = experiment.train_pass(steps=steps)
        if end.steps == 0 and end.step is not None:
            _LOG.info("an iteration made no step (%s); the schedule ends", end.reason)
            break
        last = experiment.latest_checkpoint()
        result = experiment.evaluate_pass(last.path if last else None)
        final = _next_steps(experiment) == 0
        exports = experiment.export_pass(result, last.path if last else None, final=final)
    if last is not None and not final:
        exports = experiment.export_pass(result, last.path, final=True)
    return result, exports


def _next_steps(experiment: Experiment) -> int:
    """Steps of the next iteration; 0 where training is complete."""
    until, n = experiment.train_steps, experiment.train_steps_per_iteration
    n = n if n is not None else max(1, until // 10) if until else DEFAULT_ITERATION
    return n if until is None else max(0, min(n, until - _reached(experiment)))


def _was_cut(experiment: Experiment) -> bool:
    """Whether the newest training was kept from its end, after its last step."""
    history = experiment.history
    over = {end.run for end in history.training_ends if end.over}
    return bool(history.trainings) and history.trainings[-1].run not in over


def _made_good(experiment: Experiment) -> tuple[Any, list[Any]]:
    """Ends a training that was cut after its last step."""
    experiment.train_pass()  # makes no step; the log then says that training is over
    last = experiment.latest_checkpoint()
    recorded = experiment.history.evaluated(last) if last is not None else None
    path = last.path if last is not None else None
    result = dict(recorded.metrics) if recorded is not None else experiment.evaluate_pass(path)
    return result, experiment.export_pass(result, path, final=True)


def _reached(experiment: Experiment) -> int:
    """The step of the newest checkpoint; its recorded evaluation tells it where its path does not."""
    latest = experiment.latest_checkpoint()
    if latest is None or latest.step is not None:
        return (latest and latest.step) or 0
    recorded = experiment.history.evaluated(latest)
    return recorded.step if recorded else 0
