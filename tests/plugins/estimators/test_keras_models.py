"""The model of a Keras estimator lent out: restored, predicting, copied, exported."""

from __future__ import annotations

import os
import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from expcore import RunConfig
from expcore.errors import (
    CannotWrite,
    CheckpointCorrupt,
    ExpcoreError,
    InvalidArgument,
    InvalidInput,
    InvalidType,
    NotCopyable,
    NotTrained,
)
from expcore.testing import VirtualClock
from expcore_plugins.estimators.engine import saved as saved_module
from expcore_plugins.estimators.keras import KerasEstimator

pytestmark = pytest.mark.tf

X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
Y = X.sum(1, keepdims=True)


def endless():
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(4).repeat()


def dense():
    keras.utils.set_random_seed(7)
    layers = [keras.layers.Dense(3), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((4,), name="x"), *layers])
    model.compile("adam", "mse", metrics=["mae"])
    return model


@keras.saving.register_keras_serializable("expcore-tests")
class Subclassed(keras.Model):
    """Has no variables until it sees data."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden, self.out = keras.layers.Dense(units), keras.layers.Dense(1)

    def call(self, x):
        hidden = self.hidden(x)
        return {"sum": self.out(hidden), "hidden": hidden}

    def get_config(self):
        return {"units": self.units, **super().get_config()}


def subclassed():
    keras.utils.set_random_seed(7)
    model = Subclassed()
    model.compile("adam", {"sum": "mse"})
    return model


def labelled():
    return tf.data.Dataset.from_tensor_slices((X, {"sum": Y})).batch(4).repeat()


def make(path, model=dense, **config):
    return KerasEstimator(model, path / "run", RunConfig(**config), clock=VirtualClock())


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return make(tmp_path_factory.mktemp("shared"), save_checkpoints_steps=2).train(endless, steps=4)


@pytest.fixture(scope="module")
def mapping(tmp_path_factory):
    return make(tmp_path_factory.mktemp("mapping"), subclassed).train(labelled, steps=2)


def state(estimator):
    live = estimator._state
    variables = [n.variable for name in ("model", "optimizer", "metrics") for n in live.section(name)]
    return [v.numpy().tobytes() for v in (live.step, *variables)]


def numbers(model):
    return [v.numpy() for v in model.variables]


def assert_same(a, b):
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


# restored


@pytest.mark.parametrize("step", [2, 4])
def test_the_model_has_the_checkpoints_values_and_the_state_comes_back_bit_for_bit(shared, step):
    before = state(shared)
    path = os.path.join(shared.model_dir, f"ckpt-{step}")
    reader = tf.train.load_checkpoint(path)
    with shared.restored(path) as model:
        for i, v in enumerate(model.variables):
            wanted = reader.get_tensor(f"model/{i}/.ATTRIBUTES/VARIABLE_VALUE")
            np.testing.assert_array_equal(v.numpy(), wanted)
        assert int(model.optimizer.iterations) == step
        for v in (*model.variables, *model.optimizer.variables):
            v.assign(v + 1)
        model.evaluate(X, Y, verbose=0)
    assert state(shared) == before


def test_the_state_comes_back_when_the_block_fails(shared):
    before = state(shared)
    with pytest.raises(RuntimeError, match="mine"), shared.restored(shared.checkpoints()[0]):
        raise RuntimeError("mine")
    assert state(shared) == before


def test_evaluating_the_same_checkpoint_inside_reads_nothing(shared, monkeypatch):
    reads = []
    original = saved_module.SavedCheckpoint.values
    monkeypatch.setattr(
        saved_module.SavedCheckpoint, "values", lambda s, *a: reads.append(s.path) or original(s, *a)
    )
    path = shared.checkpoints()[0]
    alone = shared.evaluate(lambda: (X, Y), checkpoint_path=path)
    with shared.restored(path):
        reads.clear()
        inside = shared.evaluate(lambda: (X, Y), checkpoint_path=path)
        assert reads == []
        shared.evaluate(lambda: (X, Y))
        assert len(reads) == 1
    assert inside == alone


def test_training_goes_on_after_restoring_as_if_nothing_had_been(tmp_path):
    straight = make(tmp_path / "a").train(endless, steps=6)
    estimator = make(tmp_path / "b", save_checkpoints_steps=2).train(endless, steps=4)
    with estimator.restored(estimator.checkpoints()[0]):
        pass
    estimator.train(endless, steps=2)
    assert state(estimator) == state(straight)


def test_training_inside_is_refused(shared):
    with shared.restored(), pytest.raises(ExpcoreError, match="leave it first"):
        shared.train(endless, steps=1)


def test_without_a_checkpoint_there_is_nothing_to_restore(tmp_path):
    with pytest.raises(NotTrained), make(tmp_path).restored():
        pass


def test_a_vanished_checkpoint_is_told(shared):
    with pytest.raises(CheckpointCorrupt), shared.restored(os.path.join(shared.model_dir, "ckpt-9")):
        pass


def test_a_model_that_saw_no_data_is_built_as_the_checkpoint_says(mapping):
    fresh = KerasEstimator(subclassed, mapping.model_dir, RunConfig())
    with fresh.restored() as model, mapping.restored() as trained:
        assert_same(numbers(model), numbers(trained))
        assert_same(numbers(model.optimizer), numbers(trained.optimizer))


def test_a_model_that_cannot_be_built_without_data_is_told(tmp_path):
    class Opaque(keras.Model):
        def __init__(self):
            super().__init__()
            self.out = keras.layers.Dense(1)

        def call(self, x):
            return self.out(x)

        def get_build_config(self):
            return None

    def opaque():
        model = Opaque()
        model.compile("sgd", "mse")
        return model

    make(tmp_path, opaque).train(endless, steps=1)
    with pytest.raises(InvalidArgument, match=r"keras\.Input"), make(tmp_path, opaque).restored():
        pass


# predict


def test_there_is_one_prediction_an_example_whatever_the_labels(shared):
    with shared.restored() as model:
        wanted = model.predict(X, verbose=0)
    found = list(shared.predict(lambda: (X, Y)))
    assert all(isinstance(p, np.ndarray) for p in found)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    np.testing.assert_allclose(list(shared.predict(lambda: X)), wanted, rtol=1e-5)


def test_a_model_with_named_outputs_gives_mappings_of_the_keys_asked_for(mapping):
    first = next(iter(mapping.predict(lambda: X)))
    assert {k: v.shape for k, v in first.items()} == {"sum": (1,), "hidden": (3,)}
    assert set(next(iter(mapping.predict(lambda: X, predict_keys=["sum"])))) == {"sum"}
    with pytest.raises(InvalidArgument, match=r"'none'.*'sum'"):
        next(iter(mapping.predict(lambda: X, predict_keys=["none"])))


def test_keys_of_a_model_without_names_are_refused(shared):
    with pytest.raises(InvalidArgument, match="'a'"):
        next(iter(shared.predict(lambda: X, predict_keys="a")))


def test_training_may_go_on_between_two_predictions(tmp_path):
    estimator = make(tmp_path).train(endless, steps=2)
    path = estimator.latest_checkpoint()
    wanted = list(estimator.predict(lambda: (X, Y)))
    predictions = estimator.predict(lambda: (X, Y), checkpoint_path=path)
    found = [next(predictions)]
    estimator.train(endless, steps=2)
    before = state(estimator)
    found += list(predictions)
    np.testing.assert_array_equal(found, wanted)
    assert state(estimator) == before


def test_predicting_checks_at_once(tmp_path, shared):
    with pytest.raises(NotTrained):
        make(tmp_path).predict(lambda: X)
    with pytest.raises(InvalidInput):
        shared.predict(lambda: None)
    with pytest.raises(CheckpointCorrupt):
        shared.predict(lambda: X, checkpoint_path="nowhere")


def test_hooks_of_a_prediction_see_its_step(shared):
    class Hook:
        def __init__(self):
            self.said = []

        def begin(self, run):
            self.said.append(("begin", run.step))

        def end(self, run):
            self.said.append(("end", run.step))

    hook = Hook()
    list(shared.predict(lambda: X, hooks=[hook]))
    assert hook.said == [("begin", 4), ("end", 4)]


# with_model_dir


@pytest.mark.parametrize(("model", "data"), [(dense, endless), (subclassed, labelled)])
def test_a_model_function_is_called_again_for_a_copy(tmp_path, model, data):
    estimator = make(tmp_path, model, save_checkpoints_steps=2).train(data, steps=1)
    copied = estimator.with_model_dir(tmp_path / "copy")
    assert copied.model_dir == copied.config.model_dir == str(tmp_path / "copy")
    assert copied.config.save_checkpoints_steps == 2
    before = state(estimator)
    copied.train(data, steps=3)
    assert state(estimator) == before
    assert [os.path.basename(p) for p in copied.checkpoints()] == ["ckpt-2", "ckpt-3"]
    assert estimator.checkpoints() == [str(tmp_path / "run" / "ckpt-1")]


def test_a_given_model_is_made_again_with_its_weights(tmp_path):
    model = dense()
    model.layers[0].kernel.assign_add(np.ones((4, 3)))
    estimator = make(tmp_path, model)
    copied = estimator.with_model_dir(tmp_path / "copy")
    assert_same(numbers(copied._native.get(None)), numbers(model))
    before = numbers(model)
    copied.train(endless, steps=2)
    assert_same(numbers(model), before)
    estimator.train(endless, steps=2)
    assert state(copied) == state(estimator)  # the same weights, seeds, optimizer, loss and metrics


def test_a_given_model_of_a_class_is_made_again_from_its_config(tmp_path):
    model = subclassed()
    model(X)
    copied = make(tmp_path, model).with_model_dir(tmp_path / "copy")
    assert_same(numbers(copied._native.get(None)), numbers(model))
    copied.train(labelled, steps=1)


class OwnStep(keras.Sequential):
    def train_step(self, data):
        return {"loss": tf.constant(1.5)}


def test_a_copy_is_of_the_models_own_class(tmp_path):
    model = OwnStep([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    copied = make(tmp_path, model).with_model_dir(tmp_path / "copy")
    assert type(copied._native.get(None)) is OwnStep


class NoConfig(keras.Model):
    def __init__(self, layer):
        super().__init__()
        self.out = layer

    def call(self, x):
        return self.out(x)


class OwnCompile(keras.Sequential):
    def compile(self, mine, **kwargs):
        super().compile(mine, "mse", **kwargs)


def unregistered_loss(y, p):
    return keras.ops.mean((y - p) ** 2)


def not_copyable(kind):
    if kind == "config":
        model = NoConfig(keras.layers.Dense(1))
        model.compile("sgd", "mse")
    elif kind == "compile":
        model = OwnCompile([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd")
    else:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", unregistered_loss)
    return model


@pytest.mark.parametrize("kind", ["config", "compile", "loss"])
def test_a_model_that_cannot_be_made_again_says_why_and_what_to_do(tmp_path, kind):
    estimator = make(tmp_path, not_copyable(kind))
    with pytest.raises(NotCopyable, match=r"cannot be made again: .+; give KerasEstimator a function"):
        estimator.with_model_dir(tmp_path / "copy")


def test_a_foreign_config_is_copied_too(tmp_path):
    config = SimpleNamespace(model_dir=str(tmp_path / "run"), keep_checkpoint_max=2)
    copied = KerasEstimator(dense, config=config).with_model_dir(tmp_path / "copy")
    assert copied.config == SimpleNamespace(model_dir=str(tmp_path / "copy"), keep_checkpoint_max=2)
    assert config.model_dir == str(tmp_path / "run")


def test_a_config_that_cannot_be_changed_is_told(tmp_path):
    class Fixed:
        model_dir = property(lambda self: str(tmp_path / "run"))

    with pytest.raises(NotCopyable, match="config"):
        KerasEstimator(dense, config=Fixed()).with_model_dir(tmp_path / "copy")


# export_saved_model


def test_an_export_appears_whole_under_a_growing_number_and_predicts_the_same(shared, tmp_path):
    base = tmp_path / "exports"
    first = shared.export_saved_model(base, checkpoint_path=shared.checkpoints()[0])
    second = shared.export_saved_model(base)
    assert [os.path.basename(p) for p in (first, second)] == ["0", "1"]
    assert sorted(os.listdir(base)) == ["0", "1"]
    for path, checkpoint in zip((first, second), shared.checkpoints(), strict=True):
        loaded = tf.saved_model.load(path)
        with shared.restored(checkpoint) as model:
            np.testing.assert_allclose(loaded.serve(X), model.predict(X, verbose=0), rtol=1e-5)


def test_an_export_can_be_read_by_others(shared, tmp_path):
    before = os.umask(0o022)
    try:
        path = shared.export_saved_model(tmp_path)
    finally:
        os.umask(before)
    assert os.stat(path).st_mode & 0o777 == 0o755


def test_the_signature_can_be_given_as_specs(shared, tmp_path):
    path = shared.export_saved_model(tmp_path, lambda: tf.TensorSpec((2, 4), name="given"))
    inputs = tf.saved_model.load(path).signatures["serving_default"].structured_input_signature[1]
    assert {name: spec.shape.as_list() for name, spec in inputs.items()} == {"given": [2, 4]}


def test_placeholders_are_refused_and_leave_nothing(shared, tmp_path):
    with pytest.raises(InvalidType, match="placeholders"):
        shared.export_saved_model(tmp_path / "e", lambda: SimpleNamespace(features={}))
    assert not (tmp_path / "e").exists()


def test_an_export_that_cannot_be_written_is_told(shared, tmp_path):
    (tmp_path / "e").write_text("in the way")
    with pytest.raises(CannotWrite, match="e'"):
        shared.export_saved_model(tmp_path / "e")


def test_a_copy_of_the_directory_serves_another_process(shared, tmp_path):
    shutil.copytree(shared.model_dir, tmp_path / "run")
    moved = make(tmp_path)
    assert moved.evaluate(lambda: (X, Y)) == pytest.approx(shared.evaluate(lambda: (X, Y)), rel=1e-6)
