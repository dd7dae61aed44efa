"""The format "onnx": models trained for a few steps, exported under a policy, and run by ONNX Runtime."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import nullcontext
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from expcore_onnx import Onnx, OnnxDiffers
from expcore_onnx.verification import compare

import expcore
from expcore.errors import ExportFailed, InvalidArgument, InvalidType, PluginLoadError
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore_plugins.estimators.keras import KerasEstimator
from expcore_plugins.exporters.latest import Latest

CLOSE = 1e-5


def compiled(inputs, outputs):
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    return model


def mlp():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    return model


def cnn():
    image = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Conv2D(4, 3)(image)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    return compiled(image, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(x)))


def of_mapping():
    age, city = keras.Input((3,), name="age"), keras.Input((1,), name="city", dtype="int32")
    embedded = keras.layers.Flatten()(keras.layers.Embedding(5, 2)(city))
    x = keras.layers.Concatenate()([age, embedded])
    model = keras.Model({"city": city, "age": age}, {"rent": keras.layers.Dense(1)(x)})
    model.compile("sgd", {"rent": "mse"})
    return model


@keras.saving.register_keras_serializable("expcore_onnx")
class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(x)


def subclassed():
    model = Subclassed()
    model.compile("sgd", "mse")
    return model


def svd():
    matrix = keras.Input((3, 3))
    return compiled(matrix, keras.layers.Lambda(lambda x: tf.linalg.svd(x, compute_uv=False))(matrix))


def features(model_fn, seed=0):
    random = np.random.default_rng(seed)
    if model_fn is cnn:
        return random.normal(size=(64, 8, 8, 1)).astype("float32")
    if model_fn is of_mapping:
        cities = random.integers(0, 5, size=(64, 1)).astype("int32")
        return {"age": random.normal(size=(64, 3)).astype("float32"), "city": cities}
    return random.normal(size=(64, 4)).astype("float32")


def experiment(folder, model_fn, *exporters, steps=8):
    def data():
        y = np.arange(64, dtype="float32").reshape(-1, 1) / 64
        y = {"rent": y} if model_fn is of_mapping else y
        return tf.data.Dataset.from_tensor_slices((features(model_fn), y)).batch(8).repeat()

    return expcore.create_experiment(
        {
            "estimator": KerasEstimator(model_fn, str(folder)),
            "train_input_fn": data,
            "eval_input_fn": data,
            "train_steps": steps,
            "eval_steps": 2,
            "export_strategies": list(exporters),
        }
    )


def run(path, feed):
    session = onnxruntime.InferenceSession(os.path.join(path, "model.onnx"))
    if not isinstance(feed, dict):
        feed = {session.get_inputs()[0].name: feed}
    return session.run(None, feed)


@pytest.mark.parametrize("model_fn", [mlp, cnn, of_mapping, subclassed], ids=lambda f: f.__name__)
def test_a_trained_model_exported_as_the_best_gives_the_keras_models_outputs_in_onnx_runtime(
    tmp_path, model_fn
):
    best = {"type": "best", "of": {"type": "onnx"}, "metric": "loss"}
    made = experiment(tmp_path, model_fn, best)
    _, (path,) = made.train_and_evaluate()
    assert os.listdir(path) == ["model.onnx"]
    assert Path(path).parent == tmp_path / "export" / "best"
    new = features(model_fn, seed=1)
    with made.estimator.restored() as model:
        expected = keras.tree.flatten(model(new, training=False))
    (found,) = run(path, new)
    np.testing.assert_allclose(found, np.asarray(expected[0]), atol=CLOSE, rtol=0)
    smaller = keras.tree.map_structure(lambda a: a[:5], new)
    np.testing.assert_allclose(run(path, smaller)[0], found[:5], atol=CLOSE, rtol=0)


def test_the_checkpoint_it_is_given_is_written_and_the_training_state_is_put_back(tmp_path):
    made = experiment(tmp_path / "run", mlp)
    estimator = made.estimator
    estimator.train(made.train_input_fn, max_steps=2)
    first = estimator.latest_checkpoint()
    estimator.train(made.train_input_fn, max_steps=9)
    with estimator.restored(first) as model:
        old = np.asarray(model(features(mlp), training=False))
    with estimator.restored() as model:
        new = np.asarray(model(features(mlp), training=False))
    for checkpoint, expected in ((first, old), (None, new)):
        folder = tmp_path / f"to {checkpoint is None} \u00e9"
        folder.mkdir()
        Onnx().write(estimator, str(folder), checkpoint)
        np.testing.assert_allclose(run(folder, features(mlp))[0], expected, atol=CLOSE, rtol=0)
    assert np.abs(old - new).max() > 100 * CLOSE
    with estimator.restored() as model:
        np.testing.assert_array_equal(np.asarray(model(features(mlp), training=False)), new)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The estimators of trained models, by function."""
    found = {}

    def estimator(model_fn):
        if model_fn not in found:
            made = experiment(tmp_path_factory.mktemp(model_fn.__name__), model_fn)
            made.estimator.train(made.train_input_fn, max_steps=1)
            found[model_fn] = made.estimator
        return found[model_fn]

    return estimator


def names(path):
    graph = onnx.load(os.path.join(path, "model.onnx")).graph
    return [i.name for i in graph.input], [o.name for o in graph.output]


@pytest.mark.parametrize(
    ("model_fn", "given", "inputs", "outputs"),
    [
        (mlp, None, ["inputs"], ["Identity:0"]),
        (cnn, None, ["image"], ["Identity:0"]),
        (of_mapping, None, ["age", "city"], ["rent"]),
        (subclassed, None, ["inputs"], ["Identity:0"]),
        (cnn, ["picture"], ["picture"], ["Identity:0"]),
        (of_mapping, ["years", "place"], ["years", "place"], ["rent"]),
    ],
)
def test_inputs_and_outputs_have_stable_names(trained, tmp_path, model_fn, given, inputs, outputs):
    Onnx(input_names=given).write(trained(model_fn), str(tmp_path))
    assert names(tmp_path) == (inputs, outputs)


def test_the_opset_version_is_the_one_asked_for(trained, tmp_path):
    Onnx(opset_version=17).write(trained(mlp), str(tmp_path))
    opsets = {o.domain: o.version for o in onnx.load(tmp_path / "model.onnx").opset_import}
    assert opsets[""] == 17
    with pytest.raises(InvalidArgument, match="opset_version is 99; the installed tf2onnx writes 9 to"):
        Onnx(opset_version=99).write(trained(mlp), str(tmp_path))


@pytest.mark.parametrize("verify", [True, False])
def test_operations_that_onnx_lacks_are_named_and_nothing_is_published(tmp_path, verify):
    class Estimator(NumpyEstimator):
        def restored(self, checkpoint_path=None):
            return nullcontext(svd())

    def data():
        return np.ones((4, 1)), np.ones(4)

    strategies = [Latest(Onnx(verify=verify))]
    made = expcore.Experiment(
        Estimator(str(tmp_path)), data, data, train_steps=1, export_strategies=strategies
    )
    with pytest.raises(ExportFailed, match="cannot write as ONNX: Svd; move the layers"):
        made.train_and_evaluate()
    assert list((tmp_path / "export" / "latest").iterdir()) == []


def test_other_outputs_than_the_models_are_an_error(trained, tmp_path, monkeypatch):
    whole = keras.Model.export

    def export(self, path, **options):
        whole(self, path, **options)
        proto = onnx.load(path)
        for tensor in proto.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                changed = onnx.numpy_helper.to_array(tensor) + 0.01
                tensor.CopyFrom(onnx.numpy_helper.from_array(changed, tensor.name))
        onnx.save(proto, path)

    estimator = trained(mlp)
    monkeypatch.setattr(keras.Model, "export", export)
    with pytest.raises(OnnxDiffers, match=r"output 0 of the ONNX model differs by 0\.\d+ .* at most 0.0001"):
        Onnx().write(estimator, str(tmp_path))
    Onnx(tolerance=1.0).write(estimator, str(tmp_path))
    Onnx(verify=False).write(estimator, str(tmp_path))


def test_a_file_that_is_not_valid_is_an_error(trained, tmp_path, monkeypatch):
    whole = keras.Model.export

    def export(self, path, **options):
        whole(self, path, **options)
        proto = onnx.load(path)
        proto.graph.node[0].input[0] = "nothing"
        onnx.save(proto, path)

    estimator = trained(mlp)
    monkeypatch.setattr(keras.Model, "export", export)
    with pytest.raises(OnnxDiffers, match="the file is no valid ONNX"):
        Onnx().write(estimator, str(tmp_path))


def test_without_onnx_runtime_the_file_is_checked_but_not_run_and_the_log_says_so(
    trained, tmp_path, monkeypatch, caplog
):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with caplog.at_level(logging.INFO, "expcore_onnx"):
        Onnx().write(trained(mlp), str(tmp_path))
    assert "outputs are not compared; pip install 'expcore-onnx[verify]'" in caplog.text
    assert names(tmp_path)[0] == ["inputs"]


def test_text_inputs_are_not_compared_and_the_log_says_so(caplog):
    with caplog.at_level(logging.INFO, "expcore_onnx"):
        compare("nowhere", None, {"word": keras.InputSpec(shape=(None, 1), dtype="string")}, 0.1)
    assert "an input is text" in caplog.text


@pytest.mark.parametrize("name", ["onnx", "tf2onnx"])
def test_a_missing_library_is_named_with_the_command_before_anything_is_trained(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        PluginLoadError, match=f"format 'onnx': {name} is not installed; pip install '{name}>="
    ):
        Onnx()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"opset_version": 8}, "opset_version is 8; it must be a whole number of at least 9, or None"),
        ({"opset_version": True}, "opset_version is True"),
        ({"input_names": "image"}, "input_names is 'image'; it must be a list"),
        ({"input_names": ["a", "a"]}, "input_names is"),
        ({"input_names": []}, "input_names is"),
        ({"input_names": ["a b"]}, "input_names is"),
        ({"verify": "yes"}, "verify is 'yes'; it must be True or False"),
        ({"tolerance": -1}, "tolerance is -1; it must be a finite number of at least 0"),
        ({"tolerance": float("nan")}, "tolerance is nan"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(InvalidArgument, match=message):
        Onnx(**options)


def test_names_that_do_not_fit_the_inputs_are_refused(trained, tmp_path):
    with pytest.raises(InvalidArgument, match="names of inputs are 'a', 'b' for the 1 inputs"):
        Onnx(input_names=["a", "b"]).write(trained(mlp), str(tmp_path))


def test_estimators_without_a_keras_model_are_refused(tmp_path):
    estimator = NumpyEstimator(str(tmp_path / "run"))
    estimator.train(lambda: (np.ones((4, 1)), np.ones(4)), steps=1)
    with pytest.raises(InvalidType, match=r"is a .*LinearModel; a keras.Model is needed"):
        Onnx().write(estimator, str(tmp_path))
    with pytest.raises(InvalidType, match=r"object has no restored\(checkpoint_path\)"):
        Onnx().write(object(), str(tmp_path))
