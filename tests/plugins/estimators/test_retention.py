"""Which checkpoints stay: the best by the log, and what somebody reads."""

from __future__ import annotations

import logging
import os

import keras
import numpy as np
import pytest

from expcore import Experiment, RunConfig
from expcore.errors import CannotWrite, InvalidArgument
from expcore.pins import pinned
from expcore_plugins.estimators.engine import retention as retention_module
from expcore_plugins.estimators.keras import KerasEstimator

pytestmark = pytest.mark.tf

X = np.linspace(-1, 1, 64, dtype="float32")[:, None]


def data():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, X)).repeat().batch(8)


def make(path, **config):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return KerasEstimator(model, path, RunConfig(save_checkpoints_steps=2, keep_checkpoint_max=2, **config))


def left(estimator):
    files = {f[: -len(".index")] for f in os.listdir(estimator.model_dir) if f.endswith(".index")}
    assert files == {os.path.basename(p) for p in estimator.checkpoints()}
    return sorted(files, key=lambda name: int(name.partition("-")[2]))


class Scored(KerasEstimator):
    """Whose evaluations have given scores by their steps."""

    scores = None

    def evaluate(self, *args, **named):
        result = super().evaluate(*args, **named)
        return {**result, "score": self.scores[result["global_step"]]}


def run(path, scores, **config):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    settings = RunConfig(save_checkpoints_steps=2, keep_checkpoint_max=2, **config)
    estimator = Scored(model, path, settings)
    estimator.scores = scores
    Experiment(estimator, data, lambda: (X, X), max(scores), eval_every_n_steps=2).train_and_evaluate()
    return left(estimator)


SCORES = {2: 0.5, 4: 0.9, 6: 0.7, 8: 0.1, 10: 0.2, 12: 0.3}


def test_the_best_stays_besides_the_newest(tmp_path):
    mode = {"keep_checkpoint_best": "score", "keep_checkpoint_best_mode": "max"}
    assert run(tmp_path / "a", SCORES, **mode) == ["ckpt-4", "ckpt-10", "ckpt-12"]
    mode["keep_checkpoint_best_mode"] = "min"
    assert run(tmp_path / "b", SCORES, **mode) == ["ckpt-8", "ckpt-10", "ckpt-12"]
    assert run(tmp_path / "c", SCORES) == ["ckpt-10", "ckpt-12"]


def test_what_was_best_goes_when_a_better_one_comes(tmp_path):
    mode = {"keep_checkpoint_best": "score", "keep_checkpoint_best_mode": "max"}
    assert run(tmp_path, {**SCORES, 8: 1.0}, **mode) == ["ckpt-8", "ckpt-10", "ckpt-12"]


def test_a_restart_knows_the_best(tmp_path):
    mode = {"keep_checkpoint_best": "score", "keep_checkpoint_best_mode": "max"}
    run(tmp_path, {step: SCORES[step] for step in (2, 4, 6)}, **mode)
    assert run(tmp_path, SCORES, **mode) == ["ckpt-4", "ckpt-10", "ckpt-12"]


def test_a_metric_that_no_evaluation_has_is_told_once(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        run(tmp_path, SCORES, keep_checkpoint_best="accuracy")
    (line,) = [r.getMessage() for r in caplog.records if "keep_checkpoint_best" in r.getMessage()]
    assert "'accuracy' keeps no checkpoint" in line
    assert "'score'" in line


def test_outside_of_an_experiment_there_is_no_best_and_that_is_told(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        estimator = make(tmp_path, keep_checkpoint_best="loss").train(data, steps=8)
    assert left(estimator) == ["ckpt-6", "ckpt-8"]
    assert sum("there is no log" in r.getMessage() for r in caplog.records) == 1


def test_a_name_that_does_not_tell_needs_the_mode(tmp_path):
    with pytest.raises(InvalidArgument, match="mode='min' or mode='max'"):
        make(tmp_path, keep_checkpoint_best="score")


@pytest.mark.parametrize("beside", [False, True])
def test_what_somebody_reads_stays_until_a_later_save(tmp_path, beside):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    config = RunConfig(save_checkpoints_steps=2, keep_checkpoint_max=1)
    estimator = KerasEstimator(model, tmp_path, config, async_checkpoints=beside).train(data, max_steps=2)
    with pinned(str(tmp_path), estimator.latest_checkpoint()):
        estimator.train(data, max_steps=8)
        assert left(estimator) == ["ckpt-2", "ckpt-8"]
    estimator.train(data, max_steps=10)
    assert left(estimator) == ["ckpt-10"]


def test_after_a_save_whose_state_file_could_not_be_written_none_is_forgotten(tmp_path, monkeypatch):
    estimator = make(tmp_path).train(data, max_steps=4)
    write = retention_module.write_state_file

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(retention_module, "write_state_file", full)
    with pytest.raises(CannotWrite, match="No space left"):
        estimator.train(data, max_steps=6)
    assert left(estimator) == ["ckpt-2", "ckpt-4"]
    monkeypatch.setattr(retention_module, "write_state_file", write)
    estimator.train(data, max_steps=10)
    assert left(estimator) == ["ckpt-8", "ckpt-10"]


def test_tensorflow_finds_the_latest_checkpoint_of_a_relative_directory(tmp_path, monkeypatch):
    import tensorflow as tf

    monkeypatch.chdir(tmp_path)
    make("runs/a/b").train(data, max_steps=2)
    assert os.path.normpath(tf.train.latest_checkpoint("runs/a/b")) == "runs/a/b/ckpt-2"
    assert 'model_checkpoint_path: "ckpt-2"' in (tmp_path / "runs/a/b/checkpoint").read_text()
