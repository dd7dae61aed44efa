"""Remote: the driver's end of a worker, and of programs that run once."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.environments import Environment


class WorkerError(Exception):
    """What went wrong in a worker; the text is its traceback."""

    @property
    def reason(self) -> str:
        """The line of the traceback that says what it was; notes may follow it."""
        lines = [
            line.strip() for line in str(self).splitlines() if re.match(r"\s*[\w.]+(Error|Exception):", line)
        ]
        return lines[-1] if lines else str(self)


class Remote:
    """A worker process.

    Args:
        environment: where it runs.
        log: the file that takes what it prints.
        module: of this package, which answers; "together" for a cluster.
    """

    def __init__(self, environment: Environment, log: Path, module: str = "worker") -> None:
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                [environment.python, "-m", f"benchmarks.{module}", environment.name],
                env=environ(),
                cwd=log.parent,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
            )

    def ask(self, do: str, **arguments: Any) -> Any:
        """Sends a request and returns the answer.

        Raises:
            WorkerError: it failed, or the process ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise WorkerError(f"the worker ended with exit code {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer["answer"]

    def close(self) -> None:
        """Ends it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def begin(environment: Environment, module: str, *words: str, log: Path) -> subprocess.Popen[str]:
    """Starts a module of this package, which prints its result in JSON in its last line."""
    with log.open("ab") as stream:
        return subprocess.Popen(
            [environment.python, "-m", f"benchmarks.{module}", *words],
            env=environ(),
            cwd=log.parent,
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
        )


def result(process: subprocess.Popen[str]) -> Any:
    """Waits for such a process and returns its result.

    Raises:
        WorkerError: it failed.
    """
    text, _ = process.communicate()
    if process.returncode:
        raise WorkerError(f"{process.args} ended with exit code {process.returncode}; the log says why")
    return json.loads(text.splitlines()[-1])


def run(environment: Environment, module: str, *words: str, log: Path) -> Any:
    """Runs a module of this package to its end and returns its result.

    Raises:
        WorkerError: it failed.
    """
    return result(begin(environment, module, *words, log=log))


def environ() -> dict[str, str]:
    """The environment of every measured process: no GPU, no cluster, no settings of the user's."""
    kept = {k: v for k, v in os.environ.items() if k != "TF_CONFIG" and not k.startswith("EXPCORE_")}
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONWARNINGS": "ignore"}
    return {**kept, **quiet, "PYTHONPATH": str(Environment.path())}
