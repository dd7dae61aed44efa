"""What is refused, and how it is told."""

from __future__ import annotations

import logging
from pathlib import Path

import joblib
import numpy as np
import pytest
from digits import DIGITS, LABELS, TEN, bits, logistic, made, naive, test_data, train_data
from expcore_sklearn import SklearnEstimator
from sklearn.cluster import MiniBatchKMeans
from sklearn.linear_model import LinearRegression, SGDClassifier, SGDRegressor

import expcore
from expcore.errors import (
    CannotWrite,
    CheckpointCorrupt,
    InvalidArgument,
    InvalidInput,
    InvalidType,
    ModelMismatch,
    NotTrained,
)


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "sum gone", "sum cut"])
def test_a_damaged_checkpoint_is_told_and_not_loaded(tmp_path, damage, monkeypatch):
    estimator = made(tmp_path).train(train_data, max_steps=2)
    path = Path(estimator.latest_checkpoint())
    beside = Path(f"{path}.json")
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[:-10])
    elif damage == "changed":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "gone":
        path.unlink()
    elif damage == "sum gone":
        beside.unlink()
    else:
        beside.write_text(beside.read_text()[:30])
    monkeypatch.setattr(joblib, "load", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(CheckpointCorrupt, match=r"checkpoint .*use another checkpoint"):
        estimator.evaluate(test_data, checkpoint_path=str(path))


def test_training_goes_on_from_the_newest_whole_checkpoint_and_sets_damaged_ones_aside(tmp_path, caplog):
    rhythm = {"save_checkpoints_steps": 5}
    _, second, third = made(tmp_path, config=rhythm).train(train_data, max_steps=15).checkpoints()
    Path(second).write_bytes(b"damaged")
    Path(third + ".json").write_bytes(b"damaged")
    estimator = made(tmp_path).train(train_data, max_steps=8)
    assert [Path(p).name for p in estimator.checkpoints()] == ["ckpt-5.joblib", "ckpt-8.joblib"]
    assert bits(estimator) == bits(made(tmp_path / "whole").train(train_data, max_steps=8))
    assert caplog.text.count("the one before is tried") == 2
    for path in estimator.checkpoints():
        Path(path).write_bytes(b"damaged")
    with pytest.raises(CheckpointCorrupt):
        made(tmp_path).train(train_data, max_steps=9)
    assert len(made(tmp_path).checkpoints()) == 2


def test_without_a_checkpoint_it_is_not_trained(tmp_path):
    estimator = made(tmp_path)
    with pytest.raises(NotTrained):
        estimator.evaluate(test_data)
    with pytest.raises(NotTrained):
        next(estimator.predict(test_data))
    with pytest.raises(NotTrained), estimator.restored():
        pass


def test_a_checkpoint_of_another_model_or_of_other_classes_is_refused(tmp_path):
    made(tmp_path).train(train_data, max_steps=2)
    for other in (made(tmp_path, naive), made(tmp_path, classes=[*TEN, 10])):
        with pytest.raises(ModelMismatch, match="use another model_dir"):
            other.train(train_data, max_steps=4)


def test_changed_parameters_are_told_and_the_checkpoints_hold(tmp_path, caplog):
    made(tmp_path, logistic()).train(train_data, max_steps=2)
    with caplog.at_level(logging.WARNING):
        made(tmp_path, logistic()).train(train_data, max_steps=3)
        assert caplog.text == ""
        other = made(tmp_path, SGDClassifier(loss="log_loss", alpha=0.5)).train(train_data, max_steps=4)
    assert "the parameters 'alpha' are others than in the checkpoint of step 3" in caplog.text
    with other.restored() as model:
        assert model.alpha == 0.0001


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (LinearRegression(), {}, InvalidType, "has no partial_fit"),
        (LinearRegression, {}, InvalidType, "has no partial_fit"),
        (lambda: None, {}, InvalidType, "has no partial_fit"),
        (MiniBatchKMeans(), {}, InvalidType, "must be a classifier or a regressor"),
        (logistic, {}, InvalidArgument, "pass classes="),
        (logistic, {"classes": [1]}, InvalidArgument, "at least two different"),
        (logistic, {"classes": [1, 1]}, InvalidArgument, "at least two different"),
        (SGDRegressor(), {"classes": TEN}, InvalidArgument, "leave classes= out"),
        (logistic, {"classes": TEN, "batch_size": 0}, InvalidArgument, "batch_size is 0"),
        (logistic, {"classes": TEN, "metrics": "f1_score"}, InvalidType, "must be a list of names"),
        (logistic, {"classes": TEN, "metrics": ["f1_scor"]}, InvalidArgument, "did you mean 'f1_score'"),
        (logistic, {"classes": TEN, "metrics": {"a": 1}}, InvalidType, "is no function"),
        (logistic, {"classes": TEN, "metrics": {"loss": max}}, InvalidArgument, "choose another name"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_trained(tmp_path, model, options, error, message):
    with pytest.raises(error, match=message):
        SklearnEstimator(model, tmp_path, **options)


@pytest.mark.parametrize(
    "data",
    [
        lambda: None,
        lambda: "text",
        lambda: [DIGITS],
        lambda: (DIGITS, LABELS[:-1]),
        lambda: (DIGITS[0], LABELS[:1]),
        lambda: (DIGITS * np.nan, LABELS),
        lambda: (DIGITS[:, :3], LABELS),
        lambda: (DIGITS, LABELS + 1),
        list,
    ],
)
def test_input_that_cannot_be_used_is_refused(tmp_path, data):
    estimator = made(tmp_path).train(train_data, max_steps=1)
    with pytest.raises(InvalidInput):
        estimator.evaluate(data)
    if data is not list:  # an empty input makes no step
        with pytest.raises(InvalidInput):
            estimator.train(data)


def test_two_model_dirs_that_differ_are_refused_and_none_is_a_temporary_one(tmp_path, caplog):
    config = expcore.RunConfig(model_dir=str(tmp_path))
    with pytest.raises(InvalidArgument, match="give one of them"):
        SklearnEstimator(logistic, tmp_path / "b", config, classes=TEN)
    assert SklearnEstimator(logistic, config=config, classes=TEN).model_dir == str(tmp_path)
    estimator = SklearnEstimator(logistic, classes=TEN)
    assert estimator.config.model_dir == estimator.model_dir
    assert estimator.model_dir in caplog.text


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="the checkpoint cannot be written"):
        made(tmp_path / "file" / "run").train(train_data, max_steps=1)
