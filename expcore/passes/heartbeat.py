"""Signs of life: a trainer beats, whoever waits for it watches, each by its own clock."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from expcore.events import LOG_DIR
from expcore.history import History
from expcore.types import TrainingEnd

_LOG = logging.getLogger(__name__)

BEAT_SECS = 10.0


class Heartbeat:
    """Writes ``status-*.json`` beside this process's log, by rename.

    Args:
        model_dir: the model directory.
        name: the log's name, ``events-<task>-<id>-<random>``.
        run: id of the training run.
    """

    def __init__(self, model_dir: str, name: str, run: str) -> None:
        self._path = Path(model_dir) / LOG_DIR / f"{name.replace('events-', 'status-', 1)}.json"
        self._run = run
        self._counter = 0

    def beat(self, step: int | None, state: str) -> None:
        """Counts one on; a failure to write is a warning, since training matters more."""
        self._counter += 1
        status = {"run": self._run, "counter": self._counter, "step": step, "state": state}
        beside = self._path.with_suffix(".tmp")
        try:
            beside.write_text(json.dumps(status))
            os.replace(beside, self._path)
        except OSError as error:
            _LOG.warning("status %s cannot be written (%s)", self._path, error)


def _statuses(model_dir: str) -> dict[str, Any]:
    found = {}
    for path in Path(model_dir, LOG_DIR).glob("status-*.json"):
        try:
            status = json.loads(path.read_text())
            found[str(status["run"])] = status["counter"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # gone, or of another kind: it says nothing about a trainer
    return found


class TrainingWatch:
    """Tells a waiter (evaluator, server) whether the training that it waits for is over.

    An end counts if its step has reached the waiter's ``train_steps``, or if it is the newest run's, not by a
    signal or a failure, and that run was seen alive after the watch began: its heartbeat counter changed or
    appeared, or the run itself is new. Clocks of two machines are never compared, and a trainer not yet
    seen, stopped by a signal or restarting is not gone.

    Args:
        model_dir: the model directory.
        history: as it was when the waiting began.
    """

    def __init__(self, model_dir: str, history: History) -> None:
        self._model_dir = model_dir
        self._old = {r.run for r in history.trainings}
        self._first = _statuses(model_dir)
        self._alive: set[str] = set()

    def over(self, history: History, train_steps: int | None) -> TrainingEnd | None:
        """Returns the end that lets the waiter go, or None while training may go on."""
        statuses = _statuses(self._model_dir)
        self._alive.update(run for run, counter in statuses.items() if self._first.get(run) != counter)
        self._alive.update(r.run for r in history.trainings if r.run not in self._old)
        newest = history.trainings[-1].run if history.trainings else None
        for end in reversed(history.training_ends):
            if train_steps and end.step is not None and end.step >= train_steps:
                return end
            if end.over and end.run in self._alive and end.run == newest:
                return end
        return None
