"""The same numbers as model.fit for inputs, outputs and models of every structure."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.tf

L = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype("float32")
Z = RNG.normal(size=(50, 2)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [3.0], [0.5]])).astype("float32")
CLASS = (Y[:, 0] > 0).astype("int32")
WEIGHT = np.linspace(0, 2, 50).astype("float32")


def slices(parts, size=12):
    return lambda: tf.data.Dataset.from_tensor_slices(parts).batch(size)


def compiled(network, **options):
    network.compile(**{"optimizer": keras.optimizers.SGD(0.05, momentum=0.9), "loss": "mse", **options})
    return network


# Several inputs and outputs


def joined(inputs):
    return L.Dense(4, "tanh")(L.Concatenate()(inputs))


def from_mapping():
    inputs = {"x": keras.Input((4,), name="x"), "z": keras.Input((2,), name="z")}
    hidden = joined([inputs["x"], inputs["z"]])
    number, kind = L.Dense(1, name="number")(hidden), L.Dense(2, "softmax", name="kind")(hidden)
    return compiled(
        keras.Model(inputs, {"number": number, "kind": kind}),
        loss={"number": "mse", "kind": "sparse_categorical_crossentropy"},
        loss_weights={"number": 0.3, "kind": 2.0},
        metrics={"number": ["mae"], "kind": ["accuracy"]},
        weighted_metrics={"kind": ["accuracy"]},
    )


def test_mappings_with_losses_weights_and_metrics_by_name(like_fit):
    parts = ({"x": X, "z": Z}, {"number": Y, "kind": CLASS}, {"number": WEIGHT, "kind": WEIGHT[::-1].copy()})
    compared = like_fit(from_mapping, slices(parts))
    assert {"loss", "number_loss", "kind_loss", "number_mae", "kind_accuracy"} <= set(compared.ours.metrics)


def test_a_list_of_inputs_and_a_tuple_of_outputs(like_fit):
    def make():
        inputs = [keras.Input((4,), name="x"), keras.Input((2,), name="z")]
        hidden = joined(inputs)
        outputs = L.Dense(1, name="first")(hidden), L.Dense(2, name="second")(hidden)
        options = {"loss": ["mse", "mae"], "loss_weights": [1.0, 0.5], "metrics": [["mae"], ["mse", "mae"]]}
        return compiled(keras.Model(inputs, outputs), **options)

    weights = WEIGHT, WEIGHT[::-1].copy()
    like_fit(make, slices(((X, Z), (Y, Z), weights)), evaluate=False)


def test_an_output_without_a_loss(like_fit):
    def make():
        inputs = keras.Input((4,))
        hidden = L.Dense(3, name="hidden")(inputs)
        outputs = {"out": L.Dense(1, name="out")(hidden), "hidden": hidden}
        return compiled(keras.Model(inputs, outputs), loss={"out": "mse"}, metrics={"out": ["mae"]})

    like_fit(make, slices((X, {"out": Y, "hidden": X[:, :3]})), evaluate=False)


def test_a_model_that_shares_layers_and_is_nested(like_fit):
    def make():
        tower = keras.Sequential([keras.Input((2,)), L.BatchNormalization(), L.Dense(3)], name="tower")
        left, right = keras.Input((2,), name="left"), keras.Input((2,), name="right")
        return compiled(keras.Model([left, right], L.Dot(1)([tower(left), tower(right)])))

    like_fit(make, slices(((Z, X[:, :2]), Y)), evaluate=False)


# Kinds of models


class Written(keras.Model):
    """Makes its layers at the first batch; behaves differently in training."""

    def build(self, shape):
        self.hidden, self.out = L.Dense(shape[-1], "tanh"), L.Dense(1)
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")

    def call(self, x, training=False):
        hidden = self.hidden(x)
        if training:
            self.calls.assign_add(1.0)
            hidden = hidden * self.scale
        return self.out(hidden)


def test_a_subclassed_model_that_is_built_by_the_first_batch(like_fit):
    compared = like_fit(lambda: compiled(Written(), metrics=["mae"]), slices((X, Y)))
    assert 5.0 in [float(v) for v in compared.ours.variables if v.shape == ()]


def test_a_sequential_model_that_is_built_by_the_first_batch(like_fit):
    def make():
        return compiled(keras.Sequential([L.Dense(3, "relu"), L.Dropout(0.2), L.Dense(1)]), metrics=["mae"])

    like_fit(make, slices((X, Y)), evaluate=False)


class Takes(keras.Model):
    """A call with a mapping of features that is not a functional model's."""

    def __init__(self):
        super().__init__()
        self.table = L.Embedding(2, 3)
        self.out = L.Dense(1)

    def call(self, features):
        return self.out(keras.ops.concatenate([features["x"], self.table(features["kind"])], axis=-1))


def test_a_subclassed_model_over_mappings(like_fit):
    like_fit(lambda: compiled(Takes()), slices(({"x": X, "kind": CLASS}, Y)), evaluate=False)


# Batches of varying sizes


def test_batches_of_different_sizes(like_fit):
    sizes = [1, 7, 12, 3, 20, 7]
    ends = np.cumsum(sizes)

    def data():
        def batches():
            for start, end in zip(ends - sizes, ends, strict=True):
                yield X[start:end], Y[start:end]

        signature = (tf.TensorSpec((None, 4)), tf.TensorSpec((None, 1)))
        made = tf.data.Dataset.from_generator(batches, output_signature=signature)
        # Where the number of batches is not known, fit finds the end inside a step of which it has made the
        # part that needs no data: its optimizer.iterations are one too many.
        return made.apply(tf.data.experimental.assert_cardinality(len(sizes)))

    def make():
        layers = [keras.Input((4,)), L.Dense(3), L.BatchNormalization(), L.Dense(1)]
        return compiled(keras.Sequential(layers), metrics=["mae"])

    like_fit(make, data)


def test_sequences_of_different_lengths(like_fit):
    lengths = RNG.integers(1, 9, size=24)

    def data():
        ready = tf.data.Dataset.from_tensor_slices((lengths, Y[:24]))
        ready = ready.map(lambda n, y: (tf.cast(tf.range(n)[:, None] + 1, tf.float32), y))
        return ready.padded_batch(5)

    def make():
        layers = [keras.Input((None, 1)), L.Masking(), L.SimpleRNN(2), L.Dense(1)]
        return compiled(keras.Sequential(layers), metrics=["mae"])

    like_fit(make, data, evaluate=False)


# Ragged and sparse tensors


WORDS = tf.ragged.constant([[(3 * i + j) % 7 for j in range(1 + i % 4)] for i in range(50)], dtype=tf.int32)


class OverRagged(keras.Model):
    def __init__(self):
        super().__init__()
        self.table = self.add_weight(shape=(7, 3), name="table")
        self.out = L.Dense(1)

    def call(self, words):
        rows = tf.gather(tf.convert_to_tensor(self.table), words)
        return self.out(tf.reduce_mean(rows, axis=1))


def test_ragged_tensors(like_fit):
    like_fit(lambda: compiled(OverRagged(), metrics=["mae"]), slices((WORDS, Y)))


def test_ragged_tensors_in_a_functional_model(like_fit):
    def make():
        words = keras.Input((None,), dtype="int32", ragged=True)
        dense = L.Lambda(lambda w: w.to_tensor(shape=(None, 4)), output_shape=(4,))(words)
        rows = L.Embedding(7, 3)(dense)
        return compiled(keras.Model(words, L.Dense(1)(L.GlobalAveragePooling1D()(rows))), metrics=["mae"])

    like_fit(make, slices((WORDS, Y)), evaluate=False)


THIN = tf.sparse.from_dense(np.where(np.abs(X) > 1, X, 0))


def test_sparse_tensors(like_fit):
    def make():
        inputs = keras.Input((4,), sparse=True)
        return compiled(keras.Model(inputs, L.Dense(1)(L.Dense(3, "tanh")(inputs))), metrics=["mae"])

    like_fit(make, slices((THIN, Y)))


def test_sparse_and_dense_tensors_together(like_fit):
    def make():
        inputs = {"thin": keras.Input((4,), sparse=True, name="thin"), "x": keras.Input((4,), name="x")}
        hidden = L.Add()([L.Dense(3)(inputs["thin"]), L.Dense(3)(inputs["x"])])
        return compiled(keras.Model(inputs, L.Dense(1)(hidden)))

    like_fit(make, slices(({"thin": THIN, "x": X}, Y, WEIGHT)), evaluate=False)


def test_gradients_that_are_sparse(like_fit):
    def make():
        layers = [keras.Input((3,), dtype="int32"), L.Embedding(9, 2), L.Flatten(), L.Dense(1)]
        return compiled(keras.Sequential(layers), optimizer=keras.optimizers.Adam(0.05))

    like_fit(make, slices((RNG.integers(0, 9, size=(50, 3)), Y)), evaluate=False)


def test_text(like_fit):
    words = np.array(["a", "b", "c", "d", "e"])[np.arange(50) % 5]

    def make():
        text = keras.Input((), dtype="string")
        ids = L.StringLookup(vocabulary=["a", "b", "c"])(text)
        return compiled(keras.Model(text, L.Dense(1)(L.Embedding(4, 2)(ids))))

    like_fit(make, slices((words, Y)), evaluate=False)
