"""Clusters that campaigns start, look at and disturb."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from expcore.events import LogReader
from expcore.history import History

HERE = Path(__file__).parent
STEPS = int(os.environ.setdefault("CAMPAIGN_STEPS", "400"))  # which the experiment reads
SHAPES = {
    "chief, 2 workers, evaluator": ["--workers", "2", "--evaluator"],
    "chief, 2 workers, ps, evaluator": ["--workers", "2", "--ps", "1", "--evaluator"],
}
LEFT_SECS = 30
RUN_SECS = 420


def processes(place: Path) -> dict[str, int]:
    """The processes that work on a model directory, by task; the launcher is "launcher"."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", pid, "cmdline").read_bytes().decode().split("\0")
            environment = Path("/proc", pid, "environ").read_bytes().decode(errors="replace").split("\0")
            state = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, UnicodeDecodeError):
            continue  # gone, or not ours
        if str(place) not in words or state == "Z":
            continue
        name = "launcher"
        if "launch" not in words:
            config = next((e for e in environment if e.startswith("TF_CONFIG=")), "TF_CONFIG={}")
            task = json.loads(config.removeprefix("TF_CONFIG=")).get("task", {})
            name = f"{task.get('type')} {task.get('index')}"
        found[name] = int(pid)
    return found


def launch(shape: str, place: Path, log: Path, restarts: int = 20) -> subprocess.Popen[bytes]:
    """Starts the cluster."""
    command = [sys.executable, "-m", "expcore.cli", "launch", str(HERE / "experiment.py"), "-q"]
    command += [*SHAPES[shape], "--restarts", str(restarts), "--output-dir", str(place)]
    with log.open("ab") as file:
        return subprocess.Popen(command, stdout=file, stderr=file)


def nobody_left(place: Path, secs: float) -> bool:
    """Whether all processes of a cluster have ended within some time."""
    until = time.monotonic() + secs
    while processes(place) and time.monotonic() < until:
        time.sleep(0.5)
    return not processes(place)


def complete(running: subprocess.Popen[bytes], place: Path) -> None:
    """Demands that the run ends well, as a whole, and leaves nobody."""
    code = running.wait(RUN_SECS)
    if code != 0:
        raise AssertionError(f"exit code {code}")
    if not nobody_left(place, LEFT_SECS):
        raise AssertionError(f"left: {sorted(processes(place))}")
    history = History(LogReader(str(place)).read(), str(place))
    steps = [save.step for save in history.saves]
    if not steps or max(s for s in steps if s is not None) < STEPS:
        raise AssertionError(f"the last save is of {steps[-1:]}")
    if not any(e.step >= STEPS for e in history.evaluations):
        raise AssertionError("the last checkpoint was not evaluated")
    if not any(e.path and os.path.isdir(e.path) for e in history.exports):
        raise AssertionError("nothing was exported")
