"""Start: a new process that makes the first step of a peer and says when it was done."""

from __future__ import annotations

import importlib
import json
import sys

from benchmarks.case import Case
from benchmarks.peers.session import Place

PEERS = {
    "loop, fused": ("main", "loops", "steady", "loop, fused, metrics"),
    "fit": ("main", "fit", "steady", "fit, 1"),
    "orbit": ("main", "orbits", "steady", "orbit"),
    "expcore": ("main", "own", "steady", "expcore"),
    "expcore, Experiment": ("main", "own", "start", "expcore, Experiment"),
    "tf.estimator": ("estimator", "estimator", "steady", "tf.estimator"),
}
"""Environment, module, job and name of the session whose first step is waited for."""


def main() -> None:
    """Prints the time of the first step's end; the arguments are peer, case, and the two folders."""
    peer, case, folder, own = sys.argv[1:]
    _, module, job, name = PEERS[peer]
    sessions = importlib.import_module(f"benchmarks.peers.{module}").SESSIONS
    print(json.dumps(sessions[job, name](Case(**json.loads(case)), Place(folder, own)).first()))


if __name__ == "__main__":
    main()
