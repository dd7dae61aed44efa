"""What a clause of schedules is tried on: small real experiments, empty or with a training that has ended."""

from __future__ import annotations

import inspect
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from expcore.calling import parameters
from expcore.cluster import ClusterTask, RunConfig, parse_tf_config
from expcore.conformance.case import Case, Sample
from expcore.conformance.clause import NotApplicable, Runaway, Violation
from expcore.conformance.schedules.host import trial_host
from expcore.conformance.schedules.waiting import RealWaits
from expcore.conformance.schedules.watched import Bare, Data, Script, Shelf, Watched
from expcore.conformance.setting import endless_data, linear_data, quiet_host
from expcore.errors import NotTrained, one_line
from expcore.events import LogReader
from expcore.experiment import Experiment

TOTAL = 10
"""The experiments' ``train_steps``."""

EVERY = 4
"""Steps between checkpoints, evaluations, and of an iteration; ``TOTAL`` is no multiple of it."""

DELAY_SECS = 30.0

SIGNALS = (signal.SIGINT, signal.SIGTERM)

NAME = "it"
"""What the schedule is called while it is tried."""

EMPTY, FINISHED = "empty", "finished"
PLACES = {EMPTY: "in an empty directory", FINISHED: "beside a finished training"}

_PREDICATE = "predicate_fn"


class Cut(Exception):
    """Ends a training that is not the component's."""


class Trial:
    """One run of a schedule.

    Args:
        case: whose schedule it is.
        folder: where; the model directory is in it.
        place: what it finds there, "empty" or "finished".
        given: arguments of the Experiment, and ``bare``, ``component``, ``config`` and ``options``.

    Attributes:
        error: what it raised; None where it returned.
        unfinished: "coroutine", "generator" or "async generator", where that is all it returned; else "".
        waits: what it waited for really; it is cut short.
        shelf: the exporter.
        estimator: the estimator that is watched.
        train_data: the training data, unless others were given.
        eval_data: the evaluation data, likewise.
        clock: the experiment's.
        started_in: the working directory that it was run in.
        ended_in: the one that it left.
        handled: signals whose handlers it changed.
    """

    started_in = ended_in = unfinished = ""
    handled: Sequence[str] = ()

    def __init__(self, case: ScheduleCase, folder: Path, place: str, **given: Any) -> None:
        self.case, self.folder, self.place = case, folder, place
        self.error: BaseException | None = None
        self.shelf, self.clock, self.waits = Shelf(), Script(), RealWaits()
        self.train_data, self.eval_data = Data(endless_data), Data(linear_data)
        self.options = {**case.sample.options, **given.pop("options", {})}
        self.component = given.pop("component", None) or case.make()
        config = case.config(folder, **given.pop("config", {}))
        self.estimator = Watched(str(config.model_dir), config, self.clock)
        wanted = {
            "train_input_fn": self.train_data,
            "eval_input_fn": self.eval_data,
            "train_steps": TOTAL,
            "eval_steps": 2,
            "eval_every_n_steps": EVERY,
            "train_steps_per_iteration": EVERY,
            "eval_delay_secs": DELAY_SECS,
            "export_strategies": self.shelf,
            "plugins": trial_host(NAME, self.component),
            "clock": self.clock,
        }
        bare = given.pop("bare", False)
        self.experiment = Experiment(Bare(self.estimator) if bare else self.estimator, **{**wanted, **given})
        self._old = {event.id for event in self._log()}
        self._ends = len(self.experiment.history.training_ends)

    def run(self) -> Trial:
        """Runs it in a folder of its own; what it raises is kept, and what it changes is put back."""
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        before, self.started_in = os.getcwd(), str(work)
        os.chdir(work)
        handlers = {number: signal.getsignal(number) for number in SIGNALS}
        try:
            with self.waits.watching(self.component):
                self.unfinished = _unfinished(self.experiment.run(NAME, **self.options))
        except (Violation, NotApplicable):
            raise
        except BaseException as error:
            self.error = error
        finally:
            self.ended_in = os.getcwd()
            os.chdir(before)
            self.handled = [n.name for n in SIGNALS if signal.getsignal(n) is not handlers[n]]
            for number in SIGNALS:
                if signal.getsignal(number) is not handlers[number]:
                    signal.signal(number, handlers[number])
        return self

    @property
    def where(self) -> str:
        """The place in words."""
        return PLACES[self.place]

    @property
    def returned(self) -> bool:
        """Whether it came to its end without an error."""
        return self.error is None

    @property
    def told(self) -> str:
        """How it ended, in words."""
        return f"{self.where} it " + ("returned" if self.error is None else f"raised {one_line(self.error)}")

    @property
    def harmless(self) -> bool:
        """Whether it came to its end, or to the one that an empty directory allows."""
        allowed = (NotTrained, Runaway) if self.place == EMPTY else ()
        return self.error is None or isinstance(self.error, allowed)

    @property
    def offers(self) -> list[Any]:
        """What the exporter was offered of this model directory."""
        return [o for o in self.shelf.offers if o.estimator in (self.estimator, self.experiment.estimator)]

    def events(self, kind: str) -> list[Any]:
        """What it has added to the log, of one kind."""
        return [e for e in self._log() if e.kind == kind and e.id not in self._old]

    def _log(self) -> list[Any]:
        return list(LogReader(self.experiment.model_dir).read())

    @property
    def recorded_steps(self) -> int:
        """Steps that the log says were made."""
        return sum(end.steps for end in self.experiment.history.training_ends[self._ends :])


class ScheduleCase(Case):
    """Runs schedules as an experiment does."""

    def __init__(self, sample: Sample, folder: Path) -> None:
        super().__init__(sample, folder)
        self._trials = 0

    def trial(self, place: str = EMPTY, folder: Path | None = None, **given: Any) -> Trial:
        """Returns a run that has not begun.

        Args:
            place: what the schedule finds: "empty", or "finished", a training up to ``TOTAL``.
            folder: where a former trial was; None: a new one.
            given: as ``Trial`` has it.
        """
        if folder is None:
            self._trials += 1
            folder = self.folder / f"trial-{self._trials}"
            folder.mkdir()
            if place == FINISHED:
                self.train(folder, TOTAL)
        return Trial(self, folder, place, **given)

    def ended(self, **given: Any) -> Iterator[Trial]:
        """Yields a run in each place in which it returns."""
        for place in PLACES:
            trial = self.trial(place, **given).run()
            if trial.returned:
                yield trial

    def config(self, folder: Path, **changes: Any) -> RunConfig:
        """Returns the config of the schedule's experiment."""
        config = self._plain(folder).replace(**self.sample.config)
        if self.serves and "task" not in self.sample.config:
            config = config.replace(task=_task())
        return config.replace(**changes)

    def _plain(self, folder: Path) -> RunConfig:
        return RunConfig(
            model_dir=str(folder / "model"),
            save_checkpoints_steps=EVERY,
            keep_checkpoint_max=0,
            task=ClusterTask(),
        )

    @property
    def serves(self) -> bool:
        """Whether the schedule says that it is a server."""
        declared = self.sample.capabilities
        if declared is None:
            declared = getattr(self.make(), "capabilities", None)
        return not callable(declared) and "serves" in (declared or ())

    def train(self, folder: Path, until: int, cut: bool = False) -> Experiment:
        """Trains as another process would, by the passes; ``cut``: it fails there, which is no end."""
        clock = Script()
        config = self._plain(folder)
        estimator = Watched(str(config.model_dir), config, clock)
        experiment = Experiment(
            estimator, endless_data, linear_data, until, 2, plugins=quiet_host(), clock=clock
        )
        if not cut:
            experiment.train_pass()
            return experiment

        experiment.extend_train_hooks([_Fails(until)])
        try:
            experiment.train_pass()
        except Cut:
            return experiment
        raise AssertionError("the training was not cut")

    def predicates(self) -> list[str]:
        """Returns the options that take a predicate."""
        return predicate_options(self.make())


def _unfinished(result: Any) -> str:
    """Returns in words what would have to be run yet; it never is."""
    if inspect.iscoroutine(result):
        result.close()
        return "coroutine"
    if inspect.isasyncgen(result):
        return "async generator"
    return "generator" if inspect.isgenerator(result) else ""


class _Fails:
    """A hook that ends its training at a step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def next_step(self, step: int) -> int:
        return step + 1

    def after_steps(self, run: Any) -> None:
        if run.step >= self._step:
            raise Cut


def predicate_options(component: Any) -> list[str]:
    """Returns the names of a schedule's options that take a predicate."""
    return [name for name in parameters(component) if name.endswith(_PREDICATE)]


def _task() -> Any:
    """A parameter server of a cluster on this machine, at ports that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as a, socket.create_server(("127.0.0.1", 0)) as b:
        chief, own = (f"127.0.0.1:{s.getsockname()[1]}" for s in (a, b))
    return parse_tf_config({"cluster": {"chief": [chief], "ps": [own]}, "task": {"type": "ps", "index": 0}})
