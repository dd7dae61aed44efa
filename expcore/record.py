"""The record: what the events of a model directory say, kept in order and looked up as they come."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from expcore import events as ev
from expcore.events import Event
from expcore.types import Checkpoint, Evaluation, Export, Skip, TrainingEnd

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
Rank = tuple[Any, ...]


class Ranked(Generic[K, T]):
    """Values by key, in the order of their ranks.

    The newest value nearly always ranks last: it is appended, so that a long run's thousandth event costs as
    little as its first. Only what ranks elsewhere has everything sorted again.

    Args:
        rank: gives the rank of a key and its value; no two may be equal.
    """

    def __init__(self, rank: Callable[[K, T], Rank]) -> None:
        self._rank = rank
        self._by_key: dict[K, T] = {}
        self._last: K | None = None
        self._ordered: list[T] = []
        self._sorted = True
        self._values: tuple[T, ...] | None = None

    def put(self, key: K, value: T) -> None:
        """Adds a value, or puts it in the place of the one that has this key."""
        replaced, self._by_key[key], self._values = self._by_key.get(key), value, None
        if replaced is None:
            if self._last is None or self._rank(self._last, self._by_key[self._last]) < self._rank(
                key, value
            ):
                self._ordered.append(value)
                self._last = key
                return
        elif key == self._last and self._rank(key, replaced) == self._rank(key, value):
            self._ordered[-1] = value
            return
        self._sorted = False

    def drop(self, key: K) -> None:
        """Forgets a value."""
        self._by_key.pop(key, None)
        self._last, self._sorted, self._values = None, False, None

    def change(self, change: Callable[[T], T]) -> None:
        """Puts what a function makes of each value in its place."""
        self._by_key = {key: change(value) for key, value in self._by_key.items()}
        self._sorted, self._values = False, None

    def sort(self) -> None:
        """Has all sorted again, since ranks have changed."""
        self._sorted, self._values = False, None

    @property
    def values(self) -> tuple[T, ...]:
        """All values in order; a tuple that was given before stays as it was."""
        if not self._sorted:
            items = sorted(self._by_key.items(), key=lambda item: self._rank(*item))
            self._ordered, self._sorted = [value for _, value in items], True
            self._last = items[-1][0] if items else None
        if self._values is None:
            self._values = tuple(self._ordered)
        return self._values


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A recorded training run: its id, its number among all trainings here, and its first step."""

    run: str
    generation: int
    step: int | None


@dataclass(frozen=True, slots=True)
class Save:
    """A save event.

    Attributes:
        checkpoint: what was saved.
        run: the id of the training run.
        seq: the event's number in its file.
        print: the size of the files in bytes and their newest time in nanoseconds.
        added: how many events the record had when this one had come; so also of a ``_Result``.
    """

    checkpoint: Checkpoint
    run: str
    seq: int
    print: tuple[int, ...]
    added: int


@dataclass(frozen=True, slots=True)
class _Result:
    """An evaluation event, and its rank among those of its checkpoint."""

    rank: Rank
    evaluation: Evaluation
    added: int


class Record:
    """The events of a model directory, as many as were added; nothing but they decides what is in it.

    Args:
        model_dir: where relative paths lie.

    Attributes:
        model_dir: as given.
        elapsed: by log file, the seconds its writer had been at work at its newest event.
        longest_evaluation: seconds; 0 without an evaluation.
        size: how many events were added.
    """

    def __init__(self, model_dir: str) -> None:
        self.elapsed: dict[str, float] = {}
        self.longest_evaluation = 0.0
        self.size = 0
        self.model_dir = model_dir
        self._newest: dict[str, float] = {}
        self._started: dict[str, Rank] = {}
        self._generations: dict[str, int] = {}
        self._trainings = Ranked[str, TrainingRun](lambda run, training: (training.generation, run))
        self._saves = Ranked[str, Checkpoint](lambda id_, _: self._rank_of_save(self._by_id[id_]))
        self._by_id: dict[str, Save] = {}
        self._by_path: dict[str, list[Save]] = {}
        self._runs: set[str] = set()  # of the saves and the ends
        self._ids: dict[str, str] = {}  # of saves, by what their files are called without their events
        self._unrecorded: set[str | None] = set()
        self._results: dict[tuple[str, str], list[_Result]] = {}
        self._evaluations: dict[str, Ranked[str, Evaluation]] = {}
        self._unplaced: set[str | None] = set()
        self._exports = Ranked[Rank, Export](lambda rank, _: rank)
        self._skips = Ranked[Rank, Skip](lambda rank, _: rank)
        self._reasons: set[tuple[str, str | None, str | None, str]] = set()
        self._ends = Ranked[Rank, TrainingEnd](
            lambda rank, end: (self._generations.get(end.run, 0), end.run, *rank)
        )
        self._takes = {
            ev.TRAINING_STARTED: self._take_start,
            ev.SAVED: self._take_save,
            ev.EVALUATED: self._take_result,
            ev.EXPORTED: self._take_export,
            ev.SKIPPED: self._take_skip,
            ev.TRAINING_ENDED: self._take_end,
        }

    def add(self, events: Iterable[Event]) -> None:
        """Takes events: in order within a file, in any order between files."""
        for event in events:
            # Neither the order of files nor a clock that was set back changes the order of events.
            time = max(event.time, self._newest.get(event.file, event.time))
            self._newest[event.file] = time
            self.elapsed[event.file] = max(event.elapsed, self.elapsed.get(event.file, 0.0))
            self.size += 1
            if event.kind in self._takes:
                self._takes[event.kind](event, (time, event.file, event.seq))

    # Trainings

    def _take_start(self, event: Event, rank: Rank) -> None:
        run, generation = str(event.data["run"]), int(event.data["generation"])
        # A run says its first step again where it went on from an older checkpoint than was thought.
        if rank < self._started.get(run, rank):
            return
        self._started[run] = rank
        self._trainings.put(run, TrainingRun(run, generation, event.data.get("step")))
        if generation != self._generations.get(run, 0):
            self._generations[run] = generation
            if run in self._runs:
                self._ends.sort()
                self._saves.sort()
                self._sort_evaluations()

    def _take_end(self, event: Event, rank: Rank) -> None:
        data = event.data
        end = TrainingEnd(
            str(data["run"]),
            data.get("step"),
            str(data["reason"]),
            data.get("checkpoint"),
            int(data.get("steps") or 0),
            bool(data.get("over", True)),
        )
        self._runs.add(end.run)
        self._ends.put(rank, end)

    @property
    def trainings(self) -> tuple[TrainingRun, ...]:
        """Every training run that started, oldest first."""
        return self._trainings.values

    @property
    def training_ends(self) -> tuple[TrainingEnd, ...]:
        """The ends of all training runs so far, oldest first."""
        return self._ends.values

    # Saves

    def _take_save(self, event: Event, rank: Rank) -> None:
        data = event.data
        checkpoint = Checkpoint(event.id, self._path(data), data.get("step"))
        print_ = tuple(data.get("fingerprint", (0, 0)))
        save = Save(checkpoint, str(data.get("run")), event.seq, print_, self.size)
        self._runs.add(save.run)
        self._by_id[event.id] = save
        self._by_path.setdefault(str(Path(checkpoint.path)), []).append(save)
        self._saves.put(event.id, checkpoint)
        if any(print_):
            self._name(name_of_files(str(data["path"]), print_), event.id)
        if self._unplaced:  # an evaluation came before its save, or its place depends on those that are there
            self._unplaced.discard(event.id)
            self._sort_evaluations()

    def _name(self, files: str, id_: str) -> None:
        """Calls a checkpoint by its id where its files were evaluated before its event was read."""
        self._ids[files] = id_
        if files not in self._unrecorded:
            return
        self._unplaced.discard(files)
        for source, ranked in self._evaluations.items():
            results = self._results.pop((source, files), [])
            if results:
                ranked.drop(files)
                self._put_results(source, id_, results)

        def renamed(one: Any) -> Any:
            return replace(one, checkpoint=id_) if one.checkpoint == files else one

        self._exports.change(renamed)
        self._skips.change(renamed)
        self._reasons |= {(skip.what, skip.subject, skip.checkpoint, skip.reason) for skip in self.skips}

    def _id(self, checkpoint: Any) -> Any:
        return self._ids.get(checkpoint, checkpoint)

    def _id_in(self, data: Any) -> Any:
        """The checkpoint of an event, which may have another name once its save is read."""
        checkpoint = data.get("checkpoint")
        if checkpoint not in self._by_id and checkpoint not in self._ids:
            self._unrecorded.add(checkpoint)
        return self._id(checkpoint)

    def _rank_of_save(self, save: Save) -> Rank:
        generation = self._generations.get(save.run, 0)
        return (generation, save.checkpoint.step or 0, save.seq, save.checkpoint.id)

    @property
    def saves(self) -> tuple[Checkpoint, ...]:
        """Every recorded checkpoint, in the order of trainings and steps."""
        return self._saves.values

    def saves_at(self, path: str, until: int) -> list[Save]:
        """Returns those of the first ``until`` events that are saves at a path, in the same order."""
        here = [save for save in self._by_path.get(str(Path(path)), []) if save.added <= until]
        return sorted(here, key=self._rank_of_save)

    # Evaluations

    def _take_result(self, event: Event, rank: Rank) -> None:
        data = event.data
        step, name, source = int(data["step"]), data.get("name"), str(data.get("source"))
        self.longest_evaluation = max(self.longest_evaluation, float(data.get("secs", 0.0)))
        checkpoint = self._id_in(data)
        one = Evaluation(checkpoint, step, dict(data["metrics"]), name, source)
        if checkpoint not in self._by_id:
            self._unplaced.add(checkpoint)
        key = checkpoint or f"step {step}"
        self._put_results(source, key, [_Result((name is not None, rank), one, self.size)])

    def _put_results(self, source: str, key: str, new: list[_Result]) -> None:
        """Adds results of a checkpoint, which they may have called otherwise."""
        results = self._results.setdefault((source, key), [])
        for result in new:
            one = result.evaluation
            named = one if one.checkpoint is None else replace(one, checkpoint=key)
            results.append(replace(result, evaluation=named))
        results.sort(key=lambda result: result.rank)
        if source not in self._evaluations:
            self._evaluations[source] = Ranked(lambda _, evaluation: self.rank_of_evaluation(evaluation))
        self._evaluations[source].put(key, _merged(results))

    def rank_of_evaluation(self, evaluation: Evaluation, until: float = math.inf) -> Rank:
        """Returns the rank of its save; an unrecorded checkpoint stands after the saves up to its step.

        Args:
            evaluation: of a recorded checkpoint or of another.
            until: saves that came after so many events are not known yet.
        """
        save = self._by_id.get(evaluation.checkpoint or "")
        if save is not None and save.added <= until:
            return self._rank_of_save(save)
        lower = [
            self._generations.get(s.run, 0)
            for s in self._by_id.values()
            if s.added <= until and (s.checkpoint.step or 0) <= evaluation.step
        ]
        return (max(lower, default=0), evaluation.step, math.inf, evaluation.checkpoint or "")

    def _sort_evaluations(self) -> None:
        for ranked in self._evaluations.values():
            ranked.sort()

    def evaluations(self, source: str) -> tuple[Evaluation, ...]:
        """Returns one result a checkpoint: of each metric the first value, the plain evaluation's first."""
        ranked = self._evaluations.get(source)
        return () if ranked is None else ranked.values

    def evaluated(self, checkpoint: str, source: str, name: str | None, until: int) -> Evaluation | None:
        """Returns the first result of a checkpoint by an evaluation of this name, of the first events."""
        results = self._results.get((source, self._id(checkpoint)), [])
        found = (r.evaluation for r in results if r.evaluation.name == name and r.added <= until)
        return next(found, None)

    # Exports and what was not done

    def _take_export(self, event: Event, rank: Rank) -> None:
        data = event.data
        path = self._path(data) if data.get("path") is not None else None
        export = Export(
            str(data["exporter"]),
            self._id_in(data),
            data.get("step"),
            path,
            bool(data.get("final")),
        )
        self._exports.put(rank, export)

    def _take_skip(self, event: Event, rank: Rank) -> None:
        data = event.data
        skip = Skip(
            str(data["what"]),
            data.get("subject"),
            self._id_in(data),
            str(data["reason"]),
            str(data.get("detail", "")),
        )
        self._skips.put(rank, skip)
        self._reasons.add((skip.what, skip.subject, skip.checkpoint, skip.reason))

    @property
    def exports(self) -> tuple[Export, ...]:
        """Every recorded export."""
        return self._exports.values

    @property
    def skips(self) -> tuple[Skip, ...]:
        """Everything that was not done, with its reason."""
        return self._skips.values

    def skipped(self, what: str, subject: str | None, checkpoint: str | None, reason: str) -> bool:
        """Whether it is recorded that this was not done for this reason."""
        return (what, subject, self._id(checkpoint), reason) in self._reasons

    def _path(self, data: Any) -> str:
        path = str(data["path"])
        return os.path.join(self.model_dir, path) if data.get("inside") else path


def name_of_files(path: str, print_: Iterable[int]) -> str:
    """Returns what a checkpoint is called whose save nobody recorded, or not yet.

    Args:
        path: within the model directory, if it is there.
        print_: size and time of its files.
    """
    size, time = print_
    return f"{path}:{size}:{time}"


def _merged(results: list[_Result]) -> Evaluation:
    """The results of one checkpoint as one, the first value of each metric."""
    first = results[0].evaluation
    if len(results) == 1:
        return first
    metrics: dict[str, Any] = {}
    for result in reversed(results):
        metrics |= result.evaluation.metrics
    return Evaluation(first.checkpoint, first.step, metrics, first.name, first.source)
