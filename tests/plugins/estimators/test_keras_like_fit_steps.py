"""The same numbers as model.fit and model.evaluate where a model overrides its steps."""

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


def data():
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(12)


def momentum():
    return keras.optimizers.SGD(0.05, momentum=0.9)


def model(kind, **options):
    def make():
        network = kind([keras.Input((4,)), L.Dense(2, "tanh"), L.Dense(1)])
        network.compile(**{"optimizer": momentum(), "loss": "mse", **options})
        return network

    return make


class OwnLogs(keras.Sequential):
    """Its own loop with its own clipping; returns a mean, a raw value and nested values."""

    def __init__(self, layers):
        super().__init__(layers)
        self.gap = keras.metrics.MeanAbsoluteError(name="gap")

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            predicted = self(x, training=True)
            loss = tf.reduce_mean(tf.abs(y - predicted) ** 1.5)
        gradients = tape.gradient(loss, self.trainable_variables)
        gradients, norm = tf.clip_by_global_norm(gradients, 0.5)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        self.gap.update_state(y, predicted)
        return {"gap": self.gap.result(), "norm": norm, "step": self.optimizer.iterations}


def test_train_step_with_logs_of_its_own(like_fit):
    compared = like_fit(model(OwnLogs), data)
    assert set(compared.ours.metrics) == {"gap", "norm", "step"}
    assert compared.ours.metrics["step"] == 5


class Adding(keras.Sequential):
    def train_step(self, data):
        x, y = data
        logs = super().train_step((x * 2, y))
        return {**logs, "rate": self.optimizer.learning_rate}


def test_train_step_that_adds_to_keras_own(like_fit):
    assert "rate" in like_fit(model(Adding, metrics=["mae"]), data).ours.metrics


class Raw(keras.Sequential):
    """Returns the loss of the last batch under the name that Keras has for the mean; Keras says its mean."""

    def train_step(self, data):
        super().train_step(data)
        return {"loss": self.compute_loss(*data, self(data[0], training=False))}

    def test_step(self, data):
        super().test_step(data)
        return {"loss": self.compute_loss(*data, self(data[0], training=False)) + 1}


def test_metrics_of_keras_come_before_what_a_step_returns_under_their_names(like_fit):
    like_fit(model(Raw), data)


class OwnTest(keras.Sequential):
    def test_step(self, data):
        x, y = data
        predicted = self(x, training=False)
        self.compute_loss(x, y, predicted)
        worst = tf.reduce_max(tf.abs(y - predicted))
        for metric in self.metrics:
            if metric.name != "loss":
                metric.update_state(y, predicted)
        return {**self.get_metrics_result(), "worst": worst, "size": tf.shape(x)[0]}


def test_test_step_of_its_own(like_fit):
    compared = like_fit(model(OwnTest, metrics=["mae"]), data)
    assert compared.ours.evaluated["size"] == 2  # the last batch's


class Accumulating(keras.Sequential):
    """Two passes over a batch in a step, with noise of its own."""

    def __init__(self, layers):
        super().__init__(layers)
        self.noise = keras.random.SeedGenerator(3)
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, name="seen")

    def train_step(self, data):
        x, y = data
        self.seen.assign_add(tf.cast(tf.shape(x)[0], tf.float32))
        for _ in range(2):
            noisy = x + keras.random.normal(tf.shape(x), stddev=0.1, seed=self.noise)
            logs = super().train_step((noisy, y))
        return logs


def test_train_step_with_noise_and_variables_of_its_own(like_fit):
    compared = like_fit(model(Accumulating), data, evaluate=False)
    assert int(compared.reference.optimizer.iterations) == 10
    assert 50.0 in [float(v) for v in compared.ours.variables if v.shape == ()]


class Adversaries(keras.Model):
    """Two networks with an optimizer each, made against each other."""

    def __init__(self):
        super().__init__()
        self.maker = keras.Sequential([keras.Input((2,)), L.Dense(3, "tanh"), L.Dense(4)])
        self.judge = keras.Sequential([keras.Input((4,)), L.Dense(3, "tanh"), L.Dropout(0.2), L.Dense(1)])
        self.noise = keras.random.SeedGenerator(11)
        self.maker_loss, self.judge_loss = (keras.metrics.Mean(name=n) for n in ("maker", "judge"))

    def compile(self, maker_optimizer, judge_optimizer):
        super().compile(loss=None)
        self.maker_optimizer, self.judge_optimizer = maker_optimizer, judge_optimizer
        self.cross = keras.losses.BinaryCrossentropy(from_logits=True)

    def call(self, x):
        return self.judge(x)

    def losses_of(self, x):
        noise = keras.random.normal((tf.shape(x)[0], 2), seed=self.noise)
        made = self.maker(noise, training=True)
        real, fake = self.judge(x, training=True), self.judge(made, training=True)
        judged = self.cross(tf.ones_like(real), real) + self.cross(tf.zeros_like(fake), fake)
        return self.cross(tf.ones_like(fake), fake), judged

    def train_step(self, x):
        x = x[0] if isinstance(x, tuple) else x
        with tf.GradientTape(persistent=True) as tape:
            maker, judge = self.losses_of(x)
        for loss, network, optimizer in (
            (maker, self.maker, self.maker_optimizer),
            (judge, self.judge, self.judge_optimizer),
        ):
            variables = network.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.maker_loss.update_state(maker)
        self.judge_loss.update_state(judge)
        return {"maker": self.maker_loss.result(), "judge": self.judge_loss.result()}

    def test_step(self, x):
        x = x[0] if isinstance(x, tuple) else x
        self.judge_loss.update_state(tf.reduce_mean(self.judge(x, training=False)))
        return {"judge": self.judge_loss.result()}


def adversaries():
    network = Adversaries()
    network.compile(keras.optimizers.Adam(0.02), keras.optimizers.SGD(0.05, momentum=0.9))
    return network


def test_two_networks_with_an_optimizer_each(like_fit):
    compared = like_fit(adversaries, lambda: tf.data.Dataset.from_tensor_slices(X).batch(12))
    assert len(compared.ours.optimizer) == 16


class Distilled(keras.Model):
    """A frozen teacher inside, an overridden compute_loss that uses features, and weights."""

    def __init__(self):
        super().__init__()
        self.teacher, self.pupil = L.Dense(1, trainable=False), L.Dense(1)

    def call(self, x):
        return self.pupil(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return loss + 0.5 * keras.ops.mean((self.teacher(x) - y_pred) ** 2)


def test_compute_loss_around_keras_own_with_weights(like_fit):
    def make():
        network = Distilled()
        network.compile(momentum(), loss="mse", metrics=["mae"], weighted_metrics=["mse"])
        return network

    weight = np.linspace(0, 2, 50).astype("float32")
    like_fit(make, lambda: tf.data.Dataset.from_tensor_slices((X, Y, weight)).batch(12))
