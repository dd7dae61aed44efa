"""The guard: a process that outlives the launcher, to end what its tasks have started.

The system ends the tasks with the launcher, but not the processes of their own: these are of a task's group,
which the guard ends when the launcher's pipe breaks. It is run by its path, and imports nothing of expcore.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from types import TracebackType


class Guard:
    """Ends groups of processes, should this process end before it says that there are none."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(  # noqa: S603  (the command is the launcher's own)
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    def watch(self, pids: Iterable[int]) -> None:
        """Takes these groups instead of those before."""
        assert self._popen.stdin is not None  # noqa: S101  (a pipe was asked for)
        with contextlib.suppress(OSError):  # somebody has ended it
            self._popen.stdin.write(f"{' '.join(map(str, pids))}\n")
            self._popen.stdin.flush()

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets it end, with nothing to do."""
        self.watch([])
        assert self._popen.stdin is not None  # noqa: S101
        with contextlib.suppress(OSError):
            self._popen.stdin.close()
        self._popen.wait()


def main() -> None:
    """Reads a line of process ids after the other, and ends the groups of the last when there are no more."""
    pids: list[int] = []
    for line in sys.stdin:
        pids = [int(word) for word in line.split()]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
