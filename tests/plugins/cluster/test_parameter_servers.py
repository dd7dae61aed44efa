"""A chief, workers and a parameter server: counts are exact, and what cannot be kept right is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.tf, pytest.mark.timeout(300)]

SERVED = str(Path(__file__).with_name("served.py"))


@pytest.fixture
def run(harness, tmp_path):
    """Runs the experiment with what is tried, and returns exit codes, logs, and the model directory."""

    def run(what, workers=2, ps=1):
        words = ["-m", "expcore.cli", "run", SERVED, "--output-dir", str(tmp_path / "model")]
        codes, logs = harness.run(tmp_path / "logs", workers, words, {"WHAT": what}, ps=ps)
        return codes, logs, tmp_path / "model"

    return run


def last(model_dir):
    import tensorflow as tf

    path = tf.train.latest_checkpoint(model_dir)
    reader = tf.train.load_checkpoint(path)
    about = json.loads(reader.get_tensor("about/.ATTRIBUTES/py_state"))
    found = {}
    for section, paths in about["variables"].items():
        for i, name in enumerate(paths):
            found[name] = reader.get_tensor(f"{section}/{i}/.ATTRIBUTES/VARIABLE_VALUE")
    return found, int(reader.get_tensor("step/.ATTRIBUTES/VARIABLE_VALUE"))


def test_two_workers_train_and_every_count_is_exact(run):
    codes, logs, model_dir = run("auc")
    assert codes == {"ps-0": 0, "worker-0": 0, "worker-1": 0, "chief-0": 0}, logs
    for name in ("ps-0", "worker-0", "worker-1"):  # which saw that the chief was done
        assert "training ended at step 200" in logs[name]
    variables, step = last(model_dir)
    (iterations,) = (v for name, v in variables.items() if name.endswith("iteration"))
    assert step == iterations == 200
    # Of the last window, all that both workers saw: 100 steps of 16 rows.
    counts = [v for name, v in variables.items() if name.endswith("count")]
    assert [float(c) for c in counts] == [1600.0] * len(counts)
    check_left_out(logs["chief-0"], model_dir)
    assert "in the same order" not in logs["chief-0"]
    told = json.loads((model_dir / "told.json").read_text())
    assert [t["step"] for t in told] == [100, 200]
    for one in told:
        assert one["accuracy"] * 1600 == pytest.approx(round(one["accuracy"] * 1600), abs=1e-2)


def test_no_update_of_a_weight_is_lost(run):
    codes, logs, model_dir = run("units")
    assert set(codes.values()) == {0}, logs
    assert logs["chief-0"].count("all workers read the same rows in the same order; shuffle without") == 1
    variables, step = last(model_dir)
    (weights,) = (v for name, v in variables.items() if name.endswith("units/kernel"))
    # The gradient of the mean of x @ w is 1 in each of 200 steps; what the weights began at is less than 2.
    np.testing.assert_allclose(weights, -200.0, atol=2.0)
    assert step == 200


def check_left_out(log, model_dir):
    """What workers would overwrite is not in the training's metrics, and is in the evaluation's."""
    assert "metrics 'auc' are left out of training" in log
    told = json.loads((model_dir / "told.json").read_text())
    assert all("auc" not in one for one in told)
    done = [line for line in log.splitlines() if line.startswith("done; step 200")]
    assert len(done) == 1
    assert "auc=" in done[0]


def test_a_table_in_parts_is_on_several_servers(run):
    codes, logs, model_dir = run("a table in parts", workers=1, ps=2)
    assert set(codes.values()) == {0}, logs
    devices = json.loads((model_dir / "devices.json").read_text())
    assert [device.partition("/task:")[2][0] for device in sorted(devices)] == ["0", "1"]
    assert all("/job:ps/" in device for device in devices)
    assert last(model_dir)[1] == 200
    (told,) = (line for line in logs["chief-0"].splitlines() if line.startswith("done; step 200"))
    assert (
        float(told.partition("mae=")[2].split(",")[0].split(";")[0]) < 0.45
    )  # of 0.5, if nothing is learned


def test_a_worker_that_dies_comes_back(tmp_path):
    """It is killed at step 100 and is there again at step 200; the other does its work meanwhile."""
    words = ["launch", SERVED, "--workers", "2", "--ps", "1", "--restarts", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "expcore.cli", *words, "--output-dir", str(tmp_path / "model")],
        env={**os.environ, "WHAT": "kill a worker", "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "starting again: worker-0" in done.stderr
    variables, step = last(tmp_path / "model")
    (iterations,) = (v for name, v in variables.items() if name.endswith("iteration"))
    assert step == iterations >= 400
    served = (tmp_path / "model" / "expcore" / "launch" / "worker-0.log").read_text()
    assert served.count("the TensorFlow server of worker 0") == 2, served


def test_data_that_python_makes_are_refused(harness, tmp_path):
    words = ["-m", "expcore.cli", "run", SERVED, "--output-dir", str(tmp_path / "model")]
    codes, logs = harness.run_until_chief(tmp_path / "logs", words, {"WHAT": "python"})
    assert codes["chief-0"] == 64
    assert "Python makes its batches, which workers cannot run" in logs["chief-0"].splitlines()[-1]


def compiled(optimizer, **how):
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", **how)
    return model


def test_a_model_that_is_made_already_is_refused(monkeypatch, tmp_path):
    from expcore.errors import InvalidArgument
    from expcore_plugins.estimators.engine.coordinator import Coordinator
    from expcore_plugins.estimators.keras import KerasEstimator

    estimator = KerasEstimator(compiled("sgd"), str(tmp_path))
    monkeypatch.setattr(estimator, "_replicas", Coordinator(None, None, 1, None), raising=False)
    with pytest.raises(InvalidArgument, match="give the function that makes the model"):
        estimator._make_trainable()


def test_what_workers_would_overwrite_is_refused():
    import keras

    from expcore.errors import InvalidArgument
    from expcore_plugins.estimators.keras.asynchronous import KerasAsynchronous

    with pytest.raises(InvalidArgument, match="gradient_accumulation_steps=2 with parameter servers"):
        KerasAsynchronous(compiled(keras.optimizers.SGD(gradient_accumulation_steps=2)), None)
    with pytest.raises(InvalidArgument, match="LossScaleOptimizer with parameter servers"):
        KerasAsynchronous(compiled(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())), None)
    with pytest.raises(InvalidArgument, match="run_eagerly=True"):
        KerasAsynchronous(compiled("sgd", run_eagerly=True), None)


@pytest.mark.parametrize("twice", [False, True])
def test_layers_that_keep_a_state_for_each_place_in_the_batch_are_refused(twice):
    import keras

    from expcore.errors import InvalidArgument
    from expcore_plugins.estimators.keras.asynchronous import KerasAsynchronous
    from expcore_plugins.estimators.keras.replica import KerasReplica

    def model(stateful):
        kept = keras.layers.GRU(2, stateful=stateful, name="kept")
        kept = keras.layers.Bidirectional(kept, name="both_kept") if twice else kept
        made = keras.Sequential([keras.Input(batch_shape=(4, 3, 2)), kept, keras.layers.Dense(1)])
        made.compile("sgd", "mse")
        return made

    for make in (partial(KerasReplica, workers=None), KerasAsynchronous):
        make(model(False), class_weight=None)
        with pytest.raises(InvalidArgument, match=r"kept.* \(stateful=True\) keeps a state for each place"):
            make(model(True), class_weight=None)


def test_jit_compile_is_not_used_and_that_is_said(caplog):
    from expcore_plugins.estimators.keras.asynchronous import KerasAsynchronous
    from expcore_plugins.estimators.keras.replica import KerasReplica

    for made in (
        KerasReplica(compiled("sgd", jit_compile=True), None, None),
        KerasAsynchronous(compiled("sgd", jit_compile=True), None),
    ):
        assert made.jit_compile is False
        assert "jit_compile is not used" in caplog.messages[-1]
    assert len(caplog.messages) == 2
    KerasReplica(compiled("sgd", jit_compile=False), None, None)
    assert len(caplog.messages) == 2


def test_a_worker_does_not_train_by_itself(tmp_path):
    from expcore import RunConfig
    from expcore.cluster import parse_tf_config
    from expcore.errors import ClusterError
    from expcore_plugins.estimators.keras import KerasEstimator

    cluster = {"chief": ["127.0.0.1:1"], "worker": ["127.0.0.1:2"], "ps": ["127.0.0.1:3"]}
    task = parse_tf_config({"cluster": cluster, "task": {"type": "worker", "index": 0}})
    config = RunConfig(model_dir=str(tmp_path / "run"), task=task)
    with pytest.raises(ClusterError, match="2 training tasks"):
        KerasEstimator(lambda: compiled("sgd"), config=config).train(lambda: None, steps=1)
    assert not (tmp_path / "run").exists()


def test_steps_of_a_replica_that_run_eagerly_are_refused():
    from expcore.errors import InvalidArgument
    from expcore_plugins.estimators.keras.mended import check_supported

    check_supported(compiled("sgd"))
    with pytest.raises(InvalidArgument, match="run_eagerly=True, which a cluster cannot run"):
        check_supported(compiled("sgd", run_eagerly=True))


def test_a_lost_server_ends_the_chief_and_a_restart_goes_on(harness, tmp_path):
    words = ["-m", "expcore.cli", "run", SERVED, "--output-dir", str(tmp_path / "model")]
    codes, logs = harness.run_until_chief(tmp_path / "logs", words, {"WHAT": "kill the server"})
    assert codes["chief-0"] == 138, logs["chief-0"]
    assert "error: a parameter server is lost" in logs["chief-0"]
    codes, logs = harness.run_until_chief(tmp_path / "again", words, {"WHAT": "kill the server"})
    assert codes["chief-0"] == 0, logs["chief-0"]
    assert "training goes on from checkpoint" in logs["chief-0"]
    assert last(tmp_path / "model")[1] == 200
