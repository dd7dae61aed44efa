"""Checkpoints that are written beside the next steps: what they hold, when they are told of, and errors."""

from __future__ import annotations

import os
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from expcore import Experiment, RunConfig
from expcore.errors import CannotWrite, InvalidArgument
from expcore_plugins.estimators.engine import checkpoints as checkpoints_module
from expcore_plugins.estimators.engine.saved import SavedCheckpoint
from expcore_plugins.estimators.keras import KerasEstimator

pytestmark = pytest.mark.tf

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = X.sum(1, keepdims=True)


def data():
    return tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(64, seed=1).repeat().batch(8)


def eval_data():
    return X, Y


def make(path, *, jit=False, beside=True, optimizer="adam", **config):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", jit_compile=jit)
    config = RunConfig(random_seed=1, **config)
    return KerasEstimator(model, path, config, async_checkpoints=beside)


def contents(path):
    reader = tf.train.load_checkpoint(path)
    return {
        key: np.asarray(reader.get_tensor(key)).tobytes()
        for key in reader.get_variable_to_shape_map()
        if not key.startswith(("position", "about"))
    }


@pytest.fixture
def gate(monkeypatch):
    """Writing waits until it is opened."""
    opened = threading.Event()
    write = checkpoints_module._write_tensors

    def waiting(prefix, tensors):
        assert opened.wait(60)
        write(prefix, tensors)

    monkeypatch.setattr(checkpoints_module, "_write_tensors", waiting)
    return opened


class At:
    """Does something at a step."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def next_step(self, step):
        return self.step if step < self.step else None

    def after_steps(self, run):
        if run.step == self.step:
            self.action()


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_it_holds_the_values_of_its_step_though_others_follow(tmp_path, gate, jit, optimizer):
    beside = make(tmp_path / "a", jit=jit, optimizer=optimizer, save_checkpoints_steps=10)
    beside.train(data, hooks=[At(17, gate.set)], max_steps=20)
    gate.set()
    make(tmp_path / "b", jit=jit, optimizer=optimizer, beside=False, save_checkpoints_steps=10).train(
        data, max_steps=20
    )
    for step in (10, 20):
        ours, theirs = (contents(str(tmp_path / name / f"ckpt-{step}")) for name in "ab")
        assert ours == theirs


class Told:
    def __init__(self):
        self.saves, self.steps = [], []

    def after_save(self, session, step):
        self.saves.append(step)


class Seen:
    def __init__(self):
        self.seen = []

    def after_save(self, run, path):
        self.seen.append((os.path.basename(path), os.path.exists(path + ".index"), run.step))


def test_listeners_and_hooks_are_told_when_it_is_there_and_of_which_step(tmp_path, gate):
    told, seen = Told(), Seen()
    make(tmp_path, save_checkpoints_steps=10).train(
        data, hooks=[At(15, gate.set), seen, At(16, lambda: None)], max_steps=25, saving_listeners=[told]
    )
    assert told.saves == [10, 20, 25]
    assert [name for name, there, _ in seen.seen if there] == ["ckpt-10", "ckpt-20", "ckpt-25"]
    assert 15 <= seen.seen[0][2] <= 20
    assert seen.seen[-1][2] == 25


def test_an_error_ends_training_at_a_later_stop_and_the_older_checkpoints_stay(tmp_path, monkeypatch):
    estimator = make(tmp_path, save_checkpoints_steps=10)
    estimator.train(data, max_steps=10)
    write = checkpoints_module._write_tensors

    def failing(prefix, tensors):
        if "ckpt-20" in prefix:
            raise OSError(28, "No space left on device")
        write(prefix, tensors)

    monkeypatch.setattr(checkpoints_module, "_write_tensors", failing)
    with pytest.raises(CannotWrite, match="No space left"):
        estimator.train(data, max_steps=60)
    assert [os.path.basename(p) for p in estimator.checkpoints()] == ["ckpt-10"]
    assert estimator._engine.step < 60


def test_an_error_of_the_last_one_is_raised_by_train(tmp_path, monkeypatch):
    def failing(prefix, tensors):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints_module, "_write_tensors", failing)
    with pytest.raises(CannotWrite, match="No space left"):
        make(tmp_path).train(data, max_steps=5)


def test_what_is_being_written_when_training_fails_is_finished_and_told(tmp_path):
    told = Told()

    def fail():
        raise RuntimeError("planned")

    with pytest.raises(RuntimeError, match="planned"):
        make(tmp_path, save_checkpoints_steps=10).train(
            data, hooks=[At(11, fail)], max_steps=50, saving_listeners=[told]
        )
    assert told.saves == [10]
    assert os.path.exists(tmp_path / "ckpt-10.index")


def test_an_evaluation_of_it_takes_the_values_from_memory(tmp_path, monkeypatch):
    reads = []
    values = SavedCheckpoint.values
    monkeypatch.setattr(SavedCheckpoint, "values", lambda *a: reads.append(a) or values(*a))
    results = {}
    for name, beside in (("a", True), ("b", False)):
        estimator = make(tmp_path / name, beside=beside, save_checkpoints_steps=10)
        found = results[name] = []
        experiment = Experiment(
            estimator, data, eval_data, train_steps=40, eval_steps=None, eval_every_n_steps=10
        )
        experiment.train_and_evaluate()
        found += [(e.step, dict(e.metrics)) for e in experiment.history.evaluations]
    assert results["a"] == results["b"]
    assert [step for step, _ in results["a"]] == [10, 20, 30, 40]
    assert reads == []


def test_training_goes_on_exactly_after_it(tmp_path):
    straight = make(tmp_path / "a", beside=False).train(data, max_steps=30)
    make(tmp_path / "b", save_checkpoints_steps=7).train(data, max_steps=17)
    make(tmp_path / "b").train(data, max_steps=30)
    assert contents(straight.latest_checkpoint()) == contents(str(tmp_path / "b" / "ckpt-30"))


def test_it_must_be_true_or_false(tmp_path):
    with pytest.raises(InvalidArgument, match="async_checkpoints is 'yes'"):
        make(tmp_path, beside="yes")
