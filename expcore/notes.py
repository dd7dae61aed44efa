"""Notes: small JSON files by which processes, also of several machines, tell each other what they are at."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def read_note(path: Path) -> tuple[str | None, dict[str, Any]]:
    """Returns a note's text, None where it is gone, and what it says; nothing where that is no note yet."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return None, {}
    except OSError:
        return "", {}  # another user's, perhaps: it expires like one that cannot be understood
    try:
        note = json.loads(text)
    except (ValueError, RecursionError):
        return text, {}
    return text, note if isinstance(note, dict) else {}


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Waits until nobody else, thread or process, is in such a context of the same file.

    Where the file system has no locks it does not wait.

    Args:
        path: the file whose lock is taken; made if need be, and left there.

    Raises:
        OSError: the file cannot be made or opened.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        locked = _wait_for(file)
        try:
            yield
        finally:
            # Closing would not do: a process that was forked meanwhile has the file as well.
            if locked:
                fcntl.flock(file, fcntl.LOCK_UN)
    finally:
        os.close(file)


def _wait_for(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        return False
    return True
