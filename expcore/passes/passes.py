"""The three passes that every schedule is written in, and what is kept around a whole schedule."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from expcore import events as ev
from expcore.calling import check_ran, describe, no_exit
from expcore.errors import CannotWrite, ExpcoreError, NoNews, StoppedBySignal, one_line
from expcore.parts import Parts
from expcore.passes.evaluate_pass import EvaluatePass, Request
from expcore.passes.export_pass import ExportPass
from expcore.passes.journal import Journal
from expcore.passes.train_pass import OnSave, Training
from expcore.types import Component, Metrics, TrainingEnd

_LOG = logging.getLogger(__name__)


class Passes:
    """What an experiment does; a schedule decides when.

    Args:
        experiment: whose estimator, inputs, hooks and exporters are used.
        journal: where everything is recorded.
    """

    def __init__(self, experiment: Parts, journal: Journal) -> None:
        self._experiment, self._journal = experiment, journal
        self._evaluate = EvaluatePass(experiment, journal)
        self._export = ExportPass(experiment, journal)
        self._training: Training | None = None
        self._component: Component | None = None
        self._recorded = True
        self._depth = 0
        self._in_training = False
        self._resources = ExitStack()

    def schedule(self, component: Component, function: Callable[..., Any], options: Mapping[str, Any]) -> Any:
        """Runs a schedule and records how it began and ended; only the outermost of nested ones counts."""
        experiment, host = self._experiment, self._experiment.plugins
        if self._depth:
            return self._call(component, function, options)
        with self._outermost(component, recorded=not getattr(function, "unrecorded", False)):
            told = {k: _told(v) for k, v in options.items()}
            # run.json is the last training's; what an evaluation was made of is told nowhere else.
            self._record(ev.SCHEDULE_STARTED, options=told, plugins=host.snapshot())
            host.ask(
                "expcore_before_schedule",
                experiment=experiment,
                schedule=component.name,
                options=dict(options),
            )
            result = self._call(component, function, options)
            self._journal.defer_observers(
                host.notify(
                    "expcore_after_schedule", experiment=experiment, schedule=component.name, result=result
                )
            )
        return result

    def _call(self, component: Component, function: Callable[..., Any], options: Mapping[str, Any]) -> Any:
        subject = f"schedule {component.name!r} ({component.provider})"
        try:
            result = function(self._experiment, **options)
            check_ran(result, subject)
            return result
        except NoNews as news:
            _LOG.warning("%s", news)
            self._experiment.timed_out = True
            return news.result

    @contextmanager
    def _outermost(self, component: Component | None = None, recorded: bool = True) -> Iterator[None]:
        """What must happen around a schedule, or around a pass that is made without one."""
        if self._depth:
            yield
            return
        self._experiment.plugins.start()
        self._experiment.timed_out = False
        self._depth, self._training = 1, None
        self._component, self._recorded = component, recorded
        try:
            with ExitStack() as self._resources:
                try:
                    with no_exit(self._subject()):
                        yield
                    self._finish(None)
                except BaseException as error:
                    self._failed(error)
                    raise
        finally:
            self._depth = 0
        if component is not None:
            self._record(ev.SCHEDULE_ENDED, timed_out=self._experiment.timed_out)
        try:
            self._journal.raise_deferred()
        except ExpcoreError as error:
            self._tell(error)
            raise

    def _subject(self) -> str:
        if self._component is None:
            return "a part of the experiment"
        return f"schedule {self._component.name!r} ({self._component.provider}), or what it called,"

    def _record(self, kind: str, **data: Any) -> None:
        """Records what happened to the schedule, unless it wants no record, as one that works on a copy."""
        name, provider = (self._component.name, self._component.provider) if self._component else ("", "")
        if self._recorded:
            self._journal.log.append(kind, schedule=name, provider=provider, **data)

    def _finish(self, error: BaseException | None) -> None:
        if self._training is None:
            return
        end = self._training.finish(error)
        if end is not None and (error is None or isinstance(error, StoppedBySignal)):
            self._journal.defer_observers(
                self._experiment.plugins.notify("expcore_after_train", experiment=self._experiment, end=end)
            )

    def _failed(self, error: BaseException) -> None:
        if self._component is not None and isinstance(error, Exception):
            error.add_note(f"in schedule {self._component.name!r} of {self._component.provider}")
        try:
            self._finish(error)
            if isinstance(error, StoppedBySignal):
                self._experiment.signalled = None  # it is answered; the next call is another run
                if self._component is not None:
                    self._record(ev.SCHEDULE_ENDED, signal=error.signum)
        except CannotWrite as second:
            error.add_note(f"and this could not be recorded: {second}")
        self._journal.note_deferred(error)
        if not isinstance(error, StoppedBySignal):
            self._tell(error)

    def _tell(self, error: BaseException) -> None:
        """Records an error and tells the plugins of it, before it is raised."""
        try:
            self._record(ev.FAILED, error=one_line(error))
        except CannotWrite as second:
            error.add_note(f"and this could not be recorded: {second}")
        for failure in self._experiment.plugins.notify(
            "expcore_failed", experiment=self._experiment, error=error
        ):
            error.add_note(f"told of it, an observer failed as well: {one_line(failure)}")

    def train(
        self, steps: int | None, hooks: Sequence[Any], on_save: OnSave | None, save_every: int | None
    ) -> TrainingEnd:
        """Trains; ``Experiment.train_pass`` has the whole text."""
        with self._outermost():
            self._experiment.check_signal()
            if self._training is None:
                self._training = Training(self._experiment, self._journal, self._resources)
            self._in_training = True
            try:
                end = self._training.run(steps, hooks, on_save, save_every)
            finally:
                self._in_training = False
            self._experiment.check_signal()
        return end

    def evaluate(self, checkpoint_path: str | None, request: Request, once: bool) -> dict[str, Any] | None:
        """Evaluates; ``Experiment.evaluate_pass`` has the whole text."""
        with self._outermost():
            self._check_signal()
            result = self._evaluate.run(checkpoint_path, request, once)
            self._check_signal()
        return result

    def _check_signal(self) -> None:
        if not self._in_training:  # there the signal ends training first, in order
            self._experiment.check_signal()

    def export(
        self, eval_result: Metrics | None, checkpoint_path: str | None, final: bool
    ) -> list[str | None]:
        """Exports; ``Experiment.export_pass`` has the whole text."""
        with self._outermost():
            return self._export.run(eval_result, checkpoint_path, final)

    def export_missed(self) -> None:
        """Exports what was missed; ``Experiment.export_missed`` has the whole text."""
        with self._outermost():
            self._export.run_missed()


def _told(value: Any) -> Any:
    """An option as the log keeps it: plain values as they are, objects by their names."""
    return value if value is None or isinstance(value, str | bool | int | float) else describe(value)
