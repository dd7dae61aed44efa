"""However and how often a run is stopped, it goes on as if it had not been."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tf


@pytest.mark.parametrize(
    ("by", "beside"),
    [("hook", False), ("sigkill", False), ("sigkill", True)],
    ids=["hook", "sigkill", "sigkill, saved beside"],
)
def test_a_run_that_was_stopped_goes_on(runs, draw, differences, tmp_path, by, beside):
    straight, step = runs.straight("dropout"), draw(last=180)
    stopped = {"stop": {"by": by, "at": step}, "save_every": 7, "beside": beside}
    halted = runs.run("dropout", tmp_path, code=-9 if by == "sigkill" else 0, **stopped)
    assert halted == (None if by == "sigkill" else {"step": step, "reason": "the harness"})
    resumed = runs.run("dropout", tmp_path, save_every=7, beside=beside)
    assert differences(runs.result(straight), resumed) == []


@pytest.mark.parametrize("beside", [False, True], ids=["saved at once", "saved beside"])
def test_three_stops_in_one_pass_over_the_data(runs, draw, differences, tmp_path, beside):
    straight = runs.straight("dropout")
    for step in draw(3, first=63, last=74):  # a pass has 12.5 batches: the sixth begins within step 63
        assert runs.run("dropout", tmp_path, until=[step], beside=beside)["step"] == step
    assert differences(runs.result(straight), runs.run("dropout", tmp_path, beside=beside)) == []


def test_training_goes_on_within_a_process_as_well(runs, draw, differences, tmp_path):
    straight = runs.straight("dropout")
    resumed = runs.run("dropout", tmp_path, until=[*draw(2), 200])
    assert differences(runs.result(straight), resumed) == []


@pytest.mark.parametrize("step", [7, 13, 39], ids=["in a pass", "after the first", "after the third"])
def test_data_that_end_begin_anew_as_they_would_have(runs, differences, tmp_path, step):
    straight = runs.straight("passes")  # of 13 batches, each in another order
    assert runs.run("passes", tmp_path, until=[step])["step"] == step
    assert differences(runs.result(straight), runs.run("passes", tmp_path)) == []


def test_asynchronous_checkpoints_change_nothing(runs, differences, tmp_path):
    straight, beside = runs.straight("dropout"), runs.start("dropout", tmp_path, beside=True, save_every=3)
    assert differences(runs.result(straight), runs.result(beside)) == []
