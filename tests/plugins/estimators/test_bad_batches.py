"""A batch that the steps cannot take, and data that cannot be read, are told in a line; nothing is lost."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from expcore.cluster import RunConfig
from expcore.errors import InvalidInput
from expcore_plugins.estimators.keras import KerasEstimator

pytestmark = pytest.mark.tf

X = np.random.default_rng(0).random((64, 3)).astype("float32")
Y = np.zeros(64, "int32")


def model(*layers):
    made = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(3)], name="net")
    made.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return made


def embedding():
    return model(keras.layers.Embedding(3, 2), keras.layers.Flatten())


def unreadable():
    return tf.data.TextLineDataset("/not/there.csv").batch(2).map(lambda s: (tf.zeros([2, 3]), tf.zeros([2])))


def another_shape():
    yield X[:4], Y[:4]
    yield X[:4], Y[:4]
    yield X[:4, :2], Y[:4]


def nothing():
    yield X[:4], Y[:4]
    yield X[:4], Y[:4]
    yield None


BAD = {
    "labels of text": (model, lambda: (X, np.array(["a"] * 64)), "cannot take: Cast string to float"),
    "features of text": (model, lambda: (X.astype(str), Y), "cannot take: Cast string to float"),
    "a label too high": (model, lambda: (X, Y + 9), "cannot take: Received a label value of 9"),
    "a number that no row has": (embedding, lambda: (X + 7, Y), r"cannot take: indices\[0,0\] = 7 is not in"),
    "weights of another shape": (
        model,
        lambda: (X, Y, np.ones((64, 3, 2), "float32")),
        "cannot take: Incompatible shapes",
    ),
    "a file that is not there": (model, unreadable, "cannot be read: /not/there.csv; No such file"),
    "a batch of another shape": (model, another_shape, "cannot be read: TypeError: `generator` yielded"),
    "no batch at all": (model, nothing, "gave a batch that is a NoneType; return a batched"),
}


@pytest.mark.parametrize("name", BAD)
def test_training_tells_it_in_a_line(name, tmp_path):
    build, data, said = BAD[name]
    estimator = KerasEstimator(build, str(tmp_path), RunConfig())
    with pytest.raises(InvalidInput, match=said) as caught:
        estimator.train(data, max_steps=40)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("input function ")
    assert estimator.checkpoints() == []


def test_evaluation_tells_it_as_well_and_training_goes_on(tmp_path):
    estimator = KerasEstimator(model, str(tmp_path), RunConfig())
    estimator.train(lambda: (X, Y), max_steps=1)
    with pytest.raises(InvalidInput, match="model 'net' cannot take: Received a label value of 9"):
        estimator.evaluate(lambda: (X, Y + 9))
    estimator.train(lambda: (X, Y), max_steps=2)


def test_prediction_tells_it_as_well(tmp_path):
    estimator = KerasEstimator(embedding, str(tmp_path), RunConfig())
    estimator.train(lambda: (X, Y), max_steps=1)
    with pytest.raises(InvalidInput, match=r"model 'net' cannot take: indices\[0,0\] = 7 is not in"):
        list(estimator.predict(lambda: (X + 7,)))


def test_what_the_users_code_raises_stays_what_it_is(tmp_path):
    def broken():
        yield X[:4], Y[:4]
        yield X[:4], Y[:4]
        raise KeyError("mine")

    with pytest.raises(tf.errors.OpError, match="KeyError: 'mine'"):
        KerasEstimator(model, str(tmp_path), RunConfig()).train(broken, max_steps=9)
