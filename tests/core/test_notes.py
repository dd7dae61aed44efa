"""Notes: read whatever is there, and looked at by one at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from expcore.notes import alone, read_note


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b'{"a": 1}', ('{"a": 1}', {"a": 1})),
        (b'{"a": ', ('{"a": ', {})),
        (b"", ("", {})),
        (b"[1]", ("[1]", {})),
        (b"[" * 100_000, ("[" * 100_000, {})),
        (b"\xff", ("\ufffd", {})),
    ],
)
def test_of_what_is_no_note_the_text_is_all_there_is(tmp_path, content, found):
    (tmp_path / "note").write_bytes(content)
    assert read_note(tmp_path / "note") == found


def test_one_that_is_gone_is_told_from_one_that_cannot_be_read(tmp_path):
    assert read_note(tmp_path / "none") == (None, {})
    assert read_note(tmp_path) == ("", {})


def somebody_else_waits(path: Path) -> threading.Event:
    """Another thread asks for the lock; the event says that it got it."""
    had = threading.Event()

    def wait() -> None:
        with alone(path):
            had.set()

    threading.Thread(target=wait, daemon=True).start()
    return had


def test_others_wait_until_the_context_ends_even_by_an_error(tmp_path):
    path = tmp_path / "lock"

    def hold_and_fail() -> None:
        with alone(path):
            waiting.append(somebody_else_waits(path))
            assert not waiting[0].wait(0.05)
            raise KeyError

    waiting: list[threading.Event] = []
    with pytest.raises(KeyError):
        hold_and_fail()
    assert waiting[0].wait(10)
    assert path.exists()


def test_a_process_forked_meanwhile_does_not_keep_it(tmp_path):
    path = tmp_path / "lock"
    with alone(path):
        copies = [os.dup(int(name)) for name in os.listdir("/proc/self/fd") if _leads_to(name, path)]
    assert copies, "what a forked process has of it"
    assert somebody_else_waits(path).wait(10)
    for copy in copies:
        os.close(copy)


def _leads_to(name: str, path: Path) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{name}") == str(path)
    except OSError:
        return False


def test_a_file_system_without_locks_keeps_nobody(tmp_path, monkeypatch):
    def unsupported(file: int, how: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with alone(tmp_path / "lock"), alone(tmp_path / "lock"):
        pass


def test_a_file_that_cannot_be_made_is_an_error_and_what_the_context_raises_goes_through(tmp_path):
    def enter(path: Any, error: Exception) -> None:
        with alone(path):
            raise error

    with pytest.raises(FileNotFoundError):
        enter(tmp_path / "none" / "lock", KeyError())
    with pytest.raises(OSError, match="mine"):
        enter(tmp_path / "lock", OSError("mine"))
