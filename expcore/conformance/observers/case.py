"""What a clause of observers is tried on: small runs of several kinds, of which they are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from expcore.conformance.case import Case, PatientClock
from expcore.conformance.observers.watched import Watched
from expcore.conformance.provided import own_estimator
from expcore.conformance.setting import linear_data, small_experiment
from expcore.errors import StoppedBySignal, one_line
from expcore.experiment import Experiment
from expcore.testing.sandbox import PluginSandbox

STEPS = 10


class Quiet:
    """A hook of the user's, which does nothing."""

    def end(self, run: Any) -> None:
        """Does nothing."""


class Notes:
    """An exporter that writes the step."""

    name = "notes"

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None = None,
        eval_result: Any = None,
        is_the_final_export: bool = False,
    ) -> str:
        """Writes one file."""
        step = eval_result["global_step"] if eval_result else 0
        path = Path(export_path, str(step))
        path.mkdir(parents=True, exist_ok=True)
        (path / "step.txt").write_text(str(step))
        return str(path)


class Foreign:
    """What every estimator has and no more: no listeners, no config, and it does not tell its checkpoints."""

    config = None

    def __init__(self, model_dir: str) -> None:
        self.model_dir, self.step = model_dir, 0

    def train(
        self, input_fn: Any, hooks: Any = None, steps: int | None = None, max_steps: int | None = None
    ) -> Foreign:
        """Counts."""
        self.step = self.step + steps if steps is not None else max(self.step, max_steps or 0)
        return self

    def evaluate(
        self,
        input_fn: Any,
        steps: int | None = None,
        hooks: Any = None,
        checkpoint_path: str | None = None,
        name: str | None = None,
    ) -> dict[str, Any]:
        """Says a loss."""
        return {"loss": 1 / (1 + self.step), "global_step": self.step}

    def latest_checkpoint(self) -> str | None:
        """Is not told."""
        return None


class Boom(Exception):
    """What goes wrong in a run that fails."""


def life(experiment: Experiment, rounds: int = 1) -> Any:
    """The suite's schedule: trains, evaluates and exports, so many times."""
    result: Any = None
    for n in range(rounds):
        experiment.train_pass(
            STEPS, save_every=STEPS // 2, on_save=lambda saved: _evaluated(experiment, saved)
        )
        result = experiment.evaluate_pass()
        experiment.export_pass(result, final=n == rounds - 1)
    return result


def _evaluated(experiment: Experiment, saved: Any) -> None:
    experiment.evaluate_pass(saved.path)


def evaluation(experiment: Experiment) -> Any:
    """The schedule of an evaluator."""
    return experiment.evaluate_pass()


def failure(experiment: Experiment, train: bool = True) -> Any:
    """A schedule that fails, after training or at once."""
    if train:
        experiment.train_pass(STEPS)
    raise Boom


def cut(experiment: Experiment) -> Any:
    """A schedule that a signal ends while it trains."""
    return experiment.train_pass(
        STEPS, save_every=STEPS // 2, on_save=lambda _saved: experiment.interrupt(15)
    )


SCHEDULES: tuple[Callable[..., Any], ...] = (life, evaluation, failure, cut)


class ObserverCase(Case):
    """Runs experiments under a host that knows the observer and nothing else."""

    def make(self) -> Any:
        """Returns a fresh observer: what is named, or an instance of the class that is named."""
        made = self.sample.make()
        return made() if isinstance(made, type) else made

    def watch(self) -> Watched:
        """Returns a fresh one that is watched."""
        return Watched(self.make())

    def host(self, *observers: Any) -> Any:
        """Returns a plugin host with these observers and the suite's schedules."""
        sandbox = PluginSandbox()
        for schedule in SCHEDULES:
            sandbox.add("schedules", schedule.__name__, schedule)
        for observer in observers:
            sandbox.observe(observer)
        return sandbox.host

    def estimator(self, folder: str, clock: PatientClock) -> Any:
        """Returns the sample's estimator in a folder of the case; None: the suite's own will do."""
        return own_estimator(self.sample, str(self.folder / folder / "model"), clock)

    def experiment(self, host: Any, folder: str = "one", estimator: Any = None) -> Experiment:
        """Returns a new experiment in a folder of the case, with a hook, an eval hook and an exporter."""
        clock = PatientClock()
        (self.folder / folder).mkdir(exist_ok=True)
        estimator = estimator or self.estimator(folder, clock)
        given = {"train_input_fn": self.sample.train_input_fn} if self.sample.train_input_fn else {}
        data = self.sample.eval_input_fn or self.sample.train_input_fn or linear_data
        return small_experiment(
            self.folder / folder,
            estimator,
            eval_input_fn=data,
            train_hooks=[Quiet()],
            eval_hooks=[Quiet()],
            export_strategies=[Notes()],
            plugins=host,
            clock=clock,
            **given,
        )

    def live(
        self, watched: Watched, experiment: Experiment, when: str, schedule: str = "life", **options: Any
    ) -> BaseException | None:
        """Runs a schedule of the suite; a Violation where the observer, or a hook that it added, raises.

        Args:
            watched: the observer.
            experiment: made with a host that has it.
            when: for messages: "in the second run".
            schedule: name of the schedule.
            options: its options.

        Returns:
            What ended the run, where it was to end so: Boom or a signal.
        """
        try:
            experiment.run(schedule, **options)
        except (Boom, StoppedBySignal) as end:
            self.require_no_error(watched, when)
            return end
        except Exception as error:
            self.require_no_error(watched, when)
            self.require(False, f"{when} the run raised {one_line(error)}", "no error")
        self.require_no_error(watched, when)
        return None

    def lived(self, rounds: int = 1) -> Watched:
        """Returns what was seen of a fresh observer in a run."""
        watched = self.watch()
        experiment = self.experiment(self.host(watched))
        self.live(watched, experiment, "in a run that trains, evaluates and exports", rounds=rounds)
        return watched

    def require_no_error(self, watched: Watched, when: str) -> None:
        """Ends the clause where a hook of the observer raised."""
        for hook, error in watched.errors:
            self.require(False, f"{when} {hook}() raised {one_line(error)}", "no error")
