"""Formats and policies with the real estimator: the right weights, and training that notices nothing."""

from __future__ import annotations

import os

import numpy as np
import pytest

from expcore import Experiment, RunConfig
from expcore.errors import CheckpointCorrupt, NotTrained
from expcore.publish import versions
from expcore.testing.clock import VirtualClock
from expcore_plugins.estimators.keras import KerasEstimator
from expcore_plugins.exporters.best import Best
from expcore_plugins.exporters.final import Final
from expcore_plugins.exporters.keras_archive import KerasArchive
from expcore_plugins.exporters.latest import Latest
from expcore_plugins.exporters.litert import LiteRT
from expcore_plugins.exporters.saved_model import SavedModel

pytestmark = [
    pytest.mark.tf,
    pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning"),
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    ),
]

X = np.linspace(-1, 1, 64, dtype="float32").reshape(16, 4)
Y = X.sum(axis=1, keepdims=True)


def data():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(4).repeat(10)


def functional():
    from keras import Input, Sequential, layers

    model = Sequential(
        [Input((4,), name="image"), layers.Dense(3), layers.Dropout(0.5, seed=1), layers.Dense(1)]
    )
    model.compile("adam", "mse")
    return model


def subclassed():
    from keras import Model, layers

    class Net(Model):
        def __init__(self, **config):
            super().__init__(**config)
            self.dense = layers.Dense(1)

        def call(self, x):
            return self.dense(x)

    subclassed.net = Net
    model = Net()
    model.compile("adam", "mse")
    return model


def estimator(model_dir, make=functional, every=5):
    return KerasEstimator(make, str(model_dir), RunConfig(save_checkpoints_steps=every, random_seed=3))


def by_saved_model(path):
    import tensorflow as tf

    serve = tf.saved_model.load(path).signatures["serving_default"]
    (name,) = serve.structured_input_signature[1]
    return serve(**{name: tf.constant(X)})["output_0"].numpy()


def by_archive(path):
    import keras

    return keras.saving.load_model(os.path.join(path, "model.keras"), compile=False)(X).numpy()


def by_litert(path):
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(os.path.join(path, "model.tflite"))
    run = interpreter.get_signature_runner("serving_default")
    (name,) = run.get_input_details()
    return run(**{name: X})["output_0"]


FORMATS = [(SavedModel, by_saved_model), (KerasArchive, by_archive), (LiteRT, by_litert)]


@pytest.mark.parametrize(("form", "read"), FORMATS)
def test_an_older_checkpoint_is_exported_with_its_own_weights(tmp_path, form, read):
    trained = estimator(tmp_path / "model").train(data, max_steps=10)
    older, newest = trained.checkpoints()
    paths = [Latest(form()).export(trained, str(tmp_path / "export"), c) for c in (older, newest, None)]
    expected = [np.stack(list(trained.predict(data, checkpoint_path=c)))[:16] for c in (older, newest)]
    assert np.abs(expected[0] - expected[1]).max() > 1e-4
    for path, wanted in zip(paths, [*expected, expected[1]], strict=True):
        np.testing.assert_allclose(read(path), wanted, rtol=1e-4, atol=1e-6)


def test_training_that_is_interrupted_by_exports_ends_bit_for_bit_as_without_them(tmp_path):
    plain = estimator(tmp_path / "plain")
    exporting = estimator(tmp_path / "exporting")
    for each in (plain, exporting):
        each.train(data, max_steps=5)
        each.train(data, max_steps=10)
        if each is exporting:
            for form, _ in FORMATS:
                Latest(form()).export(each, str(tmp_path / form.__name__), each.checkpoints()[0])
        each.train(data, max_steps=20)
    with plain.restored() as one:
        expected = [v.numpy() for v in (*one.variables, *one.optimizer.variables)]
    with exporting.restored() as other:
        got = [v.numpy() for v in (*other.variables, *other.optimizer.variables)]
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_array_equal(a, b)


def by_archive_of_net(path):
    import keras

    archive = os.path.join(path, "model.keras")
    return keras.saving.load_model(archive, custom_objects={"Net": subclassed.net}, compile=False)(X).numpy()


@pytest.mark.parametrize(("form", "read"), [FORMATS[0], (KerasArchive, by_archive_of_net), FORMATS[2]])
def test_a_subclassed_model_is_exported_by_an_estimator_that_never_trained_it(tmp_path, form, read):
    trained = estimator(tmp_path, subclassed).train(data, max_steps=5)
    expected = np.stack(list(trained.predict(data)))[:16]
    path = Latest(form()).export(estimator(tmp_path, subclassed), str(tmp_path / "export"))
    np.testing.assert_allclose(read(path), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form", [SavedModel, KerasArchive, LiteRT])
def test_the_estimators_errors_go_through_and_nothing_is_visible(tmp_path, form):
    base = str(tmp_path / "export")
    with pytest.raises(NotTrained):
        Latest(form()).export(estimator(tmp_path / "new"), base)
    trained = estimator(tmp_path / "model").train(data, max_steps=5)
    with pytest.raises(CheckpointCorrupt):
        Latest(form()).export(trained, base, str(tmp_path / "model" / "ckpt-4"))
    assert os.listdir(base) == []


def test_in_an_experiment_each_policy_exports_what_it_should_and_a_restart_repeats_nothing(tmp_path):
    def experiment():
        return Experiment(
            estimator(tmp_path),
            data,
            data,
            train_steps=20,
            eval_steps=None,
            eval_every_n_steps=5,
            export_strategies=[Best(SavedModel()), Latest(KerasArchive(), keep=2), Final(LiteRT())],
            clock=VirtualClock(1000),
        )

    first = experiment()
    first.train_and_evaluate()
    results = [e.metrics["loss"] for e in first.history.evaluations]
    assert [e.step for e in first.history.evaluations] == [5, 10, 15, 20]
    improvements = [loss for i, loss in enumerate(results) if loss < min(results[:i], default=np.inf)]
    bases = {name: str(tmp_path / "export" / name) for name in ("best", "latest", "final")}
    found = {name: versions(base) for name, base in bases.items()}
    assert len(found["best"]) == len(improvements)
    assert len(found["latest"]) == 2
    assert len(found["final"]) == 1
    newest = by_archive(os.path.join(bases["latest"], str(found["latest"][-1])))
    final = by_litert(os.path.join(bases["final"], str(found["final"][0])))
    np.testing.assert_allclose(newest, final, rtol=1e-4, atol=1e-6)
    experiment().train_and_evaluate()
    assert {name: versions(base) for name, base in bases.items()} == found
