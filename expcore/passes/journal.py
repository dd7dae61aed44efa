"""The journal: what one process writes to the log of its experiment, and the history it reads from all."""

from __future__ import annotations

from collections.abc import Callable

from expcore import events as ev
from expcore.errors import ExpcoreError, ExportFailed, PluginError, one_line
from expcore.events import EventLog, LogReader
from expcore.history import History, fingerprint, shorten
from expcore.record import Record
from expcore.types import Checkpoint, Clock


class Journal:
    """Reads and writes the record of a model directory for one process.

    Args:
        model_dir: the model directory; nothing is made in it before the first event.
        task: task type and id, as ``"worker-1"``.
        clock: gives times.
        latest: gives the newest checkpoint's path, or None.
    """

    def __init__(self, model_dir: str, task: str, clock: Clock, latest: Callable[[], str | None]) -> None:
        self.model_dir = model_dir
        self.log = EventLog(model_dir, task, clock)
        self._reader = LogReader(model_dir)
        self._task, self._latest = task, latest
        self._record = Record(model_dir)
        self._history = History.of(self._record)
        self._export_errors: list[Exception] = []
        self._observer_errors: list[Exception] = []

    @property
    def history(self) -> History:
        """The history as of now."""
        self._read()
        if self._history.size != self._record.size:
            self._history = History.of(self._record)
        own = self.log.name if self.log.elapsed else None
        earlier = [
            secs
            for file, secs in self._record.elapsed.items()
            if file != own and file.startswith(f"events-{self._task}-")
        ]
        self._history.seconds = sum(earlier) + self.log.elapsed
        return self._history

    def _read(self) -> None:
        self._record.add(self._reader.read())

    def latest(self) -> Checkpoint | None:
        """Returns the newest checkpoint, identified; None without one."""
        return self.identify(self._latest())

    def identify(self, path: str | None) -> Checkpoint | None:
        """Returns which checkpoint lies at a path; None for None."""
        return None if path is None else self.history.identify(path)

    def saved(self, run: str, path: str, step: int | None) -> Checkpoint:
        """Records a save."""
        short, inside = shorten(path, self.model_dir)
        event = self.log.append(
            ev.SAVED, run=run, path=short, inside=inside, step=step, fingerprint=fingerprint(path)
        )
        return Checkpoint(event.id, path, step)

    def skip(
        self, what: str, subject: str | None, checkpoint: Checkpoint | None, reason: str, detail: str
    ) -> None:
        """Records why something was not done; once for the same thing and reason."""
        id_ = checkpoint.id if checkpoint else None
        self._read()
        if not self._record.skipped(what, subject, id_, reason):
            self.log.append(
                ev.SKIPPED, what=what, subject=subject, checkpoint=id_, reason=reason, detail=detail
            )

    def defer_export(self, error: Exception) -> None:
        """Keeps an exporter's error for the end, so that it stops nothing else."""
        self._export_errors.append(error)

    def defer_observers(self, errors: list[Exception]) -> None:
        """Keeps observers' errors for the end."""
        self._observer_errors.extend(errors)

    def raise_deferred(self) -> None:
        """Raises together what exporters and observers raised.

        Raises:
            ExportFailed: an exporter failed; the cause is its error, or a group of them.
            PluginError: only observers failed.
        """
        exports, observers = self._export_errors, self._observer_errors
        self._export_errors, self._observer_errors = [], []
        if exports:
            failed = ExportFailed(
                f"{_told(exports)}; training and evaluation are recorded: mend it and run again, "
                "and what was missed is exported"
            )
            if all(isinstance(error, ExpcoreError) for error in exports):
                failed.exit_code = exports[0].exit_code  # type: ignore[attr-defined]
            raise failed from _together(exports + observers)
        if observers:
            raise PluginError(_told(observers)) from _together(observers)

    def note_deferred(self, error: BaseException) -> None:
        """Adds what was kept for the end to an error that ends everything now."""
        for kept in self._export_errors + self._observer_errors:
            error.add_note(f"before that: {_told([kept])}")
        self._export_errors, self._observer_errors = [], []


def _told(errors: list[Exception]) -> str:
    """Each different failure once, with how often it came."""
    times: dict[str, int] = {}
    for error in errors:
        notes = getattr(error, "__notes__", [])
        text = f"{one_line(error)} ({', '.join(notes)})" if notes else one_line(error)
        times[text] = times.get(text, 0) + 1
    return "; ".join(text if n == 1 else f"{text}, {n} times" for text, n in times.items())


def _together(errors: list[Exception]) -> Exception:
    return errors[0] if len(errors) == 1 else ExceptionGroup("several plugins failed", errors)
