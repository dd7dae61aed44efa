"""Observers that get in the way of others: of the run, of the process, of the log."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from expcore.conformance.mutants.observers_right import Count
from expcore.hookspecs import hookimpl


class PopsMetrics:
    """Takes a metric out of the result."""

    @hookimpl
    def expcore_after_evaluate(self, evaluation: Any) -> None:
        """Takes it."""
        if isinstance(evaluation.metrics, dict):
            evaluation.metrics.pop("loss", None)


class AddsOptions:
    """Changes the options of the schedule."""

    @hookimpl
    def expcore_before_schedule(self, options: Mapping[str, Any]) -> None:
        """Adds its own."""
        if isinstance(options, dict):
            options["seen"] = True


class ExtendsTheExperiment:
    """Leaves its hook in the experiment, once more with each run."""

    @hookimpl
    def expcore_before_schedule(self, experiment: Any) -> None:
        """Adds it."""
        experiment.extend_train_hooks([Count()])


class ChangesDirectory:
    """Makes the model directory the working directory."""

    @hookimpl
    def expcore_before_train(self, experiment: Any) -> None:
        """Goes there."""
        os.chdir(experiment.model_dir)


class SetsAVariable:
    """Sets a variable of the environment, to something else each time."""

    @hookimpl
    def expcore_before_train(self, experiment: Any) -> None:
        """Sets it."""
        os.environ["LAST_RUN"] = f"{experiment.model_dir} {time.monotonic()}"


class WritesIntoTheLog:
    """Keeps its file where the log is."""

    @hookimpl
    def expcore_after_schedule(self, experiment: Any, schedule: str) -> None:
        """Writes it."""
        Path(experiment.model_dir, "expcore", "notes.txt").write_text(schedule)


class AddsToTheLog:
    """Writes a line of its own into the log."""

    @hookimpl
    def expcore_after_schedule(self, experiment: Any, schedule: str) -> None:
        """Adds it."""
        for path in Path(experiment.model_dir, "expcore").glob("events-*.jsonl"):
            with path.open("a") as file:
                file.write(f"{schedule} is done\n")


class WritesBeside:
    """Writes into the working directory."""

    @hookimpl
    def expcore_after_evaluate(self, evaluation: Any) -> None:
        """Writes the step."""
        Path("step.txt").write_text(str(evaluation.step))


class Waits:
    """Waits while training waits for it."""

    @hookimpl
    def expcore_checkpoint_saved(self, experiment: Any) -> None:
        """Waits by the experiment's clock."""
        experiment.clock.sleep(2.0)


class Sleeps:
    """The same for real."""

    @hookimpl
    def expcore_checkpoint_saved(self, checkpoint: Any) -> None:
        """Sleeps a little."""
        time.sleep(1e-6)


class Acts:
    """Does something else besides."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    @hookimpl
    def expcore_after_evaluate(self) -> None:
        """Does it."""
        self.act()


@hookimpl
def _told(result: Any) -> None:
    """Does nothing."""


def heavy() -> ModuleType:
    """Returns a module that has imported PyTorch at its top."""
    module = ModuleType("heavy_observer")
    vars(module).update(torch=ModuleType("torch"), expcore_after_schedule=_told)
    return module
