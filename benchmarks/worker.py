"""The worker: a process that keeps the sessions of one environment and does a round of one when asked.

It reads requests from its standard input and answers on its standard output, a line of JSON each; all that
TensorFlow and the peers print goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Any

from benchmarks import data
from benchmarks.case import Case
from benchmarks.peers.session import Place, Session, Sessions

MODULES = {"main": ("loops", "fit", "orbits", "own"), "estimator": ("estimator",), "cluster": ("replicas",)}
"""The modules of peers by environment."""


def sessions(environment: str) -> Sessions:
    """Returns all sessions of an environment."""
    found: Sessions = {}
    for module in MODULES[environment]:
        found |= importlib.import_module(f"benchmarks.peers.{module}").SESSIONS
    return found


class Worker:
    """Answers requests.

    Args:
        environment: the name of the environment that it runs in.
    """

    def __init__(self, environment: str) -> None:
        self._environment = environment
        self._known: Sessions | None = None
        self._open: dict[str, Session] = {}

    def answer(self, request: dict[str, Any]) -> Any:
        """Does what the request says."""
        return getattr(self, f"_{request.pop('do')}")(**request)

    def _versions(self) -> dict[str, str]:
        from importlib.metadata import version

        names = {
            "main": ("tensorflow", "keras", "numpy", "tf-models-official", "expcore"),
            "estimator": ("tensorflow", "tensorflow-estimator", "keras", "numpy"),
        }
        python = ".".join(map(str, sys.version_info[:3]))
        return {"python": python} | {name: version(name) for name in names[self._environment]}

    def _peers(self, job: str) -> list[str]:
        return [peer for known, peer in self._sessions if known == job]

    def _data(self, case: dict[str, Any], folder: str) -> None:
        data.write(Case(**case), folder)

    def _start(self, case: dict[str, Any], peer: str, folder: str, own: str) -> None:
        os.makedirs(own, exist_ok=True)  # two processes of a cluster have one
        given = Case(**case)
        session = self._sessions[given.job, peer](given, Place(folder, own))
        session.first()
        self._open[peer] = session

    def _round(self, peer: str, units: int) -> float:
        return self._open[peer].round(units)

    @property
    def _sessions(self) -> Sessions:
        if self._known is None:
            self._known = sessions(self._environment)
        return self._known


def main() -> None:
    """Serves until its standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(sys.argv[1])
    for line in sys.stdin:
        try:
            answer = {"answer": worker.answer(json.loads(line))}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
