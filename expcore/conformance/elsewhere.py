"""Elsewhere: what a component does to files outside of the folder in which it is tried."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Look = Callable[[str, tuple[Any, ...]], None]

_OF_FILES = ("open", "os.", "shutil.")
_LOOKING: list[Look] = []
_INSTALLED: list[bool] = []

_CHANGES = {
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.rename": (0, 1),
    "os.link": (1,),
    "os.symlink": (1,),
    "os.truncate": (0,),
}
"""Which arguments of an audit event are paths that are changed."""

_CACHES = (f"{os.sep}__pycache__", f"{os.sep}.cache{os.sep}")
"""In the path of what Python and libraries keep for themselves."""


class Elsewhere:
    """Keeps what is written outside of a folder, as far as Python does it.

    Files that are there no more in the end, devices and caches do not count.

    Args:
        folder: inside everything is allowed.
    """

    def __init__(self, folder: Path) -> None:
        self._inside = os.path.realpath(folder) + os.sep
        self._found: dict[str, bool] = {}  # by path, whether it was there before

    @contextmanager
    def watching(self) -> Iterator[None]:
        """A block during which it looks."""
        with audited(self._look):
            yield

    @property
    def found(self) -> str:
        """In words what was written, changed or removed; "" for nothing."""
        told = []
        for path, known in self._found.items():
            if os.path.lexists(path):
                told.append(f"{path!r} was {'changed' if known else 'written'}")
            elif known:
                told.append(f"{path!r} was removed")
        return ", ".join(told[:5]) + (f" and {len(told) - 5} more" if len(told) > 5 else "")

    def _look(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            writes = isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            paths = args[:1] if writes else ()
        else:
            paths = tuple(args[n] for n in _CHANGES.get(event, ()))
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike):
                self._add(os.fsdecode(path))

    def _add(self, path: str) -> None:
        # The path itself, also where it is a link; the directory is where it really is.
        folder, name = os.path.split(os.path.abspath(path))
        path = os.path.join(os.path.realpath(folder), name)
        there = os.path.lexists(path)
        device = there and not (os.path.isfile(path) or os.path.isdir(path) or os.path.islink(path))
        cache = os.environ.get("XDG_CACHE_HOME")
        caches = (*_CACHES, os.path.realpath(cache)) if cache else _CACHES
        if not (path + os.sep).startswith(self._inside) and not device and not any(c in path for c in caches):
            self._found.setdefault(path, there)


@contextmanager
def audited(look: Look) -> Iterator[None]:
    """A block during which ``look(event, args)`` is called before each thing that is done to any file."""
    if not _INSTALLED:
        sys.addaudithook(_hook)  # for the life of the process; it does nothing while nobody looks
        _INSTALLED.append(True)
    _LOOKING.append(look)
    try:
        yield
    finally:
        _LOOKING.remove(look)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not _LOOKING or not event.startswith(_OF_FILES):
        return
    looking = _LOOKING[:]
    _LOOKING.clear()  # looking is not looked at
    try:
        for look in looking:
            look(event, args)
    finally:
        _LOOKING[:] = looking
