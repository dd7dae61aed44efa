"""The harness sees what it is for: a checkpoint that lacks something gives another digest."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tf


@pytest.mark.parametrize(
    ("defect", "case", "seen"),
    [
        ("position", "dropout", "/model/1 recorder/seen"),
        ("seeds", "dropout", "seed_generator_state"),
        ("metrics", "dropout", "/metrics/0 loss/total"),
        ("iterations", "adam", "adam/iteration"),
        ("statistics", "batch_norm", "moving_mean"),
    ],
)
def test_what_is_left_out_of_a_checkpoint_is_seen(runs, draw, differences, tmp_path, defect, case, seen):
    straight = runs.straight(case)
    runs.run(case, tmp_path, until=[draw()], defect=defect)
    found = differences(runs.result(straight), runs.run(case, tmp_path, defect=defect))
    assert any(seen in path for path in found)


def test_two_straight_runs_are_equal_and_two_cases_are_not(runs, differences, tmp_path):
    one, other = runs.straight("adam"), runs.start("adam", tmp_path)
    assert differences(runs.result(one), runs.result(other)) == []
    batches = [runs.result(runs.straight(case))["batches"] for case in ("adam", "shuffle")]
    assert len(batches[0]) == 5
    assert batches[0] != batches[1]
