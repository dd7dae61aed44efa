"""The pluggy contract: what a plugin can answer, and the moments of a run that it is told of.

Write ``from expcore import hookimpl``, put ``@hookimpl`` on functions named as below, and name the module
(or a class that can be made without arguments: one instance a host) under ``expcore.plugins`` in your entry
points. Take only the arguments that you need, without defaults: a later expcore may add some.

For all of them: the host calls one plugin at a time, the last registered first (``tryfirst`` and
``trylast`` are kept); wrappers and ``specname`` are refused. Each process of a run (trainer, evaluator,
worker) has a host of its own and tells only of what it does itself. The step loop calls none of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pluggy

from expcore.types import Checkpoint, Component, Evaluation, Export, TrainingEnd

PROJECT = "expcore"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Catalogue = Iterable[Component] | Mapping[str, Callable[..., Any]] | None

# --- Catalogues: components that are worked out at run time -------------------------------------------
# Components known beforehand need none of these: they are entry points of their kind's group.


@hookspec
def expcore_estimators() -> Catalogue:
    """Called when an estimator is looked up by name; again after a plugin is added, so answer alike.

    Return components, or a mapping from name to factory ``(**params) -> Estimator``; the host adds your
    distribution and version. They are found where no entry point has the name. Raising is one line in the
    log, and only your components are missing. Any process that makes components.
    """


@hookspec
def expcore_schedules() -> Catalogue:
    """As ``expcore_estimators``; a factory is the schedule itself, ``(experiment, **options) -> result``."""


@hookspec
def expcore_exporters() -> Catalogue:
    """As ``expcore_estimators``, for ``(**params) -> Format or Exporter``."""


@hookspec
def expcore_hooks() -> Catalogue:
    """As ``expcore_estimators``, for ``(**params) -> Hook``."""


@hookspec
def expcore_predicates() -> Catalogue:
    """As ``expcore_estimators``, for ``(**params) -> Predicate``."""


# --- Hooks that a plugin adds to runs -----------------------------------------------------------------
# Raising stops the run before its first step, with the plugin named.


@hookspec
def expcore_train_hooks(experiment: Any) -> Sequence[Any] | None:
    """Called before each training call, which may be often (train_and_evaluate by iterations); trainer only.

    Return new hooks for that call; they come before the user's own, and only to an estimator that says
    (``supports_hook``) that it takes them. None or an empty list: none.
    """


@hookspec
def expcore_eval_hooks(experiment: Any) -> Sequence[Any] | None:
    """Called before each evaluation, in the process that evaluates; return as for ``expcore_train_hooks``."""


@hookspec(firstresult=True)
def expcore_adapt_hooks(estimator: Any, hooks: Sequence[Any]) -> Sequence[Any] | None:
    """Called before each training call and evaluation for which the user gave hooks, in its process.

    Return all ``hooks``, in order, in the form that ``estimator`` takes; None: not an estimator you know.
    The first answer counts and no other plugin is asked; without one the hooks are left as they are.
    """


# --- Moments in which a plugin can object -------------------------------------------------------------
# Returns are ignored. Raising is a veto: no other plugin is told, what was about to begin or go on does
# not, and the run (one export: only that export) fails with the plugin named.


@hookspec
def expcore_before_schedule(experiment: Any, schedule: str, options: Mapping[str, Any]) -> None:
    """Called once a ``run`` of an experiment, not for a schedule inside another; every process.

    ``options`` are those that the caller gave, by name; do not change them.
    """


@hookspec
def expcore_before_train(experiment: Any) -> None:
    """Called before each training call, after any delay; trainer only. Twice in a run that trains twice."""


@hookspec
def expcore_before_evaluate(experiment: Any, checkpoint: Checkpoint | None) -> None:
    """Called before each evaluation; None: the estimator evaluates without a checkpoint. Evaluator."""


@hookspec
def expcore_before_export(experiment: Any, exporter: Any, checkpoint: Checkpoint | None) -> None:
    """Called before each exporter is asked, also if it then declines; in the process that exports."""


@hookspec
def expcore_checkpoint_saved(experiment: Any, checkpoint: Checkpoint) -> None:
    """Called after each recorded save, in the trainer, while training waits: be quick.

    A step may come twice, after a rollback, with another ``checkpoint.id``.
    """


# --- Moments of which a plugin is told ----------------------------------------------------------------
# Returns are ignored. The log already holds what happened. Raising does not keep other plugins from being
# told: each error is logged with the plugin's name, and the run ends with all of them as a PluginError.


@hookspec
def expcore_after_schedule(experiment: Any, schedule: str, result: Any) -> None:
    """Called once for each ``expcore_before_schedule`` whose schedule did not fail; ``result`` is its."""


@hookspec
def expcore_after_train(experiment: Any, end: TrainingEnd) -> None:
    """Called once a ``run`` that trained and did not fail, in the trainer, also where a signal ended it.

    ``end`` has the last global step, the reason, the last checkpoint, and whether training is ``over``.
    """


@hookspec
def expcore_after_evaluate(experiment: Any, evaluation: Evaluation) -> None:
    """Called after each recorded evaluation, before exporters; twice for one step if evaluated twice."""


@hookspec
def expcore_after_export(experiment: Any, export: Export) -> None:
    """Called after each published export, once an exporter and checkpoint; not where it declined."""


@hookspec
def expcore_failed(experiment: Any, error: BaseException) -> None:
    """Called once a ``run`` that fails, with the error that is raised afterwards, in the failing process.

    Errors of your own are logged and noted on ``error``, which stays what the caller sees.
    """
