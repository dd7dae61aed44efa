"""Keras callbacks in the training of the Keras estimator."""

from __future__ import annotations

import csv
import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from expcore import RunConfig
from expcore.errors import InvalidHook
from expcore.testing import VirtualClock
from expcore_plugins.estimators.keras import KerasEstimator

pytestmark = pytest.mark.tf

X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
Y = X.sum(1, keepdims=True)


def ten():
    """Ten batches."""
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)


def endless():
    return ten().repeat()


def dense(rate=0.01):
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


def make(tmp_path, per_epoch=None, model=dense, **config):
    return KerasEstimator(
        model, tmp_path / "run", RunConfig(**config), clock=VirtualClock(), steps_per_epoch=per_epoch
    )


class Diary(keras.callbacks.Callback):
    """Writes down epochs."""

    def __init__(self):
        super().__init__()
        self.said = []

    def on_train_begin(self, logs=None):
        self.said.append("train begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.said.append(f"begin {epoch}")

    def on_epoch_end(self, epoch, logs=None):
        self.said.append(f"end {epoch} {sorted(logs)}")

    def on_train_end(self, logs=None):
        self.said.append("train end")


class BatchDiary(Diary):
    def on_train_batch_begin(self, batch, logs=None):
        self.said.append(f"batch {batch}")

    def on_train_batch_end(self, batch, logs=None):
        self.said.append(f"done {batch} {sorted(logs)}")


def rate(estimator):
    return float(estimator._state.trainable.native.optimizer.learning_rate)


# Epochs


def test_an_epoch_is_so_many_global_steps_and_goes_on_over_calls_and_restarts(tmp_path):
    diary = Diary()
    make(tmp_path, 4).train(endless, hooks=[diary], steps=6).train(endless, hooks=[diary], steps=3)
    make(tmp_path, 4).train(endless, hooks=[diary], max_steps=12)
    assert diary.said == [
        *("train begin", "begin 0", "end 0 ['loss']", "begin 1", "train end"),
        *("train begin", "begin 1", "end 1 ['loss']", "begin 2", "train end"),
        *("train begin", "begin 2", "end 2 ['loss']", "train end"),
    ]


def test_input_that_ends_with_an_epoch_is_seen_to_end_when_the_next_has_begun(tmp_path):
    diary = Diary()
    make(tmp_path, 5).train(ten, hooks=[diary])
    assert diary.said[-4:] == ["begin 1", "end 1 ['loss']", "begin 2", "train end"]


def test_without_steps_per_epoch_a_call_is_an_epoch_and_its_number_goes_on(tmp_path):
    diary = Diary()
    estimator = make(tmp_path, save_checkpoints_steps=10)
    estimator.train(ten, hooks=[diary]).train(ten, hooks=[diary])
    make(tmp_path).train(ten, hooks=[diary], steps=3)
    assert diary.said == [
        *("train begin", "begin 0", "end 0 ['loss']", "train end"),
        *("train begin", "begin 1", "end 1 ['loss']", "train end"),
        *("train begin", "begin 2", "end 2 ['loss']", "train end"),
    ]


def test_epochs_do_not_cut_the_compiled_calls_of_other_callbacks(tmp_path):
    calls = []
    estimator = make(tmp_path, 5)
    loop = estimator._steps.train(ten().element_spec)
    (key,) = estimator._steps._loops
    estimator._steps._loops[key] = lambda i, n: calls.append(n) or loop(i, n)
    estimator.train(endless, hooks=[Diary()], steps=20)
    assert calls == [1, 4, 5, 5, 5]  # the loop's first call measures the pace


def test_a_callback_that_wants_every_batch_gets_it_and_single_steps_are_said(tmp_path, caplog):
    diary = BatchDiary()
    with caplog.at_level(logging.INFO):
        make(tmp_path, 2).train(endless, hooks=[diary], steps=3)
    batch = [("batch 0", "done 0 ['loss']"), ("batch 1", "done 1 ['loss']")]
    assert diary.said == [
        *("train begin", "begin 0", *batch[0], *batch[1], "end 0 ['loss']"),
        *("begin 1", *batch[0], "train end"),
    ]
    assert sum("single steps" in m for m in caplog.messages) == 1


def test_parameters_and_the_model_are_given(tmp_path):
    callback = keras.callbacks.History()
    estimator = make(tmp_path, 4).train(endless, hooks=[callback], max_steps=8)
    assert callback.params == {"verbose": 0, "epochs": 2, "steps": 4}
    assert callback.model is estimator._state.trainable.native
    assert list(callback.history) == ["loss"]
    assert len(callback.history["loss"]) == 2
    assert all(type(v) is float for v in callback.history["loss"])


def test_callbacks_are_called_beside_hooks_of_ours(tmp_path):
    class Hook:
        def after_steps(self, run):
            self.step = run.step

    hook, diary = Hook(), Diary()
    make(tmp_path).train(ten, hooks=[diary, hook])
    assert hook.step == 10
    assert diary.said[-1] == "train end"


# Keras's own


def test_learning_rate_scheduler_sets_the_rate_of_each_epoch(tmp_path):
    seen = []
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.1 / (epoch + 1))
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["learning_rate"]))
    estimator = make(tmp_path, 5).train(endless, hooks=[scheduler, note], steps=15)
    assert seen == pytest.approx([0.1, 0.05, 0.1 / 3])
    assert rate(estimator) == pytest.approx(0.1 / 3)


def test_a_scheduled_rate_gives_the_weights_of_fit(tmp_path):
    def halving(epoch, rate):
        return 0.1 * 0.5**epoch

    reference = dense()
    schedule = keras.callbacks.LearningRateScheduler(halving)
    reference.fit(ten(), epochs=3, verbose=0, shuffle=False, callbacks=[schedule])
    schedule = keras.callbacks.LearningRateScheduler(halving)
    estimator = make(tmp_path, 10).train(endless, hooks=[schedule], steps=30)
    with estimator.restored() as model:
        for one, other in zip(model.variables, reference.variables, strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5)


def test_reduce_lr_on_plateau_reduces_on_the_training_loss(tmp_path):
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_delta=1e9)
    estimator = make(tmp_path, 5, lambda: dense(1e-9)).train(endless, hooks=[plateau], steps=20)
    assert rate(estimator) == pytest.approx(1e-9 / 8)


def test_early_stopping_on_the_training_loss_stops_and_says_who(tmp_path):
    class Hook:
        def end(self, run):
            self.reason = run.stop_reason, run.step

    hook = Hook()
    stopping = keras.callbacks.EarlyStopping(monitor="loss", patience=1, min_delta=1e9)
    estimator = make(tmp_path, 5).train(endless, hooks=[stopping, hook], steps=100)
    assert hook.reason == ("asked by EarlyStopping", 10)
    assert estimator.latest_checkpoint().endswith("ckpt-10")


def test_terminate_on_nan_stops_at_the_very_step(tmp_path):
    def with_nan():
        y = Y.copy()
        y[12:] = np.nan
        return tf.data.Dataset.from_tensor_slices((X, y)).batch(4)

    estimator = make(tmp_path).train(with_nan, hooks=[keras.callbacks.TerminateOnNaN()])
    assert estimator.latest_checkpoint().endswith("ckpt-4")


def test_csv_logger_writes_a_line_an_epoch(tmp_path):
    logger = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    make(tmp_path, 5).train(endless, hooks=[logger], steps=10)
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert all(float(row["loss"]) > 0 for row in rows)


def test_lambda_callback_is_told_of_what_it_was_given(tmp_path):
    said = []
    callback = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: said.append("begin"),
        on_train_batch_end=lambda batch, logs: said.append(batch),
        on_train_end=lambda logs: said.append("end"),
    )
    make(tmp_path).train(ten, hooks=[callback], steps=3)
    assert said == ["begin", 0, 1, 2, "end"]


# Stopping and refusing


def test_stop_training_ends_training_and_does_not_outlast_it(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    estimator = make(tmp_path, 3).train(endless, hooks=[Stop()], steps=100)
    assert estimator.latest_checkpoint().endswith("ckpt-3")
    estimator.train(endless, hooks=[Diary()], steps=4)
    assert estimator.latest_checkpoint().endswith("ckpt-7")


@pytest.mark.parametrize(
    "callback",
    [
        keras.callbacks.EarlyStopping(),
        keras.callbacks.ReduceLROnPlateau(monitor="val_mae"),
        keras.callbacks.ModelCheckpoint("a.keras", save_best_only=True),
    ],
)
def test_a_callback_that_monitors_validation_is_refused_naming_the_hook(tmp_path, callback):
    estimator = make(tmp_path)
    assert estimator.supports_hook(callback)
    with pytest.raises(InvalidHook, match=r"val_\w+.*'early_stopping'"):
        estimator.train(ten, hooks=[callback])
    assert not (tmp_path / "run").exists()


def test_a_model_checkpoint_that_keeps_all_is_taken(tmp_path):
    path = tmp_path / "{epoch}.weights.h5"
    callback = keras.callbacks.ModelCheckpoint(str(path), save_weights_only=True)
    make(tmp_path, 5).train(endless, hooks=[callback], steps=10)
    assert sorted(p.name for p in tmp_path.glob("*.h5")) == ["1.weights.h5", "2.weights.h5"]


def test_an_error_of_a_callback_names_it(tmp_path):
    class Bad(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            raise RuntimeError("bad")

    with pytest.raises(RuntimeError, match="bad") as caught:
        make(tmp_path).train(ten, hooks=[Bad()])
    assert any("on_epoch_begin() of the Keras callback" in note for note in caught.value.__notes__)
