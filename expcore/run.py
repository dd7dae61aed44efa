"""Running an experiment that a function builds: checks, the schedule of the task, signals."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from expcore.calling import describe
from expcore.cluster import RunConfig, default_schedule
from expcore.errors import (
    ExpcoreError,
    InvalidArgument,
    InvalidType,
    UnknownComponent,
    listing,
    nearest,
)
from expcore.experiment import Experiment
from expcore.methods import ALIASES, ScheduleMethods

_LOG = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ConfigNotUsed(InvalidType, RuntimeError):
    """The builder's estimator does not use the RunConfig that it was given."""


def run_experiment(
    experiment_fn: Callable[..., Experiment],
    output_dir: str | None = None,
    schedule: str | None = None,
    run_config: RunConfig | None = None,
    hparams: Any = None,
) -> Any:
    """Builds an experiment and runs one of its schedules.

    SIGINT and SIGTERM end it after the state is saved (StoppedBySignal, exit code 130 or 143); a second one
    ends it at once.

    Args:
        experiment_fn: ``experiment_fn(output_dir=...)``, or with ``run_config`` ``experiment_fn(run_config,
            hparams)``; returns an Experiment.
        output_dir: model directory; exactly one of it and ``run_config``.
        schedule: a schedule's name, or the name of a method that a subclass of Experiment adds; None: by
            the task of the estimator's config (``expcore.cluster.default_schedule``).
        run_config: a RunConfig with a model_dir; the estimator must use it.
        hparams: a mapping, or an object with ``values()``; only with ``run_config``.

    Returns:
        What the schedule returns.

    Raises:
        InvalidArgument: (a ValueError) both or neither of output_dir and run_config, an empty directory,
            hparams without run_config, an unknown schedule, or a task without a default one.
        InvalidType: (a TypeError) experiment_fn is not callable or returned something else, or the schedule
            names an attribute that is not callable.
        ConfigNotUsed: (a RuntimeError) the estimator uses another configuration.
    """
    experiment = build_experiment(experiment_fn, output_dir, run_config, hparams)
    with signals_interrupt(experiment):
        return run_schedule(experiment, schedule)


def build_experiment(
    experiment_fn: Callable[..., Experiment],
    output_dir: str | None = None,
    run_config: RunConfig | None = None,
    hparams: Any = None,
) -> Experiment:
    """Calls the builder after every check that can be made before; ``run_experiment`` has the rules."""
    if output_dir is not None and run_config is not None:
        raise InvalidArgument("Cannot provide both `output_dir` and `run_config`; give one of them")
    if output_dir is None and run_config is None:
        raise InvalidArgument("Must set value for `output_dir` or `run_config`; neither is given")
    if not callable(experiment_fn):
        raise InvalidType(f"Experiment builder {experiment_fn!r} is not callable; give a function")
    if run_config is None:
        return _from_output_dir(experiment_fn, str(output_dir), hparams)
    return _from_run_config(experiment_fn, run_config, hparams)


def _from_output_dir(experiment_fn: Callable[..., Any], output_dir: str, hparams: Any) -> Experiment:
    if not output_dir:
        raise InvalidArgument("Must specify an output directory; `output_dir` is empty")
    if hparams is not None:
        raise InvalidArgument("Must set `hparams` as None with `output_dir`; pass run_config to use hparams")
    return _checked(experiment_fn(output_dir=output_dir))


def _from_run_config(experiment_fn: Callable[..., Any], run_config: Any, hparams: Any) -> Experiment:
    if not isinstance(run_config, RunConfig):
        raise InvalidArgument(f"`run_config` is {run_config!r}; it must be an expcore.RunConfig")
    if not run_config.model_dir:
        raise InvalidArgument("`run_config` has no model_dir; make it RunConfig(model_dir=...)")
    if hparams is not None and not (
        isinstance(hparams, Mapping) or callable(getattr(hparams, "values", None))
    ):
        raise InvalidArgument(f"`hparams` is {hparams!r}; it must be a mapping, or have values()")
    experiment = _checked(experiment_fn(run_config, hparams))
    uid = getattr(experiment.config, "uid", None)
    if not callable(uid):
        raise ConfigNotUsed(
            f"the estimator's config is {describe(type(experiment.config))}, which has no uid(); the "
            "RunConfig given to the builder must be used by the estimator"
        )
    if uid() != run_config.uid():
        mine, its = run_config.uid(), uid()
        differ = [name for name in mine if not isinstance(its, Mapping) or mine[name] != its.get(name)]
        raise ConfigNotUsed(
            f"the estimator's RunConfig differs in {listing(differ)} from the one given to the builder; the "
            "`RunConfig` instance is expected to be used by the estimator"
        )
    return experiment


def _checked(experiment: Any) -> Experiment:
    if not isinstance(experiment, Experiment):
        raise InvalidType(
            f"Experiment builder did not return an Experiment instance, but {experiment!r}; "
            "return Experiment(...) from it"
        )
    return experiment


def run_schedule(experiment: Experiment, schedule: str | None = None) -> Any:
    """Runs a schedule by name, or the default one of the task."""
    name = default_schedule(experiment.config) if schedule is None else schedule
    experiment.plugins.start()  # schedules that a plugin works out at run time count as well
    installed = [c.name for c in experiment.plugins.catalogue("schedules")]
    method = ALIASES.get(name, name)
    if _added(experiment, name):
        task = getattr(experiment, name)
    elif hasattr(ScheduleMethods, method) and method in installed:
        return getattr(experiment, name)()  # a subclass may have its own
    elif method in installed or ":" in name:
        return experiment.run(name)
    elif isinstance(getattr(Experiment, name, None), property):
        task = getattr(experiment, name)
    else:
        raise _switched_off(experiment, method) or InvalidArgument(
            f"Schedule references non-existent task {name!r}{nearest(name, installed)}; "
            f"installed schedules are {listing(sorted(set(installed)))}"
        )
    if not callable(task):
        raise InvalidType(f"Schedule references non-callable member {name!r}; name a schedule")
    return task()


def _switched_off(experiment: Experiment, name: str) -> ExpcoreError | None:
    """Returns what to say of a schedule that is installed and switched off; None if it is not there."""
    try:
        return experiment.plugins.explain("schedules", name).error
    except UnknownComponent:
        return None


def _added(experiment: Experiment, name: str) -> bool:
    """Whether a subclass or its object has a public member of this name that an Experiment has not."""
    return (
        not name.startswith("_")
        and name not in ALIASES
        and not hasattr(Experiment, name)
        and hasattr(experiment, name)
    )


@contextmanager
def signals_interrupt(experiment: Experiment) -> Iterator[None]:
    """While in this context SIGINT and SIGTERM end the experiment in order; a second one at once.

    Does nothing outside of the main thread, where Python takes no signal handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(signum: int, _: FrameType | None) -> None:
        _LOG.warning("%s: the run ends when its state is saved", signal.Signals(signum).name)
        experiment.interrupt(signum)
        signal.signal(signum, old[signal.Signals(signum)])

    # None stands for a handler that was not set from Python, and cannot be set again.
    old = {s: signal.signal(s, interrupt) or signal.SIG_DFL for s in SIGNALS}
    try:
        yield
    finally:
        for signum, handler in old.items():
            signal.signal(signum, handler)


def tune(experiment_fn: Callable[..., Experiment], tuner: Any) -> None:
    """Runs a tuner's trials.

    While ``tuner.next_trial()`` is true, ``tuner.run_experiment`` is called with a builder
    ``(run_config, hparams)`` that checks what ``run_experiment`` checks.

    Args:
        experiment_fn: ``experiment_fn(run_config, hparams)``, returns an Experiment.
        tuner: an object with ``next_trial()`` and ``run_experiment(experiment_fn)``.

    Raises:
        InvalidType: experiment_fn is not callable.
        InvalidArgument: (from the builder) hparams is None.
    """
    if not callable(experiment_fn):
        raise InvalidType(f"Experiment builder {experiment_fn!r} is not callable; give a function")

    def build(run_config: RunConfig, hparams: Any) -> Experiment:
        if hparams is None:
            raise InvalidArgument("`hparams` cannot be `None`; the tuner must give the trial's parameters")
        return build_experiment(experiment_fn, run_config=run_config, hparams=hparams)

    while tuner.next_trial():
        tuner.run_experiment(build)
