"""Imports a plugin in a process of its own, where it can hurt nobody, and tells how that went."""

from __future__ import annotations

import inspect
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from expcore.clock import RealClock
from expcore.errors import one_line

_CHILD = (
    "import json, sys\n"
    "given = json.loads(sys.argv[1])\n"
    "sys.path[:] = given['path']\n"
    "from expcore.cli.probe import child\n"
    "child(given['target'], given['out'])\n"
)


@dataclass(frozen=True)
class Probed:
    """How an import went.

    Attributes:
        error: why it failed; None where it did not.
        seconds: how long the import took; None where it did not end.
        heavy: heavy libraries that came along.
        signature: the parameters of what was imported; "" where it has none.
    """

    error: str | None = None
    seconds: float | None = None
    heavy: tuple[str, ...] = field(default=())
    signature: str = ""

    def as_json(self) -> dict[str, Any]:
        """The outcome as JSON data."""
        return {
            "error": self.error,
            "seconds": self.seconds,
            "heavy": list(self.heavy),
            "signature": self.signature,
        }


def probe(target: str, timeout_secs: float = 60.0) -> Probed:
    """Imports ``module:attribute`` in a new process.

    Args:
        target: as an entry point gives it.
        timeout_secs: after so many seconds the process is killed.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out.json")
        given = json.dumps({"path": sys.path, "target": target, "out": out})
        process = subprocess.Popen(  # noqa: S603  (our own interpreter and our own code)
            [sys.executable, "-c", _CHILD, given],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout_secs)
        except subprocess.TimeoutExpired:
            return Probed(f"the import did not end within {timeout_secs:g} s")
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # also what the plugin may have started
            process.wait()
        try:
            with open(out, encoding="utf-8") as file:
                told = json.load(file)
        except (OSError, ValueError):
            return Probed(f"the import ended the process with {code}")
        return Probed(**{**told, "heavy": tuple(told["heavy"])})


def child(target: str, out: str) -> None:
    """Imports a target in this process and writes the outcome to a file."""
    from importlib_metadata import EntryPoint

    from expcore.cli.lint_imports import HEAVY

    clock, before = RealClock(), set(sys.modules)
    start, error, value = clock.monotonic(), None, None
    try:
        value = EntryPoint("probed", target, "probed").load()
    except BaseException as failure:  # SystemExit too: this process is there for it
        error = one_line(failure)
    seconds = clock.monotonic() - start
    heavy = sorted({name.partition(".")[0] for name in set(sys.modules) - before} & HEAVY)
    told = Probed(error, round(seconds, 3), tuple(heavy), _signature(value))
    with open(out, "w", encoding="utf-8") as file:
        json.dump(told.as_json(), file)


def _signature(value: object) -> str:
    try:
        told = str(inspect.signature(value)) if callable(value) else ""
        return re.sub(r"(: |-> )'([^']*)'", r"\1\2", told)  # annotations that are kept as strings
    except Exception:  # a plugin's own object may raise anything here, and need not have one
        return ""
