"""Traces: what a component leaves behind in its process, and in places where it has no business."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expcore.conformance.process import kept_signals

PLACES = {
    "work": (),
    "home": ("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"),
    "tmp": ("TMPDIR", "TEMP", "TMP"),
}
"""Empty folders beside the model directory, and the variables that point there."""


@dataclass
class Traces:
    """What was found at the end of ``traced``.

    Attributes:
        process: what of the process is not as before, in words; empty: all is.
        files: files and folders that are new, gone or changed, relative to the folder; empty: none.
    """

    process: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


@contextmanager
def traced(folder: Path) -> Iterator[Traces]:
    """Runs a block in an empty working directory, with an empty home and an empty one for temporary files.

    Directory, environment, signal handlers and random states are put back at the end.

    Args:
        folder: of the case; everything below it is looked at.
    """
    for name, variables in PLACES.items():
        (folder / name).mkdir(exist_ok=True)
        os.environ.update(dict.fromkeys(variables, str(folder / name)))
    tempdir, tempfile.tempdir = tempfile.tempdir, str(folder / "tmp")
    cwd, found, signals = os.getcwd(), Traces(), list[int]()
    os.chdir(folder / "work")
    drawn = random_states()
    _seed()
    files, environ, states = _files(folder), dict(os.environ), random_states()
    try:
        with kept_signals(signals):
            yield found
        found.files += sorted(name for name, _ in files.items() ^ _files(folder).items())
        found.files[:] = dict.fromkeys(found.files)
        found.process += _changes(folder / "work", environ, signals, states)
    finally:
        os.chdir(cwd)
        tempfile.tempdir = tempdir
        _put_back(drawn)


def _changes(work: Path, environ: dict[str, str], signals: list[int], states: dict[str, Any]) -> list[str]:
    found = []
    if Path(os.getcwd()) != work.resolve():
        found.append(f"the working directory became {os.getcwd()}")
    names = sorted({name for name, _ in environ.items() ^ os.environ.items()})
    if names:
        found.append(f"variables of the environment were changed: {', '.join(names)}")
    if signals:
        found.append(f"handlers of signals were changed: {signals}")
    now = random_states()
    moved = [name for name, state in states.items() if now[name] != state]
    if moved:
        found.append(f"the global random generator of {' and '.join(moved)} was seeded or drawn from")
    return found


def random_states() -> dict[str, Any]:
    """Returns the states of the global random generators, by library."""
    found: dict[str, Any] = {"random": random.getstate()}
    if "numpy" in sys.modules:
        import numpy as np

        kind, keys, *rest = np.random.get_state(legacy=True)
        found["numpy"] = (kind, tuple(map(int, keys)), *rest)
    return found


def _seed() -> None:
    """A state in which nobody leaves a generator, so that seeding is seen though it was done before."""
    random.seed("traces of a component")
    if "numpy" in sys.modules:
        import numpy as np

        np.random.seed(271828182)


def _put_back(states: dict[str, Any]) -> None:
    random.setstate(states["random"])
    if "numpy" in states:
        import numpy as np

        np.random.set_state(states["numpy"])


def _files(folder: Path) -> dict[str, tuple[int, ...]]:
    """Every file below a folder with what changes when it is written or touched; of folders only the name."""
    found: dict[str, tuple[int, ...]] = {}
    for path in folder.rglob("*"):
        stat = path.lstat()
        seen = () if path.is_dir() else (stat.st_mode, stat.st_size, stat.st_mtime_ns)
        found[str(path.relative_to(folder))] = seen
    return found
