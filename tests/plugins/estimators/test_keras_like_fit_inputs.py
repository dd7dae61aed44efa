"""The same numbers as model.fit and model.evaluate for each thing that may be given as data."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.tf

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4))  # 64 bits
Y = X @ np.array([[1.0], [-2.0], [3.0], [0.5]])
WEIGHT = np.linspace(0, 2, 50)


def model():
    network = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(1)])
    network.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss="mse", metrics=["mae"])
    return network


class Parts(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, i):
        part = slice(12 * i, 12 * i + 12)
        return X[part].astype("float32"), Y[part].astype("float32"), WEIGHT[part].astype("float32")


def generator():
    for i in range(5):
        yield Parts()[i]


def dataset(*parts):
    return tf.data.Dataset.from_tensor_slices(tuple(p.astype("float32") for p in parts)).batch(12)


GIVEN = {
    "arrays with weights": lambda: (X, Y, WEIGHT),
    "whole numbers": lambda: ((10 * X).astype("int64"), (10 * Y).astype("int64")),
    "a mapping": lambda: ({"x": X}, Y),
    "a dataset of 64 bits": lambda: tf.data.Dataset.from_tensor_slices((X, Y)).batch(12),
}


@pytest.mark.parametrize("kind", GIVEN)
def test_data(like_fit, kind):
    like_fit(model, GIVEN[kind], evaluate=kind == "arrays with weights")


@pytest.mark.parametrize("data", [generator, Parts])
def test_python_that_makes_batches(like_fit, data):
    """Compared with fit over a Dataset of the same batches: threads of Keras would hold up the test."""
    like_fit(model, data, fit_data=lambda: dataset(X, Y, WEIGHT), evaluate=False)


def test_batches_without_weights_that_say_so(like_fit):
    like_fit(model, lambda: dataset(X, Y).map(lambda x, y: (x, y, None)))


class MayLack(keras.Model):
    """A feature may be missing."""

    def __init__(self):
        super().__init__()
        self.out = keras.layers.Dense(1)

    def call(self, x):
        return self.out(x["a"]) if x["b"] is None else self.out(x["a"]) + x["b"]


def may_lack():
    network = MayLack()
    network.compile("sgd", loss="mse")
    return network


@pytest.mark.parametrize(
    "missing",
    [lambda: None, lambda: tf.experimental.Optional.empty(tf.TensorSpec((None, 1)))],
    ids=["None", "an empty Optional"],
)
def test_features_that_are_missing(like_fit, missing):
    def data():
        return dataset(X, Y).map(lambda x, y: ({"a": x, "b": missing()}, y))

    like_fit(may_lack, data)
