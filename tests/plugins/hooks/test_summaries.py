"""summaries: what TensorBoard finds in the model directory, also after a restart."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from expcore.errors import InvalidArgument
from expcore.testing import CountingEngine as Engine
from expcore.testing import drive as train
from expcore_plugins.hooks.summaries import Summaries

pytestmark = pytest.mark.tf


def curves(directory):
    """What TensorBoard shows, and what scripts read: values by step of every curve of a directory."""
    from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator
    from tensorflow import make_ndarray

    scripts = event_accumulator.EventAccumulator(str(directory), size_guidance={"scalars": 0}).Reload()
    server = plugin_event_accumulator.EventAccumulator(str(directory)).Reload()
    found = {tag: [(e.step, e.value) for e in scripts.Scalars(tag)] for tag in scripts.Tags()["scalars"]}
    served = {
        tag: [(e.step, float(make_ndarray(e.tensor_proto))) for e in server.Tensors(tag)]
        for tag in server.Tags()["tensors"]
    }
    assert repr(served) == repr(found)  # NaN is not equal to itself
    return served


def run_in(directory, until, step=0, hook=None, metrics=lambda step: {"loss": float(step)}):
    engine = Engine(step=step, metrics=metrics)
    engine.model_dir = str(directory)
    return train([hook or Summaries(every_n_steps=10)], until=until, engine=engine)


def test_curves_of_metrics_and_pace_lie_in_the_model_directory_itself(tmp_path):
    run_in(tmp_path, 25)
    assert [p.name.startswith("events.out.tfevents.") for p in tmp_path.iterdir()] == [True]
    found = curves(tmp_path)
    assert found["loss"] == [(10, 10.0), (20, 20.0), (25, 25.0)]
    assert [(step, round(rate, 3)) for step, rate in found["global_step/sec"]] == [
        (s, 100) for s in (10, 20, 25)
    ]
    assert set(found) == {"loss", "global_step/sec"}


def test_only_single_numbers_become_curves(tmp_path):
    metrics = {"loss": np.float32(0.5), "nan": math.nan, "per_class": np.ones(3), "note": "text"}
    run_in(tmp_path, 10, metrics=lambda step: metrics)
    found = curves(tmp_path)
    assert set(found) == {"loss", "nan", "global_step/sec"}
    assert math.isnan(found["nan"][0][1])


def test_seconds_take_the_place_of_steps(tmp_path):
    run_in(tmp_path, 250, hook=Summaries(every_n_steps=1, every_secs=1.0))
    assert len(curves(tmp_path)["loss"]) == 3


def test_another_directory_can_be_given_and_is_made(tmp_path):
    run_in(tmp_path / "model", 10, hook=Summaries(10, directory=tmp_path / "curves" / "train"))
    assert curves(tmp_path / "curves" / "train")["loss"] == [(10, 10.0)]
    assert not (tmp_path / "model").exists()


def test_a_run_without_a_step_writes_nothing(tmp_path):
    run_in(tmp_path, 50, step=50)
    assert list(tmp_path.iterdir()) == []


def test_one_run_after_the_other_gives_one_curve(tmp_path):
    hook = Summaries(every_n_steps=10)
    run_in(tmp_path, 20, hook=hook)
    run_in(tmp_path, 40, step=20, hook=hook)
    assert curves(tmp_path)["loss"] == [(s, float(s)) for s in (10, 20, 30, 40)]


def test_after_a_restart_from_an_earlier_checkpoint_curves_do_not_overlap(tmp_path):
    run_in(tmp_path, 50)
    run_in(tmp_path, 45, step=30, metrics=lambda step: {"loss": -float(step)})
    assert curves(tmp_path)["loss"] == [(10, 10.0), (20, 20.0), (30, 30.0), (40, -40.0), (45, -45.0)]


def test_points_ahead_go_with_the_first_point_after_the_restart(tmp_path):
    run_in(tmp_path, 50)
    run_in(tmp_path, 33, step=30)
    assert curves(tmp_path)["loss"] == [(10, 10.0), (20, 20.0), (30, 30.0), (33, 33.0)]


def test_the_points_before_a_failure_are_kept(tmp_path):
    class Boom:
        def next_step(self, step):
            return step + 1

        def after_steps(self, run):
            if run.step == 35:
                raise RuntimeError("boom")

    engine = Engine(metrics=lambda step: {"loss": float(step)})
    engine.model_dir = str(tmp_path)
    hook = Summaries(every_n_steps=10)
    with pytest.raises(RuntimeError, match="boom"):
        train([hook, Boom()], until=100, engine=engine)
    assert curves(tmp_path)["loss"] == [(10, 10.0), (20, 20.0), (30, 30.0)]


def test_the_module_and_the_hook_do_without_tensorflow_until_the_first_point():
    code = (
        "import sys\n"
        "from expcore_plugins.hooks.summaries import Summaries\n"
        "assert Summaries().requires == 'tensorflow'\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("arguments", "name"), [({"every_n_steps": 0}, "every_n_steps"), ({"every_secs": 0}, "every_secs")]
)
def test_wrong_arguments_are_refused(arguments, name):
    with pytest.raises(InvalidArgument, match=f"hook 'summaries': {name} is 0"):
        Summaries(**arguments)
