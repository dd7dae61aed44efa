"""The log: every process appends typed events to a file of its own; readers merge all files."""

from __future__ import annotations

import json
import logging
import math
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expcore.errors import CannotWrite
from expcore.types import Clock

_LOG = logging.getLogger(__name__)

SCHEMA = 1
LOG_DIR = "expcore"

SCHEDULE_STARTED = "schedule_started"
SCHEDULE_ENDED = "schedule_ended"
TRAINING_STARTED = "training_started"
TRAINING_ENDED = "training_ended"
SAVED = "saved"
EVALUATED = "evaluated"
EXPORTED = "exported"
SKIPPED = "skipped"
FAILED = "failed"

# What a line of a kind must say to be of use; without it the line is damaged, or of a schema to come.
_NEEDED: Mapping[str, frozenset[str]] = {
    TRAINING_STARTED: frozenset({"run", "generation"}),
    TRAINING_ENDED: frozenset({"run", "reason"}),
    SAVED: frozenset({"path"}),
    EVALUATED: frozenset({"step", "metrics"}),
    EXPORTED: frozenset({"exporter"}),
    SKIPPED: frozenset({"what", "reason"}),
}


@dataclass(frozen=True)
class Event:
    """One line of a log.

    Attributes:
        kind: one of the constants of this module; others are kept and ignored.
        file: the log's name without directory and suffix: ``events-<task>-<id>-<random>``.
        seq: its number in its file, from 0; one that could not be written leaves a gap.
        time: the writer's wall clock in seconds; for people and for ties, never to order machines.
        elapsed: seconds since the writer's first event.
        data: what the kind says.
    """

    kind: str
    file: str
    seq: int
    time: float
    elapsed: float
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Identifies the event among all logs of the directory."""
        return f"{self.file}:{self.seq}"


def plain(value: Any) -> Any:
    """Returns JSON data for a value: NumPy scalars and arrays, mappings and sequences become Python's own."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if value is None or isinstance(value, bool):
        return value
    # NumPy's float64 and its like are floats too, but write themselves in their own way.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int | float):
        return int(value) if isinstance(value, int) else float(value)
    for convert in ("numpy", "tolist"):
        method = getattr(value, convert, None)
        if callable(method):
            return plain(method())
    return str(value)


def _encode(value: Any) -> Any:
    """Writes NaN and infinities as text, so that every line is strict JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    if isinstance(value, dict):
        return {k: _encode(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_encode(v) for v in value]
    return value


def _decode(value: dict[str, Any]) -> Any:
    return float(value["$float"]) if value in _FLOATS else value


_FLOATS = tuple({"$float": text} for text in ("nan", "inf", "-inf"))


class EventLog:
    """Appends events to this process's own file, which is made when the first event comes.

    Args:
        model_dir: the model directory; ``<model_dir>/expcore/`` is made in it.
        task: task type and id, as ``"chief-0"``.
        clock: gives times.
        token: makes the random part of the file's name.
    """

    def __init__(
        self,
        model_dir: str,
        task: str,
        clock: Clock,
        token: Callable[[], str] = lambda: secrets.token_hex(4),
    ) -> None:
        self._dir = Path(model_dir) / LOG_DIR
        self._task, self._clock, self._token = task, clock, token
        self._file: Path | None = None
        self._seq = 0
        self._start = 0.0
        self._torn = False

    @property
    def name(self) -> str:
        """The file's name without suffix; makes the file."""
        return self._open().stem

    @property
    def elapsed(self) -> float:
        """Seconds since the file was made; 0 before."""
        return self._clock.monotonic() - self._start if self._file else 0.0

    def append(self, kind: str, **data: Any) -> Event:
        """Writes one event and returns it.

        Raises:
            CannotWrite: the file cannot be made or written.
        """
        file = self._open()
        event = Event(kind, file.stem, self._seq, self._clock.time(), self.elapsed, plain(data))
        line = json.dumps(
            _encode(
                {
                    "v": SCHEMA,
                    "seq": event.seq,
                    "event": kind,
                    "time": event.time,
                    "elapsed": event.elapsed,
                    **dict(event.data),
                }
            ),
            allow_nan=False,
        )
        # A line that a full disk cut is closed first, so that it alone is lost.
        text = (("\n" if self._torn else "") + line + "\n").encode()
        # Noted before: what fails below may have been written in part, or even whole.
        self._torn, self._seq = True, self._seq + 1
        try:
            with file.open("ab") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            raise CannotWrite(
                f"{file}: the log cannot be written ({error}); free space or mend it"
            ) from error
        self._torn = False
        return event

    def _open(self) -> Path:
        if self._file is None:
            path = self._dir / f"events-{self._task}-{self._token()}.jsonl"
            try:
                self._dir.mkdir(parents=True, exist_ok=True)
                path.open("x").close()
            except OSError as error:
                raise CannotWrite(
                    f"model directory {str(self._dir.parent)!r}: it cannot be written ({error}); "
                    "give another directory or mend its permissions"
                ) from error
            self._file, self._start = path, self._clock.monotonic()
        return self._file


class LogReader:
    """Reads all logs of a model directory; it keeps nothing but how far it has come.

    Args:
        model_dir: the model directory; need not exist yet.
    """

    def __init__(self, model_dir: str) -> None:
        self._dir = Path(model_dir) / LOG_DIR
        self._offsets: dict[Path, int] = {}
        self._warned: set[Path] = set()

    def read(self) -> list[Event]:
        """Returns the events since the last call: in order within a file, in any order between files."""
        return [event for path in sorted(self._dir.glob("events-*.jsonl")) for event in self._read(path)]

    def _read(self, path: Path) -> Iterator[Event]:
        offset = self._offsets.get(path, 0)
        try:
            if path.stat().st_size <= offset:
                return
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read()
        except OSError as error:
            self._warn(path, f"cannot be read ({error})")
            return
        # What follows the last line end is being written, or was cut by a crash.
        whole = data.rfind(b"\n") + 1
        self._offsets[path] = offset + whole
        for line in data[:whole].splitlines():
            event = self._event(path, line)
            if event is not None:
                yield event

    def _event(self, path: Path, line: bytes) -> Event | None:
        try:
            data = json.loads(line, object_hook=_decode)
            version, kind = int(data.pop("v")), str(data.pop("event"))
            event: Event | None = Event(
                kind,
                path.stem,
                int(data.pop("seq")),
                float(data.pop("time")),
                float(data.pop("elapsed")),
                data,
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            version, event = SCHEMA, None
        if version > SCHEMA:
            self._warn(
                path, f"was written by a newer expcore (schema {version}); what is unknown is left out"
            )
        if event is not None and _NEEDED.get(event.kind, frozenset()) <= event.data.keys():
            return event
        if line.strip():
            self._warn(path, "has a damaged line, which is left out")
        return None

    def _warn(self, path: Path, what: str) -> None:
        if path not in self._warned:
            self._warned.add(path)
            _LOG.warning("log %s %s", path, what)
