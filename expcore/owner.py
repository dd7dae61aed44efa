"""Who holds something on disk: one process of one boot of one machine, and whether it still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Owner:
    """A process that can be recognised later, also after its number was given to another.

    Attributes:
        host: the machine's name.
        boot: id of the machine's boot; "" where the system has none.
        pid: process number.
        started: the process's start in the system's ticks since boot; 0 where unknown.
    """

    host: str
    boot: str
    pid: int
    started: int

    @classmethod
    def current(cls) -> Owner:
        """Returns this process."""
        return cls(socket.gethostname(), _boot_id(), os.getpid(), _started(os.getpid()))

    @classmethod
    def from_dict(cls, value: Any) -> Owner | None:
        """Reads what ``to_dict`` gave; None for anything else."""
        try:
            return cls(str(value["host"]), str(value["boot"]), int(value["pid"]), int(value["started"]))
        except (KeyError, TypeError, ValueError):
            return None

    def to_dict(self) -> dict[str, Any]:
        """Returns it as JSON data."""
        return asdict(self)

    def alive(self) -> bool | None:
        """Whether the process lives; None for another machine, of which nothing can be known here."""
        if self.host != socket.gethostname():
            return None
        if self.boot != _boot_id():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return self.started == 0 or self.started == _started(self.pid)


@cache
def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> int:
    try:
        # The command's name may hold spaces and brackets; fields are counted after its closing one.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0
