"""Schedules that keep every promise: one trains in parts, one follows a training, one serves."""

from __future__ import annotations

import socket
from contextlib import AbstractContextManager
from typing import Any

from expcore.calling import ask_predicate
from expcore.cluster import config_value
from expcore.errors import InvalidArgument
from expcore.passes.heartbeat import TrainingWatch
from expcore.types import Checkpoint, TrainingEnd

POLL_SECS = 5.0


class InParts:
    """Trains so many steps, evaluates and exports, until ``train_steps`` or a predicate ends it."""

    def __call__(self, experiment: Any, steps: int = 4, go_on_predicate_fn: Any = None) -> Any:
        """Runs it and returns the last result."""
        self.begin(experiment)
        result: Any = None
        last: Checkpoint | None = None
        final = False
        while not final and self.ask(go_on_predicate_fn, result, last, experiment):
            made = self.train(experiment, self.left(experiment, steps))
            last = experiment.latest_checkpoint()
            if last is None:
                return None
            final = not made or self.left(experiment, steps) <= 0
            result = self.evaluate(experiment, last)
            self.export(experiment, result, last, final)
        if last is not None and not final:
            self.export(experiment, result, last, True)
        self.end(experiment)
        return result

    def begin(self, experiment: Any) -> None:
        """Waits, and makes good what was missed."""
        self.wait(experiment)
        experiment.export_missed()

    def wait(self, experiment: Any) -> None:
        """Waits first."""
        experiment.wait(experiment.eval_delay_secs)

    def ask(self, predicate: Any, result: Any, last: Checkpoint | None, experiment: Any) -> bool:
        """Whether to go on."""
        return ask_predicate(predicate, result, last.path if last else None, experiment.history)

    def left(self, experiment: Any, steps: int) -> int:
        """Steps of the next part."""
        until = experiment.train_steps
        return steps if until is None else min(steps, until - self.step(experiment))

    def step(self, experiment: Any) -> int:
        """Steps that were made."""
        latest = experiment.latest_checkpoint()
        return int(latest.step or 0) if latest is not None else 0

    def train(self, experiment: Any, n: int) -> int:
        """Trains a part; returns how many steps were made."""
        return int(experiment.train_pass(steps=n).steps) if n > 0 else 0

    def evaluate(self, experiment: Any, last: Checkpoint) -> Any:
        """Evaluates a checkpoint that is not evaluated yet."""
        recorded = experiment.history.evaluated(last)
        return experiment.evaluate_pass(last.path) if recorded is None else dict(recorded.metrics)

    def export(self, experiment: Any, result: Any, last: Checkpoint, final: bool) -> None:
        """Exports a checkpoint."""
        experiment.export_pass(result, last.path, final=final)

    def end(self, experiment: Any) -> None:
        """Comes last."""


class Follow:
    """Evaluates and exports the newest checkpoint of a training as they come, until it is over."""

    def __call__(self, experiment: Any) -> Any:
        """Runs it and returns the last result."""
        self.watch = TrainingWatch(experiment.model_dir, experiment.history)
        experiment.wait(experiment.eval_delay_secs)
        experiment.export_missed()
        result: Any = None
        over: TrainingEnd | None = None
        while over is None:
            over = self.over(experiment)
            last = experiment.latest_checkpoint()
            if last is not None and experiment.history.evaluated(last) is None:
                result = experiment.evaluate_pass(last.path)
                experiment.export_pass(result, last.path, final=over is not None)
            if over is None:
                experiment.wait(POLL_SECS)
        return result

    def over(self, experiment: Any) -> TrainingEnd | None:
        """The end of the training."""
        return self.watch.over(experiment.history, experiment.train_steps)


class Serve:
    """Listens at the address of its task until training is over; only this machine can reach it."""

    capabilities = frozenset({"serves"})

    def __call__(self, experiment: Any) -> None:
        """Runs it."""
        watch = TrainingWatch(experiment.model_dir, experiment.history)
        with self.listen(self.address(experiment.config)):
            while watch.over(experiment.history, experiment.train_steps) is None:
                experiment.wait(POLL_SECS)

    def address(self, config: Any) -> str:
        """The address of this task."""
        cluster, task = config_value(config, "cluster_spec"), config_value(config, "task_type")
        if not cluster or not task:
            raise InvalidArgument("the config lacks cluster_spec or task_type; set TF_CONFIG")
        return str(cluster[task][config_value(config, "task_id") or 0])

    def listen(self, address: str) -> AbstractContextManager[Any]:
        """Listens."""
        host, _, port = address.rpartition(":")
        return socket.create_server((host, int(port)))
