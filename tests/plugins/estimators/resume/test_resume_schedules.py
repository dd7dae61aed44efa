"""Through each schedule, with evaluations and tests in between, a run is the same as without all that."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.tf

SCHEDULES = [
    ("train", {}),
    ("train_and_evaluate", {"eval_every_n_steps": 20}),
    ("continuous_train_and_evaluate", {"train_steps_per_iteration": 30}),
]


@pytest.mark.parametrize("by", ["sigterm", "sigkill"])
@pytest.mark.parametrize(("schedule", "settings"), SCHEDULES)
def test_a_schedule_goes_on(runs, draw, differences, tmp_path, schedule, settings, by):
    straight, step = runs.straight("dropout"), draw(last=170)
    beside = schedule == "train_and_evaluate"
    ways = {"schedule": schedule, "settings": settings, "save_every": 15, "beside": beside}
    halted = runs.run("dropout", tmp_path, -9 if by == "sigkill" else 0, stop={"by": by, "at": step}, **ways)
    if by == "sigterm":  # it is served at a save, or between two iterations
        assert halted["reason"] in ("signal", "max_steps")
        assert step <= halted["step"] < 200
    assert differences(runs.result(straight), runs.run("dropout", tmp_path, **ways)) == []


def test_continuous_training_over_data_that_end(runs, draw, differences, tmp_path):
    straight, step = runs.straight("passes"), draw(last=170)
    ways = {"schedule": "continuous_train_and_evaluate", "settings": {"train_steps_per_iteration": 30}}
    runs.run("passes", tmp_path, -9, stop={"by": "sigkill", "at": step}, save_every=5, **ways)
    assert differences(runs.result(straight), runs.run("passes", tmp_path, save_every=5, **ways)) == []


def test_evaluations_and_the_schedule_test_in_between_disturb_nothing(runs, draw, differences, tmp_path):
    straight, (first, second) = runs.straight("dropout"), draw(2)
    ways = {"schedule": "train", "before": ["test"], "evaluate": True}
    halted = runs.run("dropout", tmp_path, until=[first, second], **ways)
    assert halted["step"] == second
    assert differences(runs.result(straight), runs.run("dropout", tmp_path, **ways)) == []


def test_an_evaluator_beside_the_trainer_disturbs_nothing(runs, draw, differences, tmp_path):
    straight, step = runs.result(runs.straight("dropout")), draw(last=170)
    evaluator = runs.start("dropout", tmp_path, schedule="continuous_eval", save_every=15)
    ways = {"schedule": "train", "save_every": 15}
    runs.run("dropout", tmp_path, -9, stop={"by": "sigkill", "at": step}, **ways)
    assert differences(straight, runs.run("dropout", tmp_path, **ways)) == []
    runs.result(evaluator)
    events = [path.read_text() for path in (tmp_path / "expcore").rglob("*") if path.is_file()]
    assert any('"evaluated"' in text for text in events)
