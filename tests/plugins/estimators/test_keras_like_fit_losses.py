"""The same numbers as model.fit for what goes into losses and metrics."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.tf

L = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [3.0], [0.5]])).astype("float32")
CLASS = (Y[:, 0] > 0).astype("int32") + (Y[:, 0] > 2)
WEIGHT = np.linspace(0, 2, 50).astype("float32")
TOKENS = RNG.integers(0, 9, size=(50, 6)).astype("int32")
TOKENS[::2, 4:] = 0
TOKENS[::3, 2:] = 0


def batches(*parts):
    return lambda: tf.data.Dataset.from_tensor_slices(tuple(parts)).batch(12)


def sequential(*layers, shape=(4,), dtype=None, **options):
    def make():
        network = keras.Sequential([keras.Input(shape, dtype=dtype), *(layer() for layer in layers)])
        settings = {key: value() if callable(value) else value for key, value in options.items()}
        network.compile(**{"optimizer": momentum(), "loss": "mse", **settings})
        return network

    return make


def momentum():
    """An optimizer with a state whose graph is small."""
    return keras.optimizers.SGD(0.05, momentum=0.9)


def one():
    return L.Dense(1)


# Weights


def test_sample_weights(like_fit):
    weighted = sequential(one, metrics=["mae"], weighted_metrics=lambda: ["mae", "mse"])
    metrics = like_fit(weighted, batches(X, Y, WEIGHT)).ours.metrics
    assert metrics["mae"] != metrics["weighted_mae"]


def test_weights_of_each_step_of_a_sequence(like_fit):
    recurrent = sequential(
        lambda: L.Conv1D(2, 2, padding="same"), one, shape=(6, 1), weighted_metrics=lambda: ["mae"]
    )
    x = TOKENS[..., None].astype("float32")
    like_fit(recurrent, batches(x, x / 9, RNG.uniform(size=(50, 6)).astype("float32")), evaluate=False)


def test_weights_that_are_all_zero_in_a_batch(like_fit):
    weight = WEIGHT.copy()
    weight[12:24] = 0
    like_fit(sequential(one, weighted_metrics=lambda: ["mae"]), batches(X, Y, weight), evaluate=False)


# Masks


def test_masking_layer(like_fit):
    x = X[:, :, None].copy()
    x[::2, 2:] = 0
    masked = sequential(
        L.Masking,
        lambda: L.SimpleRNN(2, return_sequences=True, unroll=True),
        one,
        shape=(4, 1),
        metrics=["mae"],
        weighted_metrics=lambda: ["mae"],
    )
    like_fit(masked, batches(x, X[:, :, None]), evaluate=False)


def test_embedding_with_mask_zero(like_fit):
    embedded = sequential(
        lambda: L.Embedding(9, 3, mask_zero=True),
        lambda: L.Dense(9),
        shape=(6,),
        dtype="int32",
        loss=lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=lambda: ["sparse_categorical_accuracy"],
    )
    like_fit(embedded, batches(TOKENS, TOKENS, np.tile(WEIGHT[:, None], 6)))


# Regularisers and added losses


def test_regularisers(like_fit):
    regularised = sequential(
        lambda: L.Dense(
            3,
            kernel_regularizer=keras.regularizers.L1L2(0.01, 0.02),
            bias_regularizer="l2",
            activity_regularizer="l1",
        ),
        lambda: L.Dense(3, kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.1)),
        lambda: L.ActivityRegularization(l2=0.1),
        one,
    )
    compared = like_fit(regularised, batches(X, Y))
    assert len(compared.reference.losses) == 5


class Pressed(L.Layer):
    """Adds a loss and keeps how large its input was."""

    def __init__(self):
        super().__init__()
        self.seen = self.add_weight(shape=(), trainable=False, initializer="zeros")
        self.size = keras.metrics.Mean(name="size")

    def call(self, x):
        self.seen.assign_add(keras.ops.sum(keras.ops.abs(x)))
        self.add_loss(0.1 * keras.ops.mean(x**2))
        self.size.update_state(keras.ops.mean(x))
        return x


def test_add_loss_in_call(like_fit):
    compared = like_fit(sequential(lambda: L.Dense(3), Pressed, one, metrics=["mae"]), batches(X, Y))
    assert "size" in compared.ours.metrics


def test_losses_of_a_model_without_a_compiled_loss(like_fit):
    like_fit(sequential(lambda: L.Dense(3), Pressed, loss=None), batches(X))


class Autoencoder(keras.Model):
    """Takes features alone, with its own compute_loss and compute_metrics."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = L.Dense(2), L.Dense(4)
        self.error = keras.metrics.MeanAbsoluteError("error")

    def call(self, x):
        return self.outer(self.inner(x))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        factor = 1.0 if training else 2.0
        return factor * keras.ops.mean((x - y_pred) ** 2) + 0.01 * keras.ops.sum(self.inner.kernel**2)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        self.error.update_state(x, y_pred)
        return {**self.get_metrics_result(), "twice": 2 * self.error.result()}


def test_compute_loss_and_compute_metrics_of_ones_own(like_fit):
    def make():
        network = Autoencoder()
        network.compile(momentum())
        return network

    assert set(like_fit(make, batches(X)).ours.metrics) == {"loss", "error", "twice"}


def smooth(y, predicted):
    return keras.ops.mean(keras.ops.log(keras.ops.cosh(y - predicted)), axis=-1)


def quantile():
    """A Huber loss with a sum for its reduction, whose size follows the batch's."""
    return keras.losses.Huber(0.5, reduction="sum")


@pytest.mark.parametrize("loss", [smooth, quantile()], ids=["function", "sum over the batch"])
def test_losses_of_ones_own_and_reductions(like_fit, loss):
    def make():
        network = keras.Sequential([keras.Input((4,)), L.Dense(1)])
        network.compile(momentum(), loss=loss)
        return network

    like_fit(make, batches(X, Y, WEIGHT), evaluate=False)


# Metrics with a state


class Largest(keras.metrics.Metric):
    """The largest prediction since the metric began anew, and how many batches those were."""

    def __init__(self):
        super().__init__(name="largest")
        self.value = self.add_variable((), keras.initializers.Constant(-1e9), name="value")
        self.batches = self.add_variable((), "zeros", dtype="int32", name="batches")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.value.assign(keras.ops.maximum(self.value, keras.ops.max(y_pred)))
        self.batches.assign_add(1)

    def result(self):
        return self.value + 1000 * keras.ops.cast(self.batches, "float32")


def of_classes():
    m = keras.metrics
    return [
        m.MeanIoU(3, sparse_y_pred=False, name="iou"),
        m.SparseTopKCategoricalAccuracy(2, name="top"),
        m.SparseCategoricalCrossentropy(name="entropy"),
        Largest(),
    ]


def test_stateful_metrics_of_classes(like_fit):
    classifier = sequential(
        lambda: L.Dense(3, "softmax"), loss="sparse_categorical_crossentropy", metrics=of_classes
    )
    compared = like_fit(classifier, batches(X, CLASS))
    assert 5000 < compared.ours.metrics["largest"] <= 5001
    assert len(compared.ours.metric_states) >= 9


def of_two():
    m = keras.metrics
    return [
        m.AUC(20, name="auc"),
        m.AUC(20, curve="PR", name="pr"),
        m.Precision(name="precision"),
        m.Recall(thresholds=[0.3, 0.6], name="recall"),
        m.F1Score(average=None, name="f1"),
    ]


def test_stateful_metrics_of_two_classes_with_weights(like_fit):
    two = sequential(lambda: L.Dense(1, "sigmoid"), loss="binary_crossentropy", weighted_metrics=of_two)
    compared = like_fit(two, batches(X, (Y > 0).astype("float32"), WEIGHT))
    assert {"recall_0", "recall_1", "f1", "auc"} <= set(compared.ours.metrics)


def test_stateful_metrics_of_numbers(like_fit):
    def metrics():
        return [keras.metrics.R2Score(name="r2"), keras.metrics.RootMeanSquaredError(name="rmse"), Largest()]

    like_fit(sequential(one, metrics=metrics), batches(X, Y), evaluate=False)
