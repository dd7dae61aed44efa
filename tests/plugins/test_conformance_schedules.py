"""The built-in schedules keep every promise of a schedule; run_std_server where nobody else can reach it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import importlib_metadata
import pytest

from expcore.conformance import check

pytestmark = pytest.mark.proof

SCHEDULES = {
    point.name: point.load()
    for point in importlib_metadata.distribution("expcore").entry_points
    if point.group == "expcore.schedules"
}
SERVERS = [name for name, function in SCHEDULES.items() if "serves" in getattr(function, "capabilities", ())]

CLAUSES = {
    "train": 15,
    "evaluate": 16,
    "continuous_eval": 25,
    "continuous_eval_on_train_data": 21,
    "train_and_evaluate": 24,
    "continuous_train_and_evaluate": 27,
    "run_std_server": 14,
    "test": 12,
}
"""How many are tried on each: what a schedule does is seen by running it, and less seen is less tried."""

NAMESPACE = ["unshare", *(() if os.geteuid() == 0 else ("-r",)), "-n"]

ALONE = """
import fcntl, socket, struct, sys
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
fcntl.ioctl(socket.socket(), SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
from expcore.conformance import check
from importlib_metadata import distribution
(point,) = distribution("expcore").entry_points.select(group="expcore.schedules", name=sys.argv[1])
report = check(point.load(), kind="schedule", on_fail="collect")
report.raise_for_failures("should")
assert report.ran == report.total, report.summary
print(report.summary)
"""


def test_all_are_there_and_one_is_a_server():
    assert sorted(SCHEDULES) == sorted(CLAUSES)
    assert SERVERS == ["run_std_server"]


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name not in SERVERS])
def test_a_built_in_schedule_keeps_every_promise(name):
    report = check(SCHEDULES[name], kind="schedule", on_fail="collect")
    report.raise_for_failures("should")
    assert [r.message for r in report.results if r.status != "passed"] == []
    assert report.total == CLAUSES[name]


def test_a_server_that_is_not_allowed_here_is_tried_on_what_needs_no_server(monkeypatch):
    monkeypatch.setattr("expcore.serving.other_interfaces", lambda: ["eth0"])
    report = check(SCHEDULES["run_std_server"], kind="schedule", on_fail="collect")
    report.raise_for_failures("should")
    outcomes = [(r.id, r.status) for r in report.results]
    passed = [(own, "passed") for own in ("SCH-001", "SCH-002", "SCH-030")]
    assert outcomes == [*passed, ("SCH-031", "skipped")]
    assert "run it in a network namespace of its own" in report.results[-1].message


@pytest.mark.tf
@pytest.mark.skipif(find_spec("tensorflow") is None, reason="the server is TensorFlow's")
def test_a_server_keeps_every_promise_in_a_network_of_its_own():
    done = subprocess.run(
        [*NAMESPACE, sys.executable, "-c", ALONE, "run_std_server"],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    if done.returncode and "unshare" in done.stderr:
        pytest.skip(f"no namespace can be made here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert f"ran {CLAUSES['run_std_server']} of" in done.stdout
