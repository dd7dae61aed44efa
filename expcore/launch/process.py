"""A process of a cluster: started with its TF_CONFIG, its output to a file and to whoever looks on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from io import BufferedIOBase, RawIOBase
from pathlib import Path
from threading import Thread

from expcore.launch.shape import Task


class Process:
    """A running task; the end of the launcher, however it comes, is its end too.

    Args:
        task: which one.
        command: what it runs.
        tf_config: its TF_CONFIG.
        log: the file that its output is added to.
        say: is given each line of its output.
    """

    def __init__(
        self, task: Task, command: Sequence[str], tf_config: str, log: Path, say: Callable[[str, str], None]
    ) -> None:
        self.task = task
        environment = {**os.environ, "TF_CONFIG": tf_config, "PYTHONUNBUFFERED": "1"}
        self._popen = subprocess.Popen(  # noqa: S603  (the command is the launcher's own)
            [sys.executable, "-P", "-m", "expcore.launch.child", str(os.getpid()), *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that a key pressed in the terminal reaches the launcher alone
        )
        self._reader = Thread(target=self._read, args=(log, say), name=f"expcore-{task.name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its group."""
        return self._popen.pid

    @property
    def code(self) -> int | None:
        """Its exit code, 128 and the signal's number where one ended it; None while it runs."""
        code = self._popen.poll()
        return code if code is None or code >= 0 else 128 - code

    def signal(self, signum: int) -> None:
        """Sends it a signal; nothing where it has ended."""
        if self._popen.poll() is None:
            self._popen.send_signal(signum)

    def end(self) -> None:
        """Ends at once what is left of it and of all that it started, and waits for that."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        self._reader.join(5)

    def _read(self, log: Path, say: Callable[[str, str], None]) -> None:
        """Reads to the end, whatever becomes of it: a task whose output nobody takes stands still."""
        assert self._popen.stdout is not None  # noqa: S101  (a pipe was asked for)
        file: BufferedIOBase | RawIOBase | None = None
        with suppress(OSError):  # a disk that is full is no reason to end a training
            file = log.open("ab", buffering=0)
        with file or nullcontext(), self._popen.stdout:
            for line in self._popen.stdout:
                if file is not None:
                    with suppress(OSError):
                        file.write(line)
                say(self.task.name, line.decode(errors="replace").rstrip("\n"))
