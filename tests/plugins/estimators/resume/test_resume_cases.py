"""A run that is stopped and goes on in a new process equals one in one go, bit for bit: kind by kind."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tf


def test_a_resumed_run_equals_a_straight_one(runs, draw, differences, tmp_path, case):
    straight = runs.straight(case)
    step = draw()
    halted = runs.run(case, tmp_path, until=[step])
    assert halted["step"] == step
    resumed = runs.run(case, tmp_path)
    assert resumed["step"] == 200
    assert differences(runs.result(straight), resumed) == []


def test_training_metrics_go_on_inside_of_their_window(runs, draw, differences, tmp_path):
    straight = runs.straight("window")  # windows of 90 steps: the last one begins at 180
    runs.run("window", tmp_path, until=[draw(first=181, last=199)])
    assert differences(runs.result(straight), runs.run("window", tmp_path)) == []
