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


class Unseen(keras.metrics.Metric):
    """Adds to its variable where Keras does not see it."""

    def __init__(self):
        super().__init__(name="unseen")
        self.total = self.add_weight(name="total", initializer="zeros")

    def update_state(self, true, given, sample_weight=None):
        self.total.value.assign_add(tf.reduce_mean(tf.abs(true - given)))

    def result(self):
        return keras.ops.convert_to_tensor(self.total)


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


def divided(model, x, y):
    """As the guides for strategies have it."""
    model.seen = x
    count = tf.distribute.get_strategy().num_replicas_in_sync
    apply(model, gradients(model, lambda given: tf.reduce_mean((given - y) ** 2) / count)[0])
    return {}


@tf.function
def hiding(error):
    return tf.reduce_mean(error**2)


@tf.custom_gradient
def halved(number):
    return tf.identity(number), lambda above: 0.5 * above


def words():
    """A model of ragged rows, of which it takes the mean."""

    class Bag(keras.Model):
        def __init__(self):
            super().__init__()
            self.table = keras.layers.Embedding(9, 4)
            self.last = keras.layers.Dense(1)

        def call(self, x):
            found = tf.reduce_sum(tf.ragged.map_flat_values(self.table, x), 1)
            return self.last(found - tf.reduce_mean(found, axis=0))

    built = Bag()
    built.compile("sgd", "mse")
    return built


def ragged():
    rows = tf.ragged.constant([[1 + k for k in range(1 + i % 4)] for i in range(len(Y))], dtype=tf.int32)
    return tf.data.Dataset.from_tensor_slices((rows, Y)).batch(16).repeat()


def sequences():
    """A model of sequences of any length, which compares them."""
    x = keras.Input((None, 3))
    mean = keras.layers.Lambda(lambda x: x - tf.reduce_mean(x, axis=0))(x)
    built = keras.Model(x, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(mean)))
    built.compile("sgd", "mse")
    return built


def of_any_length():
    data = tf.data.Dataset.from_tensor_slices((X.reshape(-1, 2, 3), Y))
    return data.padded_batch(16, padded_shapes=([None, 3], [1])).repeat()


def skipping(model, x, y):
    """Leaves out what is bad already."""
    model.seen = x
    found, loss, _ = gradients(model, lambda given: tf.reduce_mean((given - y) ** 2))
    tf.cond(loss < 0.45, lambda: (apply(model, found), 1)[1], lambda: 0)
    return {}


def unseen():
    optimizer = keras.optimizers.SGD(0.1)

    def step(model, x, y):
        model.seen = x
        found, *_ = gradients(model, lambda given: tf.reduce_mean((given - y) ** 2))
        optimizer.apply(found, model.trainable_variables)
        return {}

    return CASES["two_layers"](step)


class Centred(keras.layers.Layer):
    def call(self, x):
        return x - keras.ops.mean(x, axis=0)


def through(call):
    """A model in which a function is computed of the examples before the first layer."""
    return lambda: dense(keras.layers.Lambda(call), hidden(), optimizer="sgd", metrics=["mae"])


def centred(x):
    return x - tf.reduce_mean(x, axis=0)


@tf.function
def centred_in_a_function(x):
    return centred(x)


@tf.function
def twice_in_a_function(x):
    return 2.0 * tf.function(centred)(x)


@tf.function
def doubled(x):
    return 2.0 * x


def apart_in_functions(x):
    """Functions, a condition and loops in which each row is alone, or rows are in steps of time."""
    x = doubled(x)
    x = tf.cond(tf.reduce_sum(tf.ones([3])) > 2, lambda: tf.nn.relu(x), lambda: x)
    x = tf.map_fn(lambda row: row / (1.0 + tf.reduce_sum(row**2)), x)
    _, x = tf.while_loop(lambda i, _: i < 3, lambda i, x: (i + 1, tf.tanh(x)), (0, x))
    steps = tf.transpose(tf.reshape(x, [-1, 3, 2]), [1, 0, 2])
    summed = tf.scan(lambda before, step: before + step, steps)
    return tf.reshape(tf.transpose(summed, [1, 0, 2]), [-1, 6])


class Keeping(keras.layers.Layer):
    """Keeps something of what it sees, in a way of its own."""

    def __init__(self, keep):
        super().__init__()
        self.keep = keep
        self.kept = self.add_weight(shape=(), initializer="zeros", trainable=False, name="kept")
        self.raw = tf.Variable(0.0, name="raw", trainable=False)

    def call(self, x, training=False):
        if training:
            self.keep(self, x)
        return x + 0.0 * self.kept + 0.0 * self.raw


def keep_largest(layer, x):
    layer.kept.assign(tf.maximum(layer.kept.value, tf.reduce_max(x)))


def keep_raw(layer, x):
    layer.raw.assign(tf.reduce_mean(x))


def keep_within_a_function(layer, x):
    tf.function(lambda x: layer.kept.assign(tf.reduce_mean(x)))(x)


def keep_under_a_condition(layer, x):
    high = tf.reduce_mean(x) > 0
    tf.cond(high, lambda: layer.kept.assign(tf.reduce_mean(x)), lambda: tf.constant(0.0))


def keep_what_is_the_same(layer, x):
    with tf.init_scope():
        of_no_graph = tf.constant(2.0)
    layer.kept.assign(of_no_graph)
    layer.kept.assign(layer.kept + 1.0)
    layer.raw.assign_add(1.0)


def keeping(keep):
    return lambda: dense(Keeping(keep), hidden(), optimizer="sgd", metrics=["mae"])


def of_each(model, x, y):
    """Clips the gradient of every example, as private training does."""
    with tf.GradientTape() as tape:
        losses = tf.reduce_sum((model(x) - y) ** 2, axis=1)
    found = [tf.reduce_sum(one, 0) for one in tape.jacobian(losses, model.one.trainable_variables)]
    model.optimizer.apply(found, model.one.trainable_variables)
    return {}


def compiled_by_hand():
    @tf.function
    def step(model, x, y):
        model.seen = x
        found, *_ = gradients(model, lambda given: tf.reduce_mean((given - y) ** 2))
        apply(model, found)
        return {}

    return CASES["two_layers"](step)


own = CASES["two_layers"]
MODELS = {
    "a single number and weights": lambda: dense(hidden(), optimizer="sgd", loss=mean),
    "the largest by hand": of_hand(lambda error: tf.reduce_max(error**2)),
    "a product by hand": of_hand(lambda error: tf.reduce_prod(error)),
    "the best of the rows": of_hand(lambda error: tf.reduce_mean(tf.math.top_k(error[:, 0] ** 2, 3)[0])),
    "what a function hides": of_hand(lambda error: 2.0 * hiding(error)),
    "a gradient of its own": of_hand(lambda error: halved(tf.reduce_mean(error**2))),
    "a tensordot over the rows": of_hand(
        lambda error: tf.tensordot(error, tf.stop_gradient(error), [[0], [0]])[0, 0]
    ),
    "a Euclidean norm by its own operation": of_hand(tf.math.reduce_euclidean_norm),
    "a logarithm of a sum of powers": of_hand(tf.reduce_logsumexp),
    "a constant number of rows": of_hand(lambda error: tf.reduce_sum(error**2) / error.shape[0]),
    "divided by the replicas": lambda: own(divided),
    "weights under a condition": lambda: own(skipping),
    "an optimizer that nobody sees": unseen,
    "rows divided by their number": of_hand(
        lambda error: tf.reduce_sum(error**2 / tf.cast(tf.shape(error)[0], tf.float32))
    ),
    "a softmax over rows": of_hand(
        lambda error: tf.reduce_sum(tf.nn.softmax(error[:, 0]) * error[:, 0] ** 2)
    ),
    "rows by their classes": of_hand(
        lambda error: tf.reduce_mean(
            (
                error
                - tf.gather(tf.math.unsorted_segment_mean(error, tf.cast(error[:, 0] > 0, tf.int32), 2), [0])
            )
            ** 2
        )
    ),
    "sorted rows": of_hand(lambda error: tf.reduce_mean(tf.sort(error, axis=0) ** 3)),
    "turned rows": of_hand(
        lambda error: tf.reduce_mean(
            (tf.transpose(error) - tf.reduce_mean(tf.transpose(error), 1, keepdims=True)) ** 2
        )
    ),
    "a mean of complex numbers": of_hand(
        lambda error: tf.abs(tf.reduce_mean(tf.complex(error, error) ** 2)),
    ),
    "gradients of each example": lambda: own(of_each),
    "a step that is a function": compiled_by_hand,
    "rows in a function": through(centred_in_a_function),
    "rows in a function of a function": through(twice_in_a_function),
    "rows under a condition": through(
        lambda x: tf.cond(tf.reduce_sum(tf.ones([3])) > 2, lambda: centred(x), lambda: x)
    ),
    "rows in a loop": through(
        lambda x: tf.while_loop(lambda i, _: i < 2, lambda i, x: (i + 1, centred(x)), (0, x))[1]
    ),
    "rows one after the other": through(lambda x: tf.scan(lambda before, row: 0.5 * before + row, x)),
    "a convolution over rows": through(
        lambda x: tf.nn.conv1d(x[tf.newaxis], tf.ones([3, 6, 6]), 1, "SAME")[0]
    ),
    "a largest that is kept": keeping(keep_largest),
    "a variable of TensorFlow that is kept": keeping(keep_raw),
    "a mean kept within a function": keeping(keep_within_a_function),
    "a mean kept under a condition": keeping(keep_under_a_condition),
    "what is the same is kept": keeping(keep_what_is_the_same),
    "a metric that is written by hand": lambda: dense(hidden(), optimizer="sgd", metrics=["mae", Unseen()]),
    "rows apart in functions": through(apart_in_functions),
    "ragged rows": words,
    "rows of any length": sequences,
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
    "other numbers of rows": lambda: beside(),
    "other numbers of rows that nobody knows": lambda: beside(),
}


def unlike_rows(rows=6):
    """Batches of 14 examples with a tensor beside them of another number of rows, which no layer uses."""
    numbers = tf.data.Dataset.from_tensors(6).repeat()
    return numbers.map(lambda n: ({"x": X[:14], "edges": tf.range(rows or n)}, Y[:14]))


def unlike_rows_that_nobody_knows():
    return unlike_rows(rows=None)


def beside():
    given = {"x": keras.Input((6,), name="x"), "edges": keras.Input((), dtype="int32", name="edges")}
    model = keras.Model(given, keras.layers.Dense(1)(given["x"]))
    model.compile("sgd", "mse")
    return model


DATA = {
    "ragged rows": ragged,
    "rows of any length": of_any_length,
    "other numbers of rows": unlike_rows,
    "other numbers of rows that nobody knows": unlike_rows_that_nobody_knows,
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
        data = DATA.get(name, lambda parts=parts: CASES["dataset"](*parts))

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
