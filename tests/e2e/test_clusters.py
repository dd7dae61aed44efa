"""Clusters of real processes train the digits, each shape to 0.97."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from expcore.events import LogReader
from expcore.history import History

pytestmark = [pytest.mark.e2e, pytest.mark.tf, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
SMALL = """
import dataclasses

import experiment as digits
import expcore


def experiment(output_dir):
    whole = digits.experiment(output_dir)
    return expcore.Experiment(
        whole.estimator,
        digits.train_input_fn,
        digits.eval_input_fn,
        train_steps=800,
        eval_steps=12,
        eval_every_n_steps=400,
        continuous_eval_throttle_secs=1,
        export_strategies=whole.export_strategies,
    )
"""

DEVICES = """
import tensorflow as tf
from expcore_plugins.estimators.keras import KerasEstimator

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
"""
ASKED = """

class Ask:
    def next_step(self, step):
        return AT if step < AT else None

    def after_steps(self, run):
        import json
        import os
        import signal

        here = json.loads(os.environ["TF_CONFIG"])["task"]["type"]
        if run.step >= AT and here == ASKED and not os.path.exists(f"{run.model_dir}/asked"):
            open(f"{run.model_dir}/asked", "w").close()
            os.kill(os.getpid(), signal.SIGTERM)
"""
KILLED = """

def killed():
    import json
    import os
    import signal

    if json.loads(os.environ["TF_CONFIG"])["task"]["type"] == "evaluator":
        os.kill(os.getpid(), signal.SIGKILL)
    return digits.eval_input_fn()
"""


def expcore(*words):
    """Runs the command with the digits at hand."""
    return subprocess.run(
        [sys.executable, "-m", "expcore.cli", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "examples" / "digits"), "TF_CPP_MIN_LOG_LEVEL": "2"},
        timeout=500,
        check=False,
    )


@pytest.fixture
def launch(tmp_path):
    """Launches the digits and returns what was printed, and the model directory."""
    (tmp_path / "small.py").write_text(SMALL)

    def run(*words):
        place = tmp_path / "runs"
        done = expcore("launch", str(tmp_path / "small.py"), "--output-dir", str(place), *words)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stderr, place

    return run


def evaluations(place):
    history = History(LogReader(str(place)).read(), str(place))
    return [(e.step, e.metrics["accuracy"]) for e in history.evaluations]


SHAPES = {
    "chief, worker and evaluator": ("--workers", "1", "--evaluator"),
    "chief, workers and parameter server": ("--workers", "2", "--ps", "1"),
}
if os.environ.get("EXPCORE_LONG"):  # make test has the same with an evaluator
    SHAPES["chief and worker"] = ("--workers", "1")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_each_shape_trains_the_digits(launch, shape):
    told, place = launch(*shape)
    step, accuracy = evaluations(place)[-1]
    assert step >= 800
    assert accuracy >= 0.97
    assert list((place / "export").glob("best/*/saved_model.pb"))
    who = "evaluator-0" if "--evaluator" in shape else "chief-0"
    assert re.search(rf"\[{who}\] done; step {step}", told)
    assert re.search(r"\[worker-0\] done", told)


def test_several_devices_of_one_process_train_the_digits(tmp_path):
    place = tmp_path / "runs"
    estimator = (
        "KerasEstimator(digits.model, config=expcore.RunConfig("
        "model_dir=output_dir, random_seed=1, train_distribute=strategy))"
    )
    program = DEVICES + SMALL.replace("        whole.estimator,", f"        {estimator},")
    (tmp_path / "devices.py").write_text(program)
    done = expcore("run", str(tmp_path / "devices.py"), "--output-dir", str(place))
    assert done.returncode == 0, done.stderr[-4000:]
    assert [step for step, _ in evaluations(place)] == [400, 800]
    assert evaluations(place)[-1][1] >= 0.97
    assert list((place / "export").glob("best/*/saved_model.pb"))


def test_where_the_evaluator_is_killed_the_others_save_and_end(tmp_path):
    """So SIGTERM reaches tasks that make each step together, although TensorFlow takes it for itself."""
    place = tmp_path / "runs"
    small = SMALL.replace("train_steps=800", "train_steps=1_000_000").replace(
        "digits.eval_input_fn", "killed"
    )
    (tmp_path / "killed.py").write_text(small + KILLED)
    done = expcore(
        "launch", str(tmp_path / "killed.py"), "--workers", "1", "--evaluator", "--output-dir", str(place)
    )
    assert done.returncode == 137, done.stderr[-4000:]
    assert "evaluator-0 failed first, with exit code 137" in done.stderr
    logs = [(place / "expcore" / "launch" / f"{task}.log").read_text() for task in ("chief-0", "worker-0")]
    by_signal = ["expcore: stopped by SIGTERM" in log for log in logs]
    # Who is told by the other before its own signal comes ends as one that lost it.
    assert all(own or "training stopped at step" in log for own, log in zip(by_signal, logs, strict=True))
    assert any(by_signal)
    (end,) = History(LogReader(str(place)).read(), str(place)).training_ends
    assert not end.over
    assert end.reason == "signal"


@pytest.mark.parametrize(("task", "at", "steps"), [("worker", 100, 800), ("chief", 200, 200)])
def test_where_one_is_asked_to_end_by_a_signal_training_is_not_taken_for_done(tmp_path, task, at, steps):
    """At the last step too: who has to evaluate it then waits for nobody who is done."""
    place = tmp_path / "runs"
    small = SMALL.replace("train_steps=800,", f"train_steps={steps},\n        train_hooks=[Ask()],")
    (tmp_path / "asked.py").write_text(small + ASKED.replace("ASKED", repr(task)).replace("AT", str(at)))
    done = expcore(
        "launch", str(tmp_path / "asked.py"), "--workers", "1", "--restarts", "1", "--output-dir", str(place)
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert f"{task}-0 failed with exit code 143" in done.stderr
    if at < steps:  # a signal is noticed when a compiled call is over
        log = (place / "expcore" / "launch" / "chief-0.log").read_text()
        assert "another process of the cluster was asked to stop by a signal" in log
    first, last = History(LogReader(str(place)).read(), str(place)).training_ends
    assert (first.over, last.over) == (False, True)
    assert at <= first.step <= last.step == steps
    assert evaluations(place)[-1][0] == steps
