"""Trains what replicas cannot, on two devices: ``python refused.py FOLDER`` writes what was said of it."""

from __future__ import annotations

import json
import logging
import os
import runpy
import sys
from pathlib import Path

import keras
import tensorflow as tf

import expcore
from expcore_plugins.estimators.keras import KerasEstimator

CASES = runpy.run_path(str(Path(__file__).with_name("cases.py")))
X, Y, WEIGHTS = CASES["numbers"]()
dense, hidden, gradients, apply = (CASES[name] for name in ("dense", "hidden", "gradients", "apply"))


class Largest(keras.metrics.Metric):
    """The largest error, which is no sum."""

    def __init__(self):
        super().__init__(name="largest")
        self.seen = self.add_weight(name="seen", initializer="zeros")

    def update_state(self, true, given, sample_weight=None):
        self.seen.assign(keras.ops.maximum(self.seen, keras.ops.max(keras.ops.abs(true - given))))

    def result(self):
        return self.seen


def of_hand(loss):
    """A training step whose loss is written by hand."""

    def step(model, x, y):
        model.seen = x
        apply(model, gradients(model, lambda given: loss(given - y))[0])
        return {}

    return lambda: CASES["two_layers"](step)


def unasked(model, x, y):
    for variable in model.trainable_variables:
        variable.assign_sub(0.01 * tf.reduce_mean(x) * tf.ones_like(variable))
    return {}


def otherwise(model, x, y):
    found = tf.gradients(
        model.compute_loss(y=y, y_pred=model(x)), [v.value for v in model.trainable_variables]
    )
    apply(model, found)
    return {}


def of_gradients(model, x, y):
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            loss = model.compute_loss(y=y, y_pred=model(x))
        found = inner.gradient(loss, model.trainable_variables)
        penalty = loss + tf.add_n([tf.nn.l2_loss(grad) for grad in found])
    apply(model, outer.gradient(penalty, model.trainable_variables))
    return {}


def telling(model, x, y):
    model.seen = x
    found, loss, given = gradients(model, lambda given: model.compute_loss(y=y, y_pred=given))
    apply(model, found)
    model.weighed.update_state(tf.reduce_max(given))
    return {"largest": tf.reduce_max(given), "weighed": model.weighed.result(), "whole": loss}


def steepest(true, given):
    return keras.ops.max(keras.ops.square(true - given))


def mean(true, given):
    return keras.ops.mean(keras.ops.square(true - given))


def contrastive(given, other):
    """How unlike rows are to all others of the batch."""
    logits = keras.ops.matmul(given, keras.ops.transpose(given))
    return keras.losses.sparse_categorical_crossentropy(
        tf.range(tf.shape(given)[0]), logits, from_logits=True
    )


def balanced(true, given):
    return keras.ops.mean(keras.ops.square(true - given) * (1 - keras.ops.mean(true)))


class Centred(keras.layers.Layer):
    def call(self, x):
        return x - keras.ops.mean(x, axis=0)


def without_call():
    class Without(keras.Model):
        def __init__(self):
            super().__init__()
            self.one = keras.layers.Dense(1)

        def train_step(self, data):
            return {}

    built = Without()
    built.compile("sgd")
    return built


own = CASES["two_layers"]
MODELS = {
    "no call": without_call,
    "a single number and weights": lambda: dense(hidden(), optimizer="sgd", loss=mean),
    "the largest by hand": of_hand(lambda error: tf.reduce_max(error**2)),
    "a product by hand": of_hand(lambda error: tf.reduce_prod(error)),
    "weights by rows": lambda: own(unasked),
    "gradients without a tape": lambda: own(otherwise),
    "gradients of gradients": lambda: own(of_gradients),
    "a largest metric": lambda: dense(hidden(), optimizer="sgd", metrics=["mae", Largest()]),
    "a metric function": lambda: dense(hidden(), optimizer="sgd", metrics=["mae", steepest]),
    "rows in the loss": lambda: dense(
        hidden(), optimizer="sgd", loss=lambda true, given: contrastive(given, true)
    ),
    "rows in a layer": lambda: dense(Centred(), hidden(), optimizer="sgd", metrics=["mae"]),
    "rows by hand": of_hand(lambda error: tf.reduce_mean(contrastive(error, error))),
    "rows that change places": of_hand(lambda error: tf.reduce_mean((error - 0.5 * error[::-1]) ** 2)),
    "some of the rows": of_hand(lambda error: tf.reduce_mean(error[:4] ** 2)),
    "a loss that balances": lambda: dense(hidden(), optimizer="sgd", loss=balanced),
    "rows apart": lambda: dense(
        hidden(), keras.layers.BatchNormalization(), optimizer="sgd", metrics=["mae"]
    ),
    "what cannot be told": lambda: own(telling),
}


class Heard(logging.Handler):
    """Keeps what is said."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def main(folder):
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    found = {}
    for name, model in MODELS.items():
        place = os.path.join(folder, name.replace(" ", "_"))
        config = expcore.RunConfig(model_dir=place, random_seed=7, train_distribute=strategy)
        heard, told = Heard(), {}
        logging.getLogger("expcore_plugins").addHandler(heard)
        parts = (X, Y, WEIGHTS) if name == "a single number and weights" else (X, Y)
        data = lambda parts=parts: CASES["dataset"](*parts)  # noqa: E731

        class Look:
            def after_steps(self, run, told=told):
                told.update(run.metrics)

        estimator = KerasEstimator(model, config=config)
        try:
            estimator.train(data, hooks=[Look()], max_steps=2)
            evaluated = estimator.evaluate(data, steps=1) if "metric" in name else {}
            found[name] = {"told": sorted(told), "said": heard.lines, "evaluated": sorted(evaluated)}
        except expcore.ExpcoreError as error:
            found[name] = {"error": str(error)}
        logging.getLogger("expcore_plugins").removeHandler(heard)
    Path(folder, "refused.json").write_text(json.dumps(found))


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    main(sys.argv[1])
