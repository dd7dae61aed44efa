"""Trained: a model directory of three evaluated checkpoints, made once and copied for each clause."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from expcore.cluster import RunConfig
from expcore.conformance.case import PatientClock, Sample
from expcore.conformance.exporters.lending import LendingEstimator, Watch
from expcore.conformance.provided import own_estimator
from expcore.conformance.setting import endless_data, linear_data, small_experiment
from expcore.experiment import Experiment

ROUNDS, STEPS = 3, 10


def turning_data() -> Iterator[Any]:
    """Yields batches whose labels change sign after two rounds, so that the third result is worse."""
    for n, (x, y) in enumerate(endless_data()):
        yield x, -y if (n // STEPS) % ROUNDS == ROUNDS - 1 else y


@dataclass(frozen=True)
class Round:
    """A checkpoint's path and its evaluation."""

    path: str
    result: Mapping[str, Any]


@dataclass
class Trained:
    """An estimator that was trained.

    Attributes:
        estimator: itself.
        experiment: an experiment of it; its log has the saves and evaluations.
        rounds: the checkpoints, oldest first; the last is the latest one, but not the best.
        watch: sees what the estimator is asked for.
    """

    estimator: Any
    experiment: Experiment
    rounds: list[Round]
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(self.estimator)

    @property
    def model_dir(self) -> Path:
        """The model directory."""
        return Path(self.estimator.model_dir)

    def remove(self, n: int) -> None:
        """Removes the files of a checkpoint, and makes the estimator unable to read any."""
        self.watch.broken = True
        path = Path(self.rounds[n].path)
        for found in [path, *path.parent.glob(f"{path.name}.*")]:
            if found.is_dir():
                shutil.rmtree(found)
            else:
                found.unlink(missing_ok=True)


class Setting:
    """Makes estimators and experiments as a sample says.

    Args:
        sample: has the estimator and the data.
    """

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self.train_input_fn = sample.train_input_fn or turning_data
        self.eval_input_fn = sample.eval_input_fn or sample.train_input_fn or linear_data

    def estimator(self, model_dir: Path) -> Any:
        """Returns a new estimator; an InvalidSample where the sample's own is none."""
        own = own_estimator(self._sample, str(model_dir), PatientClock())
        return numpy_estimator(str(model_dir)) if own is None else own

    def experiment(self, folder: Path, estimator: Any = None, **given: Any) -> Experiment:
        """Returns an experiment in ``folder / "model"``."""
        if estimator is None:
            estimator = self.estimator(folder / "model")
        data = {"train_input_fn": self.train_input_fn, "eval_input_fn": self.eval_input_fn}
        return small_experiment(folder, estimator, eval_steps=2, **data, **given)

    def train(self, experiment: Experiment) -> Round:
        """Trains a round and evaluates it."""
        experiment.train_pass(steps=STEPS)
        result = experiment.evaluate_pass()
        latest = experiment.latest_checkpoint()
        if latest is None or result is None:
            raise RuntimeError("the sample's estimator gave no checkpoint or no result after its training")
        return Round(latest.path, result)

    def trained(self, folder: Path) -> Trained:
        """Returns a trained estimator in ``folder / "model"``, which is not there yet."""
        made = _template(self._sample.estimator, self.train_input_fn, self.eval_input_fn)
        model_dir = folder / "model"
        shutil.copytree(made.folder / "model", model_dir)
        estimator = self.estimator(model_dir)
        rounds = [Round(str(model_dir / r.path), r.result) for r in made.rounds]
        latest = estimator.latest_checkpoint()
        if latest is None or os.path.realpath(latest) != os.path.realpath(rounds[-1].path):
            shutil.rmtree(model_dir)  # its checkpoints cannot be moved
            estimator = self.estimator(model_dir)
            experiment = self.experiment(folder, estimator)
            return Trained(estimator, experiment, [self.train(experiment) for _ in range(ROUNDS)])
        return Trained(estimator, self.experiment(folder, estimator), rounds)

    def beside(self, trained: Trained) -> Trained:
        """Returns what another process has that works in the same model directory."""
        folder = trained.model_dir.parent
        estimator = self.estimator(trained.model_dir)
        return Trained(estimator, self.experiment(folder, estimator), trained.rounds)


def numpy_estimator(model_dir: str) -> LendingEstimator:
    """Returns the estimator where a sample has none."""
    config = RunConfig(model_dir=model_dir, keep_checkpoint_max=0)
    return LendingEstimator(model_dir, config, clock=PatientClock())


@dataclass(frozen=True)
class _Template:
    folder: Path
    rounds: list[Round]


@cache
def _template(make: Any, train_input_fn: Any, eval_input_fn: Any) -> _Template:
    """Trains once in a process for all clauses and components that use the same estimator and data."""
    folder = Path(tempfile.mkdtemp(prefix="expcore-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    setting = Setting(Sample(estimator=make, train_input_fn=train_input_fn, eval_input_fn=eval_input_fn))
    experiment = setting.experiment(folder)
    rounds = [setting.train(experiment) for _ in range(ROUNDS)]
    return _Template(folder, [Round(os.path.relpath(r.path, experiment.model_dir), r.result) for r in rounds])
