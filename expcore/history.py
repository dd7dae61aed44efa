"""The history: what the events of a model directory say, worked out without any state of its own."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from expcore import events as ev
from expcore.events import Event
from expcore.metrics import improved
from expcore.types import Checkpoint, Evaluation, Export, Skip, TrainingEnd

_STEP = re.compile(r"-(\d+)$")


def fingerprint(path: str) -> list[int]:
    """Returns size in bytes and newest modification time (ns) of a checkpoint's files; zeros if none."""
    parent, base = os.path.split(path)
    size = newest = 0
    try:
        with os.scandir(parent or ".") as entries:
            found = [e for e in entries if e.name == base or e.name.startswith(base + ".")]
    except OSError:
        found = []
    for entry in found:
        # A file may be deleted or renamed while this looks; what stays still counts.
        with suppress(OSError):
            stat = entry.stat()
            size, newest = size + stat.st_size, max(newest, stat.st_mtime_ns)
    return [size, newest]


def shorten(path: str, model_dir: str) -> tuple[str, bool]:
    """Returns the path relative to the model directory and True, or the path itself and False.

    A model directory may be moved; what lies in it is recorded relative to it.
    """
    inside = os.path.relpath(path, model_dir) if os.path.isabs(path) == os.path.isabs(model_dir) else ".."
    return (path, False) if inside.startswith(os.pardir) else (inside, True)


@dataclass(frozen=True)
class _Save:
    """A save event with what identifies its files."""

    checkpoint: Checkpoint
    generation: int
    seq: int
    print: tuple[int, int]

    @property
    def order(self) -> tuple[int, int, int]:
        return (self.generation, self.checkpoint.step or 0, self.seq)


@dataclass(frozen=True)
class TrainingRun:
    """A recorded training run: its id, its number among all trainings here, and its first step."""

    run: str
    generation: int
    step: int | None


class History:
    """The record of a model directory (``expcore.types.History`` says what plugins may use).

    Args:
        events: of all logs; in order within a file, in any order between files.
        model_dir: where relative paths lie.
        seconds: how long this task has been at work.
        checkpoint: the checkpoint in hand, or None.
        source: "eval" or "train": whose results are the evaluations.
    """

    def __init__(
        self,
        events: Iterable[Event],
        model_dir: str,
        seconds: float = 0.0,
        checkpoint: Checkpoint | None = None,
        source: str = "eval",
    ) -> None:
        self._events = tuple(events)
        self._model_dir = model_dir
        self._source = source
        self.seconds = seconds
        self.checkpoint = checkpoint

    def at(self, checkpoint: Checkpoint | None) -> History:
        """Returns the same history with another checkpoint in hand."""
        return History(self._events, self._model_dir, self.seconds, checkpoint, self._source)

    def on_train_data(self) -> History:
        """Returns the same history as an evaluation on the training data sees it."""
        return History(self._events, self._model_dir, self.seconds, self.checkpoint, "train")

    @cached_property
    def _ordered(self) -> tuple[Event, ...]:
        """All events; neither the order of files nor a clock that was set back changes their order."""
        newest: dict[str, float] = {}
        timed: list[tuple[float, str, int, Event]] = []
        for event in self._events:
            newest[event.file] = max(event.time, newest.get(event.file, event.time))
            timed.append((newest[event.file], event.file, event.seq, event))
        return tuple(t[-1] for t in sorted(timed, key=lambda t: t[:-1]))

    def _of(self, kind: str) -> list[Event]:
        return [e for e in self._ordered if e.kind == kind]

    def _path(self, data: Any) -> str:
        path = str(data["path"])
        return os.path.join(self._model_dir, path) if data.get("inside") else path

    @cached_property
    def trainings(self) -> tuple[TrainingRun, ...]:
        """Every training run that started, oldest first."""
        # A run says its first step again where it went on from an older checkpoint than was thought.
        runs = {
            str(e.data["run"]): TrainingRun(str(e.data["run"]), int(e.data["generation"]), e.data.get("step"))
            for e in self._of(ev.TRAINING_STARTED)
        }
        return tuple(sorted(runs.values(), key=lambda r: (r.generation, r.run)))

    @property
    def next_generation(self) -> int:
        """The number of the next training run."""
        return 1 + max((r.generation for r in self.trainings), default=0)

    @cached_property
    def _saves(self) -> tuple[_Save, ...]:
        generation = {r.run: r.generation for r in self.trainings}
        found = [
            _Save(
                Checkpoint(e.id, self._path(e.data), e.data.get("step")),
                generation.get(str(e.data.get("run")), 0),
                e.seq,
                tuple(e.data.get("fingerprint", (0, 0))),
            )
            for e in self._of(ev.SAVED)
        ]
        return tuple(sorted(found, key=lambda s: (*s.order, s.checkpoint.id)))

    @property
    def saves(self) -> tuple[Checkpoint, ...]:
        """Every recorded checkpoint, in the order in which they were saved."""
        return tuple(s.checkpoint for s in self._saves)

    def identify(self, path: str) -> Checkpoint:
        """Returns which checkpoint the files at a path are now.

        The save event with this path whose files had this size and time; the newest one of this path where
        times were lost by copying, or whose files are gone; else an unrecorded checkpoint, known by path,
        size and time.
        """
        now = tuple(fingerprint(path))
        same = [s for s in self._saves if _same_path(s.checkpoint.path, path)]
        exact = [s for s in same if s.print == now]
        sized = [s for s in same if now[0] in (0, s.print[0])]
        if exact or sized:
            return replace((exact or sized)[-1].checkpoint, path=path)
        step = _STEP.search(path)
        short, _ = shorten(path, self._model_dir)
        return Checkpoint(f"{short}:{now[0]}:{now[1]}", path, int(step.group(1)) if step else None)

    def _order(self, evaluation: Evaluation) -> tuple[int, int, float, str]:
        """Order by save; an unrecorded checkpoint stands after the saves up to its step."""
        place = self._places.get(evaluation.checkpoint or "")
        if place is not None:
            return place
        lower = [s.generation for s in self._saves if (s.checkpoint.step or 0) <= evaluation.step]
        return (max(lower, default=0), evaluation.step, math.inf, evaluation.checkpoint or "")

    def generation_of(self, evaluation: Evaluation) -> int:
        """Returns the number of the training that saved an evaluated checkpoint."""
        return self._order(evaluation)[0]

    @cached_property
    def _places(self) -> dict[str, tuple[int, int, float, str]]:
        return {s.checkpoint.id: (*s.order, s.checkpoint.id) for s in self._saves}

    def _evaluated(self, source: str) -> tuple[Evaluation, ...]:
        """One result a checkpoint: of each metric the first recorded value, the plain evaluation's first."""
        found: dict[str, Evaluation] = {}
        recorded = [e.data for e in self._of(ev.EVALUATED) if e.data.get("source") == source]
        for data in sorted(recorded, key=lambda d: d.get("name") is not None):
            step, name = int(data["step"]), data.get("name")
            key = data.get("checkpoint") or f"step {step}"
            first = found.get(key)
            if first is None:
                found[key] = Evaluation(data.get("checkpoint"), step, dict(data["metrics"]), name, source)
            else:
                found[key] = replace(first, metrics={**data["metrics"], **first.metrics})
        return tuple(sorted(found.values(), key=self._order))

    @cached_property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """Results on the evaluation data, one a checkpoint, in the order of the saves."""
        return self._evaluated(self._source)

    @cached_property
    def train_evaluations(self) -> tuple[Evaluation, ...]:
        """Results of evaluations on the training data, one a checkpoint."""
        return self._evaluated("train")

    def evaluated(
        self, checkpoint: Checkpoint, source: str = "eval", name: str | None = None
    ) -> Evaluation | None:
        """Returns the first recorded result of a checkpoint by an evaluation of this name, or None."""
        for event in self._of(ev.EVALUATED):
            data = event.data
            if (data.get("checkpoint"), data.get("source"), data.get("name")) == (
                checkpoint.id,
                source,
                name,
            ):
                return Evaluation(checkpoint.id, int(data["step"]), dict(data["metrics"]), name, source)
        return None

    @property
    def longest_evaluation(self) -> float:
        """Seconds that the longest recorded evaluation took; 0 without one."""
        return max((float(e.data.get("secs", 0.0)) for e in self._of(ev.EVALUATED)), default=0.0)

    @cached_property
    def exports(self) -> tuple[Export, ...]:
        """Every recorded export."""
        return tuple(
            Export(
                str(e.data["exporter"]),
                e.data.get("checkpoint"),
                e.data.get("step"),
                self._path(e.data) if e.data.get("path") is not None else None,
                bool(e.data.get("final")),
            )
            for e in self._of(ev.EXPORTED)
        )

    def exported(self, exporter: str, checkpoint: str | None = None) -> bool:
        """Whether an export by this name is recorded, of the given checkpoint id or of any."""
        return any(e.exporter == exporter and checkpoint in (None, e.checkpoint) for e in self.exports)

    @cached_property
    def skips(self) -> tuple[Skip, ...]:
        """Everything that was not done, with its reason."""
        return tuple(
            Skip(
                str(e.data["what"]),
                e.data.get("subject"),
                e.data.get("checkpoint"),
                str(e.data["reason"]),
                str(e.data.get("detail", "")),
            )
            for e in self._of(ev.SKIPPED)
        )

    @cached_property
    def training_ends(self) -> tuple[TrainingEnd, ...]:
        """The ends of all training runs so far, oldest first."""
        generation = {r.run: r.generation for r in self.trainings}
        ends = [
            TrainingEnd(
                str(e.data["run"]),
                e.data.get("step"),
                str(e.data["reason"]),
                e.data.get("checkpoint"),
                int(e.data.get("steps") or 0),
                bool(e.data.get("over", True)),
            )
            for e in self._of(ev.TRAINING_ENDED)
        ]
        return tuple(sorted(ends, key=lambda e: (generation.get(e.run, 0), e.run)))

    def best(self, metric: str, mode: str = "min") -> Evaluation | None:
        """Returns the best evaluation; ties to the earlier, NaN and results without it never count."""
        best: Evaluation | None = None
        for evaluation in self.evaluations:
            value = evaluation.metrics.get(metric)
            if not isinstance(value, int | float):
                continue
            if improved(float(value), None if best is None else float(best.metrics[metric]), mode):
                best = evaluation
        return best


def _same_path(one: str, other: str) -> bool:
    return one == other or Path(one) == Path(other)


def _left_behind(evaluation: Evaluation, history: History) -> bool:
    """Whether the newest training went back to before this checkpoint of an older one."""
    newest = history.trainings[-1] if history.trainings else None
    if newest is None or newest.step is None or evaluation.step <= newest.step:
        return False
    return history.generation_of(evaluation) < newest.generation


def due(n: int | None, history: History, step: int | None) -> bool:
    """Whether an evaluation is due at a save: at least ``n`` steps since the last one, by the log.

    0 or None: never before the end. The first save of a directory without evaluations is due from step
    ``n`` on; after a rollback (the last evaluation lies ahead, or training went back to before it) a save is
    due.
    """
    if not n or step is None:
        return False
    if not history.evaluations:
        return step >= n
    last = history.evaluations[-1]
    return step - last.step >= n or step < last.step or _left_behind(last, history)
