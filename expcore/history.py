"""The history: what the events of a model directory say, for schedules and plugins."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from copy import copy
from dataclasses import replace

from expcore.events import Event
from expcore.metrics import improved
from expcore.record import Record, name_of_files
from expcore.types import Checkpoint, Evaluation

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


class History:
    """The record of a model directory (``expcore.types.History`` says what plugins may use).

    Args:
        events: of all logs; in order within a file, in any order between files.
        model_dir: where relative paths lie.
        seconds: how long this task has been at work.
        checkpoint: the checkpoint in hand, or None.

    Attributes:
        size: of how many events it is made.
        trainings: every training run that started, oldest first.
        training_ends: the ends of all training runs so far, oldest first.
        saves: every recorded checkpoint, in the order in which they were saved.
        evaluations: results on the evaluation data, one a checkpoint, in the order of the saves.
        train_evaluations: results of evaluations on the training data, likewise.
        exports: every recorded export.
        skips: everything that was not done, with its reason.
        longest_evaluation: seconds that the longest recorded evaluation took; 0 without one.
    """

    def __init__(
        self,
        events: Iterable[Event],
        model_dir: str,
        seconds: float = 0.0,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        record = Record(model_dir)
        record.add(events)
        self._take(record)
        self.seconds, self.checkpoint = seconds, checkpoint

    @classmethod
    def of(cls, record: Record) -> History:
        """Returns what a record says now; what is added to the record later changes nothing here."""
        history = cls.__new__(cls)
        history._take(record)
        history.seconds, history.checkpoint = 0.0, None
        return history

    def _take(self, record: Record) -> None:
        self._record, self.size = record, record.size
        self.longest_evaluation = record.longest_evaluation
        self.trainings = record.trainings
        self.training_ends = record.training_ends
        self.saves = record.saves
        self.train_evaluations = record.evaluations("train")
        self.evaluations = record.evaluations("eval")
        self.exports = record.exports
        self.skips = record.skips

    def at(self, checkpoint: Checkpoint | None) -> History:
        """Returns the same history with another checkpoint in hand."""
        other = copy(self)
        other.checkpoint = checkpoint
        return other

    def on_train_data(self) -> History:
        """Returns the same history as an evaluation on the training data sees it."""
        other = copy(self)
        other.evaluations = self.train_evaluations
        return other

    @property
    def next_generation(self) -> int:
        """The number of the next training run."""
        return 1 + max((r.generation for r in self.trainings), default=0)

    def had_files(self, path: str) -> bool:
        """Whether a save is recorded at a path with files, so that none there now means they are gone."""
        return any(any(save.print) for save in self._record.saves_at(path, self.size))

    def identify(self, path: str) -> Checkpoint:
        """Returns which checkpoint the files at a path are now.

        The save event with this path whose files had this size and time; the newest one of this path where
        times were lost by copying, or whose files are gone; else an unrecorded checkpoint, known by path,
        size and time.
        """
        now = tuple(fingerprint(path))
        same = self._record.saves_at(path, self.size)
        exact = [s for s in same if s.print == now]
        sized = [s for s in same if now[0] in (0, s.print[0])]
        if exact or sized:
            return replace((exact or sized)[-1].checkpoint, path=path)
        step = _STEP.search(path)
        short, _ = shorten(path, self._record.model_dir)
        return Checkpoint(name_of_files(short, now), path, int(step.group(1)) if step else None)

    def generation_of(self, evaluation: Evaluation) -> int:
        """Returns the number of the training that saved an evaluated checkpoint."""
        return int(self._record.rank_of_evaluation(evaluation, self.size)[0])

    def evaluated(
        self, checkpoint: Checkpoint, source: str = "eval", name: str | None = None
    ) -> Evaluation | None:
        """Returns the first recorded result of a checkpoint by an evaluation of this name, or None."""
        found = self._record.evaluated(checkpoint.id, source, name, self.size)
        return None if found is None else replace(found, metrics=dict(found.metrics))

    def exported(self, exporter: str, checkpoint: str | None = None) -> bool:
        """Whether an export by this name is recorded, of the given checkpoint id or of any."""
        return any(e.exporter == exporter and checkpoint in (None, e.checkpoint) for e in self.exports)

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
