"""Together: a chief and a worker on this machine, which do as one what they are asked.

The driver speaks to it as to a worker: each request goes to both, and the chief's answer is the answer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from expcore.launch import Shape, leave_network


def start() -> list[subprocess.Popen[str]]:
    """Starts both in a network of their own; the chief is the first."""
    leave_network()
    configs = {task.name: config for task, config in Shape(1).tf_configs().items()}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", "cluster"],
            env={**os.environ, "TF_CONFIG": configs[name]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("chief-0", "worker-0")
    ]


def ask(tasks: list[subprocess.Popen[str]], request: str) -> str:
    """Has both do it; returns the chief's answer, or what went wrong in one of them."""
    for task in tasks:
        assert task.stdin is not None
        task.stdin.write(request)
        task.stdin.flush()
    answers = [task.stdout.readline() for task in tasks if task.stdout is not None]
    errors = [a for a in answers if "error" in json.loads(a or '{"error": "a task of the cluster ended"}')]
    return (errors or answers)[0] or json.dumps({"error": "a task of the cluster ended"}) + "\n"


def main() -> None:
    """Serves until its standard input ends."""
    tasks = start()
    for line in sys.stdin:
        sys.stdout.write(ask(tasks, line))
        sys.stdout.flush()
    for task in tasks:
        assert task.stdin is not None
        task.stdin.close()
    for task in tasks:
        task.wait()


if __name__ == "__main__":
    main()
