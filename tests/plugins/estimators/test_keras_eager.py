"""Models that run eagerly go on as the compiled ones do."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from expcore import RunConfig
from expcore_plugins.estimators.keras import KerasEstimator

pytestmark = pytest.mark.tf


def test_an_eager_model_goes_on_exactly_with_slots_and_metrics(tmp_path):
    def model():
        keras.utils.set_random_seed(3)
        made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(1)])
        made.compile("adam", "mse", metrics=["mae"], run_eagerly=True)
        return made

    def data():
        x = np.random.default_rng(1).normal(size=(64, 4)).astype("float32")
        return tf.data.Dataset.from_tensor_slices((x, x[:, :1])).shuffle(64, seed=1).repeat().batch(8)

    def values(path, *stops):
        config = RunConfig(random_seed=1, log_step_count_steps=None)
        for stop in stops:
            estimator = KerasEstimator(model, path, config).train(data, max_steps=stop)
        reader = tf.train.load_checkpoint(estimator.latest_checkpoint())
        names = [n for n in reader.get_variable_to_shape_map() if not n.startswith(("position", "about"))]
        return {name: np.asarray(reader.get_tensor(name)).tobytes() for name in names}

    straight = values(tmp_path / "a", 12)
    assert straight == values(tmp_path / "b", 5, 12)
    assert sum(name.startswith("optimizer") for name in straight) == 10
    assert sum(name.startswith("metrics") for name in straight) == 4


def test_an_eager_model_that_cannot_be_tried_before_is_told(tmp_path, caplog):
    class Picky(keras.Sequential):
        def call(self, x, training=False):
            if not training:
                raise RuntimeError("only for training")
            return super().call(x, training=training)

    model = Picky([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    KerasEstimator(model, tmp_path).train(lambda: (np.ones((8, 4), "float32"), np.ones((8, 1))), steps=1)
    (line,) = [r.getMessage() for r in caplog.records if "runs eagerly" in r.getMessage()]
    assert "only for training" in line
    assert "begin anew after a restart" in line
