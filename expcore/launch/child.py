"""The first thing that a process of a cluster runs: it ties its life to the launcher's."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Asks the system to end this process with its parent, and becomes the command in the arguments.

    The first argument is the parent's process id.
    """
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):  # it died before it could be asked for
        sys.exit(128 + signal.SIGKILL)
    os.execv(command[0], command)  # noqa: S606  (the command is the launcher's own)


if __name__ == "__main__":
    main()
