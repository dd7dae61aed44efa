"""Who holds something on disk: one process of one boot of one machine, and whether it still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_CONTAINER = Path("/proc/self/ns/pid")


@dataclass(frozen=True)
class Owner:
    """A process that can be recognised later, also after its number was given to another.

    Attributes:
        host: the machine's name.
        boot: id of the machine's boot, and after a dot of the container that counts processes; "" where
            the system has none.
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
        fields = _stat(os.getpid())
        return cls(socket.gethostname(), _boot(), os.getpid(), int(fields[19]) if fields else 0)

    @classmethod
    def from_dict(cls, value: Any) -> Owner | None:
        """Reads what ``to_dict`` gave, also where numbers have become text; None for anything else."""
        try:
            owner = cls(str(value["host"]), str(value["boot"]), int(value["pid"]), int(value["started"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        return owner if 0 < owner.pid < 2**31 else None

    def to_dict(self) -> dict[str, Any]:
        """Returns it as JSON data."""
        return asdict(self)

    def alive(self) -> bool | None:
        """Whether the process lives; None where nothing can be known: another machine, another container.

        One that has ended but was not waited for by its parent does not live.
        """
        if self.host != socket.gethostname():
            return None
        (boot, _, container), (here, _, our_container) = self.boot.partition("."), _boot().partition(".")
        if boot != here:
            return False
        if container != our_container:
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # somebody else's, so it is there
        fields = _stat(self.pid)
        return not fields or (fields[0] not in ("Z", "X") and self.started in (0, int(fields[19])))


def _boot() -> str:
    # Containers of one machine may share its name, and then count processes each for itself.
    try:
        return f"{_BOOT_ID.read_text().strip()}.{_CONTAINER.stat().st_ino}"
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    """The fields of a process's status from its state on; none where the system does not tell."""
    try:
        # The command's name may hold spaces and brackets; fields are counted after its closing one.
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
