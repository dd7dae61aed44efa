"""The format "litert": a file that an interpreter runs, with named inputs, of the asked-for checkpoint."""

from __future__ import annotations

import os
from contextlib import contextmanager

import numpy as np
import pytest

from expcore.errors import InvalidArgument, InvalidType
from expcore.testing.clock import VirtualClock
from expcore_plugins.exporters.latest import Latest
from expcore_plugins.exporters.litert import LiteRT

pytestmark = pytest.mark.tf

BATCH = np.arange(20, dtype="float32").reshape(5, 4)


class Estimator:
    """Gives a model with checkpoint's weights: the training ones plus what the path says."""

    def __init__(self, model):
        self.model = model

    @contextmanager
    def restored(self, checkpoint_path=None):
        training = self.model.get_weights()
        self.model.set_weights([w + float(checkpoint_path or 0) for w in training])
        try:
            yield self.model
        finally:
            self.model.set_weights(training)


def dense():
    from keras import Input, Sequential, layers

    return Sequential([Input((4,), name="image"), layers.Dense(2)])


def runner(path):
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(model_path=str(path))
    return interpreter.get_signature_runner("serving_default"), interpreter


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
def test_the_published_file_runs_under_the_names_of_the_inputs_with_any_batch_size(tmp_path):
    model = dense()
    path = Latest(LiteRT()).export(Estimator(model), str(tmp_path), clock=VirtualClock(7))
    assert os.listdir(path) == ["model.tflite"]
    assert os.listdir(tmp_path) == ["7"]
    run, _interpreter = runner(os.path.join(path, "model.tflite"))
    assert list(run.get_input_details()) == ["image"]
    for batch in (BATCH, BATCH[:1]):
        np.testing.assert_allclose(run(image=batch)["output_0"], model(batch), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
def test_the_asked_for_checkpoint_is_converted_and_training_stays_as_it_was(tmp_path):
    model = dense()
    estimator, before = Estimator(model), model.get_weights()
    LiteRT(filename="old.tflite").write(estimator, str(tmp_path), checkpoint_path="1")
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    run, _interpreter = runner(tmp_path / "old.tflite")
    with estimator.restored("1"):
        np.testing.assert_allclose(run(image=BATCH)["output_0"], model(BATCH), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
def test_several_inputs_and_outputs_keep_their_names_and_given_names_win(tmp_path):
    from keras import Input, Model, layers

    a, b = Input((4,), name="a"), Input((3,), name="b")
    model = Model([a, b], {"sum": layers.Dense(1)(layers.Concatenate()([a, b])), "same": layers.ReLU()(a)})
    LiteRT().write(Estimator(model), str(tmp_path))
    run, _interpreter = runner(tmp_path / "model.tflite")
    assert sorted(run.get_input_details()) == ["a", "b"]
    got = run(a=BATCH, b=BATCH[:, :3])
    expected = model([BATCH, BATCH[:, :3]])
    np.testing.assert_allclose(got["sum"], expected["sum"], rtol=1e-5)
    np.testing.assert_allclose(got["same"], expected["same"], rtol=1e-5)
    LiteRT(input_names=["left", "right"]).write(Estimator(model), str(tmp_path))
    assert sorted(runner(tmp_path / "model.tflite")[0].get_input_details()) == ["left", "right"]


def test_operations_that_litert_lacks_are_left_to_tensorflow(tmp_path):
    import tensorflow as tf
    from keras import Input, Model, layers

    matrix = Input((4, 4), name="x")
    model = Model(matrix, layers.Lambda(tf.linalg.inv)(matrix))
    LiteRT().write(Estimator(model), str(tmp_path))
    assert b"FlexMatrixInverse" in (tmp_path / "model.tflite").read_bytes()


def test_an_estimator_without_a_model_is_named(tmp_path):
    (tmp_path / "litert").mkdir()
    with pytest.raises(InvalidType, match="object has neither"):
        LiteRT().write(object(), str(tmp_path / "litert"))
    assert os.listdir(tmp_path) == ["litert"]
    assert os.listdir(tmp_path / "litert") == []


@pytest.mark.parametrize(
    "arguments", [{"filename": "model.lite"}, {"filename": "a/b.tflite"}, {"input_names": "x"}]
)
def test_arguments_that_are_not_allowed_are_refused_at_construction(arguments):
    with pytest.raises(InvalidArgument, match="format litert"):
        LiteRT(**arguments)
