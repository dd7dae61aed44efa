"""Runs of the resume harness, each in a process of its own, as fixtures."""

from __future__ import annotations

import json
import os
import random
import runpy
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

import pytest

PROGRAM = Path(__file__).with_name("program.py")
TIMEOUT = 150


def pytest_generate_tests(metafunc):
    """Gives ``case``, where a test names no cases of its own, all that differ in one thing."""
    own = any("case" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "case" in metafunc.fixturenames and not own:
        names = runpy.run_path(str(PROGRAM.with_name("names.py")))
        metafunc.parametrize("case", [*names["INPUTS"], *names["TEXTS"], *names["MODELS"]])


class Outcome(NamedTuple):
    """How a run ended: its exit code, what it wrote (None: nothing), and its log."""

    code: int
    found: dict | None
    log: str


class Runs:
    """Starts runs, by a program that forks a process for each."""

    def __init__(self, folder):
        self._folder, self._number = folder, 0
        self._futures, self._straight = {}, {}
        self._server = None

    def start(self, case, model_dir, **job) -> Future:
        """Starts a run; its future gives the outcome."""
        if self._server is None:
            pipe = subprocess.PIPE
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
            program = [sys.executable, str(PROGRAM)]
            self._server = subprocess.Popen(program, stdin=pipe, stdout=pipe, text=True, env=environment)
            threading.Thread(target=self._read, daemon=True).start()
        job = self._job(case, model_dir, job)
        future = self._futures[job["number"]] = Future()
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        return future

    def _job(self, case, model_dir, job):
        self._number += 1
        number = self._number
        return {
            **job,
            "case": case,
            "model_dir": str(model_dir),
            "number": number,
            "out": str(self._folder / f"{number}.json"),
        }

    def _read(self):
        for line in self._server.stdout:
            number, code = map(int, line.split())
            self._futures.pop(number).set_result(self._outcome(self._folder / f"{number}.json", code))
        for future in self._futures.values():
            future.set_exception(RuntimeError("the program that starts the runs has ended"))

    def _outcome(self, out, code):
        found = json.loads(out.read_text()) if out.exists() else None
        log = Path(f"{out}.log")
        return Outcome(code, found, log.read_text() if log.exists() else "")

    def result(self, future, code=0) -> dict | None:
        """Waits for a run and returns its digest."""
        outcome = future.result(TIMEOUT)
        assert outcome.code == code, outcome.log[-3000:]
        return outcome.found

    def run(self, case, model_dir, code=0, **job) -> dict | None:
        """Starts a run and returns its digest."""
        return self.result(self.start(case, model_dir, **job), code)

    def straight(self, case) -> Future:
        """The run from the first step to the last, once for all tests."""
        if case not in self._straight:
            self._straight[case] = self.start(case, self._folder / f"straight-{case}")
        return self._straight[case]

    def apart(self, case, model_dir, **job) -> dict:
        """A run in a process that has nothing from another one, not even the seed of its hashes."""
        job = self._job(case, model_dir, job)
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONHASHSEED": str(job["number"])}
        program = [sys.executable, str(PROGRAM), json.dumps(job)]
        code = subprocess.run(program, env=environment, timeout=TIMEOUT).returncode
        outcome = self._outcome(Path(job["out"]), code)
        assert code == 0, outcome.log[-3000:]
        return outcome.found

    def close(self):
        if self._server is not None:
            self._server.stdin.close()
            self._server.wait(TIMEOUT)


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    made = Runs(tmp_path_factory.mktemp("resume"))
    yield made
    made.close()


@pytest.fixture
def draw():
    """Draws steps to stop at; the seed is shown where a test fails, and may be given."""
    seed = os.environ.get("EXPCORE_RESUME_SEED") or str(random.SystemRandom().randrange(2**32))
    print(f"EXPCORE_RESUME_SEED={seed}")
    numbers = random.Random(seed)

    def steps(n=1, first=5, last=195):
        drawn = sorted(numbers.sample(range(first, last + 1), n))
        print("stops at", drawn)
        return drawn if n > 1 else drawn[0]

    return steps


@pytest.fixture
def differences():
    """Compares two digests; gives what differs, part by part."""

    def found(one, other, path=""):
        if not (isinstance(one, dict) and isinstance(other, dict)):
            return [] if one == other else [path]
        keys = [*one, *(key for key in other if key not in one)]
        return [d for key in keys for d in found(one.get(key), other.get(key), f"{path}/{key}")]

    return found
