"""What is seen of directories: their contents, and a watch that looks while a component is at work."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from expcore.conformance.elsewhere import audited

VERSION = re.compile(r"0|[1-9][0-9]{0,17}")

Contents = dict[str, str]


def contents(root: Path, *besides: Path) -> Contents:
    """Returns what is below a directory: a digest by each file's path, "directory", or where a link leads.

    Args:
        root: the directory; one that is not there has no contents.
        besides: paths that are left out, with what is below them.
    """
    found: Contents = {}
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = [name for name in folders if here / name not in besides]
        for name in [*folders, *files]:
            path = here / name
            if path in besides:
                continue
            if path.is_symlink():
                told = f"link to {os.readlink(path)}"
            elif path.is_file():
                told = sha256(path.read_bytes()).hexdigest()
            else:
                told = "directory" if path.is_dir() else "neither file nor directory"
            found[str(path.relative_to(root))] = told
    return found


def files(root: Path) -> list[str]:
    """Returns the paths of the regular files below a directory, sorted."""
    return sorted(path for path, told in contents(root).items() if len(told) == 64)


def differences(before: Contents, after: Contents) -> str:
    """Returns in words what came, went and was changed; "" for nothing."""
    told = [f"{path!r} is new" for path in sorted(after.keys() - before.keys())]
    told += [f"{path!r} is gone" for path in sorted(before.keys() - after.keys())]
    told += [f"{p!r} was changed" for p in sorted(before.keys() & after.keys()) if before[p] != after[p]]
    return ", ".join(told[:5]) + (f" and {len(told) - 5} more" if len(told) > 5 else "")


def entries(base: Path) -> set[str]:
    """Returns the names in a directory; none where it is not there."""
    return set(os.listdir(base)) if base.is_dir() else set()


class Appearing:
    """Remembers each version below a directory as it was when it could first be seen.

    Args:
        base: the directory of the versions.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._known = entries(base)
        self.first: dict[str, Contents] = {}

    def look(self) -> None:
        """Looks which versions there are now."""
        for name in entries(self._base) - self._known - self.first.keys():
            if VERSION.fullmatch(name):
                self.first[name] = contents(self._base / name)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """A block during which it looks before each thing that is done to any file."""
        with audited(lambda _event, _args: self.look()):
            yield


class FullDisk:
    """Counts the files that are opened for writing below a directory, and refuses the last of them.

    Args:
        base: the directory.
        refused: number of the one that is refused, from 1; 0: none.
    """

    def __init__(self, base: Path, refused: int = 0) -> None:
        self._base = os.path.realpath(base)
        self._refused = refused
        self.opened = 0

    @contextmanager
    def filling(self) -> Iterator[None]:
        """A block during which it counts and refuses."""
        with audited(self._count):
            yield

    def _count(self, event: str, args: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(args[0], str | bytes):
            return
        path, flags = os.fsdecode(args[0]), args[2]
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        if not writes or not os.path.realpath(path).startswith(self._base + os.sep):
            return
        self.opened += 1
        if self.opened == self._refused:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
