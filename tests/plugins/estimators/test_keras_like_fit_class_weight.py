"""KerasEstimator(class_weight=...): the same numbers as with that of model.fit."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from expcore.errors import InvalidArgument, InvalidInput

pytestmark = pytest.mark.tf

L = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype("float32")
CLASS = ((X[:, 0] > 0).astype("int32") + (X[:, 1] > 0)).astype("int32")
TWO = (CLASS[:, None] > 0).astype("float32")
WEIGHTS = {0: 0.5, 2: 3.0}  # class 1 is not named: it weighs 1
ONE_HOT = np.eye(3, dtype="float32")[CLASS]
WEIGHT = np.linspace(0, 2, 50).astype("float32")


def slices(*parts):
    return lambda: tf.data.Dataset.from_tensor_slices(parts).batch(12)


def classifier(loss="sparse_categorical_crossentropy", units=3, activation="softmax", **options):
    def make():
        network = keras.Sequential([keras.Input((4,)), L.Dense(units, activation)])
        options.setdefault("optimizer", "sgd")
        network.compile(loss=loss, metrics=["accuracy"], weighted_metrics=["accuracy"], **options)
        return network

    return make


@pytest.mark.parametrize(
    "labels",
    [CLASS, CLASS[:, None].astype("int64"), CLASS.astype("float32")],
    ids=["numbers", "a column", "floats"],
)
def test_labels_that_are_numbers_of_classes(like_fit, labels):
    compared = like_fit(classifier(), slices(X, labels), class_weight=WEIGHTS)
    assert len(set(compared.ours.metrics.values())) == 3  # the weighted accuracy is another one
    assert len(set(compared.ours.evaluated.values())) == 2  # not so in an evaluation


def test_labels_that_are_one_hot(like_fit):
    like_fit(classifier("categorical_crossentropy"), slices(X, ONE_HOT), class_weight=WEIGHTS)


def test_one_hot_labels_whose_width_is_not_known_beforehand(like_fit):
    def data():
        def batches():
            for i in range(0, 48, 12):
                yield X[i : i + 12], ONE_HOT[i : i + 12]

        signature = tf.TensorSpec((None, 4)), tf.TensorSpec((None, None))
        made = tf.data.Dataset.from_generator(batches, output_signature=signature)
        return made.apply(tf.data.experimental.assert_cardinality(4))

    like_fit(classifier("categorical_crossentropy"), data, class_weight=WEIGHTS, warm=False, evaluate=False)


def test_labels_of_two_classes(like_fit):
    two = classifier("binary_crossentropy", 1, "sigmoid")
    like_fit(two, slices(X, TWO), class_weight={0: 1.0, 1: 3.0}, evaluate=False)


def test_with_mixed_precision_and_steps_per_execution(like_fit):
    def make():
        keras.config.set_dtype_policy("mixed_bfloat16")
        return classifier(steps_per_execution=3)()

    like_fit(make, slices(X, CLASS), class_weight=WEIGHTS, evaluate=False)


def test_arrays(like_fit):
    """Batches of 32 in both."""
    reference = like_fit.seeded(classifier())
    reference.fit(X, CLASS, batch_size=32, shuffle=False, verbose=0, class_weight=WEIGHTS)
    estimator = like_fit.estimator(lambda: like_fit.seeded(classifier()), class_weight=WEIGHTS)
    estimator.train(lambda: (X, CLASS))
    with estimator.restored() as model:
        ours = [v.numpy() for v in model.variables]
    like_fit.same_values(ours, [v.numpy() for v in reference.variables], "variables")


def two_outputs():
    x = keras.Input((4,))
    network = keras.Model(x, [L.Dense(3, "softmax")(x), L.Dense(3, "softmax")(x)])
    network.compile("sgd", loss="sparse_categorical_crossentropy")
    return network


@pytest.mark.parametrize(
    ("make", "data"),
    [(classifier(), slices(X, CLASS, WEIGHT)), (two_outputs, slices(X, (CLASS, CLASS)))],
    ids=["weights in the batch", "two outputs"],
)
def test_what_fit_refuses_is_refused(like_fit, make, data):
    with pytest.raises(ValueError, match="class_weight"):
        like_fit.seeded(make).fit(data(), verbose=0, class_weight=WEIGHTS)
    estimator = like_fit.estimator(make, class_weight=WEIGHTS)
    with pytest.raises((InvalidInput, InvalidArgument), match="class_weight"):
        estimator.train(data)
    assert estimator.latest_checkpoint() is None


def test_evaluations_take_weights_in_the_batch(like_fit):
    """As with fit: class weights are of the training only."""
    like_fit(classifier(), slices(X, CLASS), class_weight=WEIGHTS, eval_data=slices(X, CLASS, WEIGHT))
