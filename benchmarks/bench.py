"""Bench: what a run has at hand: environments, folders, the size, and the measurements so far."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.case import Case
from benchmarks.environments import Environment, Unavailable
from benchmarks.measurement import Measurement
from benchmarks.remote import Remote
from benchmarks.size import Size

CLUSTER = "cluster"


class Bench:
    """A run.

    Args:
        folder: a folder for data, model directories and logs.
        size: how much is measured.

    Attributes:
        environments: those that could be made, by name.
        unavailable: why another could not.
    """

    def __init__(self, folder: Path, size: Size) -> None:
        self.size = size
        self.data = folder / "data"
        self.data.mkdir()
        self.log = folder / "log"
        self.environments: dict[str, Environment] = {}
        self.unavailable: dict[str, str] = {}
        self._folder = folder

    def make_environments(self) -> None:
        """Makes the environments; only the main one must be there.

        Raises:
            Unavailable: the main one cannot be made.
        """
        for environment in (Environment("main"), Environment("estimator")):
            try:
                environment.make()
            except Unavailable as why:
                if environment.name == "main":
                    raise
                self.unavailable[environment.name] = str(why)
            else:
                self.environments[environment.name] = environment

    def remote(self, environment: str) -> Remote:
        """Starts a worker; in "cluster" two processes that are one."""
        if environment == CLUSTER:
            return Remote(self.environments["main"], self.log, "together")
        return Remote(self.environments[environment], self.log)

    def place(self) -> str:
        """Returns a new path below the run's folder, of nothing yet."""
        return str(Path(tempfile.mkdtemp(dir=self._folder), "own"))

    def versions(self) -> dict[str, dict[str, str]]:
        """Returns the versions of what is installed, by environment."""
        found = {}
        for name in self.environments:
            remote = self.remote(name)
            found[name] = remote.ask("versions")
            remote.close()
        return found

    def say(self, text: str) -> None:
        """Tells how far it is."""
        print(text, file=sys.stderr, flush=True)


Job = Callable[[Bench, Case], Measurement]
