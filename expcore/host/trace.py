"""Trace: one line of JSON for each call of a plugin and each import of a component that the host makes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from expcore.clock import RealClock
from expcore.errors import CannotWrite, one_line
from expcore.host.discovery import Entry
from expcore.types import Clock

_LOG = logging.getLogger(__name__)

TRACE = "EXPCORE_TRACE_PLUGINS"

RESULT_LENGTH = 200
"""Characters of a result that are kept."""


class Trace:
    """Appends to a file what the host does with plugins; several processes may share the file.

    A line is an object with ``event``, ``plugin`` (the name that pluggy knows it by), ``dist``, ``version``,
    ``ms`` (milliseconds, with what is called inside), ``result`` (its repr, cut) and ``error`` (None: there
    was none). Where ``event`` is "call" it has ``hook``; where it is "import", ``component`` (``kind/name``).

    Args:
        path: the file; made if need be.
        clock: measures; None: the real clock.

    Raises:
        CannotWrite: the file cannot be written.
    """

    def __init__(self, path: str, clock: Clock | None = None) -> None:
        self._path: str | None = path
        self._clock: Clock = clock or RealClock()
        self._imported: set[tuple[str, str]] = set()
        try:
            with open(path, "a", encoding="utf-8"):
                pass
        except OSError as error:
            raise CannotWrite(
                f"{TRACE}={path!r}: {error.strerror or error}; name a file that can be written"
            ) from error

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Trace | None:
        """Returns the trace that the environment asks for, or None.

        Raises:
            CannotWrite: the file that it names cannot be written.
        """
        path = environ.get(TRACE, "").strip()
        return cls(path) if path else None

    def traced(self, call: Callable[..., Any], hook: str, key: str, entry: Entry) -> Callable[..., Any]:
        """Returns pluggy's caller of one plugin's hook, which now leaves a line for each call."""

        def calling(**kwargs: Any) -> Any:
            with self._line({"event": "call", "hook": hook}, key, entry) as line:
                answer = call(**kwargs)
                one = answer[0] if isinstance(answer, list) and len(answer) == 1 else answer
                line["result"] = _shown(None if answer == [] else one)
            return answer

        return calling

    @contextmanager
    def importing(self, entry: Entry, component: str) -> Iterator[None]:
        """Leaves a line for an import; none for another one of what was imported already."""
        if (entry.key, component) in self._imported:
            yield
            return
        with self._line({"event": "import", "component": component}, entry.key, entry):
            yield
        self._imported.add((entry.key, component))

    @contextmanager
    def _line(self, head: dict[str, Any], key: str, entry: Entry) -> Iterator[dict[str, Any]]:
        line = {**head, "plugin": key, "dist": entry.dist.shown, "version": entry.dist.version}
        line |= {"ms": 0.0, "result": None, "error": None}
        began = self._clock.monotonic()
        try:
            yield line
        except BaseException as error:
            line["error"] = one_line(error)
            raise
        finally:
            line["ms"] = round((self._clock.monotonic() - began) * 1000, 3)
            self._append(line)

    def _append(self, line: Mapping[str, Any]) -> None:
        if self._path is None:
            return
        try:
            # One write in append mode: the lines of two processes do not mix.
            with open(self._path, "ab", buffering=0) as file:
                file.write(json.dumps(line).encode() + b"\n")
        except OSError as error:
            _LOG.warning("%s=%r: %s; nothing more is traced", TRACE, self._path, error.strerror or error)
            self._path = None


def _shown(result: Any) -> str:
    try:
        return repr(result)[:RESULT_LENGTH]
    except Exception as error:
        return f"<{type(result).__name__}, whose repr raises {type(error).__name__}>"
