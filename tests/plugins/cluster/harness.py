"""Starts programs as the processes of a cluster, in a network of their own.

``python harness.py``: reads a JSON list of {name, argv, env, log} from stdin, starts all, and writes their
exit codes by name as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from expcore.launch import Shape, leave_network

CASES = Path(__file__).with_name("cases.py")


def start_all(tasks, chief_only=False):
    leave_network()
    running = {}
    for task in tasks:
        with open(task["log"], "ab") as log:
            # By way of child.py, so that nobody is left where a test is cut short.
            words = [sys.executable, "-m", "expcore.launch.child", str(os.getpid()), *task["argv"]]
            env = {**os.environ, **task["env"]}
            running[task["name"]] = subprocess.Popen(words, env=env, stdout=log, stderr=log)
    if chief_only:
        running["chief-0"].wait()
        for process in running.values():
            process.kill()
    return {name: process.wait() for name, process in running.items()}


def run_until_chief(folder, argv, env):
    """Runs a program as chief, worker and parameter server; when the chief ends, the others are killed."""
    return run(folder, 1, argv, env, ps=1, chief_only=True)


def run(folder, workers, argv, env=None, timeout=560, ps=0, chief_only=False):
    """Runs a program as every task (workers None: on its own) and returns exit codes and logs by name."""
    folder.mkdir(parents=True, exist_ok=True)
    configs = {"alone-0": ""} if workers is None else Shape(workers, ps).tf_configs()
    tasks = []
    for task, config in configs.items():
        name = task if workers is None else task.name
        own = {"TF_CONFIG": config, "TF_CPP_MIN_LOG_LEVEL": "2", **(env or {})}
        tasks.append(
            {"name": name, "argv": [sys.executable, *argv], "env": own, "log": f"{folder}/{name}.log"}
        )
    done = subprocess.run(
        [sys.executable, __file__, *(["--chief-only"] if chief_only else [])],
        input=json.dumps(tasks),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=True,
    )
    codes = json.loads(done.stdout)
    return codes, {name: (folder / f"{name}.log").read_text() for name in codes}


def run_cases(folder, workers, names=(), steps=12):
    """Trains cases, of no name all, and returns what each process has to tell of each, by process."""
    codes, logs = run(
        folder, workers, [str(CASES), str(folder)], {"CASES": "; ".join(names), "STEPS": str(steps)}
    )
    assert set(codes.values()) == {0}, logs
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in codes}


if __name__ == "__main__":
    print(json.dumps(start_all(json.load(sys.stdin), chief_only="--chief-only" in sys.argv)))
