"""Everything at once, in processes that share nothing, with and without XLA, and by the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.tf, pytest.mark.e2e]

EXPERIMENT = Path(__file__).with_name("experiment.py")


@pytest.mark.parametrize("case", ["everything", "everything_compiled"])
def test_everything_at_once(runs, draw, differences, tmp_path, case):
    straight = runs.straight(case)
    first, second = draw(2)
    assert runs.run(case, tmp_path, until=[first], evaluate=True)["step"] == first
    assert runs.run(case, tmp_path, until=[second], beside=True, save_every=20)["step"] == second
    assert differences(runs.result(straight), runs.run(case, tmp_path)) == []


def test_processes_that_share_nothing(runs, draw, differences, tmp_path):
    straight = runs.straight("everything")
    runs.apart("everything", tmp_path, until=[draw()])
    assert differences(runs.result(straight), runs.apart("everything", tmp_path)) == []


def test_a_command_that_sigterm_ended_is_given_again(runs, draw, differences, tmp_path):
    straight, step = runs.straight("half"), draw(last=170)
    directory = tmp_path / "run"
    command = [
        str(Path(sys.executable).with_name("expcore")),
        "run",
        str(EXPERIMENT),
        "--output-dir",
        str(directory),
    ]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "HARNESS_WAITS_AT": str(step)}
    with (tmp_path / "log").open("w") as log:
        first = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=tmp_path)
        until = time.monotonic() + 100
        while not (directory / "waiting").exists() and first.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        first.send_signal(signal.SIGTERM)
        assert first.wait(60) == 143, (tmp_path / "log").read_text()[-3000:]
        stopped = json.loads((directory / "digest.json").read_text())
        assert step <= stopped["step"] < 200
        environment.pop("HARNESS_WAITS_AT")
        second = subprocess.run(command, env=environment, stdout=log, stderr=log, cwd=tmp_path, timeout=100)
    assert second.returncode == 0, (tmp_path / "log").read_text()[-3000:]
    ended = json.loads((directory / "digest.json").read_text())
    expected = {part: found for part, found in runs.result(straight).items() if part in ended}
    assert differences(expected, ended) == []
