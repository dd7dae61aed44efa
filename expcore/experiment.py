"""Experiment: everything a schedule needs in one object; its methods run the schedule of their name."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from expcore import publish
from expcore.calling import no_exit
from expcore.checks import (
    check_estimator,
    check_eval_sets,
    check_listeners,
    check_name,
    check_number,
    check_options,
    check_secs,
    listed,
)
from expcore.clock import RealClock
from expcore.cluster import config_value
from expcore.errors import InvalidArgument, listing
from expcore.history import History
from expcore.host import PluginHost, default_host
from expcore.methods import ALIASES, NOT_GIVEN, ScheduleMethods
from expcore.parts import Parts
from expcore.passes import Passes
from expcore.passes.evaluate_pass import Request
from expcore.passes.journal import Journal
from expcore.passes.train_pass import OnSave
from expcore.types import (
    Checkpoint,
    Clock,
    EvalInputFn,
    InputFn,
    Metrics,
    TrainingEnd,
)

_LOG = logging.getLogger(__name__)

_WAIT_SLICE_SECS = 1.0


class Experiment(Parts, ScheduleMethods):
    """An estimator with its data, its hooks and what to do with the results.

    Nothing that is given is run or opened by the constructor. The defaults are those of Polyaxon's
    Experiment of 2017; TensorFlow's differ where said.

    Args:
        estimator: what is trained and evaluated (``expcore.types.Estimator``).
        train_input_fn: a function of no arguments that gives the training data.
        eval_input_fn: the same for evaluation, or a mapping of names to such functions: every set is
            evaluated on the same restored checkpoint; the first is the main one, written to ``eval/``, the
            others to ``eval_<set>/``. Predicates and exporters see the main set's metrics under their own
            names and all sets' as ``<set>/<metric>``.
        train_steps: global step at which training is complete; None: until the input ends or a hook stops.
        eval_steps: batches of one evaluation; None: until the input ends. (TensorFlow's default was 100.)
        train_hooks: hooks of every train pass.
        eval_hooks: hooks of every evaluation.
        eval_delay_secs: seconds that an evaluating schedule waits first. (TensorFlow's default was 120.)
        continuous_eval_throttle_secs: least seconds from the start of one evaluation to the next.
        eval_every_n_steps: while training, least steps from one evaluation to the next; 0 or None: only at
            the end.
        delay_workers_by_global_step: workers start at a global step instead of after seconds.
        export_strategies: one or several of: exporters, policies, bare formats (exported as ``latest``).
        train_steps_per_iteration: steps of one iteration of ``continuous_train_and_evaluate``; None: a
            tenth of ``train_steps``, or 1000.
        saving_listeners: told of each save, after it was recorded.
        plugins: the host that finds schedules and other components; None: the process's own.
        clock: gives time and waits; None: the real one.

    Raises:
        InvalidArgument: (a ValueError) the estimator or an export strategy is not one, two exporters have
            one name, the estimator takes no saving listeners, a mapping of evaluation sets is empty or has a
            name that cannot be a directory's, or a number is not what it must be.
    """

    def __init__(
        self,
        estimator: Any,
        train_input_fn: InputFn,
        eval_input_fn: EvalInputFn,
        train_steps: int | None = None,
        eval_steps: int | None = 10,
        train_hooks: Iterable[Any] | None = None,
        eval_hooks: Iterable[Any] | None = None,
        eval_delay_secs: float = 0,
        continuous_eval_throttle_secs: float = 60,
        eval_every_n_steps: int | None = 1,
        delay_workers_by_global_step: bool = False,
        export_strategies: Any = None,
        train_steps_per_iteration: int | None = 100,
        *,
        saving_listeners: Iterable[Any] | None = None,
        plugins: PluginHost | None = None,
        clock: Clock | None = None,
    ) -> None:
        check_estimator(estimator)
        check_eval_sets(eval_input_fn)
        check_number("train_steps", train_steps, 1)
        check_number("eval_steps", eval_steps, 1)
        check_number("eval_every_n_steps", eval_every_n_steps, 0)
        check_number("train_steps_per_iteration", train_steps_per_iteration, 1)
        check_secs("eval_delay_secs", eval_delay_secs)
        check_secs("continuous_eval_throttle_secs", continuous_eval_throttle_secs)
        self._estimator = estimator
        self._train_input_fn = train_input_fn
        self._eval_input_fn = dict(eval_input_fn) if isinstance(eval_input_fn, Mapping) else eval_input_fn
        self._train_steps = train_steps
        self._eval_steps = eval_steps
        self._train_hooks = listed("train_hooks", train_hooks)
        self._eval_hooks = listed("eval_hooks", eval_hooks)
        self._eval_delay_secs = eval_delay_secs
        self._continuous_eval_throttle_secs = continuous_eval_throttle_secs
        self._eval_every_n_steps = eval_every_n_steps
        self._delay_workers_by_global_step = delay_workers_by_global_step
        self._train_steps_per_iteration = train_steps_per_iteration
        self._saving_listeners = listed("saving_listeners", saving_listeners)
        check_listeners(estimator, self._saving_listeners)
        self._plugins = default_host() if plugins is None else plugins
        self._clock: Clock = RealClock() if clock is None else clock
        self._export_strategies = self._exporters(export_strategies)
        task = (
            f"{config_value(self.config, 'task_type') or 'local'}-{config_value(self.config, 'task_id') or 0}"
        )
        self._journal = Journal(self.model_dir, task, self._clock, estimator.latest_checkpoint)
        self._passes = Passes(self, self._journal)
        self.timed_out = False
        self.signalled: int | None = None

    def extend_train_hooks(self, hooks: Iterable[Any]) -> None:
        """Adds hooks to every later train pass."""
        self._train_hooks.extend(hooks)

    def extend_eval_hooks(self, hooks: Iterable[Any]) -> None:
        """Adds hooks to every later evaluation."""
        self._eval_hooks.extend(hooks)

    def reset_export_strategies(self, new_export_strategies: Any = None) -> tuple[Any, ...]:
        """Replaces the exporters (None: by none) and returns the old ones."""
        old, self._export_strategies = self._export_strategies, self._exporters(new_export_strategies)
        return old

    # -- what schedules are written in --------------------------------------------------------------

    @property
    def history(self) -> History:
        """What the log of the model directory says now."""
        return self._journal.history

    def latest_checkpoint(self) -> Checkpoint | None:
        """Returns the estimator's newest checkpoint; None without one."""
        return self._journal.latest()

    def checkpoints(self) -> list[Checkpoint]:
        """Returns the checkpoints there are, oldest first; only the newest if the estimator knows no more."""
        return [self.history.identify(path) for path in self.checkpoint_paths()]

    def train_pass(
        self,
        steps: int | None = None,
        hooks: Sequence[Any] = (),
        on_save: OnSave | None = None,
        save_every: int | None = None,
    ) -> TrainingEnd:
        """Trains, records every save, and says how it ended.

        Args:
            steps: train so many steps more; None: until ``train_steps``. No step is made where
                ``train_steps`` is reached already.
            hooks: besides the experiment's own.
            on_save: called with each checkpoint but the last of the pass, after it was recorded; returning
                True ends training.
            save_every: also save every so many steps.

        Raises:
            Locked: another process trains in the model directory.
            StoppedBySignal: a signal asked for the end; the state is saved.
            InvalidHook: the estimator does not take one of the hooks; no step was made.
        """
        return self._passes.train(steps, hooks, on_save, save_every)

    def evaluate_pass(
        self,
        checkpoint_path: str | None = None,
        name: str | None = None,
        on_train_data: bool = False,
        once: bool = False,
        steps: int | None = NOT_GIVEN,
    ) -> dict[str, Any] | None:
        """Evaluates a checkpoint on every set and records the result.

        Args:
            checkpoint_path: which; None: the latest.
            name: results are written to ``eval_<name>/`` instead of ``eval/``.
            on_train_data: use the training data; written to ``eval_on_train_data/``.
            once: only what nobody has evaluated yet. Returns None where the checkpoint is evaluated already,
                another evaluator is at it, or it is gone or corrupt; the log says which.
            steps: batches; not given: ``eval_steps``; None: until the input ends.

        Returns:
            The metrics with ``global_step``; an empty dict if the estimator gave none.

        Raises:
            InvalidArgument: ``name`` together with a mapping of evaluation sets.
            StoppedBySignal: a signal asked for the end.
        """
        self.check_eval_name(name, on_train_data)
        steps = self._eval_steps if steps is NOT_GIVEN else steps
        request = Request(name or None, "train" if on_train_data else "eval", steps)
        return self._passes.evaluate(checkpoint_path, request, once)

    def export_pass(
        self, eval_result: Metrics | None, checkpoint_path: str | None = None, final: bool = False
    ) -> list[str | None]:
        """Offers a checkpoint to every exporter.

        Args:
            eval_result: its evaluation.
            checkpoint_path: which; None: the latest.
            final: whether this is the last export of the run.

        Returns:
            What each exporter has written of this checkpoint, now or before, in order; None for nothing.

        Raises:
            ExportFailed: at the end of the schedule, or of this pass without one: exporters failed. One
                that fails does not keep the others from running.
        """
        return self._passes.export(eval_result, checkpoint_path, final)

    def export_missed(self) -> None:
        """Offers to the exporters what a crash or a failure of theirs kept from them.

        Those are the last evaluated checkpoint where nothing is recorded of an exporter, as after a crash
        between evaluation and export, and checkpoints for which an exporter failed and has exported no later
        one since; as long as they are there, and unless their step reaches ``train_steps``, since that one
        is exported as the final one anyway. Schedules that export call it when they begin.

        Raises:
            ExportFailed: as ``export_pass`` says.
        """
        self._passes.export_missed()

    def wait(self, secs: float, why: str = "") -> None:
        """Waits by the experiment's clock; nothing for zero or less.

        Raises:
            StoppedBySignal: a signal came.
        """
        if secs > 0 and why:
            _LOG.info("waiting %g seconds %s", secs, why)
        until = self._clock.monotonic() + secs
        while (left := until - self._clock.monotonic()) > 0:
            self._clock.sleep(min(left, _WAIT_SLICE_SECS))
            self.check_signal()

    def check_eval_name(self, name: str | None, on_train_data: bool = False) -> None:
        """Raises InvalidArgument for a name that is no directory's, or that meets a mapping of sets."""
        if name:
            check_name(name, "evaluation")
        if name and not on_train_data and isinstance(self._eval_input_fn, Mapping):
            raise InvalidArgument(
                f"name={name!r}: eval_input_fn is a mapping, whose names {listing(list(self.eval_sets))} "
                "name the directories; leave name out"
            )

    def copy(self, estimator: Any) -> Experiment:
        """Returns an experiment of the same parts with another estimator and no eval hooks."""
        return Experiment(
            estimator,
            self._train_input_fn,
            self._eval_input_fn,
            eval_steps=self._eval_steps,
            train_hooks=self._train_hooks,
            export_strategies=self._export_strategies,
            saving_listeners=self._saving_listeners,
            plugins=self._plugins,
            clock=self._clock,
        )

    # -- schedules ----------------------------------------------------------------------------------

    def run(self, schedule: str, /, **options: Any) -> Any:
        """Runs an installed schedule by name and returns what it returns.

        Raises:
            UnknownComponent: no plugin provides it.
            UnknownOption: the schedule does not have one of the options.
        """
        component = self._plugins.resolve("schedules", ALIASES.get(schedule, schedule))
        function = self._plugins.load("schedules", ALIASES.get(schedule, schedule))
        check_options(component.name, component.provider, function, options)
        return self._passes.schedule(component, function, options)

    def _exporters(self, given: Any) -> tuple[Any, ...]:
        if given is None:
            return ()
        alone = isinstance(given, str) or not isinstance(given, Iterable)
        exporters = tuple(publish.as_exporter(v, self._latest) for v in ([given] if alone else given))
        names = [exporter.name for exporter in exporters]
        for name in names:
            if names.count(name) > 1:
                raise InvalidArgument(
                    f"export_strategies: {names.count(name)} exporters are called {name!r}, which is "
                    "also their directory; give all but one another name="
                )
        return exporters

    def _latest(self, format_: Any) -> Any:
        """A bare format is exported by the policy of this name, whoever provides it."""
        latest = self._plugins.load("exporters", "latest")
        with no_exit("exporter 'latest'"):
            return latest(format_)
